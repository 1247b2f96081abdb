// SPDX-License-Identifier: BSD-3-Clause
#include "write/bounded_call.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

// The default action of a signal that is not blocked ends the child, wherever
// it waits, unless it is in a state that even SIGKILL does not end.
bool set_alarm(unsigned seconds) {
  sigset_t alarm{};
  itimerval timer{};
  timer.it_value.tv_sec = seconds;
  return signal(SIGALRM, SIG_DFL) != SIG_ERR && sigemptyset(&alarm) == 0 &&
         sigaddset(&alarm, SIGALRM) == 0 &&
         sigprocmask(SIG_UNBLOCK, &alarm, nullptr) == 0 &&
         setitimer(ITIMER_REAL, &timer, nullptr) == 0;
}

// In the child: answers with the errno that the function left, or 0.
[[noreturn]] void call(int answer_pipe, unsigned seconds,
                       bool (*function)(const void *context),
                       const void *context) {
  // A child that hangs must keep nothing open.
  constexpr int kAnswer = STDERR_FILENO + 1;
  if ((answer_pipe == kAnswer ||
       dup3(answer_pipe, kAnswer, O_CLOEXEC) == kAnswer) &&
      close_range(kAnswer + 1, ~0U, 0) == 0 && set_alarm(seconds)) {
    errno = 0;
    const int answer = function(context) ? 0 : errno == 0 ? EIO : errno;
    if (write(kAnswer, &answer, sizeof(answer)) == sizeof(answer)) {
      _exit(0);
    }
  }
  _exit(1);
}

// What the child answers; ETIMEDOUT if the time is over before, EPIPE if it
// ends without a word.
int read_answer(int answer_pipe, std::uint64_t child_end,
                std::uint64_t deadline) {
  pollfd answering = {.fd = answer_pipe, .events = POLLIN, .revents = 0};
  while (true) {
    const std::uint64_t now = boottime_now();
    const std::uint64_t left = deadline > now ? deadline - now : 0;
    constexpr std::uint64_t kMillisecond = 1'000'000;
    const int ready =
        poll(&answering, 1, static_cast<int>(left / kMillisecond));
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return ready == 0 ? ETIMEDOUT : errno;
    }
    int answer = 0;
    if (read(answer_pipe, &answer, sizeof(answer)) ==
        static_cast<ssize_t>(sizeof(answer))) {
      return answer;
    }
    // It has been ended by its alarm, or by another process.
    return boottime_now() >= child_end ? ETIMEDOUT : EPIPE;
  }
}

}  // namespace

bool call_within(unsigned seconds, bool (*function)(const void *context),
                 const void *context) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return false;
  }
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const std::uint64_t child_end =
      boottime_now() + seconds * kNanosecondsPerSecond;
  const pid_t child = fork();
  if (child < 0) {
    return false;
  }
  if (child == 0) {
    call(writer.get(), seconds, function, context);
  }
  writer = UniqueFd();
  const int answer =
      read_answer(reader.get(), child_end, child_end + kNanosecondsPerSecond);
  // Not waited for: closing what it has open may take as long as it likes.
  static_cast<void>(waitpid(child, nullptr, WNOHANG));
  errno = answer;
  return answer == 0;
}

}  // namespace pbstoken
