// SPDX-License-Identifier: BSD-3-Clause
// The gate: at most max_hashes password hashes at once on the host for one
// token.shadow.  Each takes a processor for 20 ms and 16 MiB of memory, and any
// client that knows a token id can ask for one.  Whoever reads the file for an
// id that the segment does not know passes it as well, since any client can
// make up ids.
//
// A place is a System V semaphore: 0 is free, 1 is taken.  It starts as free as
// the kernel makes it, so no maker can die before it is ready; taking it with
// SEM_UNDO gives it back however its holder ends.  Only processes take part
// that are root's alone (caller.h), since others could be stopped in a place.
#ifndef PBSTOKEN_HASH_GATE_H_
#define PBSTOKEN_HASH_GATE_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// What one waits for a place before one does without, or gives up.
constexpr std::uint64_t kGateSeconds = 5;

// Which places one may have.  Somebody who may not read token.shadow, and
// starts one helper after the other, must leave some to the others.
enum class GateShare : std::uint8_t {
  kAll,
  kHalf  // at least one
};

// The key of a store's semaphores.
key_t hash_gate_key(const Store &store);

// The right to compute one hash.
class HashPlace {
 public:
  HashPlace() = default;  // of one who does without
  HashPlace(int set, std::uint16_t number) : set_(set), number_(number) {}
  HashPlace(HashPlace &&other) noexcept
      : set_(std::exchange(other.set_, -1)), number_(other.number_) {}
  HashPlace &operator=(HashPlace &&) = delete;
  HashPlace(const HashPlace &) = delete;
  HashPlace &operator=(const HashPlace &) = delete;
  ~HashPlace();

 private:
  int set_ = -1;
  std::uint16_t number_ = 0;
};

struct GatePass {
  HashPlace place;
  // Others have hashed meanwhile: look into the segment once more.
  bool waited = false;
};

// Waits for a place, for kGateSeconds at most.  Who waited in vain goes on
// without one if none came free in that time, since then the holders have been
// stopped and must not deny; else kBusy.  Without a gate (max_hashes is 0, the
// caller is not root alone, the kernel has no semaphores left) everybody goes
// on at once.
Result<GatePass> enter_hash_gate(const Store &store, GateShare share);

}  // namespace pbstoken

#endif  // PBSTOKEN_HASH_GATE_H_
