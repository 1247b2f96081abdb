// SPDX-License-Identifier: BSD-3-Clause
#include "confine/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>

#include "io/message.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/sched_slice.h"
#include "pbstoken/os/signals.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

constexpr const char *kProgram = "/proc/self/exe";

// A closed descriptor 0-2 would be the number of the next file opened, and
// token.shadow would receive our messages.  They are opened the wrong way
// round, so that reading a secret, and above all printing one, fails as it
// should.
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
  reset_signal_actions();
  struct sigaction action = {};
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
// where the caller does not expect it.
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
  struct stat program = {};
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

// --- limits and priorities that a caller has set for itself and hands on: with
// them it could make the program fail where it likes, or hold the store's lock
// for as long as it likes

using Resource = decltype(RLIMIT_AS);

struct Limit {
  Resource resource;
  rlim_t wanted;
};

constexpr rlim_t kFiles = 64;

constexpr std::array<Limit, 16> kLimits = {{
    {RLIMIT_AS, RLIM_INFINITY},
    {RLIMIT_CORE, 0},
    {RLIMIT_CPU, RLIM_INFINITY},
    {RLIMIT_DATA, RLIM_INFINITY},
    {RLIMIT_FSIZE, RLIM_INFINITY},
    {RLIMIT_LOCKS, RLIM_INFINITY},
    {RLIMIT_MEMLOCK, RLIM_INFINITY},
    {RLIMIT_MSGQUEUE, RLIM_INFINITY},
    {RLIMIT_NICE, 0},
    {RLIMIT_NOFILE, kFiles},
    {RLIMIT_NPROC, RLIM_INFINITY},
    {RLIMIT_RSS, RLIM_INFINITY},
    {RLIMIT_RTPRIO, 0},
    {RLIMIT_RTTIME, RLIM_INFINITY},
    {RLIMIT_SIGPENDING, RLIM_INFINITY},
    {RLIMIT_STACK, RLIM_INFINITY},
}};
static_assert(kLimits.size() == RLIM_NLIMITS);

// Raises it as far as it goes.  Root may raise a hard limit as well, but in a
// container it often may not: then what the limit leaves must do, and if it
// does not, the call that needed more fails.
bool reset(const Limit &limit) {
  const rlimit both = {limit.wanted, limit.wanted};
  if (setrlimit(limit.resource, &both) == 0) {
    return true;
  }
  rlimit current{};
  if (errno != EPERM || getrlimit(limit.resource, &current) != 0) {
    return false;
  }
  current.rlim_cur = current.rlim_max;
  return setrlimit(limit.resource, &current) == 0;
}

// No core image, and no tracing by another process.  Each change of ids sets it
// to fs.suid_dumpable, which may be 2.
Result<void> forbid_dumping() {
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
             ? Result<void>()
             : system_error("cannot refuse to be traced", {});
}

// No bounds on how fast the processor runs, see sched_setattr(2): a caller may
// have asked for the slowest.
void reset_utilization() {
  struct {
    std::uint32_t size = sizeof(*this);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0x78;  // keep policy and parameters, set both bounds
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::array<std::uint64_t, 3> times = {};
    std::array<std::uint32_t, 2> bounds = {~0U, ~0U};  // none
  } attributes;
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

// Gives the process the processors, memory, disk and timers of one that no user
// slows down.  What the kernel or a container does not allow stays as it is:
// then the program is slow, and no less safe.
void reset_scheduling() {
  // The policy first: with SCHED_IDLE a nice value means nothing.
  const sched_param normal = {.sched_priority = 0};
  static_cast<void>(sched_setscheduler(0, SCHED_OTHER, &normal));
  static_cast<void>(setpriority(PRIO_PROCESS, 0, 0));
  static_cast<void>(exchange_slice(0));
  // All processors; the kernel leaves out those that the cpuset does not have.
  std::array<unsigned char, 1024> all{};
  all.fill(0xff);
  static_cast<void>(syscall(SYS_sched_setaffinity, 0, all.size(), all.data()));
  static_cast<void>(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0));
  // IOPRIO_WHO_PROCESS and IOPRIO_CLASS_NONE, see ioprio_set(2): linux/ioprio.h
  // of newer kernels is no C++.
  constexpr int kProcess = 1;
  constexpr int kByNiceValue = 0;
  static_cast<void>(syscall(SYS_ioprio_set, kProcess, 0, kByNiceValue));
  // How late a timer may be, in ns: a caller may have said hours.
  constexpr auto kUsualSlack = 50'000UL;
  static_cast<void>(prctl(PR_SET_TIMERSLACK, kUsualSlack, 0, 0, 0));
  reset_utilization();
  // No cookie of the caller's: what has another one never shares a core.
  constexpr auto kInit = 1UL;
  static_cast<void>(prctl(PR_SCHED_CORE, PR_SCHED_CORE_SHARE_FROM, kInit,
                          PR_SCHED_CORE_SCOPE_THREAD, 0));
#if defined(__x86_64__) || defined(__i386__)
  static_cast<void>(prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0));
#endif
  const UniqueFd adjustment(
      open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  static_cast<void>(write_all(adjustment.get(), "0"));
}

}  // namespace

Result<void> shed_inheritance() {
  if (const auto forbidden = forbid_dumping(); !forbidden) {
    return forbidden.error();
  }
  if (clearenv() != 0) {
    return no_memory("cannot clear the environment");
  }
  // Without descriptors nothing can be judged; all other limits of the caller
  // stay until it is permitted.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < kFiles) {
    static_cast<void>(reset({RLIMIT_NOFILE, kFiles}));
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

Result<void> check_installation() {
  if (getuid() != 0) {
    if (const auto checked = check_setuid_installation(); !checked) {
      return checked.error();
    }
  } else if (geteuid() != 0) {
    return badly_installed("installed setuid, and not as root");
  }
  return refuse_file_capabilities();
}

Result<void> reset_limits() {
  for (const Limit &limit : kLimits) {
    if (!reset(limit)) {
      return system_error("cannot reset resource limits", {});
    }
  }
  return {};
}

Result<void> become_root() {
  if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 ||
      setresuid(0, 0, 0) != 0 || !is_only_root() ||
      getgroups(0, nullptr) != 0) {
    return system_error("cannot become root", {});
  }
  if (const auto forbidden = forbid_dumping(); !forbidden) {
    return forbidden.error();
  }
  if (const auto reset = reset_limits(); !reset) {
    return reset.error();
  }
  reset_scheduling();
  return {};
}

}  // namespace pbstoken
