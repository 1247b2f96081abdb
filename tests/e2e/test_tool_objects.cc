// SPDX-License-Identifier: BSD-3-Clause
// What a store has in the kernel: prepare makes all of it before it is needed;
// retire leaves nothing of it, and touches nothing of anybody else.
#include <sys/file.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <algorithm>

#include "e2e_accounts.h"
#include "e2e_pam.h"
#include "exhausted.h"
#include "helper_support.h"
#include "pbstoken/limits/limits_file.h"

#define KERNEL_TEST(name) cmocka_unit_test_setup(name, clean_kernel)

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kOtherShadow = "/etc/proxmox-backup/other.shadow";

// How many shared-memory segments and semaphore sets there are, removed ones
// that are still attached included.
int ipc_objects() {
  // The kernel's own structure, of which both calls fill the first member.
  shm_info memory{};
  seminfo semaphores{};
  if (shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&memory)) < 0 ||
      semctl(0, 0, SEM_INFO, &semaphores) < 0) {
    fail_msg("no System V IPC");
  }
  return memory.used_ids + semaphores.semusz;
}

void remove_semaphore_sets() {
  seminfo info{};
  const int last = semctl(0, 0, SEM_INFO, &info);
  for (int index = 0; index <= last; ++index) {
    semid_ds set{};
    if (const int id = semctl(index, 0, SEM_STAT, &set); id >= 0) {
      semctl(id, 0, IPC_RMID);
    }
  }
}

int clean_kernel(void **state) {
  const int done = clean_host_with_service(state);
  remove_semaphore_sets();
  return done;
}

// Segment, counters and gate, made by a process that is gone.
void use_store(const std::vector<std::string> &options = {}) {
  std::vector<std::string> arguments = options;
  arguments.insert(arguments.end(), {"verify", kId});
  helper_output(arguments, kSecret);
}

key_t member(const rapidjson::Document &keys, const char *name) {
  return static_cast<key_t>(keys[name].GetUint());
}

// --- prepare

void prepare_makes_all_that_a_store_uses(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_user_cfg();
  tool_output({"prepare"});
  assert_int_equal(ipc_objects(), 7);
  // Nor is anything missing, or made twice.
  use_store();
  helper_output({"account", kId});
  helper_output({"verify", "--rhost", "192.0.2.1", kId}, kSecret);
  assert_int_equal(ipc_objects(), 7);
}

void prepare_again_changes_nothing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  tool_output({"prepare"});
  use_store();
  const std::string before = tool_output({"--output-format=json", "status"});
  const int objects = ipc_objects();
  tool_output({"prepare"});
  assert_int_equal(ipc_objects(), objects);
  assert_int_equal(status_json()["id"].GetInt(),
                   parse_json(before)["id"].GetInt());
  assert_int_equal(status_json()["generation"].GetUint64(),
                   parse_json(before)["generation"].GetUint64());
  assert_int_equal(status_json()["slots_used"].GetUint64(), 1);
}

void prepare_without_a_cache_makes_no_segment(void ** /*state*/) {
  configure("cache = no\n");
  write_shadow({{kId, kHash}});
  tool_output({"prepare"});
  assert_true(status_json()["id"].IsNull());
}

void prepare_without_the_directory_is_exit_4_and_makes_none(void ** /*state*/) {
  std::filesystem::remove_all(kDirectory);
  const RunResult outcome = run_tool({"prepare"});
  assert_exit(outcome, 4, "prepare");
  assert_true(outcome.err.starts_with("pbstoken: cannot open " +
                                      std::string(kDirectory)));
  assert_false(std::filesystem::exists(kDirectory));
}

void prepare_on_a_full_host_says_what_is_missing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const NoMoreObjects none(kSegmentLimit);
  const RunResult outcome = run_tool({"prepare"});
  assert_exit(outcome, 4, "prepare");
  // Counters, windows and the segment of the secrets; the gate is made.
  assert_int_equal(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 3);
  assert_text_equal(
      outcome.err.substr(0, outcome.err.find('\n')),
      "pbstoken: cannot make the shared memory: No space left on device");
  assert_true(outcome.err.find("not permitted") == std::string::npos);
  assert_int_equal(ipc_objects(), 3);
}

