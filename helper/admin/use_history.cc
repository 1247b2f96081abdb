// SPDX-License-Identifier: BSD-3-Clause
#include "admin/use_history.h"

#include <algorithm>
#include <array>

#include "io/message.h"
#include "io/stores.h"
#include "pbstoken/os/boot_id.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

// Returns which life of the segment this is: by the boot, the segment's id, and
// when it began to count.  In a container ids repeat after a restart, and the
// host's boot goes on.  A member could change the last of these, and so the
// numbers, which it may write anyhow.
Result<std::uint64_t> life_of(const Store &store, Use *use) {
  const auto boot = boot_id();
  if (!boot) {
    return boot.error();
  }
  const SharedSegment record = use_segment(store);
  const auto text =
      FixedText<64>()
          .append(use->since().value_or(0))
          .append(" ")
          .append(static_cast<std::uint64_t>(record.get(record.key, 0)));
  // Of the file's whole line, as it was saved of earlier.
  return quick_hash(FixedText<40>(boot->view()).append("\n").view(),
                    quick_hash(text.view()));
}

// Returns nullopt if nothing was saved of the store, and for members of
// verify_group: they see what the segments show.
Result<std::optional<SavedUse>> read_saved(const Store &store) {
  if (!is_root() || !UseHistory::is_saved(store)) {
    return std::optional<SavedUse>();
  }
  const PathText path = saved_use_path(store.name.view());
  const auto file = open_trusted(path);
  if (!file) {
    return file.error().code == Errc::kNotFound
               ? Result<std::optional<SavedUse>>(std::optional<SavedUse>())
               : Result<std::optional<SavedUse>>(file.error());
  }
  auto text = read_whole(*file, path, kMaxSavedUse);
  if (!text) {
    return text.error();
  }
  auto saved = parse_saved_use(std::move(*text), path, store.token_shadow);
  if (!saved) {
    return saved.error();
  }
  return std::optional<SavedUse>(std::move(*saved));
}

}  // namespace

Result<UseHistory> UseHistory::read(const Store &store, Use *use) {
  auto saved = read_saved(store);
  if (!saved) {
    return saved.error();
  }
  const auto life = life_of(store, use);
  if (!life) {
    return life.error();
  }
  UseHistory history(std::move(*saved), *life, use);
  history.find_whether_it_counts(store);
  return history;
}

UseHistory UseHistory::read_what_can_be(const Store &store, Use *use) {
  auto history = read(store, use);
  if (!history) {
    complain(history.error());
    return {std::nullopt, 0, use};
  }
  return std::move(*history);
}

UseHistory::UseHistory(std::optional<SavedUse> saved, std::uint64_t life,
                       Use *use)
    : saved_(std::move(saved)),
      use_(use),
      now_(epoch_seconds()),
      life_(life),
      is_same_life_(saved_ && saved_->life == life) {
  find_beginning();
}

// A member may have written any time into the segment, which is not older than
// the kernel.
void UseHistory::find_beginning() {
  const std::uint64_t up = boottime_now() / kNanosecondsPerSecond;
  since_ = use_->since();
  if (since_) {
    since_ = std::clamp(*since_, now_ - std::min(up, now_), now_);
  }
  if (!saved_) {
    return;
  }
  const std::uint64_t next = since_.value_or(now_);
  const std::uint64_t gap =
      !is_same_life_ && next > saved_->saved ? next - saved_->saved : 0;
  lost_ = gap > kShortestGap ? Gap{saved_->saved, next} : saved_->lost;
  since_ = gap > kLongestGap ? next : std::min(saved_->since, now_);
}

void UseHistory::find_whether_it_counts(const Store &store) {
  const SharedSegment record = use_segment(store);
  const bool may_be_made_yet =
      record.get(record.key, 0) < 0 &&
      (!saved_ || now_ - std::min(saved_->saved, now_) <= kLongestGap);
  is_counting_ = use_->is_there() || may_be_made_yet;
}

