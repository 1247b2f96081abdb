// SPDX-License-Identifier: BSD-3-Clause
// HeldSignals: for as long as it lives no signal from another process ends or
// stops the process, SIGKILL and SIGSTOP apart; what came meanwhile takes
// effect afterwards.
#ifndef PBSTOKEN_HELD_SIGNALS_H_
#define PBSTOKEN_HELD_SIGNALS_H_

#include <signal.h>

#include <array>

namespace pbstoken {

class HeldSignals {
 public:
  HeldSignals() {
    sigset_t all{};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before_);
  }
  HeldSignals(const HeldSignals &) = delete;
  HeldSignals &operator=(const HeldSignals &) = delete;
  ~HeldSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  // The signals that ask for an end.
  [[nodiscard]] static sigset_t end_signals() {
    sigset_t set{};
    sigemptyset(&set);
    for (const int number : kEndSignals) {
      sigaddset(&set, number);
    }
    return set;
  }

  // Drops the end signals that are waiting, and ignores those to come.
  static void forget_end_signals() {
    for (const int number : kEndSignals) {
      static_cast<void>(signal(number, SIG_IGN));
    }
  }

  // Whether an end signal is waiting.
  [[nodiscard]] static bool has_end_signal() {
    sigset_t waiting{};
    sigpending(&waiting);
    for (const int number : kEndSignals) {
      if (sigismember(&waiting, number) == 1) {
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::array kEndSignals = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};

  sigset_t before_{};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_HELD_SIGNALS_H_