// --- retire

void retire_leaves_nothing_of_a_store(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_int_equal(ipc_objects(), 0);
  use_store();
  assert_int_equal(ipc_objects(), 3);
  const Store store =
      *load_store(kDefaultStore, configuration_path(kDefaultStore));
  assert_non_null(LimitsFile::open(store).windows());
  tool_output({"retire"});
  assert_int_equal(ipc_objects(), 0);
  assert_int_not_equal(access(limits_path(store).c_str(), F_OK), 0);
  // Nor is anything missing.
  use_store();
  assert_true(status_json()["id"].IsInt());
}

void retire_prints_the_keys_there_or_not(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto printed = [] {
    return tool_output({"--output-format", "json", "retire"});
  };
  const std::string before = printed();
  use_store();
  const auto keys = parse_json(before);
  const auto status = status_json();
  assert_text_equal(keys["store"].GetString(), "pbs");
  assert_int_equal(keys["segment"].GetUint(), status["key"].GetUint());
  assert_int_equal(shmget(member(keys, "segment"), 0, 0),
                   status["id"].GetInt());
  assert_true(shmget(member(keys, "use"), 0, 0) >= 0);
  assert_true(semget(member(keys, "gate"), 0, 0) >= 0);
  assert_int_equal(ipc_objects(), 3);
  assert_text_equal(printed(), before);
  assert_int_equal(ipc_objects(), 0);
  // For scripts: a name, a colon, a key as ipcs(1) shows it.
  const std::string text = tool_output({"retire"});
  for (const char *name : {"gate", "gate_users", "turns"}) {
    const std::string label = std::string(name) + ":";
    std::array<char, 16> key{};
    std::snprintf(key.data(), key.size(), "0x%08x", keys[name].GetUint());
    assert_true(text.find("\n" + label + std::string(12 - label.size(), ' ') +
                          key.data() + "\n") != std::string::npos);
  }
}

// What a handle that has verified the secret gets for it once the file is
// another one, and then once the store is retired; 0 if that is as expected.
// In a child: what this process has attached would count in other tests.
int outcome_of_attached_handle(void (*change)(), int afterwards) {
  // A segment that was removed without a word would be used on for that long.
  configure("cache_ttl = 86400\nlook = no\n");
  write_shadow({{kId, kHash}});
  return in_child([change, afterwards] {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    if (handle.authenticate() != PAM_SUCCESS) {
      return 1;
    }
    change();
    if (handle.authenticate() != PAM_SUCCESS) {
      return 2;
    }
    if (run_tool({"retire"}).status != 0) {
      return 3;
    }
    return handle.authenticate() == afterwards ? 0 : 4;
  });
}

void retire_ends_the_use_of_an_attached_segment(void ** /*state*/) {
  assert_int_equal(outcome_of_attached_handle(
                       [] { write_shadow({{kId, kOldHash}}); }, PAM_AUTH_ERR),
                   0);
}

void retire_without_the_directory_ends_it_too(void ** /*state*/) {
  assert_int_equal(
      outcome_of_attached_handle(
          [] { std::filesystem::remove_all(kDirectory); }, PAM_USER_UNKNOWN),
      0);
}

void retire_leaves_other_stores_alone(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_file(kOtherShadow, shadow_of({{kId, kHash}}), 0640);
  write_file("/etc/pbstoken/other.conf",
             std::string("token_shadow = ") + kOtherShadow + "\n");
  // And somebody else's, without a key.
  const int foreign = shmget(IPC_PRIVATE, 1, 0600);
  use_store();
  use_store({"--store", "other"});
  assert_int_equal(ipc_objects(), 7);
  tool_output({"retire"});
  assert_int_equal(ipc_objects(), 4);
  assert_true(status_json()["id"].IsNull());  // makes counters
  const auto other = parse_json(
      tool_output({"--store", "other", "--output-format", "json", "status"}));
  assert_true(other["id"].IsInt());
  assert_int_equal(other["hashes"].GetUint64(), 1);
  tool_output({"retire"});
  tool_output({"--store", "other", "retire"});
  assert_int_equal(ipc_objects(), 1);
  shmid_ds segment{};
  assert_int_equal(shmctl(foreign, IPC_STAT, &segment), 0);
}

