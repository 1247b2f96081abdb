// SPDX-License-Identifier: BSD-3-Clause
// Who hashes takes long turns on a processor, so that requests which the cache
// answers need not wait for the end of one (pbstoken/os/sched_slice.h).
#include <sys/sem.h>

#include <array>

#include "e2e_member.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/sched_slice.h"
#include "slice_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// Where the kernel knows no slices, there is nothing to be seen of one.
std::uint64_t long_slice() {
  return slice_of(0) != 0 ? kLongSlice : 0;
}

Store the_store() {
  return *load_store(kDefaultStore, configuration_path(kDefaultStore));
}

// Both halves of it, by their semaphores `free` and `held`.
std::array<int, 2> gate() {
  return {*open_named(gate_set(the_store(), GateShare::kRoots)),
          *open_named(gate_set(the_store(), GateShare::kUsers))};
}

// Takes all places, or gives them back.
void fill_gate(bool full) {
  for (const int set : gate()) {
    const int places = semctl(set, 0, GETVAL) + semctl(set, 1, GETVAL);
    assert_int_equal(semctl(set, 1, SETVAL, full ? places : 0), 0);
    assert_int_equal(semctl(set, 0, SETVAL, full ? 0 : places), 0);
  }
}

bool somebody_waits() {
  const auto [roots, users] = gate();
  return semctl(roots, 0, GETNCNT) > 0 || semctl(users, 0, GETNCNT) > 0;
}

// The helper's work is done by a child.
pid_t worker_of(pid_t pid) {
  const std::string name = std::to_string(pid);
  std::ifstream children("/proc/" + name + "/task/" + name + "/children");
  pid_t child = 0;
  return children >> child ? child : pid;
}

// What body's process has for a slice while it waits, and then returns.
template <typename Body>
std::pair<std::uint64_t, int> slice_while_waiting(Body body) {
  fill_gate(true);
  const pid_t child = start_child(body);
  for (int i = 0; !somebody_waits(); ++i) {
    assert_in_range(i, 0, 10000);
    usleep(1000);
  }
  const std::uint64_t slice = slice_of(worker_of(child));
  fill_gate(false);
  return {slice, wait_for(child)};
}

void service_that_hashes_takes_long_turns_and_has_its_own_again(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto [slice, status] = slice_while_waiting([] {
    return authenticate(kId, kSecret) == PAM_SUCCESS &&
                   slice_of(0) != kLongSlice
               ? 0
               : 1;
  });
  assert_true(slice == long_slice());
  assert_int_equal(status, 0);
}

void helper_that_verifies_takes_long_turns(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto [slice, status] = slice_while_waiting([] {
    Pipe secret;
    if (write(secret.writer(), kSecret, std::strlen(kSecret)) < 0 ||
        dup2(secret.reader(), STDIN_FILENO) < 0) {
      return 2;
    }
    secret.close_writer();
    become_member();
    execl(setuid_helper().c_str(), "pbstoken-helper", "verify", "--", kId,
          nullptr);
    return 126;
  });
  assert_true(slice == long_slice());
  assert_int_equal(status, 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      MEMBER_TEST(service_that_hashes_takes_long_turns_and_has_its_own_again),
      MEMBER_TEST(helper_that_verifies_takes_long_turns),
  };
  return cmocka_run_group_tests_name("turns", tests, nullptr, nullptr);
}
