// SPDX-License-Identifier: BSD-3-Clause
#include "confine/session.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/confinement.h"
#include "io/held_signals.h"

namespace pbstoken {

namespace {

Error cannot_leave() {
  return system_error("cannot leave the caller's session", {});
}

// Ends this process as the child has ended.
Result<std::optional<int>> end_like(int status) {
  if (WIFEXITED(status)) {
    HeldSignals::forget_end_signals();  // they came too late
    return std::optional<int>(WEXITSTATUS(status));
  }
  sigset_t all{};
  sigfillset(&all);
  static_cast<void>(signal(WTERMSIG(status), SIG_DFL));
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  static_cast<void>(raise(WTERMSIG(status)));
  return plain_error(Errc::kSystem, "cannot tell how it ended", {});
}

// All signals are blocked meanwhile, so that none is lost.
Result<std::optional<int>> stay_behind(pid_t child) {
  if (!give_up_capabilities()) {
    // The child is asked to give way; what it answers is true in any case.
    kill(child, SIGTERM);
  }
  sigset_t awaited = HeldSignals::end_signals();
  sigaddset(&awaited, SIGCHLD);
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      return end_like(status);
    }
    if (ended < 0 && errno != EINTR) {
      return system_error("cannot wait for the child", {});
    }
    const int number = sigwaitinfo(&awaited, nullptr);
    if (number > 0 && number != SIGCHLD) {
      // Both are root, and may.
      kill(child, number);
    }
  }
}

}  // namespace

Result<std::optional<int>> leave_session() {
  if (setsid() >= 0) {
    return std::optional<int>();
  }
  if (errno != EPERM) {
    return cannot_leave();
  }
  const HeldSignals signals;
  const pid_t child = fork();
  if (child < 0) {
    return cannot_leave();
  }
  if (child > 0) {
    return stay_behind(child);
  }
  if (setsid() < 0) {
    return cannot_leave();
  }
  return std::optional<int>();
}

}  // namespace pbstoken
