// SPDX-License-Identifier: BSD-3-Clause
// HeldSignals: for as long as it lives no signal from another process ends or
// stops the process, SIGKILL and SIGSTOP apart.  What came meanwhile takes
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
  ~HeldSignals() {
    if (!is_for_good_) {
      sigprocmask(SIG_SETMASK, &before_, nullptr);
    }
  }

  // Holds them until the process ends.  A change stands: the process is to log
  // it, and to tell it by its exit status, which is all that is left to do.
  void hold_for_good() { is_for_good_ = true; }

  // True if a signal is waiting that asks for an end.
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
  bool is_for_good_ = false;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_HELD_SIGNALS_H_
