// SPDX-License-Identifier: BSD-3-Clause
// How many wrong secrets one client may have hashed for one token.
#include "pbstoken/limits/fail_limit.h"

#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"
#include "e2e/exhausted.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/limits_file.h"
#include "pbstoken/limits/named_object.h"

namespace {
bool no_more_attachments = false;
}

// What the core calls.
extern "C" void *shmat(int id, const void *address, int flags) noexcept {
  if (no_more_attachments) {
    errno = ENOMEM;
    return reinterpret_cast<void *>(-1);
  }
  return reinterpret_cast<void *>(syscall(SYS_shmat, id, address, flags));
}

namespace pbstoken {
namespace {

using testing::counted;
using testing::hash_of;
using testing::in_child;
using testing::Process;
using testing::remove_scene;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::verdict_text;

const std::string kId = "john@pbs!client1";
const std::string kOther = "john@pbs!client2";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kHash = hash_of(kSecret);
const Client kHome = {.rhost = "192.0.2.1", .caller = {}};

key_t key_of(const Store &store) {
  return failures_segment(store).key;
}

int setup(void **state) {
  if (testing::make_scene_with_hooks(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.write({{kId, kHash}, {kOther, kHash}});
  scene.store.fail_limit = 3;
  return 0;
}

int teardown(void **state) {
  static_cast<void>(remove_named(failures_segment(scene_in(state).store)));
  std::filesystem::remove_all(
      std::string(limits_path(scene_in(state).store).view()));
  return remove_scene(state);
}

// A secret that nobody has tried before, long enough to be remembered.
std::string fresh_secret() {
  static int count = 0;
  return "0c1e9a55-19f2-4d0e-8d3c-000000000000-" + std::to_string(getpid()) +
         "-" + std::to_string(++count);
}

std::string try_as(Verifier *verifier, const std::string &id,
                   const std::string &secret, const Client &client) {
  return verdict_text(verifier->verify(*parse_token_id(id), secret, client));
}

std::string fail_as(Verifier *verifier, const Client &client) {
  return try_as(verifier, kId, fresh_secret(), client);
}

void use_up_limit(Verifier *verifier, const Store &store,
                  const Client &client) {
  for (std::uint32_t i = 0; i < store.fail_limit; ++i) {
    assert_text_equal(fail_as(verifier, client), "mismatch");
  }
  assert_text_equal(fail_as(verifier, client), "throttled");
}

void more_than_the_limit_is_refused_unhashed(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  const std::uint64_t throttled = counted(scene.store, Event::kThrottled);
  use_up_limit(&verifier, scene.store, kHome);
  const int hashes = testing::hashes_computed;
  for (int i = 0; i < 5; ++i) {
    assert_text_equal(fail_as(&verifier, kHome), "throttled");
  }
  assert_int_equal(testing::hashes_computed, hashes);
  assert_int_equal(counted(scene.store, Event::kThrottled), throttled + 6);
}

void limit_holds_in_every_process(void **state) {
  Scene &scene = scene_in(state);
  for (int i = 0; i < 3; ++i) {
    in_child([&scene] {
      Verifier verifier(scene.store, testing::load_crypt);
      require(fail_as(&verifier, kHome) == "mismatch");
    });
  }
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(fail_as(&verifier, kHome), "throttled");
}

void limit_is_of_token_host_and_caller_together(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  use_up_limit(&verifier, scene.store, kHome);
  assert_text_equal(try_as(&verifier, kOther, fresh_secret(), kHome),
                    "mismatch");
  const Client elsewhere = {.rhost = "192.0.2.2", .caller = {}};
  assert_text_equal(fail_as(&verifier, elsewhere), "mismatch");
  // The caller's uid counts, that of root as well.
  for (const uid_t caller : {0U, 33U, 34U}) {
    use_up_limit(&verifier, scene.store,
                 {.rhost = kHome.rhost, .caller = caller});
  }
}

void unknown_host_has_no_limit(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  for (int i = 0; i < 10; ++i) {
    assert_text_equal(fail_as(&verifier, {}), "mismatch");
  }
  assert_true(shmget(key_of(scene.store), 0, 0) < 0);
}

void limit_of_0_is_none(void **state) {
  Scene &scene = scene_in(state);
  scene.store.fail_limit = 0;
  Verifier verifier(scene.store, testing::load_crypt);
  for (int i = 0; i < 20; ++i) {
    assert_text_equal(fail_as(&verifier, kHome), "mismatch");
  }
}

void right_secret_in_the_segment_is_never_affected(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(try_as(&verifier, kId, kSecret, kHome), "match");
  use_up_limit(&verifier, scene.store, kHome);
  assert_text_equal(try_as(&verifier, kId, kSecret, kHome), "match");
  // Nor when the bindings have to be renewed.
  scene.replace({{kId, kHash}, {kOther, kHash}});
  assert_text_equal(try_as(&verifier, kId, kSecret, kHome), "match");
}

void known_mismatch_is_not_counted(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  const std::string revoked = fresh_secret();
  for (int i = 0; i < 10; ++i) {
    assert_text_equal(try_as(&verifier, kId, revoked, kHome), "mismatch");
  }
  assert_text_equal(fail_as(&verifier, kHome), "mismatch");
}

// libcrypt without memory.
char *failing_crypt(const char * /*phrase*/, const char * /*setting*/,
                    void * /*data*/, int /*size*/) {
  errno = ENOMEM;
  return nullptr;
}

void hash_that_was_not_finished_is_not_counted(void **state) {
  Scene &scene = scene_in(state);
  Verifier broken(scene.store, [] { return CryptFunction(failing_crypt); });
  for (int i = 0; i < 10; ++i) {
    assert_text_equal(fail_as(&broken, kHome), "unusable");
  }
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(fail_as(&verifier, kHome), "mismatch");
}

void window_ends_after_its_seconds(void **state) {
  Scene &scene = scene_in(state);
  scene.store.fail_window = 60;
  Verifier verifier(scene.store, testing::load_crypt);
  use_up_limit(&verifier, scene.store, kHome);
  testing::advance_seconds(50);
  assert_text_equal(fail_as(&verifier, kHome), "throttled");
  testing::advance_seconds(11);
  use_up_limit(&verifier, scene.store, kHome);
}

// As of another time namespace.
void window_in_the_future_is_none(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  testing::advance_seconds(1000);
  use_up_limit(&verifier, scene.store, kHome);
  testing::ahead = {};
  assert_text_equal(fail_as(&verifier, kHome), "mismatch");
}

void any_number_of_clients_moves_no_other_out_at_once(void **state) {
  Scene &scene = scene_in(state);
  FailLimit first(scene.store, kId, kHome);
  for (std::uint32_t i = 0; i < scene.store.fail_limit; ++i) {
    first.count();
  }
  for (int i = 0; i < 1000; ++i) {
    const std::string host = "2001:db8:0:" + std::to_string(i) + "::1";
    FailLimit(scene.store, kId, {.rhost = host, .caller = {}}).count();
  }
  assert_true(first.is_reached());
}

void counts_of_many_processes_add_up(void **state) {
  Scene &scene = scene_in(state);
  constexpr std::uint32_t kProcesses = 8;
  constexpr std::uint32_t kEach = 1000;
  scene.store.fail_limit = kProcesses * kEach;
  std::vector<Process> processes;
  FailLimit limit(scene.store, kId, kHome);
  limit.count();
  for (std::uint32_t i = 0; i < kProcesses; ++i) {
    processes.emplace_back([&scene, i] {
      const FailLimit mine(scene.store, kId, kHome);
      for (std::uint32_t j = i == 0 ? 2 : 0; j < kEach; ++j) {
        mine.count();
      }
    });
  }
  for (const Process &process : processes) {
    assert_int_equal(process.wait(), 0);
  }
  assert_false(limit.is_reached());
  limit.count();
  assert_true(limit.is_reached());
}

// What has waited for a place asks again: others have failed meanwhile.
void limit_that_is_reached_while_one_waits_counts(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  const NamedSet roots = gate_set(scene.store, GateShare::kRoots);
  auto first = enter_hash_gate(scene.store, {});
  auto second = enter_hash_gate(scene.store, {});
  assert_true(first && second);
  const Process late([&scene] {
    Verifier verifier(scene.store, testing::load_crypt);
    require_text_equal(fail_as(&verifier, kHome), "throttled");
  });
  while (semctl(find_named(roots), 0, GETNCNT) == 0) {
    usleep(1000);
  }
  const FailLimit limit(scene.store, kId, kHome);
  for (std::uint32_t i = 0; i < scene.store.fail_limit; ++i) {
    limit.count();
  }
  first->place = HashPlace();
  second->place = HashPlace();
  assert_int_equal(late.wait(), 0);
  for (const GateShare share : {GateShare::kRoots, GateShare::kUsers}) {
    static_cast<void>(remove_named(gate_set(scene.store, share)));
  }
}

// True if each of the hosts counts for the first one.
bool reached_by_all(const Scene &scene,
                    const std::vector<const char *> &hosts) {
  for (const char *host : hosts) {
    const FailLimit limit(scene.store, kId, {.rhost = host, .caller = {}});
    if (limit.is_reached()) {
      return false;  // before the last one
    }
    limit.count();
  }
  return FailLimit(scene.store, kId, {.rhost = hosts.front(), .caller = {}})
      .is_reached();
}

void addresses_of_one_network_are_one_client(void **state) {
  const Scene &scene = scene_in(state);
  // The first 64 bits, however they are written.
  assert_true(reached_by_all(scene, {"2001:db8:0:1::1", "2001:DB8:0:1:ffff::",
                                     "2001:db8::1:0:0:192.0.2.1"}));
  assert_true(
      reached_by_all(scene, {"fe80::1", "fe80::2%eth0", "fe80::3%eth1"}));
  assert_true(reached_by_all(
      scene, {"192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"}));
  assert_false(reached_by_all(
      scene, {"2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db8:0:2::1"}));
  assert_false(
      reached_by_all(scene, {"::ffff:192.0.2.8", "::ffff:192.0.2.9", "::1"}));
  // What is no address is a name.
  assert_false(reached_by_all(scene, {"a.example", "b.example", "::1::2"}));
}

// Translators to IPv6 put all of IPv4 behind one /64.
void translated_ipv4_addresses_are_clients_of_their_own(void **state) {
  const Scene &scene = scene_in(state);
  assert_true(reached_by_all(
      scene, {"192.0.2.7", "64:ff9b::192.0.2.7", "64:FF9B:0:0::c000:207"}));
  assert_true(reached_by_all(
      scene, {"2002:c000:208::1", "2002:c000:208:ffff::2", "192.0.2.8"}));
  assert_false(reached_by_all(
      scene,
      {"64:ff9b::192.0.2.9", "64:ff9b::192.0.2.10", "64:ff9b::192.0.2.11"}));
  assert_false(reached_by_all(
      scene, {"2002:c000:20c::1", "2002:c000:20d::1", "2002:c000:20e::1"}));
  // RFC 8215 leaves open where the address stands.
  assert_true(reached_by_all(
      scene, {"64:ff9b:1::1", "64:ff9b:1::192.0.2.7", "64:ff9b:1::2"}));
}

void port_makes_no_other_client(void **state) {
  const Scene &scene = scene_in(state);
  assert_true(reached_by_all(
      scene, {"192.0.2.7:40000", "192.0.2.7", "::ffff:192.0.2.7"}));
  assert_true(reached_by_all(scene, {"[2001:db8:0:1::1]:40000",
                                     "[2001:db8:0:1::2]", "2001:db8:0:1::3"}));
  assert_true(reached_by_all(
      scene, {"[fe80::1%eth0]:40000", "[fe80::1%eth0]:40001", "fe80::2%eth1"}));
  assert_true(
      reached_by_all(scene, {"a.example:40000", "a.example:1", "a.example"}));
  assert_false(reached_by_all(scene, {"192.0.2.8:1", "192.0.2.9:1", "[]:1"}));
  assert_false(reached_by_all(scene, {"[192.0.2.8", "[::8", "["}));
}

// --- the windows of one token

void assert_failures(const Result<TokenFailures> &found, std::uint64_t clients,
                     std::uint64_t throttled, std::uint64_t mismatches) {
  assert_true(static_cast<bool>(found));
  assert_int_equal(found->clients, clients);
  assert_int_equal(found->throttled, throttled);
  assert_int_equal(found->mismatches, mismatches);
}

// One client of kId is throttled, another is not, and one of kOther is.
void fail_variously(Verifier *verifier, const Store &store) {
  use_up_limit(verifier, store, kHome);
  assert_text_equal(fail_as(verifier, {.rhost = "192.0.2.2", .caller = {}}),
                    "mismatch");
  for (std::uint32_t i = 0; i < store.fail_limit; ++i) {
    assert_text_equal(try_as(verifier, kOther, fresh_secret(), kHome),
                      "mismatch");
  }
}

void windows_of_a_token_are_found(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  fail_variously(&verifier, scene.store);
  assert_failures(failures_of(scene.store, kId), 2, 1, 4);
  assert_failures(failures_of(scene.store, kOther), 1, 1, 3);
  assert_failures(failures_of(scene.store, "john@pbs!client3"), 0, 0, 0);
  // With a limit of 0 no client is throttled.
  Store unlimited = scene.store;
  unlimited.fail_limit = 0;
  assert_failures(failures_of(unlimited, kId), 2, 0, 4);
}

void windows_are_found_until_they_end(void **state) {
  Scene &scene = scene_in(state);
  scene.store.fail_window = 60;
  Verifier verifier(scene.store, testing::load_crypt);
  use_up_limit(&verifier, scene.store, kHome);
  testing::advance_seconds(30);
  const Client later = {.rhost = "192.0.2.2", .caller = {}};
  assert_text_equal(fail_as(&verifier, later), "mismatch");
  // The seconds are those of the one that is throttled.
  const auto found = failures_of(scene.store, kId);
  assert_failures(found, 2, 1, 4);
  assert_in_range(found->seconds, 25, 30);
  testing::advance_seconds(31);
  assert_failures(failures_of(scene.store, kId), 1, 0, 1);
  assert_int_equal(failures_of(scene.store, kId)->seconds, 0);
}

void windows_that_are_ended_hold_up_nobody(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  fail_variously(&verifier, scene.store);
  in_child([&scene] {  // this process keeps what it has attached
    const auto ended = end_failures(scene.store, kId);
    require(ended && ended->clients == 2 && ended->throttled == 1 &&
            ended->mismatches == 4);
  });
  assert_failures(failures_of(scene.store, kId), 0, 0, 0);
  assert_failures(end_failures(scene.store, kId), 0, 0, 0);
  use_up_limit(&verifier, scene.store, kHome);
  assert_text_equal(try_as(&verifier, kOther, fresh_secret(), kHome),
                    "throttled");
}

void no_segment_is_made_to_find_no_windows(void **state) {
  const Scene &scene = scene_in(state);
  assert_failures(failures_of(scene.store, kId), 0, 0, 0);
  assert_failures(end_failures(scene.store, kId), 0, 0, 0);
  assert_true(shmget(key_of(scene.store), 0, 0) < 0);
}

// What stands in the segment.
std::vector<std::uint64_t> words_of_windows(const Store &store) {
  const int id = shmget(key_of(store), 0, 0);
  const auto attached = ShmAttachment::attach(id, Access::kRead);
  assert_true(static_cast<bool>(attached));
  std::vector<std::uint64_t> words(attached->size() / sizeof(std::uint64_t));
  std::memcpy(words.data(), attached->address(),
              words.size() * sizeof(std::uint64_t));
  std::erase(words, 0);
  std::ranges::sort(words);
  return words;
}

// Who could foresee them could make a host that has another's window.
void tags_cannot_be_foreseen(void **state) {
  const Scene &scene = scene_in(state);
  const auto make = [&scene] {
    static_cast<void>(remove_named(failures_segment(scene.store)));
    FailLimit(scene.store, kId, kHome).count();
    return words_of_windows(scene.store);
  };
  const auto first = make();
  const auto second = make();
  std::vector<std::uint64_t> common;
  std::ranges::set_intersection(first, second, std::back_inserter(common));
  // The name, and the time with the count, where that is the same second.
  assert_true(common.size() <= 2);
  assert_int_equal(first.size(), 4);
}

// --- where the segment cannot be had

// Without those that were removed while this process still has them.
std::size_t segments_in_kernel() {
  std::size_t count = 0;
  static_cast<void>(walk_table<SegmentEntry>([&](const SegmentEntry &entry) {
    count += (entry.owner().mode & SHM_DEST) == 0 ? 1 : 0;
    return true;
  }));
  return count;
}

void limit_holds_in_every_process_without_segments(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSegmentLimit);
  const auto answer_to = [&scene](const char *host) {
    Verifier verifier(scene.store, testing::load_crypt);
    return fail_as(&verifier, {.rhost = host});
  };
  for (int i = 0; i < 5; ++i) {
    in_child([&] {
      require_text_equal(answer_to("192.0.2.1"),
                         i < 3 ? "mismatch" : "throttled");
    });
  }
  in_child([&] { require_text_equal(answer_to("192.0.2.2"), "mismatch"); });
  testing::advance_seconds(scene.store.fail_window + 1);
  in_child([&] { require_text_equal(answer_to("192.0.2.1"), "mismatch"); });
}

// Its answer to the next request would come from another process.
void helper_uses_no_file_without_segments(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSegmentLimit);
  const FailLimit limit(scene.store, kId,
                        {.rhost = "192.0.2.1", .caller = 33, .one_shot = true});
  assert_true(limit.lost().has_value());
  assert_int_not_equal(access(limits_path(scene.store).c_str(), F_OK), 0);
}

void process_has_windows_of_its_own_without_segments(void **state) {
  Scene &scene = scene_in(state);
  // Nor can there be a file for them.
  const std::string path(limits_path(scene.store).view());
  std::filesystem::create_directory(path);
  // The segment of secrets is there.
  Verifier first(scene.store, testing::load_crypt);
  assert_text_equal(try_as(&first, kId, kSecret, {}), "match");
  const testing::NoMoreObjects exhausted(testing::kSegmentLimit);
  for (int i = 0; i < 2; ++i) {
    in_child([&scene] {
      Verifier verifier(scene.store, testing::load_crypt);
      testing::hashes_computed = 0;
      for (int j = 0; j < 20; ++j) {
        require_text_equal(fail_as(&verifier, kHome),
                           j < 3 ? "mismatch" : "throttled");
      }
      require(testing::hashes_computed == 3);
      require(verifier.lost_limit() &&
              verifier.lost_limit()->saved_errno == ENOSPC);
      require_text_equal(try_as(&verifier, kId, kSecret, kHome), "match");
    });
  }
}

// Its next request would have windows of its own.
void helper_for_a_remote_host_is_busy_without_segments(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  const testing::NoMoreObjects exhausted(testing::kSegmentLimit);
  const Client client = {.rhost = "192.0.2.1", .caller = 33, .one_shot = true};
  const auto busy = verifier.verify(*parse_token_id(kId), kSecret, client);
  assert_false(static_cast<bool>(busy));
  assert_true(busy.error().code == Errc::kBusy);
}

void segment_without_its_key_is_found_by_all(void **state) {
  Scene &scene = scene_in(state);
  in_child([&scene] {
    testing::become(testing::kNobody, testing::kOtherGroup);
    require(shmget(key_of(scene.store), 1, IPC_CREAT | IPC_EXCL | 0666) >= 0);
  });
  const std::size_t before = segments_in_kernel();
  for (int i = 0; i < 3; ++i) {
    in_child([&scene] {
      testing::give_up_sys_admin();
      FailLimit(scene.store, kId, kHome).count();
    });
  }
  assert_int_equal(segments_in_kernel(), before + 1);
  in_child([&scene] {
    testing::give_up_sys_admin();
    require(FailLimit(scene.store, kId, kHome).is_reached());
  });
  // One that may removes the other's; then the keyless one goes.
  FailLimit(scene.store, kId, kHome).count();
  assert_int_equal(segments_in_kernel(), before);
}

void segment_that_others_made_is_replaced(void **state) {
  Scene &scene = scene_in(state);
  in_child([&scene] {
    testing::become(testing::kNobody, testing::kOtherGroup);
    require(shmget(key_of(scene.store), 1 << 20, IPC_CREAT | IPC_EXCL | 0666) >=
            0);
  });
  Verifier verifier(scene.store, testing::load_crypt);
  use_up_limit(&verifier, scene.store, kHome);
}

void store_and_its_twin_share_the_limit(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  use_up_limit(&verifier, scene.store, kHome);
  Store twin = scene.store;
  twin.name = FixedText<32>("twin");
  Verifier other(twin, testing::load_crypt);
  assert_text_equal(fail_as(&other, kHome), "throttled");
}

// Windows that are there and cannot be attached are none, which is told: a
// helper that runs once answers busy for it.
void windows_that_cannot_be_attached_are_lost(void **state) {
  const Scene &scene = scene_in(state);
  {
    const FailLimit limit(scene.store, kId, kHome);
    assert_false(limit.lost().has_value());
  }
  in_child([&] {  // which has nothing attached
    no_more_attachments = true;
    const FailLimit limit(scene.store, kId, kHome);
    require(limit.lost() && limit.lost()->saved_errno == ENOMEM);
  });
}

}  // namespace
}  // namespace pbstoken

