// SPDX-License-Identifier: BSD-3-Clause
// Signals as they are by default, in a process that inherits what another one
// has set.
//
// Thread safety: the function is about the whole process.
#ifndef PBSTOKEN_SIGNALS_H_
#define PBSTOKEN_SIGNALS_H_

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace pbstoken {

// Gives each signal its default action.  It makes the system call itself, and
// no other call, so that it may run between clone(2) and execve(2): libc's
// function does not let two signals be changed, and takes a lock for SIGABRT
// (since glibc 2.41).
inline void reset_signal_actions() {
  constexpr std::size_t kSetSize = NSIG / 8;
  // The kernel's struct is smaller; 0 is SIG_DFL, no flags and no mask.
  alignas(8) constexpr std::array<unsigned char, 64> kDefault{};
  for (int number = 1; number < NSIG; ++number) {
    // Fails for SIGKILL and SIGSTOP.
    static_cast<void>(
        syscall(SYS_rt_sigaction, number, kDefault.data(), nullptr, kSetSize));
  }
}

}  // namespace pbstoken

#endif  // PBSTOKEN_SIGNALS_H_
