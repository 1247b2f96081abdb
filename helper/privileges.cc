// SPDX-License-Identifier: BSD-3-Clause
#include "privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

namespace pbstoken {

namespace {

// A closed descriptor 0-2 would be the number of the next file opened, and
// token.shadow would receive our messages.  Opened the wrong way round, so that
// reading a secret, and above all printing one, fails as it should.
Result<void> open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const int access = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", access) != fd) {
      return system_error("cannot open", "/dev/null");
    }
  }
  return {};
}

// Handlers do not survive execve(2), but ignored and blocked signals do.
Result<void> reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    // Fails for SIGKILL, SIGSTOP and the two that libc keeps to itself.
    static_cast<void>(sigaction(number, &action, nullptr));
  }
  // A reader that goes away, and a file that may not grow, are errors of
  // write(2).
  action.sa_handler = SIG_IGN;
  sigset_t none{};
  if (sigaction(SIGPIPE, &action, nullptr) != 0 ||
      sigaction(SIGXFSZ, &action, nullptr) != 0 || sigemptyset(&none) != 0 ||
      sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    return system_error("cannot reset signals", {});
  }
  // Timers survive execve(2), too.
  const itimerval off{};
  for (const auto timer : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    if (setitimer(timer, &off, nullptr) != 0) {
      return system_error("cannot reset timers", {});
    }
  }
  return {};
}

// As high as it goes.  Root may raise a hard limit as well, but in a container
// it often may not: then what the limit leaves must do, and if it does not, the
// call that needed more fails.
bool raise_limit(decltype(RLIMIT_AS) resource, rlim_t wanted) {
  const rlimit limit = {wanted, wanted};
  if (setrlimit(resource, &limit) == 0) {
    return true;
  }
  rlimit current{};
  if (errno != EPERM || getrlimit(resource, &current) != 0) {
    return false;
  }
  current.rlim_cur = current.rlim_max;
  return setrlimit(resource, &current) == 0;
}

Result<void> reset_limits() {
  constexpr rlim_t kFiles = 64;
  const rlimit none = {0, 0};
  if (!raise_limit(RLIMIT_FSIZE, RLIM_INFINITY) ||
      !raise_limit(RLIMIT_CPU, RLIM_INFINITY) ||
      !raise_limit(RLIMIT_AS, RLIM_INFINITY) ||
      !raise_limit(RLIMIT_DATA, RLIM_INFINITY) ||
      !raise_limit(RLIMIT_STACK, RLIM_INFINITY) ||
      !raise_limit(RLIMIT_NOFILE, kFiles) ||
      setrlimit(RLIMIT_CORE, &none) != 0 ||
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return system_error("cannot reset resource limits", {});
  }
  return {};
}

}  // namespace

Result<void> shed_inheritance() {
  if (clearenv() != 0) {
    return no_memory("cannot clear the environment");
  }
  if (const auto opened = open_standard_descriptors(); !opened) {
    return opened.error();
  }
  if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0) {
    return system_error("cannot close inherited descriptors", {});
  }
  umask(S_IRWXG | S_IRWXO);
  if (const auto reset = reset_signals(); !reset) {
    return reset.error();
  }
  if (chdir("/") != 0) {
    return system_error("cannot change directory to", "/");
  }
  return {};
}

Result<void> become_root() {
  if (geteuid() != 0) {
    return plain_error(Errc::kUnsafe, "cannot run", {},
                       "not installed setuid root");
  }
  if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 ||
      setresuid(0, 0, 0) != 0) {
    return system_error("cannot become root", {});
  }
  return reset_limits();
}

}  // namespace pbstoken
