// SPDX-License-Identifier: BSD-3-Clause
// One password hash at a time in this process: the limit that is left where the
// kernel has no semaphores for a gate.
#ifndef PBSTOKEN_ONLY_HASH_H_
#define PBSTOKEN_ONLY_HASH_H_

#include <cstdint>
#include <optional>
#include <utility>

namespace pbstoken {

class OnlyHash {
 public:
  // Waits until no other thread of this process has one, until `deadline`
  // (CLOCK_BOOTTIME); returns nullopt then.  A child that was forked meanwhile
  // has none.
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
