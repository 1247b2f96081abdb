// SPDX-License-Identifier: BSD-3-Clause
#include "privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace pbstoken {

namespace {

// A closed descriptor 0-2 would be the number of the next file opened, and
// token.shadow would receive our messages.
Result<void> open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd) {
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
  // A reader that goes away is an error of write(2).
  action.sa_handler = SIG_IGN;
  sigset_t none{};
  if (sigaction(SIGPIPE, &action, nullptr) != 0 || sigemptyset(&none) != 0 ||
      sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    return system_error("cannot reset signals", {});
  }
  return {};
}

Result<void> reset_limits() {
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  for (const auto resource :
       {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA}) {
    if (setrlimit(resource, &unlimited) != 0) {
      return system_error("cannot reset resource limits", {});
    }
  }
  constexpr rlim_t kFiles = 64;
  const rlimit files = {kFiles, kFiles};
  const rlimit none = {0, 0};
  if (setrlimit(RLIMIT_NOFILE, &files) != 0 ||
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
