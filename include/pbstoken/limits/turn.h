// SPDX-License-Identifier: BSD-3-Clause
// Turns between users: of the helpers that run for one user, one at a time asks
// for a place in the gate (hash_gate.h), so that a user who starts many keeps
// the others no longer from theirs than one who starts a few.
//
// A turn is a semaphore that is 1 while it is taken, one of 64 by the number of
// the user; another one beside it tells which user had it last.  A process that
// has waited in vain goes on without a turn if the holder was the same all the
// time, which has been stopped, or if another user had it, whose number leads
// to the same one; behind processes of its own user it is busy.
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

constexpr std::uint16_t kTurns = 64;

NamedSet turns_set(const Store &store);

class Turn {
 public:
  Turn() = default;  // of a process that goes on without one

  // Waits for the turn of the client's user, for so many seconds at most.  An
  // empty one if the holder was the same all the time, or there can be no
  // turns; kBusy if others of the user had theirs meanwhile, or the client has
  // gone.
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
