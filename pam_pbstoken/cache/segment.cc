// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/segment.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <span>
#include <tuple>

#include "pbstoken/base/wipe.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

// Labels of the digests: one key, several uses.
constexpr char kNameLabel = 'n';  // what those of a token id begin with
constexpr char kBindingLabel = 'b';
constexpr char kMatchLabel = 'm';
constexpr char kMismatchLabel = 'x';
constexpr char kMatchCheckLabel = 'M';
constexpr char kMismatchCheckLabel = 'X';
constexpr char kStampLabel = 's';
constexpr char kAccountLabel = 'a';
constexpr char kLeaseLabel = 'l';
constexpr std::array kLabels = {
    kNameLabel,     kBindingLabel,    kMatchLabel,
    kMismatchLabel, kMatchCheckLabel, kMismatchCheckLabel,
    kStampLabel,    kAccountLabel,    kLeaseLabel};
static_assert([] {
  auto labels = kLabels;
  std::sort(labels.begin(), labels.end());
  return std::adjacent_find(labels.begin(), labels.end()) == labels.end();
}());

constexpr std::array<std::uint64_t, 0> kNoNumbers = {};

// How often a stamp is loaded again while another process stores it.
constexpr int kStampAttempts = 3;

// The least time between two replacements.
constexpr std::uint64_t kMinute = 60 * kNanosecondsPerSecond;

// One part in so many is for mismatches, and comes on top.
constexpr std::uint64_t kMismatchShare = 8;

SlotDigest load_digest(const SlotDigest &shared) {
  return {load_relaxed(&shared[0]), load_relaxed(&shared[1])};
}

void store_digest(SlotDigest *shared, const SlotDigest &value) {
  store_relaxed(&(*shared)[0], value[0]);
  store_relaxed(&(*shared)[1], value[1]);
}

SlotDigest cut(const Digest &digest) {
  return {digest[0], digest[1]};
}

Slot load_slot(const Slot &slot) {
  return {.tag = load_relaxed(&slot.tag),
          .generation = load_relaxed(&slot.generation),
          .binding = load_digest(slot.binding),
          .fact = load_digest(slot.fact),
          .check = load_digest(slot.check)};
}

// Stores all words from a copy that was judged as a whole.  What another
// process stores at the same time mixes with them to a slot that fits no
// digest: order C of generation.h.
void store_slot(Slot *slot, const Slot &value) {
  store_relaxed(&slot->tag, value.tag);
  store_relaxed(&slot->generation, value.generation);
  store_digest(&slot->binding, value.binding);
  store_digest(&slot->fact, value.fact);
  store_digest(&slot->check, value.check);
}

// Slots fill from the front, and no slot is ever emptied: behind the first one
// that was never used there is nothing to find.
template <typename Slots>
auto used(Slots &bucket) {
  std::size_t count = 0;
  while (count < kWays && load_relaxed(&bucket[count].tag) != 0) {
    ++count;
  }
  return std::span(bucket).first(count);
}

// What a bucket has to offer to a new slot.
template <typename T>
struct Offer {
  T *place;  // unused, else the longest out of force, else any
  std::size_t in_force = 0;
  std::size_t used = 0;
};

// any: a number that chooses among slots that are all in force.
template <typename T>
Offer<T> offer_of(std::array<T, kWays> *bucket, std::uint64_t in_force,
                  std::uint64_t any) {
  const std::span<T> slots = used(*bucket);
  Offer<T> offer = {.place = &(*bucket)[any % kWays], .used = slots.size()};
  std::uint64_t oldest = in_force;
  for (T &slot : slots) {
    const std::uint64_t generation = load_relaxed(&slot.generation);
    offer.in_force += generation >= in_force ? 1U : 0U;
    if (generation < oldest) {
      oldest = generation;
      offer.place = &slot;
    }
  }
  if (slots.size() < kWays) {
    offer.place = &(*bucket)[slots.size()];
  }
  return offer;
}

// Returns a place in the bucket with fewer slots in force; of two with as many,
// in the one with fewer that are used.  So tokens spread as evenly over the
// buckets when those of earlier generations fill them.
template <typename T>
T *place_in(const std::array<std::array<T, kWays> *, kHalves> &buckets,
            std::uint64_t in_force, std::uint64_t any) {
  const auto first = offer_of(buckets[0], in_force, any);
  const auto second = offer_of(buckets[1], in_force, any);
  return std::tie(second.in_force, second.used) <
                 std::tie(first.in_force, first.used)
             ? second.place
             : first.place;
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

bool same(const SlotDigest &a, const SlotDigest &b) {
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
                    .first_seen = load_relaxed(&stamp.first_seen)},
          .check = load_digest(shared.check)};
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
  store_relaxed(&stamp->first_seen, value.stamp.first_seen);
  store_digest(&shared->check, value.check);
}

// --- what is digested of a token id

