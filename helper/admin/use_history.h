// SPDX-License-Identifier: BSD-3-Clause
// The use of a store since its record began: what was saved, and what the
// segment has counted after that.
#ifndef PBSTOKEN_USE_HISTORY_H_
#define PBSTOKEN_USE_HISTORY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "admin/saved_use.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// In seconds.  A save each day leaves no longer gap.  What was counted in a
// longer gap may be lost, so the record begins anew behind it.
constexpr std::uint64_t kLongestGap = std::uint64_t{2} * 24 * 3600;
// In seconds.  A host that restarts saves just before.  A longer gap than this
// may hide uses.
constexpr std::uint64_t kShortestGap = 600;

// All times are seconds since the epoch, and not in the future.  One thread per
// object; `use` must outlive it.
class UseHistory {
 public:
  // Returns an error if what is saved cannot be used.
  static Result<UseHistory> read(const Store &store, Use *use);

  // Does the same, but complains and goes on with what the segment has.
  static UseHistory read_what_can_be(const Store &store, Use *use);

  // Returns when the record began; nullopt if no use was counted yet.
  [[nodiscard]] std::optional<std::uint64_t> since() const { return since_; }
  // Returns when it was last saved; nullopt if it was not.
  [[nodiscard]] std::optional<std::uint64_t> saved() const;

  // False if the segment cannot be had, or was not there for so long that its
  // makers may have tried in vain: then uses after the last save are not known.
  [[nodiscard]] bool is_counting() const { return is_counting_; }
  // Returns the last time in which uses may have been lost.
  [[nodiscard]] const Gap &lost() const { return lost_; }

  [[nodiscard]] Totals totals(Party party) const;
  // Returns nullopt if the token was not let in.
  [[nodiscard]] std::optional<TokenUse> of(std::string_view token_id) const;
  // Returns since when each use of the token was counted; nullopt if no use is
  // yet.
  [[nodiscard]] std::optional<std::uint64_t> since(
      std::string_view token_id) const;

  // Returns what is to be saved, of these tokens, which are sorted.  The views
  // are into what they view.  Returns an error without memory.
  [[nodiscard]] Result<SavedUse> next(
      std::span<const std::string_view> token_ids) const;

  // True if the use of a store is saved, which goes by its name: false for one
  // that --config has named.
  static bool is_saved(const Store &store);

  // Returns an error if nothing may be saved now.
  [[nodiscard]] Result<void> permit_save(const Store &store) const;

  // Returns every token that was saved.
  [[nodiscard]] std::span<const SavedToken> saved_tokens() const;

 private:
  UseHistory(std::optional<SavedUse> saved, std::uint64_t life, Use *use);

  void find_beginning();
  void find_whether_it_counts(const Store &store);
  [[nodiscard]] PartyCounters counters(Party party) const;
  [[nodiscard]] SavedToken token(std::string_view id) const;

  std::optional<SavedUse> saved_;
  Use *use_;
  std::uint64_t now_;
  std::uint64_t life_;
  bool is_same_life_;
  std::optional<std::uint64_t> since_;
  Gap lost_;
  bool is_counting_ = true;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_USE_HISTORY_H_
