// SPDX-License-Identifier: BSD-3-Clause
// How long a thread's turns are.  Where the kernel knows no slices, nothing is
// to happen, and that is what is tested there.
#include "pbstoken/os/sched_slice.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>

#include "slice_support.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::slice_of;

constexpr std::uint64_t kMillisecond = 1'000'000;

// Whether body says so in a process of its own.
template <typename Body>
bool holds_in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(body() ? 0 : 1);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

bool set_policy(int policy) {
  const sched_param normal = {};
  return sched_setscheduler(0, policy, &normal) == 0;
}

// 0, if there are none.
std::uint64_t if_known(std::uint64_t slice) {
  return slice_of(0) != 0 ? slice : 0;
}

void exchange_gives_what_was_before(void ** /*state*/) {
  assert_true(holds_in_child([] {
    const std::uint64_t first = slice_of(0);
    return exchange_slice(5 * kMillisecond) == first &&
           slice_of(0) == if_known(5 * kMillisecond) &&
           exchange_slice(7 * kMillisecond) == if_known(5 * kMillisecond) &&
           // The kernel's own.
           exchange_slice(0) == if_known(7 * kMillisecond) &&
           slice_of(0) != 7 * kMillisecond;
  }));
}

void exchange_of_batch_work_keeps_its_policy(void ** /*state*/) {
  assert_true(holds_in_child([] {
    return set_policy(SCHED_BATCH) &&
           exchange_slice(kLongSlice) == if_known(slice_of(getppid())) &&
           slice_of(0) == if_known(kLongSlice) &&
           sched_getscheduler(0) == SCHED_BATCH;
  }));
}

void exchange_leaves_other_policies_alone(void ** /*state*/) {
  assert_true(holds_in_child([] {
    if (!set_policy(SCHED_IDLE)) {
      return false;
    }
    const std::uint64_t first = slice_of(0);
    return exchange_slice(kLongSlice) == 0 && slice_of(0) == first &&
           sched_getscheduler(0) == SCHED_IDLE;
  }));
}

void exchange_keeps_the_nice_value(void ** /*state*/) {
  assert_true(holds_in_child([] {
    constexpr int kMore = 7;
    const int before = nice(kMore);  // a package may be built with one already
    exchange_slice(kLongSlice);
    return before >= kMore && nice(0) == before;
  }));
}

void long_turns_end_with_their_scope(void ** /*state*/) {
  assert_true(holds_in_child([] {
    const std::uint64_t first = slice_of(0);
    bool good = true;
    for (int i = 0; i < 2; ++i) {
      {
        const LongTurns here;
        good = good && slice_of(0) == if_known(kLongSlice);
      }
      good = good && slice_of(0) == first;
    }
    return good;
  }));
}

// As a unit of systemd's may have it with SystemCallFilter=~@resources.
bool forbid_scheduling() {
  std::array<sock_filter, 5> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getattr, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter = {.len = program.size(), .filter = program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void nothing_is_asked_for_behind_a_filter(void ** /*state*/) {
  assert_true(holds_in_child([] {
    if (!forbid_scheduling()) {
      return false;
    }
    const LongTurns here;
    return exchange_slice(kLongSlice) == 0;
  }));
}

// A service that confines itself may do so while one of its threads hashes.
void long_turns_end_without_a_word_behind_a_new_filter(void ** /*state*/) {
  assert_true(holds_in_child([] {
    const LongTurns here;
    return forbid_scheduling();
  }));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(exchange_gives_what_was_before),
      cmocka_unit_test(exchange_of_batch_work_keeps_its_policy),
      cmocka_unit_test(exchange_leaves_other_policies_alone),
      cmocka_unit_test(exchange_keeps_the_nice_value),
      cmocka_unit_test(long_turns_end_with_their_scope),
      cmocka_unit_test(nothing_is_asked_for_behind_a_filter),
      cmocka_unit_test(long_turns_end_without_a_word_behind_a_new_filter),
  };
  return cmocka_run_group_tests_name("slice", tests, nullptr, nullptr);
}
