// SPDX-License-Identifier: BSD-3-Clause
// A call in a child: its answer, or none in time.
#include "write/bounded_call.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "pbstoken/os/clock.h"
#include "support.h"

namespace pbstoken {
namespace {

// More than any call here may take, and less than a test may.
constexpr unsigned kLong = 30;

bool sleep_for_ever(const void * /*context*/) {
  while (true) {
    pause();
  }
}

void call_returns_what_the_function_returns(void ** /*state*/) {
  const auto yes = [](const void *context) {
    return *static_cast<const int *>(context) == 7;
  };
  const int number = 7;
  assert_true(call_within(kLong, yes, &number));
  const auto no = [](const void * /*context*/) {
    errno = ENOSPC;
    return false;
  };
  assert_false(call_within(kLong, no, nullptr));
  assert_int_equal(errno, ENOSPC);
  const auto no_reason = [](const void * /*context*/) { return false; };
  assert_false(call_within(kLong, no_reason, nullptr));
  assert_int_equal(errno, EIO);
}

void call_of_a_child_that_dies_is_false_at_once(void ** /*state*/) {
  const std::uint64_t start = boottime_now();
  const auto die = [](const void * /*context*/) {
    kill(getpid(), SIGKILL);
    return true;
  };
  assert_false(call_within(kLong, die, nullptr));
  assert_int_equal(errno, EPIPE);
  const auto leave = [](const void * /*context*/) -> bool { _exit(0); };
  assert_false(call_within(kLong, leave, nullptr));
  assert_int_equal(errno, EPIPE);
  assert_true(boottime_now() - start < kLong * kNanosecondsPerSecond);
}

// With every signal blocked, as it is while the store's lock is held.
void call_that_hangs_ends_in_time(void ** /*state*/) {
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  const std::uint64_t start = boottime_now();
  assert_false(call_within(1, sleep_for_ever, nullptr));
  assert_int_equal(errno, ETIMEDOUT);
  // And so does the child, by its own alarm, which nobody blocks: until there
  // is none any more.
  while (waitpid(-1, nullptr, WNOHANG) >= 0) {
    assert_true(boottime_now() - start < kLong * kNanosecondsPerSecond);
  }
  assert_true(boottime_now() - start < kLong * kNanosecondsPerSecond);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

// As one in a state that no signal ends: nobody waits for it.
void call_that_cannot_be_ended_is_left_behind(void ** /*state*/) {
  const std::uint64_t start = boottime_now();
  const auto deaf = [](const void * /*context*/) {
    signal(SIGALRM, SIG_IGN);
    const timespec long_time = {.tv_sec = 10, .tv_nsec = 0};
    nanosleep(&long_time, nullptr);
    return true;
  };
  assert_false(call_within(1, deaf, nullptr));
  assert_int_equal(errno, ETIMEDOUT);
  assert_true(boottime_now() - start < 9 * kNanosecondsPerSecond);
}

// The lock above all: whoever hangs must not keep it.
void call_has_no_descriptors_but_the_first_three(void ** /*state*/) {
  const int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int high = fcntl(low, F_DUPFD_CLOEXEC, 500);
  assert_true(low > STDERR_FILENO && high >= 500);
  const auto looks = [](const void *context) {
    // 3 is the pipe for the answer.
    const int number = *static_cast<const int *>(context);
    return (number == 3 || fcntl(number, F_GETFD) == -1) &&
           fcntl(4, F_GETFD) == -1 && fcntl(STDERR_FILENO, F_GETFD) != -1;
  };
  assert_true(call_within(kLong, looks, &low));
  assert_true(call_within(kLong, looks, &high));
  close(high);
  close(low);
}

void call_leaves_no_descriptor_behind(void ** /*state*/) {
  const auto lowest = [] {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
  };
  const int before = lowest();
  const auto yes = [](const void * /*context*/) { return true; };
  for (int i = 0; i < 10; ++i) {
    assert_true(call_within(kLong, yes, nullptr));
  }
  assert_int_equal(lowest(), before);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(call_returns_what_the_function_returns),
      cmocka_unit_test(call_of_a_child_that_dies_is_false_at_once),
      cmocka_unit_test(call_that_hangs_ends_in_time),
      cmocka_unit_test(call_that_cannot_be_ended_is_left_behind),
      cmocka_unit_test(call_has_no_descriptors_but_the_first_three),
      cmocka_unit_test(call_leaves_no_descriptor_behind),
  };
  return cmocka_run_group_tests_name("bounded_call", tests, nullptr, nullptr);
}
