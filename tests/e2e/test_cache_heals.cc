// SPDX-License-Identifier: BSD-3-Clause
// The host changes under running services: whatever that does to the cache, it
// is mended by the next process that may, and nobody has to think of `flush`.
#include <sys/shm.h>

#include <array>
#include <functional>

#include "e2e_socket.h"
#include "exhausted.h"
#include "pbstoken/cache/segment_layout.h"

namespace pbstoken {
namespace {

using namespace testing;

// Requests of a member that its own segment answers: nothing else is left.
void assert_member_needs_no_helper() {
  stop_socket(nullptr);
  for (int i = 0; i < 100; ++i) {
    assert_pam(
        authenticate_as(become_member_without_new_privileges, kId, kSecret),
        PAM_SUCCESS);
  }
  assert_int_equal(start_socket(), 0);
}

// A segment is replaced at most once a minute, also when it has just been made.
void let_a_minute_pass() {
  const auto id = static_cast<int>(status_json()["id"].GetInt());
  void *address = shmat(id, nullptr, 0);
  assert_true(reinterpret_cast<std::intptr_t>(address) != -1);
  static_cast<SegmentHeader *>(address)->sized = 1;
  assert_int_equal(shmdt(address), 0);
}

int authenticate_confined() {
  return authenticate_as(become_member_without_new_privileges, kId, kSecret);
}

void make_segment_for(const std::string &settings) {
  remove_segments();
  configure("cache_ttl = 3600\n" + settings);
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  let_a_minute_pass();
}

// By a request of a member, which the resident helper answers, by one of root's
// that the segment does not know, and when the socket starts.
void segment_made_before_the_group_was_there_is_replaced(void ** /*state*/) {
  const std::string groups = read_file("/etc/group");
  const std::size_t line = groups.find("pbstoken:");
  const std::array<std::function<void()>, 3> starts = {
      [] {},
      [] {
        assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
        stop_socket(nullptr);
      },
      [] {
        tool_output({"prepare"});
        stop_socket(nullptr);
      }};
  for (const auto &start : starts) {
    write_file("/etc/group", groups.substr(0, line));
    make_segment_for("");
    write_file("/etc/group", groups);
    start();
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_pam(authenticate_confined(), PAM_SUCCESS);
    assert_member_needs_no_helper();
  }
}

void segment_for_another_group_is_replaced(void ** /*state*/) {
  make_segment_for("verify_group = 4712\n");
  configure("cache_ttl = 3600\nverify_group = 4711\n");
  assert_pam(authenticate_confined(), PAM_SUCCESS);
  assert_member_needs_no_helper();
}

void segment_of_another_mode_is_replaced(void ** /*state*/) {
  make_segment_for("");
  shmid_ds status{};
  const auto id = static_cast<int>(status_json()["id"].GetInt());
  assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
  status.shm_perm.mode = 0600;
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
  assert_pam(authenticate_confined(), PAM_SUCCESS);
  assert_member_needs_no_helper();
}

void segment_with_another_number_of_slots_is_replaced(void ** /*state*/) {
  make_segment_for("cache_slots = 1024\n");
  assert_int_equal(status_json()["slots"].GetUint64(), 1024);
  configure("cache_ttl = 3600\ncache_slots = 4096\n");
  assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
  assert_int_equal(status_json()["slots"].GetUint64(), 4096);
}

// Where no other can be made, the one that is there goes on, and is not claimed
// by each request.
void segment_that_cannot_be_replaced_is_tried_once_a_minute(void ** /*state*/) {
  make_segment_for("cache_slots = 1024\n");
  configure("cache_ttl = 3600\ncache_slots = 4096\n");
  const NoMoreObjects none(kSegmentLimit);
  const auto generation = [] {
    return status_json()["generation"].GetUint64();
  };
  assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
  const std::uint64_t after = generation();
  for (int i = 0; i < 5; ++i) {
    assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  }
  assert_int_equal(generation(), after);
  assert_int_equal(counter("hashes"), 1);
}

// Two stores of one file, for two groups: neither fights for the segment.
void segment_of_a_younger_configuration_is_used_as_it_is(void ** /*state*/) {
  configure("cache_ttl = 3600\nverify_group = 4712\n");
  usleep(1'100'000);
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = " + std::string(kShadow) +
                 "\nuser_cfg =\ncache_ttl = 3600\nverify_group = 4711\n");
  usleep(1'100'000);
  remove_segments();
  write_shadow({{kId, kHash}});
  write_socket_service("store=other");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const auto id = [] { return status_json()["id"].GetInt(); };
  const int first = id();
  write_socket_service();
  for (int i = 0; i < 5; ++i) {
    let_a_minute_pass();
    assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_int_equal(id(), first);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      SOCKET_TEST(segment_made_before_the_group_was_there_is_replaced),
      SOCKET_TEST(segment_for_another_group_is_replaced),
      SOCKET_TEST(segment_of_another_mode_is_replaced),
      SOCKET_TEST(segment_with_another_number_of_slots_is_replaced),
      SOCKET_TEST(segment_that_cannot_be_replaced_is_tried_once_a_minute),
      SOCKET_TEST(segment_of_a_younger_configuration_is_used_as_it_is),
  };
  return cmocka_run_group_tests_name("cache_heals", tests, nullptr, nullptr);
}
