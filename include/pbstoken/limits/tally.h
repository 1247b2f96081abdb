// SPDX-License-Identifier: BSD-3-Clause
// Tallies: how often something happened to each of many things, and when.
//
// A table of tallies lies in shared memory.  Processes add to it without
// waiting for each other: a process that dies or stops leaves no more behind
// than a count.  Zero bytes are an empty table.  If the table has no room for a
// tally, the one with the earliest time is forgotten.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_TALLY_H_
#define PBSTOKEN_TALLY_H_

#include <cstdint>
#include <span>

namespace pbstoken {

// One count.  Time and count are one word, so that they change together.
struct Tally {
  std::uint64_t tag;    // says what is counted; 0: never used
  std::uint64_t state;  // the time in seconds, and the count; 0: nothing yet

  // The count takes the lower bits of the state, the time the upper ones.  A
  // count stays at kMostCounted once it is there.
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

// The number of places in which a tally may stand; a table has more.
constexpr std::size_t kTallyPlaces = 32;

// Returns the tally of this tag, which is not 0; null if the table has no such
// tally.
const Tally *find_tally(std::span<const Tally> table, std::uint64_t tag);

// Returns the tally of this tag; makes it if the table has no such tally.
// Never null: the earliest tally gives way.
Tally *make_tally(std::span<Tally> table, std::uint64_t tag);

}  // namespace pbstoken

#endif  // PBSTOKEN_TALLY_H_
