// SPDX-License-Identifier: BSD-3-Clause
// What a process has met in the last minute, so that it does not do again what
// failed, and does not say again what it said.
//
// A few things are remembered; another one takes the place of one of them.  Any
// thread.  Zero bytes are an empty object.
#ifndef PBSTOKEN_LATELY_H_
#define PBSTOKEN_LATELY_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "pbstoken/os/clock.h"

namespace pbstoken {

class Lately {
 public:
  constexpr Lately() = default;

  // A hash says what it is.
  [[nodiscard]] bool was_met(std::uint64_t hash) const {
    constexpr std::uint64_t kMinute = 60 * kNanosecondsPerSecond;
    const Thing &thing = all_[hash % all_.size()];
    return thing.hash.load(std::memory_order_relaxed) == hash &&
           boottime_now() - thing.time.load(std::memory_order_relaxed) <
               kMinute;
  }

  void meet(std::uint64_t hash) {
    Thing &thing = all_[hash % all_.size()];
    thing.time.store(boottime_now(), std::memory_order_relaxed);
    thing.hash.store(hash, std::memory_order_relaxed);
  }

 private:
  struct Thing {
    std::atomic<std::uint64_t> hash = 0;
    std::atomic<std::uint64_t> time = 0;
  };
  std::array<Thing, 8> all_ = {};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LATELY_H_
