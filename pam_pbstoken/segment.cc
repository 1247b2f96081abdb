// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/segment.h"

#include <sys/random.h>

#include <atomic>
#include <cstring>
#include <span>

#include "pbstoken/generation.h"
#include "pbstoken/ipc.h"
#include "pbstoken/wipe.h"

namespace pbstoken {

namespace {

// Labels of the digests: one key, several uses.
constexpr char kPlaceLabel = 'p';
constexpr char kBindingLabel = 'b';
constexpr char kMatchLabel = 'm';
constexpr char kMismatchLabel = 'x';
constexpr char kMatchCheckLabel = 'M';
constexpr char kMismatchCheckLabel = 'X';
constexpr char kStampLabel = 's';
constexpr char kUserCfgStampLabel = 'u';
constexpr char kAccountLabel = 'a';

constexpr std::array<std::uint64_t, 0> kNoNumbers = {};
constexpr std::array<std::string_view, 0> kNoTexts = {};

// How often a stamp that somebody is just storing is loaded again.
constexpr int kStampAttempts = 3;

// One part in so many is for mismatches, and comes on top.
constexpr std::uint64_t kMismatchShare = 8;

Slot load_slot(const Slot &slot) {
  return {.tag = load_relaxed(&slot.tag),
          .generation = load_relaxed(&slot.generation),
          .binding = {load_relaxed(&slot.binding[0]),
                      load_relaxed(&slot.binding[1]),
                      load_relaxed(&slot.binding[2])},
          .fact = {load_relaxed(&slot.fact[0]), load_relaxed(&slot.fact[1])},
          .check = load_relaxed(&slot.check)};
}

// All words, from a copy that was judged as a whole: what another process
// stores at the same time mixes with them to a slot that fits no digest.
void store_slot(Slot *slot, const Slot &value) {
  store_relaxed(&slot->tag, value.tag);
  store_relaxed(&slot->generation, value.generation);
  store_relaxed(&slot->binding[0], value.binding[0]);
  store_relaxed(&slot->binding[1], value.binding[1]);
  store_relaxed(&slot->binding[2], value.binding[2]);
  store_relaxed(&slot->fact[0], value.fact[0]);
  store_relaxed(&slot->fact[1], value.fact[1]);
  store_relaxed(&slot->check, value.check);
}

// Slots fill from the front, and none is ever emptied: behind the first that
// was never used there is nothing to be found.
template <typename Slots>
auto used(Slots &bucket) {
  std::size_t count = 0;
  while (count < kWays && load_relaxed(&bucket[count].tag) != 0) {
    ++count;
  }
  return std::span(bucket).first(count);
}

AccountSlot load_account(const AccountSlot &slot) {
  return {
      .tag = load_relaxed(&slot.tag),
      .generation = load_relaxed(&slot.generation),
      .status = load_relaxed(&slot.status),
      .expires = load_relaxed(&slot.expires),
      .check = {load_relaxed(&slot.check[0]), load_relaxed(&slot.check[1]),
                load_relaxed(&slot.check[2]), load_relaxed(&slot.check[3])}};
}

bool same(const FactDigest &a, const FactDigest &b) {
  return CRYPTO_memcmp(a.data(), b.data(), sizeof(a)) == 0;
}

CheckedStamp load_stamp(const CheckedStamp &shared) {
  const Stamp &stamp = shared.stamp;
  return {.stamp = {.generation = load_relaxed(&stamp.generation),
                    .time = load_relaxed(&stamp.time),
                    .device = load_relaxed(&stamp.device),
                    .inode = load_relaxed(&stamp.inode),
                    .size = load_relaxed(&stamp.size),
                    .modified = load_relaxed(&stamp.modified),
                    .changed = load_relaxed(&stamp.changed),
                    .racy = load_relaxed(&stamp.racy),
                    .has_version = load_relaxed(&stamp.has_version),
                    .version = load_relaxed(&stamp.version)},
          .check = {load_relaxed(&shared.check[0]),
                    load_relaxed(&shared.check[1])}};
}

void store_stamp(CheckedStamp *shared, const CheckedStamp &value) {
  Stamp *stamp = &shared->stamp;
  store_relaxed(&stamp->generation, value.stamp.generation);
  store_relaxed(&stamp->time, value.stamp.time);
  store_relaxed(&stamp->device, value.stamp.device);
  store_relaxed(&stamp->inode, value.stamp.inode);
  store_relaxed(&stamp->size, value.stamp.size);
  store_relaxed(&stamp->modified, value.stamp.modified);
  store_relaxed(&stamp->changed, value.stamp.changed);
  store_relaxed(&stamp->racy, value.stamp.racy);
  store_relaxed(&stamp->has_version, value.stamp.has_version);
  store_relaxed(&stamp->version, value.stamp.version);
  store_relaxed(&shared->check[0], value.check[0]);
  store_relaxed(&shared->check[1], value.check[1]);
}

bool is_path(const std::array<char, kMaxPath + 1> &found,
             const PathText &wanted) {
  const std::string_view path = wanted.view();
  return path.size() < found.size() &&
         std::memcmp(found.data(), path.data(), path.size()) == 0 &&
         found[path.size()] == '\0';
}

std::uint64_t prefix_word(const std::byte *address, std::size_t offset) {
  return load_acquire(
      reinterpret_cast<const std::uint64_t *>(address + offset));
}

// The shape of a segment of this layout version; nothing if it is none, or one
// that contradicts itself.
std::optional<SegmentShape> shape_in(const std::byte *address,
                                     std::size_t size) {
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
      .mismatch_buckets = load_relaxed(&header->mismatch_buckets),
      .account_buckets = load_relaxed(&header->account_buckets)};
  const std::uint64_t most = size / sizeof(Bucket);
  if (shape.match_buckets == 0 || shape.match_buckets > most ||
      shape.mismatch_buckets == 0 || shape.mismatch_buckets > most ||
      shape.account_buckets == 0 || shape.account_buckets > most ||
      shape.size() != size) {
    return std::nullopt;
  }
  return shape;
}

}  // namespace

