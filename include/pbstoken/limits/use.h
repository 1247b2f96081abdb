// SPDX-License-Identifier: BSD-3-Clause
// The use of a store: what verifications cost, and when each token was last
// let in.
//
// It is a statistic, for `status` and `list`, and nothing else depends on it.
// It lives in a segment of its own, which is shared with the members of
// verify_group, so that their hits are counted, too.  A member could write
// anything there: whoever reads takes it for numbers that mean nothing else.
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

enum class Event : std::uint8_t {
  kHit,            // answered by the segment alone: the secret matches
  kRecheck,        // the file was read, a fact in the segment saved the hash
  kHash,           // a password hash was computed
  kKnownMismatch,  // answered by the segment: the secret does not match
  kThrottled,      // refused without asking
  kBypassed,       // the segment could not be used
};
constexpr std::size_t kEvents = 6;
using Totals = std::array<std::uint64_t, kEvents>;

// For whom: the process itself, or the user that a helper runs for.
enum class Party : std::uint8_t { kRoot, kMembers };
constexpr std::size_t kParties = 2;

struct TokenUse {
  std::uint64_t last;   // when it was last let in: seconds since the epoch
  std::uint64_t count;  // how often; at most Tally::kMostCounted
};

SharedSegment use_segment(const Store &store);

// One thread per object.
class Use {
 public:
  // When the caller last attached its own segment, in whatever number, and in
  // which IPC namespace (0: it has not asked): then the record is asked for
  // anew, too.
  struct Moment {
    std::uint64_t attached = 0;
    std::uint64_t ipc_namespace = 0;
  };

  // `store` must outlive the object.  Nothing fails: a process that cannot have
  // the segment counts nothing.  Root makes it if it is not there.
  explicit Use(const Store &store) : store_(store) {}

  // For whom this process works.  Else for root, if that is its effective uid
  // when it attaches the record.
  void count_for(Party party) { given_ = party; }

  // From here on it makes no segment: for a process that changes nothing.
  void only_look() { makes_ = false; }

  // Relaxed, and on the cache line of this processor.  let_in: the token whose
  // secret matched; empty: none did.
  void count(Event event, std::string_view let_in, const Moment &moment);

  [[nodiscard]] Totals totals(Party party);
  // When counting began: seconds since the epoch; nullopt: it has not.
  [[nodiscard]] std::optional<std::uint64_t> since();
  // Returns nullopt if the token was not let in, or too many others were since.
  [[nodiscard]] std::optional<TokenUse> of(std::string_view token_id);
  // When anything was last counted: seconds since the epoch; 0: nothing was.
  [[nodiscard]] std::uint64_t last();

  // See SharedSegment::heal().
  void heal() const { use_segment(store_).heal(); }

  // Lets go of what this process may not have any more: its effective uid is
  // another.
  void let_go_if_dropped() {
    if (attachment_.address() == nullptr) {
      attachment_ = AttachmentUse();
    }
  }

 private:
  void attach(std::uint64_t ipc_namespace);
  // Null if it cannot be had; attached anew in a child of the process that
  // opened it.
  [[nodiscard]] struct UseRecord *record(const Moment &moment);

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
