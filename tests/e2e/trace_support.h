// SPDX-License-Identifier: BSD-3-Clause
// A program that is stopped at one of its system calls, see ptrace(2).
#ifndef PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <set>

#include "helper_support.h"

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

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_TRACE_SUPPORT_H_