Binding binding_to(const HmacBeginning &id, std::string_view stored_hash) {
  return cut(id.digest_of(kBindingLabel, kNoNumbers, stored_hash));
}

SlotDigest fact_of(const HmacBeginning &id, Fact part, const Binding &binding,
                   std::string_view secret) {
  // A generated secret has 36 bytes: with its head it fills no more than one
  // block.
  const char label = part == Fact::kMatch ? kMatchLabel : kMismatchLabel;
  return cut(id.digest_of(label, binding, secret));
}

Digest account_check(const HmacBeginning &id, const AccountSlot &slot) {
  return id.digest_of(kAccountLabel, std::array{slot.tag, slot.generation,
                                                slot.status, slot.expires});
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

// --- reading

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

// --- writing

std::optional<WritableSegment> WritableSegment::open(std::byte *address,
                                                     std::size_t size,
                                                     const Subject &subject) {
  const auto view = Segment::open(address, size, subject);
  if (!view) {
    return std::nullopt;
  }
  return WritableSegment(*view, address);
}

bool WritableSegment::format(std::byte *address, const SegmentShape &shape,
                             const Subject &subject,
                             const SegmentOrigin &origin,
                             const Predecessor *predecessor) {
  auto *header = reinterpret_cast<SegmentHeader *>(address);
  SegmentPrefix &prefix = header->prefix;
  const auto fill = [](auto *place) {
    return getrandom(place, sizeof(*place), 0) == ssize_t{sizeof(*place)};
  };
  if (!fill(&header->key) || !fill(&header->instance)) {
    return false;
  }
  const std::uint64_t born =
      predecessor == nullptr ? kBorn : born_after(predecessor->last_generation);
  if (predecessor != nullptr) {
    header->key = predecessor->segment.header_->key;
  }
  header->origin = origin;
  header->match_buckets = shape.match_buckets;
  header->mismatch_buckets = shape.mismatch_buckets;
  header->note = spent_note(born);
  header->sized = boottime_now();
  prefix.layout_version = kLayoutVersion;
  prefix.generation = born;
  prefix.size = shape.size();
  prefix.kind = static_cast<std::uint64_t>(subject.kind);
  prefix.directory_device = subject.view.directory_device;
  prefix.directory_inode = subject.view.directory_inode;
  prefix.name = subject.view.name;
  // A maker that dies before this leaves no segment, just memory to be
  // replaced.  Order G of generation.h.
  store_release(&prefix.magic, kSegmentMagic);
  return true;
}

SegmentHeader *WritableSegment::header() {
  return reinterpret_cast<SegmentHeader *>(address_);
}

template <typename T>
Segment::Buckets<T> WritableSegment::writable(const Buckets<const T> &buckets) {
  const auto in_reach = [this](const T *bucket) {
    return reinterpret_cast<T *>(address_ +
                                 (reinterpret_cast<const std::byte *>(bucket) -
                                  static_cast<const std::byte *>(address_)));
  };
  return {in_reach(buckets[0]), in_reach(buckets[1])};
}

std::uint64_t WritableSegment::last_in_force() const {
  const std::uint64_t current = generation();
  return current - current % 4;
}

Generation WritableSegment::generation_words() {
  return {&header()->prefix.generation, &header()->note};
}

void WritableSegment::take_over(const Segment &predecessor) {
  // This copies slots of accounts, too: each begins with its tag, and has as
  // many words.
  const SegmentShape &shape = predecessor.shape_;
  const auto *bucket = reinterpret_cast<const Bucket *>(
      reinterpret_cast<const std::byte *>(predecessor.header_) + kSlotsOffset);
  for (std::uint64_t i = 0; i < shape.match_buckets + shape.mismatch_buckets;
       ++i) {
    const Fact part = i < shape.match_buckets ? Fact::kMatch : Fact::kMismatch;
    for (const Slot &shared : used(bucket[i])) {
      const Slot slot = load_slot(shared);
      store_slot(place_in(writable(buckets(part, slot.tag)), last_in_force(),
                          slot.tag / 2),
                 slot);
    }
  }
}

bool WritableSegment::begin_replacement(std::uint64_t now) {
  const std::uint64_t sized = load_relaxed(&header()->sized);
  return may_be_replaced(now) && compare_and_swap(&header()->sized, sized, now);
}

void WritableSegment::set_stamp(const Stamp &stamp) {
  store_stamp(&header()->stamp, checked(stamp));
}

void WritableSegment::set_lease(std::uint64_t term) {
  if (const auto before = lease(); before && *before >= term) {
    return;
  }
  const CheckedLease value = checked_lease(term);
  // A process that loads the new time finds the claim of the file's change,
  // too.
  std::atomic_thread_fence(std::memory_order_release);
  store_relaxed(&header()->lease.term, value.term);
  store_digest(&header()->lease.check, value.check);
}

void WritableSegment::insert(Fact fact, std::string_view token_id,
                             std::string_view secret, const Binding &binding,
                             std::uint64_t generation) {
  const Name name = name_of(token_id);
  const SlotDigest digest = fact_of(name.beginning, fact, binding, secret);
  const auto places = writable(buckets(fact, name.tag));
  const std::uint64_t current = this->generation();
  // A slot of this id is replaced: a token has one secret that matches, but any
  // number that do not.
  Slot *own = nullptr;
  for (Bucket *bucket : places) {
    for (Slot &shared : used(*bucket)) {
      const Slot slot = load_slot(shared);
      if (slot.tag != name.tag ||
          (fact == Fact::kMismatch && !same(slot.fact, digest))) {
        continue;
      }
      if (slot.generation > generation && slot.generation >= current &&
          is_whole(fact, slot)) {
        return;  // we come late: it is in force, or about to be
      }
      own = own == nullptr ? &shared : own;
    }
  }
  store_slot(
      own != nullptr ? own : place_in(places, last_in_force(), digest[0]),
      {.tag = name.tag,
       .generation = generation,
       .binding = binding,
       .fact = digest,
       .check = check_of(fact, binding, digest, generation)});
}

// See segment.h; `found` is the generation that the slot names.
bool WritableSegment::is_later(std::uint64_t found,
                               std::uint64_t generation) const {
  const std::uint64_t current = this->generation();
  return found > generation &&
         (found == current || found == next_in_force(current));
}

void WritableSegment::rebind(std::string_view token_id,
                             std::string_view stored_hash,
                             std::uint64_t generation) {
  const Name name = name_of(token_id);
  std::optional<Binding> binding;  // made when the first slot asks for it
  const auto rebind_slot = [&](Fact part, Slot *shared) {
    // The slot is judged and written back as one copy: a slot that another
    // process stores meanwhile must not inherit the verdict on the old one.
    Slot slot = load_slot(*shared);
    if (!binding) {
      binding = binding_to(name.beginning, stored_hash);
    }
    const bool bound = slot.binding == *binding;
    // An earlier member of the same name has bound it: the last one counts.
    const bool unbind = !bound && slot.generation == generation;
    if ((bound || unbind) && is_whole(part, slot) &&
        !is_later(slot.generation, generation)) {
      slot.generation = bound ? generation : kNeverInForce;
      slot.check = check_of(part, slot.binding, slot.fact, slot.generation);
      store_slot(shared, slot);
    }
  };
  for (const Fact part : {Fact::kMatch, Fact::kMismatch}) {
    for (Bucket *bucket : writable(buckets(part, name.tag))) {
      for (Slot &shared : used(*bucket)) {
        if (load_relaxed(&shared.tag) == name.tag) {
          rebind_slot(part, &shared);
        }
      }
    }
  }
}

void WritableSegment::store_account(AccountSlot *slot, const Name &name,
                                    const AccountVerdict &verdict,
                                    std::uint64_t generation) {
  AccountSlot value = {.tag = name.tag,
                       .generation = generation,
                       .status = static_cast<std::uint64_t>(verdict.status),
                       .expires = verdict.expires,
                       .check = {}};
  value.check = account_check(name.beginning, value);
  store_relaxed(&slot->tag, value.tag);
  store_relaxed(&slot->generation, value.generation);
  store_relaxed(&slot->status, value.status);
  store_relaxed(&slot->expires, value.expires);
  for (std::size_t i = 0; i < value.check.size(); ++i) {
    store_relaxed(&slot->check[i], value.check[i]);
  }
}

bool WritableSegment::is_later_account(const AccountSlot &shared,
                                       const Name &name,
                                       std::uint64_t generation) const {
  const AccountSlot slot = load_account(shared);
  return is_later(slot.generation, generation) &&
         slot.check == account_check(name.beginning, slot);
}

void WritableSegment::insert_account(std::string_view token_id,
                                     const AccountVerdict &verdict,
                                     std::uint64_t generation) {
  const Name name = name_of(token_id);
  const auto places = writable(account_buckets(name.tag));
  AccountSlot *own = nullptr;
  for (AccountBucket *bucket : places) {
    for (AccountSlot &shared : used(*bucket)) {
      if (load_relaxed(&shared.tag) != name.tag) {
        continue;
      }
      if (is_later_account(shared, name, generation)) {
        return;
      }
      own = own == nullptr ? &shared : own;
    }
  }
  store_account(
      own != nullptr ? own : place_in(places, last_in_force(), name.tag / 2),
      name, verdict, generation);
}

void WritableSegment::rebind_account(std::string_view token_id,
                                     const AccountVerdict &verdict,
                                     std::uint64_t generation) {
  const Name name = name_of(token_id);
  for (AccountBucket *bucket : writable(account_buckets(name.tag))) {
    for (AccountSlot &shared : used(*bucket)) {
      if (load_relaxed(&shared.tag) == name.tag &&
          !is_later_account(shared, name, generation)) {
        store_account(&shared, name, verdict, generation);
      }
    }
  }
}

}  // namespace pbstoken
