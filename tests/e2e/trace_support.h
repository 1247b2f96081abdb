// SPDX-License-Identifier: BSD-3-Clause
// A program that is stopped at one of its system calls, see ptrace(2).
#ifndef PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <set>
#include <vector>

#include "e2e_support.h"

namespace pbstoken::testing {

// For a child that executes a program.  Before it takes other ids, or the
// kernel would not let a setuid program be one.
inline void be_traced() {
  if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) {
    std::abort();
  }
}

inline bool enters(pid_t pid, long call) {
  __ptrace_syscall_info info = {};
  return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
         info.op == PTRACE_SYSCALL_INFO_ENTRY &&
         info.entry.nr == static_cast<std::uint64_t>(call);
}

// Lets the child, which is being traced, and its descendants run until one of
// them makes this system call.  That one is stopped when it has made the call,
// as if by SIGSTOP; it and all others are traced no longer.  Returns its pid,
// or 0 if the child ends before.
inline pid_t stop_at(pid_t child, long call) {
  std::set<pid_t> known;
  pid_t stopped = 0;
  while (stopped == 0) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 || (pid == child && !WIFSTOPPED(status))) {
      return 0;
    }
    if (!WIFSTOPPED(status)) {
      known.erase(pid);
      continue;
    }
    // The first stop of each is its beginning, and no signal.
    const bool is_new = known.insert(pid).second;
    if (is_new) {
      ptrace(PTRACE_SETOPTIONS, pid, 0,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                 PTRACE_O_TRACECLONE);
    }
    if (enters(pid, call)) {
      stopped = pid;
      break;
    }
    const int number = WSTOPSIG(status);
    const bool is_signal =
        !is_new && (status >> 8) == number && number < 128 && number != SIGTRAP;
    ptrace(PTRACE_SYSCALL, pid, 0, is_signal ? number : 0);
  }
  for (const pid_t pid : known) {
    if (pid != stopped && kill(pid, SIGSTOP) == 0) {
      int status = 0;
      while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) &&
             WSTOPSIG(status) != SIGSTOP) {
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
      }
      ptrace(PTRACE_DETACH, pid, 0, 0);
    }
  }
  ptrace(PTRACE_DETACH, stopped, 0, SIGSTOP);
  // A SIGCONT that came before the stop would be none.
  while (!proc_status(stopped, "State").starts_with("T")) {
    usleep(1000);
  }
  return stopped;
}

// Lets the parent, which is being traced, run until it forks.  The child is
// stopped then, as if by SIGSTOP, and both are traced no longer.  Returns the
// pid of the child.
inline pid_t stop_at_birth(pid_t parent) {
  constexpr int kOptions =
      PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
  int status = 0;
  waitpid(parent, &status, __WALL);
  ptrace(PTRACE_SETOPTIONS, parent, 0, kOptions);
  int signal = 0;
  while (status >> 16 == 0) {
    ptrace(PTRACE_CONT, parent, 0, signal);
    if (waitpid(parent, &status, __WALL) != parent || !WIFSTOPPED(status)) {
      std::abort();
    }
    signal = WSTOPSIG(status);
  }
  unsigned long born = 0;
  ptrace(PTRACE_GETEVENTMSG, parent, 0, &born);
  const auto child = static_cast<pid_t>(born);
  waitpid(child, &status, __WALL);
  ptrace(PTRACE_DETACH, child, 0, SIGSTOP);
  while (!proc_status(child, "State").starts_with("T")) {
    usleep(1000);
  }
  ptrace(PTRACE_DETACH, parent, 0, 0);
  return child;
}

// True for a call that changes the process and nothing else: at the next call
// the world is as it was at this one.
inline bool changes_itself_alone(long call) {
  static const std::set<long> kCalls = {
      SYS_brk,          SYS_capset,         SYS_geteuid,   SYS_getuid,
      SYS_lseek,        SYS_madvise,        SYS_mprotect,  SYS_prctl,
      SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_setitimer, SYS_prlimit64};
  return kCalls.count(call) != 0;
}

// A moment in a run of a program: when one of its processes is about to make a
// system call that does not change itself alone.
struct Moment {
  std::size_t process;  // 0: the program, 1: the first that it forks
  long from;            // the call that is counted as the first one; -1: any
  unsigned number;      // 1: that one
};

// Lets the child, which is being traced, and its descendants run, and kills one
// of them at that moment.  Returns what wait_for() does, when all of them have
// ended; *out_call: the number of the call, -1 if the moment did not come.
inline int kill_at(pid_t child, const Moment &moment, long *out_call) {
  constexpr int kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                           PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
  std::vector<pid_t> processes = {child};
  std::set<pid_t> begun;
  unsigned count = 0;
  int ended = -1;
  *out_call = -1;
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) {
      ended = pid == child ? status : ended;
      continue;
    }
    // The first stop of each is its beginning, and no signal.
    const bool is_new = begun.insert(pid).second;
    if (is_new) {
      ptrace(PTRACE_SETOPTIONS, pid, 0, kOptions);
      if (pid != child) {
        processes.push_back(pid);
      }
    }
    __ptrace_syscall_info info = {};
    if (*out_call < 0 && moment.process < processes.size() &&
        pid == processes[moment.process] &&
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
        info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const auto call = static_cast<long>(info.entry.nr);
      const bool counts = count > 0 || moment.from < 0 || call == moment.from;
      count += counts && !changes_itself_alone(call) ? 1U : 0U;
      if (count == moment.number && !changes_itself_alone(call)) {
        *out_call = call;
        kill(pid, SIGKILL);
        continue;
      }
    }
    const int number = WSTOPSIG(status);
    const bool is_signal =
        !is_new && (status >> 8) == number && number < 128 && number != SIGTRAP;
    ptrace(*out_call < 0 ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0,
           is_signal ? number : 0);
  }
  return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_
