// SPDX-License-Identifier: BSD-3-Clause
#include "confine/resources.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "io/message.h"
#include "pbstoken/os/sched_slice.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

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

// As high as it goes.  Root may raise a hard limit as well, but in a container
// it often may not: then what the limit leaves must do, and if it does not, the
// call that needed more fails.
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

}  // namespace

Result<void> reset_limits() {
  for (const Limit &limit : kLimits) {
    if (!reset(limit)) {
      return system_error("cannot reset resource limits", {});
    }
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return system_error("cannot refuse to be traced", {});
  }
  return {};
}

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
  const UniqueFd adjustment(
      open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  static_cast<void>(write_all(adjustment.get(), "0"));
}

}  // namespace pbstoken
