// SPDX-License-Identifier: BSD-3-Clause
// The use of a store: what verifications cost, and when each token was last let
// in.
//
// It is a statistic, for `status` and `list`, and nothing else depends on it.
// It lives in a segment of its own, which is shared with the members of
// verify_group, so that their hits are counted, too.  A member could write
// anything there: a reader takes it for numbers that mean nothing else.
//
// Thread safety: one thread per object; any process may count at the same time.
#ifndef PBSTOKEN_USE_H_
#define PBSTOKEN_USE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/limits/shared_segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// How a verification was answered.
enum class Event : std::uint8_t {
  kHit,            // answered by the segment alone: the secret matches
  kRecheck,        // the file was read, a fact in the segment saved the hash
  kHash,           // a password hash was computed
  kKnownMismatch,  // answered by the segment: the secret does not match
  kThrottled,      // refused without asking
  kBypassed,       // the segment could not be used
};
constexpr std::size_t kEvents = 6;
// The number of each event.
using Totals = std::array<std::uint64_t, kEvents>;

// The party that an event is counted for: the process itself, or the user that
// a helper runs for.
enum class Party : std::uint8_t { kRoot, kMembers };
constexpr std::size_t kParties = 2;

// The use of one token.
struct TokenUse {
  std::uint64_t last;   // time it was last let in: seconds since the epoch
  std::uint64_t count;  // how often; at most Tally::kMostCounted
};

// Returns the segment of the record of use, which it does not make.
SharedSegment use_segment(const Store &store);

// The record of use of one store.
class Use {
 public:
  // `store` must outlive the object.  No call fails: a process that cannot have
  // the segment counts nothing.  Root makes the segment if it is not there.
  explicit Use(const Store &store) : store_(store) {}

  // Sets the party that this process works for.  Without this call that is
  // kRoot if the effective uid is root's when it attaches the record, else
  // kMembers.
  void count_for(Party party) { given_ = party; }

  // Makes no segment from here on: for a process that changes nothing.
  void only_look() { makes_ = false; }

  // Counts an event, by a relaxed addition on the cache line of this processor.
  // let_in: the token that the secret matched; empty if no secret matched.
  // moment: when the caller last attached its own segment, in whatever unit.
  // If it is another than before, the record is asked for anew, too.
  void count(Event event, std::string_view let_in, std::uint64_t moment);

  // Returns the number of each event; zeros without a record.
  [[nodiscard]] Totals totals(Party party);
  // Returns when counting began, in seconds since the epoch; nullopt if it has
  // not.
  [[nodiscard]] std::optional<std::uint64_t> since();
  // Returns nullopt if the token was not let in, or too many others were since.
  [[nodiscard]] std::optional<TokenUse> of(std::string_view token_id);
  // Returns when an event was last counted, in seconds since the epoch; 0:
  // never.
  [[nodiscard]] std::uint64_t last();

  // True if the record can be had, and so what it does not have was not
  // counted.
  [[nodiscard]] bool is_there() { return record(0) != nullptr; }

  // Does what SharedSegment::heal() does.
  void heal() const { use_segment(store_).heal(); }

  // Lets go of an attachment that this process may not have any more: its
  // effective uid is another.
  void let_go_if_dropped() {
    if (attachment_.address() == nullptr) {
      attachment_ = AttachmentUse();
    }
  }

 private:
  void attach();
  // Returns null if the record cannot be had.  A child of the process that
  // opened it attaches it anew.
  [[nodiscard]] struct UseRecord *record(std::uint64_t moment);

  const Store &store_;
  std::optional<Party> given_;
  Party party_ = Party::kMembers;
  bool makes_ = true;
  bool is_lost_ = false;
  std::uint64_t attached_ = 0;
  AttachmentUse attachment_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_USE_H_
