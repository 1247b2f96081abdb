// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/segment.h"

#include <algorithm>
#include <atomic>
#include <span>

#include "pbstoken/base/wipe.h"
#include "pbstoken/cache/slots.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

// How often a stamp is loaded again while another process stores it.
constexpr int kStampAttempts = 3;

// The least time between two replacements.
constexpr std::uint64_t kMinute = 60 * kNanosecondsPerSecond;

// One part in so many is for mismatches, and comes on top.
constexpr std::uint64_t kMismatchShare = 8;

CheckedStamp load_stamp(const CheckedStamp &shared) {
  const Stamp &stamp = shared.stamp;
  return {.stamp = {.generation = load_relaxed(&stamp.generation),
                    .time = load_relaxed(&stamp.time),
                    .device = load_relaxed(&stamp.device),
                    .inode = load_relaxed(&stamp.inode),
                    .size = load_relaxed(&stamp.size),
                    .modified = load_relaxed(&stamp.modified),
                    .changed = load_relaxed(&stamp.changed),
                    .first_seen = load_relaxed(&stamp.first_seen)},
          .check = load_digest(shared.check)};
}

std::uint64_t prefix_word(const std::byte *address, std::size_t offset) {
  return load_acquire(
      reinterpret_cast<const std::uint64_t *>(address + offset));
}

// Returns the shape of a segment of this layout version; nullopt if it is of
// another version, or contradicts itself.
std::optional<SegmentShape> shape_in(const std::byte *address, std::size_t size,
                                     Kind kind) {
  // The magic comes first: order G of generation.h.
  if (size < kSlotsOffset ||
      prefix_word(address, offsetof(SegmentPrefix, magic)) != kSegmentMagic ||
      prefix_word(address, offsetof(SegmentPrefix, layout_version)) !=
          kLayoutVersion ||
      prefix_word(address, offsetof(SegmentPrefix, size)) != size) {
    return std::nullopt;
  }
  const auto *header = reinterpret_cast<const SegmentHeader *>(address);
  const SegmentShape shape = {
      .match_buckets = load_relaxed(&header->match_buckets),
      .mismatch_buckets = load_relaxed(&header->mismatch_buckets)};
  const std::uint64_t most = size / sizeof(Bucket);
  const auto has_halves = [](std::uint64_t buckets) {
    return buckets % kHalves == 0;
  };
  // The kind that is wanted counts: the header's may be another by now.
  const bool has_mismatches = kind == Kind::kSecrets;
  if (shape.match_buckets == 0 || shape.match_buckets > most ||
      (shape.mismatch_buckets != 0) != has_mismatches ||
      shape.mismatch_buckets > most || shape.size() != size ||
      !has_halves(shape.match_buckets) || !has_halves(shape.mismatch_buckets)) {
    return std::nullopt;
  }
  return shape;
}

std::uint64_t quotient_up(std::uint64_t number, std::uint64_t divisor) {
  return (number + divisor - 1) / divisor;
}

// Returns a number of buckets that fills whole halves.
std::uint64_t buckets_for(std::uint64_t slots) {
  return kHalves * quotient_up(slots * kRoomNumerator,
                               kRoomDenominator * kHalves * kWays);
}

}  // namespace

SegmentShape SegmentShape::for_slots(std::uint32_t slots, Kind kind) {
  return {
      .match_buckets = buckets_for(slots),
      .mismatch_buckets = kind == Kind::kSecrets
                              ? buckets_for(quotient_up(slots, kMismatchShare))
                              : 0};
}

std::uint64_t SegmentShape::slots() const {
  return match_buckets * kWays * kRoomDenominator / kRoomNumerator;
}

std::uint64_t SegmentShape::size() const {
  return kSlotsOffset + (match_buckets + mismatch_buckets) * sizeof(Bucket);
}