SegmentShape SegmentShape::for_slots(std::uint32_t slots) {
  const std::uint64_t buckets = (slots + kWays - 1) / kWays;
  return {.match_buckets = buckets,
          .mismatch_buckets = (buckets + kMismatchShare - 1) / kMismatchShare,
          .account_buckets = buckets};
}

std::size_t SegmentShape::size() const {
  return kSlotsOffset +
         (match_buckets + mismatch_buckets + account_buckets) * sizeof(Bucket);
}

// --- reading

bool Segment::is_replaceable(const std::byte *address, std::size_t size) {
  if (size < sizeof(SegmentPrefix) ||
      prefix_word(address, offsetof(SegmentPrefix, magic)) != kSegmentMagic) {
    return true;
  }
  const std::uint64_t version =
      prefix_word(address, offsetof(SegmentPrefix, layout_version));
  return version < kLayoutVersion ||
         (version == kLayoutVersion && !shape_in(address, size));
}

std::optional<Segment> Segment::open(const std::byte *address, std::size_t size,
                                     const PathText &token_shadow) {
  const auto shape = shape_in(address, size);
  const auto *header = reinterpret_cast<const SegmentHeader *>(address);
  if (!shape || !is_path(header->origin.path, token_shadow)) {
    return std::nullopt;
  }
  HmacKeyBytes key_bytes = header->key;
  const HmacKey key(key_bytes);
  wipe(key_bytes.data(), key_bytes.size());
  return Segment(header, *shape, key);
}

bool Segment::was_made_for(const SegmentOrigin &origin) const {
  return std::memcmp(&header_->origin, &origin, sizeof(origin)) == 0;
}

bool Segment::has_accounts_of(const PathText &user_cfg) const {
  return is_path(header_->user_cfg, user_cfg);
}

const std::uint64_t *Segment::generation_word_of(Watched file) const {
  return file == Watched::kTokenShadow ? &header_->prefix.generation
                                       : &header_->account_generation;
}

std::uint64_t Segment::generation(Watched file) const {
  return load_acquire(generation_word_of(file));
}

bool Segment::generation_is_still(std::uint64_t generation,
                                  Watched file) const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return load_relaxed(generation_word_of(file)) == generation;
}

CheckedStamp Segment::checked(const Stamp &stamp, Watched file) const {
  const std::array<std::uint64_t, 10> words = {
      stamp.generation,  stamp.time,     stamp.device,  stamp.inode,
      stamp.size,        stamp.modified, stamp.changed, stamp.racy,
      stamp.has_version, stamp.version};
  const char label =
      file == Watched::kTokenShadow ? kStampLabel : kUserCfgStampLabel;
  const Digest check = hmac(key_, label, words, kNoTexts);
  return {.stamp = stamp, .check = {check[0], check[1]}};
}

