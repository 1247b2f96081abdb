// SPDX-License-Identifier: BSD-3-Clause
// Turns between users: of the helpers that run for one user, one at a time asks
// for a place in the gate (hash_gate.h).  So a user with many helpers keeps the
// others from their turns no longer than a user with a few.
//
// A turn is a semaphore that is 1 while the turn is taken.  There are kTurns of
// them; the number of the user leads to one.  Another semaphore beside it tells
// which user took the turn last.  A process that has waited in vain:
//   - goes on without a turn if the holder was the same all the time: it has
//     been stopped;
//   - goes on without a turn if another user had it: that user's number leads
//     to the same turn;
//   - is busy if it stood behind processes of its own user.
//
// Thread safety: any thread may call turns_set() and wait_for(); one thread per
// object.
#ifndef PBSTOKEN_TURN_H_
#define PBSTOKEN_TURN_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/limits/named_set.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The number of turns.
constexpr std::uint16_t kTurns = 64;

// Returns the semaphores of the turns of a store.
NamedSet turns_set(const Store &store);

// Returns kBusy, for a process that does not hash for this reason.
Error busy_error(const char *why);

// A turn that this process has taken.  The destructor gives it back.
class Turn {
 public:
  Turn() = default;  // for a process that goes on without a turn

  // Waits for the turn of the client's user, for `seconds` at most.  The client
  // has a caller.  Sets *out_waited if it has waited.  Returns an empty turn if
  // the holder was the same all the time, if another user's number leads to the
  // same turn, or if there can be no turns.  Returns kBusy if others of the
  // user had theirs meanwhile, or if the client has gone.
  static Result<Turn> wait_for(const Store &store, const Client &client,
                               unsigned seconds, bool *out_waited);

  Turn(Turn &&other) noexcept
      : set_(std::exchange(other.set_, -1)), number_(other.number_) {}
  Turn &operator=(Turn &&other) noexcept {
    std::swap(set_, other.set_);
    std::swap(number_, other.number_);
    return *this;
  }
  Turn(const Turn &) = delete;
  Turn &operator=(const Turn &) = delete;
  ~Turn();

 private:
  Turn(int set, std::uint16_t number) : set_(set), number_(number) {}

  int set_ = -1;
  std::uint16_t number_ = 0;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_TURN_H_
