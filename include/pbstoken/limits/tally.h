// SPDX-License-Identifier: BSD-3-Clause
// Tallies: how often something happened to each of many things, and when.
//
// A table of them lies in shared memory, and processes add to it without
// waiting for each other: nobody's death or stop leaves more behind than a
// count.  Zero bytes are an empty table.  What it has no room for is forgotten,
// that with the earliest time first.
#ifndef PBSTOKEN_TALLY_H_
#define PBSTOKEN_TALLY_H_

#include <cstdint>
#include <span>

namespace pbstoken {

// Time and count are one word, so that they change together.
struct Tally {
  std::uint64_t tag;    // says of what; 0: never used
  std::uint64_t state;  // the time in seconds, and the count; 0: nothing yet

  static constexpr unsigned kCountBits = 32;
  static constexpr std::uint64_t kMostCounted = (1ULL << kCountBits) - 1;

  static constexpr std::uint64_t time_of(std::uint64_t state) {
    return state >> kCountBits;
  }
  static constexpr std::uint64_t count_of(std::uint64_t state) {
    return state & kMostCounted;
  }
  static constexpr std::uint64_t make_state(std::uint64_t time,
                                            std::uint64_t count) {
    return (time << kCountBits) | (count < kMostCounted ? count : kMostCounted);
  }
};

// A tally may stand in any of so many places; a table has more.
constexpr std::size_t kTallyPlaces = 32;

// The tally of this tag, which is not 0; null if there is none.
const Tally *find_tally(std::span<const Tally> table, std::uint64_t tag);

// The same, but makes it if there is none.
Tally *make_tally(std::span<Tally> table, std::uint64_t tag);

}  // namespace pbstoken

#endif  // PBSTOKEN_TALLY_H_
