// SPDX-License-Identifier: BSD-3-Clause
// The things that a process has met in the last minute, each by a hash: what
// has failed is not tried again, and what was said is not said again.
//
// Eight hashes are remembered.  A further one takes the place of another, which
// is then forgotten early.  Zero bytes are an empty object.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_RECENT_HASHES_H_
#define PBSTOKEN_RECENT_HASHES_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "pbstoken/os/clock.h"

namespace pbstoken {

class RecentHashes {
 public:
  constexpr RecentHashes() = default;

  // True if the hash was added in the last minute, and is not forgotten.
  [[nodiscard]] bool has(std::uint64_t hash) const {
    constexpr std::uint64_t kMinute = 60 * kNanosecondsPerSecond;
    const Entry &entry = entries_[hash % entries_.size()];
    return entry.hash.load(std::memory_order_relaxed) == hash &&
           boottime_now() - entry.time.load(std::memory_order_relaxed) <
               kMinute;
  }

  void add(std::uint64_t hash) {
    Entry &entry = entries_[hash % entries_.size()];
    entry.time.store(boottime_now(), std::memory_order_relaxed);
    entry.hash.store(hash, std::memory_order_relaxed);
  }

 private:
  struct Entry {
    std::atomic<std::uint64_t> hash = 0;
    std::atomic<std::uint64_t> time = 0;
  };
  std::array<Entry, 8> entries_ = {};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_RECENT_HASHES_H_
