// SPDX-License-Identifier: BSD-3-Clause
//
// The lists have no connection, no other program, no other user, no ioctl(2),
// no new namespace and, except for the resident service, no other process.  A
// process of root needs only one of these, such as a connection to the service
// manager, to have all rights of root again, whatever files Landlock keeps from
// it.
//
// A call that is not listed kills the process.  No test has taken the way that
// led to it, and after an errno an attacker could try the next call.  A writer
// may be killed anywhere.  The lists also have what other versions of glibc may
// call in the place of a listed call.
#include "confine/seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>

namespace pbstoken {

#if defined(__x86_64__) || \
    (defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

namespace {

#if defined(__x86_64__)
// The calls of x32 have another bit set, and so are not those listed.
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::array kOwnCalls = {
    SYS_access,   SYS_getdents, SYS_lstat, SYS_open, SYS_poll,
    SYS_readlink, SYS_rename,   SYS_stat,  SYS_time, SYS_unlink,
};
constexpr std::array kOwnServiceCalls = {SYS_dup2};
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::array kOwnCalls = {SYS_ppoll};
constexpr std::array<int, 0> kOwnServiceCalls = {};
#endif

constexpr std::array kCalls = {
    // memory
    SYS_brk,
    SYS_madvise,
    SYS_mmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_munmap,
    // files
    SYS_close,
    SYS_faccessat,
    SYS_fcntl,
    SYS_fgetxattr,
    SYS_fremovexattr,
    SYS_fsetxattr,
    SYS_fstat,
    SYS_fstatfs,
    SYS_flock,
    SYS_fchmod,
    SYS_fchown,
    SYS_fsync,
    SYS_getdents64,
    SYS_linkat,
    SYS_lseek,
    SYS_newfstatat,
    SYS_openat,
    SYS_openat2,
    SYS_pread64,
    SYS_read,
    SYS_readlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_shutdown,
    SYS_statfs,
    SYS_statx,
    SYS_unlinkat,
    SYS_write,
    SYS_writev,
    // System V shared memory and semaphores
    SYS_semctl,
    SYS_semget,
    SYS_semop,
    SYS_semtimedop,
    SYS_shmat,
    SYS_shmctl,
    SYS_shmdt,
    SYS_shmget,
    // time, processors, random bytes
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_futex,
    SYS_getcpu,
    SYS_getrandom,
    SYS_gettimeofday,
    SYS_nanosleep,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    // this process and its signals
    SYS_exit,
    SYS_exit_group,
    SYS_getegid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getpid,
    SYS_getresuid,
    SYS_gettid,
    SYS_getuid,
    SYS_restart_syscall,
    SYS_rt_sigaction,
    SYS_rt_sigpending,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
};

// What the service's parent and its children need besides.  There is no
// execve(2), no socket(2) and no connect(2) among them.
constexpr std::array kServiceCalls = {
    // connections
    SYS_accept4,
    SYS_getsockopt,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_sendto,
    SYS_socketpair,
    // children
    SYS_pidfd_open,
    SYS_wait4,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_dup3,
    SYS_close_range,
    SYS_ppoll,
    // what confines a child further
    SYS_capget,
    SYS_capset,
    SYS_landlock_add_rule,
    SYS_landlock_create_ruleset,
    SYS_landlock_restrict_self,
    SYS_prctl,
    SYS_sched_getattr,
    SYS_sched_setattr,
};

// Allowed unless their flags, the first argument, make a namespace.
constexpr std::array kServiceCallsWithFlags = {SYS_clone, SYS_unshare};
constexpr std::uint32_t kNewNamespaces =
    CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |
    CLONE_NEWTIME | CLONE_NEWUSER | CLONE_NEWUTS;
constexpr std::array<int, 0> kNone = {};

constexpr sock_filter statement(unsigned code, std::uint32_t value) {
  return {
      .code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = value};
}

constexpr sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS,
                   static_cast<std::uint32_t>(offset));
}

// Skips so many statements if the test comes out true, or false.
constexpr sock_filter jump(unsigned test, std::uint32_t value,
                           std::size_t if_true, std::size_t if_false) {
  return {.code = static_cast<std::uint16_t>(BPF_JMP | test | BPF_K),
          .jt = static_cast<std::uint8_t>(if_true),
          .jf = static_cast<std::uint8_t>(if_false),
          .k = value};
}

// Allows the calls of these lists, the first one without new namespaces.
template <typename WithFlags, typename... Lists>
constexpr auto make_filter(const WithFlags &with_flags, const Lists &...lists) {
  constexpr std::size_t kLength =
      std::tuple_size_v<WithFlags> + (std::tuple_size_v<Lists> + ...) + 8;
  // Where it ends.
  constexpr std::size_t kAllow = kLength - 1;
  constexpr std::size_t kKill = kLength - 2;
  constexpr std::size_t kCompareFlags = kLength - 4;
  static_assert(kLength < 256, "a jump has one byte");
  std::array<sock_filter, kLength> filter{};
  std::size_t at = 0;
  const auto add = [&](sock_filter next) { filter[at++] = next; };
  // How many statements lie between the next one and that one.
  const auto to = [&](std::size_t place) { return place - at - 1; };
  const auto lead = [&](const auto &list, std::size_t place) {
    for (const auto number : list) {
      add(jump(BPF_JEQ, static_cast<std::uint32_t>(number), to(place), 0));
    }
  };
  add(load(offsetof(seccomp_data, arch)));
  add(jump(BPF_JEQ, kArchitecture, 0, to(kKill)));
  add(load(offsetof(seccomp_data, nr)));
  (lead(lists, kAllow), ...);
  lead(with_flags, kCompareFlags);
  add(statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(load(offsetof(seccomp_data, args)));  // its lower half
  add(jump(BPF_JSET, kNewNamespaces, to(kKill), to(kAllow)));
  add(statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return filter;
}

template <typename Filter>
Result<void> install(const Filter &filter) {
  const sock_fprog program = {
      .len = static_cast<std::uint16_t>(filter.size()),
      .filter = const_cast<sock_filter *>(filter.data())};
  // EINVAL: a kernel without it.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0 &&
      errno != EINVAL) {
    return system_error("cannot restrict system calls", {});
  }
  return {};
}

}  // namespace

Result<void> restrict_system_calls() {
  static constexpr auto kFilter = make_filter(kNone, kCalls, kOwnCalls);
  return install(kFilter);
}

Result<void> restrict_system_calls_of_service() {
  static constexpr auto kFilter =
      make_filter(kServiceCallsWithFlags, kCalls, kOwnCalls, kServiceCalls,
                  kOwnServiceCalls);
  return install(kFilter);
}

#else

Result<void> restrict_system_calls() {
  return {};
}

Result<void> restrict_system_calls_of_service() {
  return {};
}

#endif

}  // namespace pbstoken