void retire_nothing_makes_nothing(void ** /*state*/) {
  tool_output({"retire"});
  assert_true(names_in(kDirectory).empty());
  std::filesystem::remove_all(kDirectory);
  tool_output({"retire"});
  assert_false(std::filesystem::exists(kDirectory));
  assert_int_equal(ipc_objects(), 0);
}

// Proxmox Backup Server was purged first.
void retire_without_the_directory_leaves_nothing(void ** /*state*/) {
  // The lock may be elsewhere, and still there.
  for (const std::string &lock : {std::string(), scratch("lock")}) {
    clean_host(nullptr);
    configure(lock.empty() ? "" : "lock_file = " + lock + "\n");
    write_shadow({{kId, kHash}});
    use_store();
    assert_int_equal(ipc_objects(), 3);
    std::filesystem::remove_all(kDirectory);
    tool_output({"retire"});
    assert_int_equal(ipc_objects(), 0);
    assert_false(std::filesystem::exists(kDirectory));
  }
}

// Proxmox Backup Server was purged, and installed anew.
void retire_leaves_nothing_of_a_former_directory(void ** /*state*/) {
  const auto use = [] {
    write_shadow({{kId, kHash}});
    write_file(std::string(kDirectory) + "/user.cfg", kAccounts, 0640);
    use_store();
    helper_output({"account", kId});
  };
  use();
  const int once = ipc_objects();
  // Both at once, or the new one may have the inode of the former.
  const std::string former = std::string(kDirectory) + ".former";
  std::filesystem::rename(kDirectory, former);
  std::filesystem::create_directory(kDirectory);
  assert_int_equal(chown(kDirectory, kBackup, kBackup), 0);
  std::filesystem::remove_all(former);
  use();
  assert_int_equal(ipc_objects(), once + 2);
  tool_output({"retire"});
  assert_int_equal(ipc_objects(), 0);
}

void retire_while_somebody_holds_the_lock_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  use_store();
  const int lock = open(kLock, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  const RunResult outcome = run_tool({"--output-format", "json", "retire"});
  close(lock);
  assert_int_equal(outcome.status, 4);
  assert_true(outcome.err.starts_with(std::string("pbstoken: ") +
                                      "cannot lock " + kLock));
  // The keys all the same, and what needs no lock is gone.
  const auto keys = parse_json(outcome.out);
  assert_true(shmget(member(keys, "segment"), 0, 0) >= 0);
  assert_true(shmget(member(keys, "use"), 0, 0) < 0);
  assert_true(semget(member(keys, "gate"), 0, 0) < 0);
}

void retire_without_output_is_exit_4_and_done(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  use_store();
  const RunResult outcome =
      run({.path = tool_path(), .arguments = {"retire"}, .prepare = [] {
             dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
           }});
  assert_int_equal(outcome.status, 4);
  assert_int_equal(ipc_objects(), 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      KERNEL_TEST(prepare_makes_all_that_a_store_uses),
      KERNEL_TEST(prepare_again_changes_nothing),
      KERNEL_TEST(prepare_without_a_cache_makes_no_segment),
      KERNEL_TEST(prepare_without_the_directory_is_exit_4_and_makes_none),
      KERNEL_TEST(prepare_on_a_full_host_says_what_is_missing),
      KERNEL_TEST(retire_leaves_nothing_of_a_store),
      KERNEL_TEST(retire_prints_the_keys_there_or_not),
      KERNEL_TEST(retire_ends_the_use_of_an_attached_segment),
      KERNEL_TEST(retire_without_the_directory_ends_it_too),
      KERNEL_TEST(retire_leaves_other_stores_alone),
      KERNEL_TEST(retire_nothing_makes_nothing),
      KERNEL_TEST(retire_without_the_directory_leaves_nothing),
      KERNEL_TEST(retire_leaves_nothing_of_a_former_directory),
      KERNEL_TEST(retire_while_somebody_holds_the_lock_is_exit_4),
      KERNEL_TEST(retire_without_output_is_exit_4_and_done),
  };
  return cmocka_run_group_tests_name("tool_objects", tests, nullptr, nullptr);
}
