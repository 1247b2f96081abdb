// SPDX-License-Identifier: BSD-3-Clause
// The right to compute a password hash, held by one thread of this process at a
// time: the limit that is left where the kernel has no semaphores for a gate.
//
// Thread safety: one thread per object.
#ifndef PBSTOKEN_ONLY_HASH_H_
#define PBSTOKEN_ONLY_HASH_H_

#include <cstdint>
#include <optional>
#include <utility>

namespace pbstoken {

class OnlyHash {
 public:
  // Waits until no other thread of this process holds the right, until
  // `deadline` (CLOCK_BOOTTIME in ns) at most.  Sets *out_waited if it has
  // waited.  Returns nullopt if the deadline passes.  A child that was forked
  // meanwhile does not hold the right.
  static std::optional<OnlyHash> wait_until(std::uint64_t deadline,
                                            bool *out_waited);

  OnlyHash(OnlyHash &&other) noexcept
      : is_held_(std::exchange(other.is_held_, false)) {}
  OnlyHash &operator=(OnlyHash &&other) noexcept {
    std::swap(is_held_, other.is_held_);
    return *this;
  }
  OnlyHash(const OnlyHash &) = delete;
  OnlyHash &operator=(const OnlyHash &) = delete;
  ~OnlyHash();

 private:
  OnlyHash() = default;
  bool is_held_ = true;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_ONLY_HASH_H_