#define with_limit(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_limit(more_than_the_limit_is_refused_unhashed),
      with_limit(limit_holds_in_every_process),
      with_limit(limit_is_of_token_host_and_caller_together),
      with_limit(unknown_host_has_no_limit),
      with_limit(limit_of_0_is_none),
      with_limit(right_secret_in_the_segment_is_never_affected),
      with_limit(known_mismatch_is_not_counted),
      with_limit(hash_that_was_not_finished_is_not_counted),
      with_limit(window_ends_after_its_seconds),
      with_limit(window_in_the_future_is_none),
      with_limit(any_number_of_clients_moves_no_other_out_at_once),
      with_limit(counts_of_many_processes_add_up),
      with_limit(limit_that_is_reached_while_one_waits_counts),
      with_limit(addresses_of_one_network_are_one_client),
      with_limit(translated_ipv4_addresses_are_clients_of_their_own),
      with_limit(port_makes_no_other_client),
      with_limit(windows_of_a_token_are_found),
      with_limit(windows_are_found_until_they_end),
      with_limit(windows_that_are_ended_hold_up_nobody),
      with_limit(no_segment_is_made_to_find_no_windows),
      with_limit(tags_cannot_be_foreseen),
      with_limit(limit_holds_in_every_process_without_segments),
      with_limit(helper_uses_no_file_without_segments),
      with_limit(process_has_windows_of_its_own_without_segments),
      with_limit(helper_for_a_remote_host_is_busy_without_segments),
      with_limit(segment_without_its_key_is_found_by_all),
      with_limit(segment_that_others_made_is_replaced),
      with_limit(store_and_its_twin_share_the_limit),
      with_limit(windows_that_cannot_be_attached_are_lost),
  };
  return cmocka_run_group_tests_name("fail_limit", tests, nullptr, nullptr);
}
