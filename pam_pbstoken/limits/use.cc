// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/use.h"

#include <sched.h>
#include <unistd.h>

#include <ctime>
#include <utility>

#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/limits/tally.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/recent_hashes.h"

namespace pbstoken {

namespace {

// There is one line for each of so many processors: two that add to one line
// cost each other most of what a hit costs.
constexpr std::size_t kStripes = 64;
struct alignas(64) Line {
  Totals events;
};

// The tokens that were let in last.  The kernel gives memory to the pages alone
// that are used.
constexpr std::size_t kTokens = 1U << 18U;

// The attempts to count.  If all fail, the processes at the same word count,
// and this one does not.
constexpr int kAttempts = 8;

std::uint64_t tag_of(std::string_view token_id) {
  return quick_hash(token_id) | 1;
}

}  // namespace

struct UseRecord {
  alignas(64) std::uint64_t since;
  std::uint64_t last;
  std::array<std::array<Line, kParties>, kStripes> lines;
  std::array<Tally, kTokens> tokens;
};

namespace {

// Every processor reads this line: it is written once a second.
void note_time(UseRecord *record, std::uint64_t now) {
  if (load_relaxed(&record->last) == now) {
    return;
  }
  store_relaxed(&record->last, now);
  if (load_relaxed(&record->since) == 0) {
    static_cast<void>(compare_and_swap(&record->since, 0, now));
  }
}

void add_use(UseRecord *record, std::string_view token_id, std::uint64_t now) {
  Tally *tally = make_tally(record->tokens, tag_of(token_id));
  bool done = false;
  for (int attempt = 0; !done && attempt < kAttempts; ++attempt) {
    const std::uint64_t before = load_relaxed(&tally->state);
    done =
        compare_and_swap(&tally->state, before,
                         Tally::make_state(now, Tally::count_of(before) + 1));
  }
}

}  // namespace

SharedSegment use_segment(const Store &store) {
  static_assert(sizeof(UseRecord) == kUseRecordSize);
  return {store, "pbstoken use 1", sizeof(UseRecord)};
}

// A process that cannot have the record tries again only after a minute, and
// not for each of its handles.
void Use::attach() {
  static constinit RecentHashes refused;
  const std::uint64_t name =
      quick_hash(store_.token_shadow.view(), std::uint64_t{geteuid()});
  attachment_ = AttachmentUse();
  party_ = given_.value_or(is_root() ? Party::kRoot : Party::kMembers);
  if (refused.has(name)) {
    return;
  }
  const SharedSegment segment = use_segment(store_);
  auto use = makes_ ? segment.use() : segment.find();
  if (use) {
    attachment_ = std::move(*use);
  } else {
    refused.add(name);
  }
}

UseRecord *Use::record(std::uint64_t moment) {
  std::byte *address = attachment_.address();
  if (moment != attached_ || (address == nullptr && !is_lost_)) {
    attached_ = moment;
    attach();
    address = attachment_.address();
    is_lost_ = address == nullptr;
  }
  return reinterpret_cast<UseRecord *>(address);
}

void Use::count(Event event, std::string_view let_in, std::uint64_t moment) {
  UseRecord *record = this->record(moment);
  if (record == nullptr) {
    return;
  }
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  note_time(record, now);
  const int cpu = sched_getcpu();  // -1 at worst, which is a stripe, too
  Line &line = record->lines[static_cast<unsigned>(cpu) % kStripes]
                            [static_cast<std::size_t>(party_)];
  __atomic_fetch_add(&line.events[static_cast<std::size_t>(event)], 1,
                     __ATOMIC_RELAXED);
  if (!let_in.empty()) {
    add_use(record, let_in, now);
  }
}

Totals Use::totals(Party party) {
  Totals totals{};
  const UseRecord *record = this->record(0);
  if (record == nullptr) {
    return totals;
  }
  for (const auto &parties : record->lines) {
    for (std::size_t i = 0; i < kEvents; ++i) {
      totals[i] +=
          load_relaxed(&parties[static_cast<std::size_t>(party)].events[i]);
    }
  }
  return totals;
}

std::optional<std::uint64_t> Use::since() {
  const UseRecord *record = this->record(0);
  const std::uint64_t since =
      record != nullptr ? load_relaxed(&record->since) : 0;
  return since != 0 ? std::optional(since) : std::nullopt;
}

std::optional<TokenUse> Use::of(std::string_view token_id) {
  const UseRecord *record = this->record(0);
  const Tally *tally = record != nullptr
                           ? find_tally(record->tokens, tag_of(token_id))
                           : nullptr;
  const std::uint64_t state =
      tally != nullptr ? load_relaxed(&tally->state) : 0;
  if (state == 0) {
    return std::nullopt;
  }
  return TokenUse{.last = Tally::time_of(state),
                  .count = Tally::count_of(state)};
}

std::uint64_t Use::last() {
  const UseRecord *record = this->record(0);
  return record != nullptr ? load_relaxed(&record->last) : 0;
}

}  // namespace pbstoken
