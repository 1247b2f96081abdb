// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/writable_segment.h"

#include <sys/random.h>

#include <atomic>
#include <span>
#include <tuple>

#include "pbstoken/cache/slots.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

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

}  // namespace

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