std::optional<std::uint64_t> UseHistory::saved() const {
  return saved_ ? std::optional(std::min(saved_->saved, now_)) : std::nullopt;
}

PartyCounters UseHistory::counters(Party party) const {
  const Totals counted = use_->totals(party);
  PartyCounters counters = saved_
                               ? saved_->events[static_cast<std::size_t>(party)]
                               : PartyCounters{};
  for (std::size_t i = 0; i < kEvents; ++i) {
    counters[i] = counters[i].at(counted[i], is_same_life_);
  }
  return counters;
}

Totals UseHistory::totals(Party party) const {
  const PartyCounters counters = this->counters(party);
  Totals totals{};
  std::transform(counters.begin(), counters.end(), totals.begin(),
                 [](const Counter &counter) { return counter.total(); });
  return totals;
}

// A token that no save has seen may be new.
SavedToken UseHistory::token(std::string_view id) const {
  const SavedToken *saved = saved_ ? saved_->find(id) : nullptr;
  const TokenUse counted =
      use_->of(id).value_or(TokenUse{.last = 0, .count = 0});
  const std::uint64_t since = since_.value_or(now_);
  SavedToken token{.id = id, .since = now_, .last = counted.last, .uses = {}};
  if (saved != nullptr) {
    token = *saved;
    token.id = id;
    token.last = std::max(saved->last, counted.last);
  }
  token.since = std::clamp(token.since, since, now_);
  token.last = std::min(token.last, now_);
  token.uses = token.uses.at(counted.count, is_same_life_);
  return token;
}

std::optional<TokenUse> UseHistory::of(std::string_view token_id) const {
  const SavedToken token = this->token(token_id);
  return token.last != 0 ? std::optional(TokenUse{.last = token.last,
                                                  .count = token.uses.total()})
                         : std::nullopt;
}

std::optional<std::uint64_t> UseHistory::since(
    std::string_view token_id) const {
  return since_ ? std::optional(token(token_id).since) : std::nullopt;
}

Result<SavedUse> UseHistory::next(
    std::span<const std::string_view> token_ids) const {
  SavedUse next;
  next.life = life_;
  next.since = since_.value_or(now_);
  next.saved = now_;
  next.lost = lost_;
  next.events = {counters(Party::kRoot), counters(Party::kMembers)};
  for (const std::string_view id : token_ids) {
    if (!next.tokens.append(token(id))) {
      return no_memory("cannot save the use");
    }
  }
  return next;
}

bool UseHistory::is_saved(const Store &store) {
  return store.configuration.view() ==
         configuration_path(store.name.view()).view();
}

// With a clock that was set back each time would be cut to it, and a segment
// that cannot be had would pass for one that has counted nothing.
Result<void> UseHistory::permit_save(const Store &store) const {
  const PathText path = saved_use_path(store.name.view());
  if (!is_saved(store)) {
    return plain_error(Errc::kUnsafe, "cannot save the use", {},
                       "it goes by the name of a store: --store in place of "
                       "--config");
  }
  if (!use_->is_there()) {
    return plain_error(Errc::kUnsafe, "cannot save the use", {},
                       "the segment that counts cannot be had; run pbstoken "
                       "check");
  }
  if (saved_ && saved_->saved > now_) {
    return plain_error(Errc::kUnsafe, "cannot replace", path.view(),
                       "it is of a later time than now: set the clock, or "
                       "move it away");
  }
  const auto life = life_of(store, use_);
  if (!life) {
    return life.error();
  }
  return *life == life_
             ? Result<void>()
             : plain_error(Errc::kBusy, "cannot save the use", {},
                           "the segment that counts was made anew meanwhile: "
                           "run the same again");
}

std::span<const SavedToken> UseHistory::saved_tokens() const {
  return saved_ ? saved_->tokens.items() : std::span<const SavedToken>();
}

}  // namespace pbstoken