Subject subject_in(const SegmentPrefix &prefix) {
  return {.kind = static_cast<Kind>(load_relaxed(&prefix.kind)),
          .view = {.directory_device = load_relaxed(&prefix.directory_device),
                   .directory_inode = load_relaxed(&prefix.directory_inode),
                   .name = load_relaxed(&prefix.name)}};
}

std::optional<Segment> Segment::open(const std::byte *address, std::size_t size,
                                     const Subject &subject) {
  const auto shape = shape_in(address, size, subject.kind);
  const auto *header = reinterpret_cast<const SegmentHeader *>(address);
  if (!shape || subject_in(header->prefix) != subject) {
    return std::nullopt;
  }
  HmacKeyBytes key_bytes = header->key;
  const HmacKey key(key_bytes);
  wipe(key_bytes.data(), key_bytes.size());
  return Segment(header, *shape, key);
}

SegmentOrigin Segment::origin() const {
  return {.lock_device = load_relaxed(&header_->origin.lock_device),
          .lock_inode = load_relaxed(&header_->origin.lock_inode),
          .time_namespace = load_relaxed(&header_->origin.time_namespace),
          .readers = load_relaxed(&header_->origin.readers)};
}

// Orders C and E of generation.h.
std::uint64_t Segment::generation() const {
  return load_acquire(&header_->prefix.generation);
}

// Order F of generation.h.
bool Segment::generation_is_still(std::uint64_t generation) const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return load_relaxed(&header_->prefix.generation) == generation;
}

CheckedStamp Segment::checked(const Stamp &stamp) const {
  const std::array<std::uint64_t, 9> words = {
      stamp.generation, stamp.time,       stamp.device,
      stamp.inode,      stamp.size,       stamp.modified,
      stamp.changed,    stamp.first_seen, instance_};
  return {.stamp = stamp, .check = cut(key_.digest_of(kStampLabel, words))};
}

std::optional<Stamp> Segment::stamp() {
  for (int attempt = 0; attempt < kStampAttempts; ++attempt) {
    const CheckedStamp found = load_stamp(header_->stamp);
    if (verified_stamp_ == found || found == checked(found.stamp)) {
      verified_stamp_ = found;
      return found.stamp;
    }
  }
  return std::nullopt;
}

CheckedLease Segment::checked_lease(std::uint64_t term) const {
  return {
      .term = term,
      .check = cut(key_.digest_of(kLeaseLabel, std::array{term, instance_}))};
}

std::optional<std::uint64_t> Segment::lease() {
  const CheckedLease found = {.term = load_relaxed(&header_->lease.term),
                              .check = load_digest(header_->lease.check)};
  if (verified_lease_ != found && found != checked_lease(found.term)) {
    return std::nullopt;
  }
  verified_lease_ = found;
  return found.term;
}

Segment::Name Segment::name_of(std::string_view token_id) const {
  const HmacBeginning beginning(key_, kNameLabel, token_id);
  // Which buckets a token has decides nothing, but a client that could foresee
  // them might fill another token's.  A tag of 0 marks a slot never used.
  return {.beginning = beginning, .tag = beginning.state()[0] | 1U};
}

Binding Segment::binding_of(std::string_view token_id,
                            std::string_view stored_hash) const {
  return binding_to(name_of(token_id).beginning, stored_hash);
}

SlotDigest Segment::check_of(Fact part, const Binding &binding,
                             const SlotDigest &fact,
                             std::uint64_t generation) const {
  const char label =
      part == Fact::kMatch ? kMatchCheckLabel : kMismatchCheckLabel;
  // The message has 43 bytes: one block.
  return cut(key_.digest_of(
      label, std::array{binding[0], binding[1], fact[0], fact[1], generation}));
}

bool Segment::is_whole(Fact part, const Slot &slot) const {
  return same(slot.check,
              check_of(part, slot.binding, slot.fact, slot.generation));
}

