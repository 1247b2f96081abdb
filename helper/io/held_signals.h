// SPDX-License-Identifier: BSD-3-Clause
// HeldSignals: for as long as it lives no signal from another process ends or
// stops the process, SIGKILL and SIGSTOP apart; what came meanwhile takes
// effect afterwards.
#ifndef PBSTOKEN_HELD_SIGNALS_H_
#define PBSTOKEN_HELD_SIGNALS_H_

#include <signal.h>

#include <initializer_list>

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

  // Whether a signal is waiting that asks for an end.
  [[nodiscard]] static bool has_end_signal() {
    sigset_t waiting{};
    sigpending(&waiting);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
      if (sigismember(&waiting, number) == 1) {
        return true;
      }
    }
    return false;
  }

 private:
  sigset_t before_{};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_HELD_SIGNALS_H_
