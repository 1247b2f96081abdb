// SPDX-License-Identifier: BSD-3-Clause
// Where a thread of the host cannot be cancelled (pthread_cancel(3)).
//
// Cancelling runs no destructor of code without exceptions: a thread that ended
// in the module would leave descriptors, the store's lock and its place at the
// gate, and its copies of a secret unwiped.  During a conversation the module
// holds nothing, and the host's own setting applies.
#ifndef PBSTOKEN_CANCEL_H_
#define PBSTOKEN_CANCEL_H_

#include <pthread.h>

namespace pbstoken {

// The calling thread cannot be cancelled for as long as the object lives.
// Objects may be nested.
class NotCancellable {
 public:
  NotCancellable() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  NotCancellable(const NotCancellable &) = delete;
  NotCancellable &operator=(const NotCancellable &) = delete;
  ~NotCancellable() { pthread_setcancelstate(before_, nullptr); }

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_CANCEL_H_