Segment::Buckets<const Bucket> Segment::buckets(Fact part,
                                                std::uint64_t tag) const {
  const auto *matches = reinterpret_cast<const Bucket *>(
      reinterpret_cast<const std::byte *>(header_) + kSlotsOffset);
  const bool is_match = part == Fact::kMatch;
  const Bucket *first = is_match ? matches : matches + shape_.match_buckets;
  const std::uint64_t half =
      (is_match ? shape_.match_buckets : shape_.mismatch_buckets) / kHalves;
  // The two numbers share no bit, and leave out the bit that is always set.
  return {first + (tag >> 32U) % half,
          first + half + (tag & UINT32_MAX) / 2 % half};
}

// The accounts' buckets stand in the place of the matches.
Segment::Buckets<const AccountBucket> Segment::account_buckets(
    std::uint64_t tag) const {
  const auto places = buckets(Fact::kMatch, tag);
  return {reinterpret_cast<const AccountBucket *>(places[0]),
          reinterpret_cast<const AccountBucket *>(places[1])};
}

std::optional<Fact> Segment::find(std::string_view token_id,
                                  std::string_view secret,
                                  const std::uint64_t *generation,
                                  const Binding *binding) const {
  const Name name = name_of(token_id);
  // The caller knows the generation, or the binding.
  const auto says = [&](Fact part, const Slot &slot) {
    return (generation == nullptr || slot.generation == *generation) &&
           (binding == nullptr || slot.binding == *binding) &&
           same(slot.fact,
                fact_of(name.beginning, part, slot.binding, secret)) &&
           is_whole(part, slot);
  };
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (const Bucket *bucket : buckets(part, name.tag)) {
      for (const Slot &shared : *bucket) {
        if (load_relaxed(&shared.tag) == name.tag &&
            says(part, load_slot(shared))) {
          return part;
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<Fact> Segment::find_in_force(std::string_view token_id,
                                           std::string_view secret,
                                           std::uint64_t generation) const {
  return find(token_id, secret, &generation, nullptr);
}

std::optional<Fact> Segment::find_fact(std::string_view token_id,
                                       std::string_view secret,
                                       const Binding &binding) const {
  return find(token_id, secret, nullptr, &binding);
}

std::optional<AccountVerdict> Segment::find_account(
    std::string_view token_id, std::uint64_t generation) const {
  const Name name = name_of(token_id);
  for (const AccountBucket *bucket : account_buckets(name.tag)) {
    for (const AccountSlot &shared : used(*bucket)) {
      if (load_relaxed(&shared.tag) != name.tag) {
        continue;
      }
      const AccountSlot slot = load_account(shared);
      if (slot.generation == generation &&
          slot.check == account_check(name.beginning, slot)) {
        return AccountVerdict{static_cast<AccountStatus>(slot.status),
                              slot.expires};
      }
    }
  }
  return std::nullopt;
}

bool Segment::has_slot(std::string_view token_id) const {
  const Name name = name_of(token_id);
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (const Bucket *bucket : buckets(part, name.tag)) {
      for (const Slot &shared : used(*bucket)) {
        if (load_relaxed(&shared.tag) == name.tag) {
          return true;
        }
      }
    }
  }
  return false;
}

// A time in the future is another clock's, and holds up nothing.
bool Segment::may_be_replaced(std::uint64_t now) const {
  const std::uint64_t sized = load_relaxed(&header_->sized);
  return now != 0 && now - sized >= kMinute;
}

std::uint64_t Segment::slots_in_force(std::uint64_t generation) const {
  const auto *first = reinterpret_cast<const Slot *>(
      reinterpret_cast<const std::byte *>(header_) + kSlotsOffset);
  const auto count = static_cast<std::size_t>(shape_.match_buckets) * kWays;
  return static_cast<std::uint64_t>(std::ranges::count_if(
      std::span(first, count), [generation](const Slot &slot) {
        return load_relaxed(&slot.tag) != 0 &&
               load_relaxed(&slot.generation) == generation;
      }));
}

}  // namespace pbstoken