std::optional<Stamp> Segment::stamp(Watched file) {
  const auto which = static_cast<std::size_t>(file);
  for (int attempt = 0; attempt < kStampAttempts; ++attempt) {
    const CheckedStamp found = load_stamp(header_->stamps[which]);
    if (verified_stamps_[which] == found ||
        found == checked(found.stamp, file)) {
      verified_stamps_[which] = found;
      return found.stamp;
    }
  }
  return std::nullopt;
}

Segment::Place Segment::place_of(std::string_view token_id) const {
  // Which bucket it is decides nothing, but who could foresee it might fill
  // another token's.
  const std::array texts = {token_id};
  const Digest place =
      key_.inner_digest_of(message_head(kPlaceLabel, kNoNumbers, texts), texts);
  // A tag of 0 marks the slots that were never used.
  return {.hash = place[0], .tag = place[1] | 1U};
}

Binding Segment::binding_of(std::string_view token_id,
                            std::string_view stored_hash) const {
  const Digest binding =
      hmac(key_, kBindingLabel, kNoNumbers, std::array{token_id, stored_hash});
  return {binding[0], binding[1], binding[2]};
}

FactDigest Segment::fact_digest(Fact part, std::string_view token_id,
                                const Binding &binding,
                                std::string_view secret) const {
  const char label = part == Fact::kMatch ? kMatchLabel : kMismatchLabel;
  const Digest fact = hmac(key_, label, binding, std::array{token_id, secret});
  return {fact[0], fact[1]};
}

std::uint64_t Segment::check_of(Fact part, const Binding &binding,
                                const FactDigest &fact,
                                std::uint64_t generation) const {
  const char label =
      part == Fact::kMatch ? kMatchCheckLabel : kMismatchCheckLabel;
  // 49 bytes with the label: one block.
  const std::array<std::uint64_t, 6> numbers = {
      binding[0], binding[1], binding[2], fact[0], fact[1], generation};
  return hmac(key_, label, numbers, kNoTexts)[0];
}

bool Segment::is_whole(Fact part, const Slot &slot) const {
  return slot.check == check_of(part, slot.binding, slot.fact, slot.generation);
}

Digest Segment::account_check(std::string_view token_id,
                              const AccountSlot &slot) const {
  const std::array<std::uint64_t, 4> numbers = {slot.tag, slot.generation,
                                                slot.status, slot.expires};
  return hmac(key_, kAccountLabel, numbers, std::array{token_id});
}

const Bucket *Segment::bucket(Fact part, const Place &place) const {
  const auto *first = reinterpret_cast<const Bucket *>(
      reinterpret_cast<const std::byte *>(header_) + kSlotsOffset);
  return part == Fact::kMatch ? first + place.hash % shape_.match_buckets
                              : first + shape_.match_buckets +
                                    place.hash % shape_.mismatch_buckets;
}

const AccountBucket *Segment::account_bucket(const Place &place) const {
  const auto *first = reinterpret_cast<const AccountBucket *>(
      reinterpret_cast<const std::byte *>(header_) + kSlotsOffset +
      (shape_.match_buckets + shape_.mismatch_buckets) * sizeof(Bucket));
  return first + place.hash % shape_.account_buckets;
}

