// SPDX-License-Identifier: BSD-3-Clause
#include "confine/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "confine/resources.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

constexpr const char *kProgram = "/proc/self/exe";

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
  // write(2); and the caller's limit on processor time is about to be lifted.
  action.sa_handler = SIG_IGN;
  sigset_t none{};
  if (sigaction(SIGPIPE, &action, nullptr) != 0 ||
      sigaction(SIGXFSZ, &action, nullptr) != 0 ||
      sigaction(SIGXCPU, &action, nullptr) != 0 || sigemptyset(&none) != 0 ||
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

Error badly_installed(const char *why) {
  return plain_error(Errc::kUnsafe, "cannot run", {}, why);
}

// With file capabilities on top of the setuid bit it would be root with nothing
// but those, and with them instead of it not root at all; either way calls fail
// where nobody expects it.
Result<void> refuse_file_capabilities() {
  if (getxattr(kProgram, "security.capability", nullptr, 0) >= 0) {
    return badly_installed("it has file capabilities");
  }
  if (errno != ENODATA && errno != ENOTSUP) {
    return system_error("cannot read the attributes of", kProgram);
  }
  return {};
}

Result<void> check_setuid_installation() {
  struct stat program {};
  if (stat(kProgram, &program) != 0) {
    return system_error("cannot stat", kProgram);
  }
  if (geteuid() != 0 || program.st_uid != 0 ||
      (program.st_mode & S_ISUID) == 0) {
    return badly_installed("not installed setuid root");
  }
  if ((program.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return badly_installed("others than root may change the program");
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
  if (getuid() != 0) {
    if (const auto checked = check_setuid_installation(); !checked) {
      return checked.error();
    }
  } else if (geteuid() != 0) {
    return badly_installed("installed setuid, and not as root");
  }
  if (const auto plain = refuse_file_capabilities(); !plain) {
    return plain.error();
  }
  if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 ||
      setresuid(0, 0, 0) != 0 || !is_only_root() ||
      getgroups(0, nullptr) != 0) {
    return system_error("cannot become root", {});
  }
  if (const auto reset = reset_limits(); !reset) {
    return reset.error();
  }
  reset_scheduling();
  return {};
}

}  // namespace pbstoken
