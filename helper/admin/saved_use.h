// SPDX-License-Identifier: BSD-3-Clause
// What was counted of a store, as it is saved: /var/lib/pbstoken/NAME.use.
//
// The segment that counts (use.h) is gone when the host restarts, and a process
// of root may make it anew: each time it begins another *life*.  The file has
// each number in two parts: FORMER is the sum of all earlier lives, CURRENT is
// what the present life had counted at the last save.  So however often the
// numbers are saved and merged, no use is counted twice.
//
//   pbstoken use 1
//   token_shadow PATH
//   life N                     which life of the segment
//   since N                    seconds since the epoch, as the next
//   saved N
//   lost FROM TO               the last time in which uses may have been lost
//   root FORMER CURRENT...     a pair for each Event
//   members FORMER CURRENT...
//   tokens N                   so many lines follow, sorted by id
//   SINCE LAST FORMER CURRENT TOKENID
#ifndef PBSTOKEN_SAVED_USE_H_
#define PBSTOKEN_SAVED_USE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"
#include "pbstoken/limits/use.h"

namespace pbstoken {

// Half a million tokens.
constexpr std::size_t kMaxSavedUse = std::size_t{64} << 20U;

// No number is greater: members may write any into the segment, and readers of
// JSON have no greater ones exactly.
constexpr std::uint64_t kMostUses = (1ULL << 53U) - 1;

// A number that grows in each life of the segment.
struct Counter {
  std::uint64_t former = 0;   // of the lives before
  std::uint64_t current = 0;  // of this one, when it was last looked at

  // Returns what it is when the segment says so much.  A number that is smaller
  // than before begins again, as that of a token does for which the segment had
  // no room.
  [[nodiscard]] Counter at(std::uint64_t now, bool is_same_life) const;
  [[nodiscard]] std::uint64_t total() const;

  bool operator==(const Counter &) const = default;
};

using PartyCounters = std::array<Counter, kEvents>;

// A time between a save and the next life of the segment, in seconds since the
// epoch; 0 to 0: there was no such time.
struct Gap {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

struct SavedToken {
  std::string_view id;
  std::uint64_t since;  // the first time that a save has seen the token
  std::uint64_t last;   // when it was last let in; 0: it was not
  Counter uses;
};

struct SavedUse {
  std::uint64_t life = 0;
  std::uint64_t since = 0;
  std::uint64_t saved = 0;
  Gap lost;
  std::array<PartyCounters, kParties> events{};
  List<SavedToken> tokens;  // sorted by id
  Buffer text;              // that was parsed, and that the ids view

  // Returns null if there is no such token.
  [[nodiscard]] const SavedToken *find(std::string_view id) const;
};

// Returns what the text of the file at `path` has saved of this token.shadow.
// Returns kMalformed, with path and line, if it is no such text, kOtherVersion
// if another version has saved it, and kUnsafe if it is about another
// token.shadow.
Result<SavedUse> parse_saved_use(Buffer text, const PathText &path,
                                 const PathText &token_shadow);

// Appends what parse_saved_use() reads.  Returns false without memory.
[[nodiscard]] bool append_saved_use(const SavedUse &use,
                                    const PathText &token_shadow, Buffer *out);

}  // namespace pbstoken

#endif  // PBSTOKEN_SAVED_USE_H_