std::optional<Fact> Segment::find(std::string_view token_id,
                                  std::string_view secret,
                                  const std::uint64_t *generation,
                                  const Binding *binding) const {
  const Place place = place_of(token_id);
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (const Slot &shared : *bucket(part, place)) {
      if (load_relaxed(&shared.tag) != place.tag) {
        continue;
      }
      const Slot slot = load_slot(shared);
      // By generation or by binding, whichever the caller knows.
      if ((generation != nullptr && slot.generation != *generation) ||
          (binding != nullptr && slot.binding != *binding)) {
        continue;
      }
      if (same(slot.fact, fact_digest(part, token_id, slot.binding, secret)) &&
          is_whole(part, slot)) {
        return part;
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
  const Place place = place_of(token_id);
  for (const AccountSlot &shared : used(*account_bucket(place))) {
    if (load_relaxed(&shared.tag) != place.tag) {
      continue;
    }
    const AccountSlot slot = load_account(shared);
    if (slot.generation == generation &&
        slot.check == account_check(token_id, slot)) {
      return AccountVerdict{static_cast<AccountStatus>(slot.status),
                            slot.expires};
    }
  }
  return std::nullopt;
}

bool Segment::has_slot(std::string_view token_id) const {
  const Place place = place_of(token_id);
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (const Slot &shared : used(*bucket(part, place))) {
      if (load_relaxed(&shared.tag) == place.tag) {
        return true;
      }
    }
  }
  return false;
}

std::uint64_t Segment::slots() const {
  return shape_.match_buckets * kWays;
}

std::uint64_t Segment::slots_in_force(std::uint64_t generation) const {
  std::uint64_t count = 0;
  for (std::uint64_t i = 0; i < shape_.match_buckets; ++i) {
    for (const Slot &slot : *bucket(Fact::kMatch, {.hash = i, .tag = 0})) {
      if (load_relaxed(&slot.tag) != 0 &&
          load_relaxed(&slot.generation) == generation) {
        ++count;
      }
    }
  }
  return count;
}

// --- writing

std::optional<WritableSegment> WritableSegment::open(
    std::byte *address, std::size_t size, const PathText &token_shadow) {
  const auto view = Segment::open(address, size, token_shadow);
  if (!view) {
    return std::nullopt;
  }
  return WritableSegment(*view, address);
}

bool WritableSegment::format(std::byte *address, const SegmentShape &shape,
                             const SegmentOrigin &origin,
                             const PathText &user_cfg) {
  auto *header = reinterpret_cast<SegmentHeader *>(address);
  if (getrandom(header->key.data(), header->key.size(), 0) !=
      static_cast<ssize_t>(header->key.size())) {
    return false;
  }
  header->origin = origin;
  const std::string_view path = user_cfg.view();
  std::memcpy(header->user_cfg.data(), path.data(), path.size());
  store_relaxed(&header->match_buckets, shape.match_buckets);
  store_relaxed(&header->mismatch_buckets, shape.mismatch_buckets);
  store_relaxed(&header->account_buckets, shape.account_buckets);
  store_relaxed(&header->account_generation, kBorn);
  store_relaxed(&header->prefix.layout_version, kLayoutVersion);
  store_relaxed(&header->prefix.generation, kBorn);
  store_relaxed(&header->prefix.size, shape.size());
  // Who dies before this leaves no segment, just memory to be replaced.
  store_release(&header->prefix.magic, kSegmentMagic);
  return true;
}

SegmentHeader *WritableSegment::header() {
  return reinterpret_cast<SegmentHeader *>(address_);
}

template <typename T>
T *WritableSegment::writable(const T *part) {
  return reinterpret_cast<T *>(address_ +
                               (reinterpret_cast<const std::byte *>(part) -
                                static_cast<const std::byte *>(address_)));
}

std::uint64_t *WritableSegment::generation_word(Watched file) {
  return writable(generation_word_of(file));
}

void WritableSegment::set_stamp(const Stamp &stamp, Watched file) {
  store_stamp(&header()->stamps[static_cast<std::size_t>(file)],
              checked(stamp, file));
}

void WritableSegment::insert(Fact fact, std::string_view token_id,
                             std::string_view secret, const Binding &binding,
                             std::uint64_t generation) {
  const Place place = place_of(token_id);
  const FactDigest digest = fact_digest(fact, token_id, binding, secret);
  Bucket *slots = writable(bucket(fact, place));
  // The best place: this id's own (a token has one secret that matches, but
  // any number that do not), else one that is free, else one that is not in
  // force, else any.
  // Under an odd word it is the generation before that is being carried over.
  const std::uint64_t current = this->generation();
  const std::uint64_t in_force = current - current % 2;
  Slot *best = &(*slots)[digest[0] % kWays];
  int best_rank = 0;
  for (Slot &shared : *slots) {
    const Slot slot = load_slot(shared);
    const bool own = slot.tag == place.tag &&
                     (fact == Fact::kMatch || same(slot.fact, digest));
    if (own && slot.generation > generation && is_whole(fact, slot) &&
        generation_is_still(slot.generation)) {
      return;  // we come late: what stands there is in force
    }
    const int rank = own                          ? 3
                     : slot.tag == 0              ? 2
                     : slot.generation < in_force ? 1
                                                  : 0;
    if (rank > best_rank) {
      best_rank = rank;
      best = &shared;
    }
    if (slot.tag == 0) {
      break;  // see used()
    }
  }
  store_slot(best, {.tag = place.tag,
                    .generation = generation,
                    .binding = binding,
                    .fact = digest,
                    .check = check_of(fact, binding, digest, generation)});
}

// Of a slot that names the generation `found`.
bool WritableSegment::is_later(std::uint64_t found, std::uint64_t generation,
                               Watched file) const {
  const std::uint64_t current = this->generation(file);
  return found > generation && (found == current || found == current + 1);
}

void WritableSegment::rebind(std::string_view token_id,
                             std::string_view stored_hash,
                             std::uint64_t generation) {
  const Place place = place_of(token_id);
  std::optional<Binding> binding;  // made when the first slot asks for it
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (Slot &shared : used(*writable(bucket(part, place)))) {
      if (load_relaxed(&shared.tag) != place.tag) {
        continue;
      }
      // Judged and written back as one copy: a slot that somebody else stores
      // meanwhile must not inherit our verdict on the one it replaced.
      Slot slot = load_slot(shared);
      if (!binding) {
        binding = binding_of(token_id, stored_hash);
      }
      const bool bound = slot.binding == *binding;
      // Bound by an earlier member of the same name: the last one counts.
      const bool unbind = !bound && slot.generation == generation;
      if ((bound || unbind) && is_whole(part, slot) &&
          !is_later(slot.generation, generation, Watched::kTokenShadow)) {
        slot.generation = bound ? generation : kNeverInForce;
        slot.check = check_of(part, slot.binding, slot.fact, slot.generation);
        store_slot(&shared, slot);
      }
    }
  }
}

