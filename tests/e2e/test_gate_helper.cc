// SPDX-License-Identifier: BSD-3-Clause
// The helper at the gate: what its starter shares with it, new secrets, and a
// host without semaphores.  test_hash_gate.cc has the gate itself.
#include <sched.h>
#include <signal.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>

#include "e2e/exhausted.h"
#include "helper_support.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kCostlyId = "john@pbs!costly";

// A hash that nobody waits for the end of.
std::string costly_hash() {
  return "$6$rounds=999999999$saltsalt$" + std::string(86, '.');
}

Store the_store() {
  return *load_store(kDefaultStore, configuration_path(kDefaultStore));
}

int fresh_host(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  install_helper();
  configure_groups("max_hashes = 2\nmember_rotate = yes\n");
  write_shadow({{kId, kHash}, {kCostlyId, costly_hash()}});
  write_user_cfg();
  static_cast<void>(remove_named(gate_set(the_store(), GateShare::kUsers)));
  static_cast<void>(remove_named(turns_set(the_store())));
  return 0;
}

std::string helper() {
  return scratch("installed-helper");
}

// Whatever process the helper computes in.
void kill_all_helpers() {
  for (const std::string &name : names_in("/proc")) {
    std::error_code error;
    const auto program =
        std::filesystem::read_symlink("/proc/" + name + "/exe", error);
    if (!error && program == helper()) {
      kill(std::stoi(name), SIGKILL);
    }
  }
}

double seconds_of(const std::function<void()> &body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  const std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  return passed.count();
}

void killed_helper_of_a_sharer_gives_its_place_back(void ** /*state*/) {
  Pipe secret;
  assert_true(write(secret.writer(), kWrongSecret, 36) == 36);
  secret.close_writer();
  // This process goes on to share what semop(2) would undo.
  const auto child =
      static_cast<pid_t>(syscall(SYS_clone, CLONE_SYSVSEM | SIGCHLD, 0, 0, 0));
  if (child == 0) {
    dup2(secret.reader(), STDIN_FILENO);
    become(kMember);
    execl(helper().c_str(), "pbstoken-helper", "verify", kCostlyId, nullptr);
    _exit(126);
  }
  usleep(500'000);
  assert_int_equal(waitpid(child, nullptr, WNOHANG), 0);  // it computes
  kill_all_helpers();
  wait_for(child);
  const double waited = seconds_of([] {
    assert_exit(run_as(kMember, helper(), {"verify", kId}), 0, "verify");
  });
  assert_true(waited < 3);
}

// Takes all places of a half, or gives them back.
void fill(int set, bool full) {
  const int places = semctl(set, 0, GETVAL) + semctl(set, 1, GETVAL);
  assert_int_equal(semctl(set, 1, SETVAL, full ? places : 0), 0);
  assert_int_equal(semctl(set, 0, SETVAL, full ? 0 : places), 0);
}

void new_secrets_are_hashed_with_a_place(void ** /*state*/) {
  const int set = *open_named(gate_set(the_store(), GateShare::kUsers));
  for (const char *command : {"set", "generate", "rotate"}) {
    fill(set, true);
    const pid_t child = start_child([command] {
      const RunResult outcome = run_as(kAdmin, helper(), {command, kId});
      return outcome.status;
    });
    for (int i = 0; semctl(set, 0, GETNCNT) == 0; ++i) {
      assert_in_range(i, 0, 3000);
      usleep(1000);
    }
    fill(set, false);
    assert_int_equal(wait_for(child), 0);
    assert_int_equal(semctl(set, 1, GETVAL), 0);
    write_shadow({{kId, kHash}});
  }
}

void helper_for_a_remote_host_is_busy_on_a_full_host(void ** /*state*/) {
  const NoMoreObjects exhausted(kSemaphoreLimit);
  const RunResult busy = run_as(
      kMember, helper(), {"--rhost", "192.0.2.1", "verify", kId}, kSecret);
  assert_exit(busy, 4, "verify");
  assert_true(busy.err.ends_with("there are no semaphores, reason=busy\n"));
  // Of a local caller its own limits bound what it costs.
  assert_exit(run_as(kMember, helper(), {"verify", kId}, kSecret), 0, "verify");
}

#define HELPER_TEST(name) cmocka_unit_test_setup(name, fresh_host)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      HELPER_TEST(killed_helper_of_a_sharer_gives_its_place_back),
      HELPER_TEST(new_secrets_are_hashed_with_a_place),
      HELPER_TEST(helper_for_a_remote_host_is_busy_on_a_full_host),
  };
  return cmocka_run_group_tests_name("gate_helper", tests, nullptr, nullptr);
}
