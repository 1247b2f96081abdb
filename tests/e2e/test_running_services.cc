// SPDX-License-Identifier: BSD-3-Clause
// The host changes under two services that run: one of root, and one of a
// member that can reach the resident helper alone.  Soon after, requests of
// both cost no hash, and at most one run of the helper.
#include <sys/mount.h>

#include <functional>
#include <memory>

#include "e2e_socket.h"
#include "pbstoken/cache/segment_layout.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr int kTtl = 2;
constexpr int kRequests = 100;

// A process that lives on, and authenticates as often as it is told to.
class Service {
 public:
  explicit Service(const std::function<void()> &become_other)
      : pid_(start_child([this, &become_other] {
          // As long as this is open a member needs no access to the module.
          Conversation conversation;
          const PamHandle first(kService, kId, &conversation);
          become_other();
          int wanted = 0;
          while (read(orders_.reader(), &wanted, sizeof(wanted)) ==
                 sizeof(wanted)) {
            int accepted = 0;
            for (int i = 0; i < wanted; ++i) {
              accepted += authenticate(kId, kSecret) == PAM_SUCCESS ? 1 : 0;
            }
            if (write(answers_.writer(), &accepted, sizeof(accepted)) !=
                sizeof(accepted)) {
              return 1;
            }
          }
          return 0;
        })) {}
  Service(const Service &) = delete;
  Service &operator=(const Service &) = delete;
  ~Service() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  // Returns how many of so many requests were accepted.
  int authenticated(int wanted) {
    int accepted = -1;
    if (write(orders_.writer(), &wanted, sizeof(wanted)) != sizeof(wanted) ||
        read(answers_.reader(), &accepted, sizeof(accepted)) !=
            sizeof(accepted)) {
      return -1;
    }
    return accepted;
  }

 private:
  Pipe orders_;
  Pipe answers_;
  pid_t pid_;
};

// Owned by a fixture: a failed assertion longjmps past destructors.
std::unique_ptr<Service> root_service;
std::unique_ptr<Service> member_service;

int set_up(void **state) {
  if (clean_host_with_socket(state) != 0) {
    return -1;
  }
  configure("cache_ttl = " + std::to_string(kTtl) + "\n");
  write_shadow({{kId, kHash}});
  remove_segments();
  root_service = std::make_unique<Service>([] {});
  member_service =
      std::make_unique<Service>(become_member_without_new_privileges);
  return 0;
}

int tear_down(void **state) {
  root_service.reset();
  member_service.reset();
  umount(kDirectory);
  return stop_socket(state);
}

void let_both_authenticate() {
  assert_int_equal(root_service->authenticated(1), 1);
  assert_int_equal(member_service->authenticated(1), 1);
}

// Without the socket the member has its segment and nothing else.
void assert_nothing_is_hashed() {
  sleep(kTtl + 2);
  const std::uint64_t hashes = counter("hashes");
  let_both_authenticate();  // the one run of the helper
  stop_socket(nullptr);
  assert_int_equal(member_service->authenticated(kRequests), kRequests);
  assert_int_equal(root_service->authenticated(kRequests), kRequests);
  assert_int_equal(counter("hashes"), hashes);
  assert_int_equal(start_socket(), 0);
}

void change_under_both(const std::function<void()> &change) {
  let_both_authenticate();
  change();
  let_both_authenticate();
  assert_nothing_is_hashed();
}

void assert_in_use() {
  const auto status = status_json();
  assert_text_equal(status["cache_root"].GetString(), "in use");
  assert_text_equal(status["cache_members"].GetString(), "in use");
}

void nothing_changes(void ** /*state*/) {
  change_under_both([] {});
  assert_in_use();
}

// As a backup is restored.
void directory_that_is_replaced(void ** /*state*/) {
  change_under_both([] {
    const std::string copy = std::string(kDirectory) + ".copy";
    std::filesystem::copy(kDirectory, copy);
    assert_int_equal(chown(copy.c_str(), kBackup, kBackup), 0);
    std::filesystem::rename(kDirectory, std::string(kDirectory) + ".former");
    std::filesystem::rename(copy, kDirectory);
  });
  assert_in_use();
  std::filesystem::remove_all(std::string(kDirectory) + ".former");
}

// On another device, as after a reboot or when a file system is mounted anew.
void directory_on_another_device(void ** /*state*/) {
  change_under_both([] {
    const std::string copy = scratch("copy");
    std::filesystem::copy(kDirectory, copy);
    assert_int_equal(mount("tmpfs", kDirectory, "tmpfs", 0, "mode=0700"), 0);
    assert_int_equal(chown(kDirectory, kBackup, kBackup), 0);
    std::filesystem::copy(copy, kDirectory);
    std::filesystem::remove_all(copy);
  });
  umount(kDirectory);
}

void setting_that_is_changed(void ** /*state*/) {
  const std::string ttl = "cache_ttl = " + std::to_string(kTtl) + "\n";
  for (const char *setting :
       {"user_cfg = /etc/proxmox-backup/other.cfg\n", "user_cfg =\n",
        "cache_slots = 4096\n", "version_cache =\n", "fail_limit = 0\n",
        "max_hashes = 1\n", "admin_group = 4711\n"}) {
    change_under_both([&] { configure(ttl + setting); });
    assert_in_use();
  }
}

void store_that_another_one_shares_its_file_with(void ** /*state*/) {
  change_under_both([] {
    write_file("/etc/pbstoken/other.conf",
               "token_shadow = " + std::string(kShadow) + "\nuser_cfg =\n");
    tool_output({"--store", "other", "prepare"});
    write_stack("other_store",
                {"auth required " + module_path() + " store=other"});
  });
  assert_in_use();
}

// By a version that is gone again: its segment stays until a token changes, and
// status says so.
void segment_that_a_newer_version_has_left(void ** /*state*/) {
  let_both_authenticate();
  const int id = status_json()["id"].GetInt();
  auto *header = static_cast<SegmentHeader *>(shmat(id, nullptr, 0));
  header->prefix.layout_version = kLayoutVersion + 1;
  shmdt(header);
  let_both_authenticate();
  const std::string verdict = status_json()["cache_root"].GetString();
  assert_true(verdict.find("a newer version's") != std::string::npos);
  generate("other@pbs!t");
  let_both_authenticate();
  assert_nothing_is_hashed();
  assert_in_use();
}

void segment_that_is_removed(void ** /*state*/) {
  change_under_both([] { remove_segments(); });
  assert_in_use();
}

void store_that_is_retired(void ** /*state*/) {
  change_under_both([] { tool_output({"retire"}); });
  assert_in_use();
}

void segment_that_is_damaged(void ** /*state*/) {
  change_under_both([] {
    const int id = status_json()["id"].GetInt();
    auto *bytes = static_cast<char *>(shmat(id, nullptr, 0));
    std::memset(bytes + 128, 0xff, 4096);
    shmdt(bytes);
  });
  assert_in_use();
}

}  // namespace
}  // namespace pbstoken

#define RUNNING_TEST(name) \
  cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      RUNNING_TEST(nothing_changes),
      RUNNING_TEST(directory_that_is_replaced),
      RUNNING_TEST(directory_on_another_device),
      RUNNING_TEST(setting_that_is_changed),
      RUNNING_TEST(store_that_another_one_shares_its_file_with),
      RUNNING_TEST(segment_that_a_newer_version_has_left),
      RUNNING_TEST(segment_that_is_removed),
      RUNNING_TEST(store_that_is_retired),
      RUNNING_TEST(segment_that_is_damaged),
  };
  return cmocka_run_group_tests_name("running_services", tests, nullptr,
                                     nullptr);
}