void WritableSegment::store_account(AccountSlot *slot, std::uint64_t tag,
                                    std::string_view token_id,
                                    const AccountVerdict &verdict,
                                    std::uint64_t generation) {
  AccountSlot value = {.tag = tag,
                       .generation = generation,
                       .status = static_cast<std::uint64_t>(verdict.status),
                       .expires = verdict.expires,
                       .check = {}};
  value.check = account_check(token_id, value);
  store_relaxed(&slot->tag, value.tag);
  store_relaxed(&slot->generation, value.generation);
  store_relaxed(&slot->status, value.status);
  store_relaxed(&slot->expires, value.expires);
  for (std::size_t i = 0; i < value.check.size(); ++i) {
    store_relaxed(&slot->check[i], value.check[i]);
  }
}

bool WritableSegment::is_later_account(const AccountSlot &shared,
                                       std::string_view token_id,
                                       std::uint64_t generation) const {
  const AccountSlot slot = load_account(shared);
  return is_later(slot.generation, generation, Watched::kUserCfg) &&
         slot.check == account_check(token_id, slot);
}

void WritableSegment::insert_account(std::string_view token_id,
                                     const AccountVerdict &verdict,
                                     std::uint64_t generation) {
  const Place place = place_of(token_id);
  AccountBucket &slots = *writable(account_bucket(place));
  // This id's own place, else a free one, else the one that went out of force
  // first.
  AccountSlot *best = &slots[0];
  for (AccountSlot &shared : slots) {
    const std::uint64_t tag = load_relaxed(&shared.tag);
    if (tag == place.tag && is_later_account(shared, token_id, generation)) {
      return;
    }
    if (tag == place.tag || tag == 0) {
      best = &shared;
      break;
    }
    if (load_relaxed(&shared.generation) < load_relaxed(&best->generation)) {
      best = &shared;
    }
  }
  store_account(best, place.tag, token_id, verdict, generation);
}

void WritableSegment::rebind_account(std::string_view token_id,
                                     const AccountVerdict &verdict,
                                     std::uint64_t generation) {
  const Place place = place_of(token_id);
  for (AccountSlot &shared : used(*writable(account_bucket(place)))) {
    if (load_relaxed(&shared.tag) == place.tag &&
        !is_later_account(shared, token_id, generation)) {
      store_account(&shared, place.tag, token_id, verdict, generation);
    }
  }
}

}  // namespace pbstoken
