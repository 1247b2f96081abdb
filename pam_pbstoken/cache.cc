// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache.h"

#include <utility>

#include "cache_writing.h"
#include "pbstoken/caller.h"
#include "pbstoken/clock.h"
#include "pbstoken/segment_life.h"
#include "pbstoken/version_word.h"

namespace pbstoken {

namespace {

FileIdentity identity_in(const Stamp &stamp) {
  return {.device = stamp.device,
          .inode = stamp.inode,
          .size = stamp.size,
          .modified = stamp.modified,
          .changed = stamp.changed};
}

bool is_fresh(const Stamp &stamp, const Moment &moment, const Store &store) {
  // Who cannot read upstream's word has the stamp's time alone to go by.
  if (moment.version &&
      (stamp.has_version == 0 || stamp.version != *moment.version)) {
    return false;
  }
  // A stamp in the future is somebody else's clock: expired.
  return moment.now != 0 && moment.now >= stamp.time &&
         moment.now - stamp.time < store.cache_ttl * kNanosecondsPerSecond;
}

}  // namespace

Cache::Cache(const Store &store)
    : store_(store),
      follows_version_(read_version_word(store.version_cache).has_value()) {
  attach();
}

bool Cache::is_usable() {
  return segment() != nullptr;
}

std::optional<CacheStatus> Cache::status() {
  Segment *segment = this->segment();
  if (segment == nullptr) {
    return std::nullopt;
  }
  const std::uint64_t now = boottime_now();
  const std::uint64_t generation = segment->generation();
  const auto stamp = segment->stamp();
  CacheStatus status = {.generation = generation,
                        .stamp_age = {},
                        .slots = segment->slots(),
                        .slots_used = is_in_force(generation)
                                          ? segment->slots_in_force(generation)
                                          : 0};
  if (stamp && stamp->generation == generation && now >= stamp->time) {
    status.stamp_age = (now - stamp->time) / kNanosecondsPerSecond;
  }
  return status;
}

// --- the hit path

std::optional<Fact> Cache::look_up(std::string_view token_id,
                                   std::string_view secret) {
  stale_ = true;
  Segment *segment = this->segment();
  if (segment == nullptr) {
    return std::nullopt;
  }
  const Moment moment = {
      .version = follows_version_ ? read_version_word(store_.version_cache)
                                  : std::nullopt,
      .now = boottime_now()};
  const std::uint64_t generation = segment->generation();
  if (!is_in_force(generation)) {
    return std::nullopt;
  }
  const auto stamp = segment->stamp();
  if (!stamp || stamp->generation != generation) {
    return std::nullopt;
  }
  if (!is_fresh(*stamp, moment, store_) &&
      !find_unchanged(segment, *stamp, moment)) {
    return std::nullopt;
  }
  stale_ = false;
  const auto fact = segment->find_in_force(token_id, secret, generation);
  // What was found counts only if it was in force all the time.
  return segment->generation_is_still(generation) ? fact : std::nullopt;
}

bool Cache::find_unchanged(Segment *segment, const Stamp &stamp,
                           const Moment &moment) {
  if (stamp.racy != 0 || moment.now == 0) {
    return false;
  }
  const auto identity = look_at(store_.token_shadow);
  if (!identity || !(*identity == identity_in(stamp)) || is_orphan()) {
    return false;
  }
  // Renewing is root's; others look again next time.  A stamp that a faster
  // process has renewed meanwhile may go back to our time, which is earlier
  // but no less true.
  if (store_.cache_ttl != 0 && is_root()) {
    if (auto writing = attach_for_writing(id_, store_); writing) {
      Stamp renewed = stamp;
      renewed.time = moment.now;
      set_version(moment.version, &renewed);
      if (segment->generation_is_still(stamp.generation)) {
        writing->segment.set_stamp(renewed);
      }
    }
  }
  return true;
}

// --- the segment of this process

Segment *Cache::segment() {
  const bool attached = attachment_.address() != nullptr;
  if (!attached || !segment_ || segment_->generation() > kLastGeneration) {
    attach();
  }
  return segment_ ? &*segment_ : nullptr;
}

Cache::Attached Cache::attach() {
  segment_.reset();
  attachment_ = AttachmentUse();
  if (!store_.cache) {
    return Attached::kNot;
  }
  const auto id = find_segment_id(store_);
  if (!id || !*id) {
    return id ? Attached::kNone : Attached::kNot;
  }
  id_ = **id;
  attachment_ = use_attachment(store_.shm_key, id_);
  if (attachment_.address() == nullptr) {
    if (const Attached attached = attach_fresh(); attached != Attached::kYes) {
      return attached;
    }
  }
  segment_ = Segment::open(attachment_.address(), attachment_.size(),
                           store_.token_shadow);
  if (segment_ && segment_->generation() <= kLastGeneration) {
    return Attached::kYes;
  }
  // Whoever retired it died before it could remove it, too.
  if (segment_) {
    segment_.reset();
    return Attached::kReplaceable;
  }
  return Segment::is_replaceable(attachment_.address(), attachment_.size())
             ? Attached::kReplaceable
             : Attached::kNot;
}

// Judges the segment id_ and hands it to the table of this process.
Cache::Attached Cache::attach_fresh() {
  auto fresh = ShmAttachment::attach(id_, Access::kRead);
  if (!fresh) {
    return fresh.error().code == Errc::kUnsafe ? Attached::kReplaceable
                                               : Attached::kNot;
  }
  if (Segment::is_replaceable(fresh->address(), fresh->size())) {
    return Attached::kReplaceable;
  }
  const auto segment =
      Segment::open(fresh->address(), fresh->size(), store_.token_shadow);
  const auto origin = origin_of(store_);
  if (!segment || !origin || !segment->was_made_for(*origin)) {
    return Attached::kNot;
  }
  attachment_ = keep_attachment(store_.shm_key, id_, std::move(*fresh));
  return attachment_.address() != nullptr ? Attached::kYes : Attached::kNot;
}

// Removed without having been retired, and so out of every writer's reach.
bool Cache::is_orphan() const {
  const auto id = find_segment_id(store_);
  return !id || *id != id_;
}

// --- the file

Result<Snapshot> Cache::read() {
  auto for_all = read_for_all();
  return for_all ? std::move(*for_all) : read_alone();
}

// Rule 5: the generation first, then the file.  What was read of another file
// than the stamp names may not be inserted: that one may come back as it was,
// by umount(8) for one, and the stamp would be renewed by comparing.
Result<Snapshot> Cache::read_alone() {
  std::optional<std::uint64_t> generation;
  std::optional<Stamp> stamp;
  if (stale_ && is_orphan()) {
    attach();
  }
  if (Segment *segment = this->segment(); segment != nullptr) {
    const std::uint64_t loaded = segment->generation();
    stamp = segment->stamp();
    if (is_in_force(loaded) && stamp && stamp->generation == loaded) {
      generation = loaded;
    }
  }
  const int id = id_;
  auto shadow = TokenShadow::read(store_.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  if (generation && !(shadow->identity() == identity_in(*stamp))) {
    generation.reset();
  }
  return Snapshot{std::move(*shadow), generation, id};
}

std::optional<Result<Snapshot>> Cache::read_for_all() {
  if (!stale_ || !store_.cache || !is_root()) {
    return std::nullopt;
  }
  if (is_orphan()) {
    attach();
  }
  Segment *segment = this->segment();
  if (segment == nullptr || !is_in_force(segment->generation())) {
    if (!is_only_root()) {
      return std::nullopt;
    }
    const auto lock = FileLock::acquire(store_, 0);
    if (!lock) {
      return std::nullopt;
    }
    return renew(*lock);
  }
  auto writing = attach_for_writing(id_, store_);
  if (!writing) {
    return std::nullopt;
  }
  auto claim = GenerationClaim::from_even(writing->segment.generation_word());
  if (!claim) {
    return std::nullopt;
  }
  return reread(&*writing, &*claim, store_);
}

bool Cache::has_slot(std::string_view token_id) {
  const Segment *segment = this->segment();
  return segment != nullptr && segment->has_slot(token_id);
}

std::optional<Fact> Cache::find_fact(std::string_view token_id,
                                     std::string_view secret,
                                     std::string_view stored_hash) {
  Segment *segment = this->segment();
  if (segment == nullptr) {
    return std::nullopt;
  }
  const Binding binding = segment->binding_of(token_id, stored_hash);
  return segment->find_fact(token_id, secret, binding);
}

void Cache::remember(Fact fact, std::string_view token_id,
                     std::string_view secret, std::string_view stored_hash,
                     const Snapshot &snapshot) {
  if (fact == Fact::kMismatch && secret.size() < kMinRememberedMismatch) {
    return;
  }
  if (segment() == nullptr || !is_root()) {
    return;
  }
  auto writing = attach_for_writing(id_, store_);
  if (!writing) {
    return;
  }
  WritableSegment &segment = writing->segment;
  // Without a generation of this segment the fact alone is of use, to the next
  // one who reads the file.
  const std::uint64_t generation =
      snapshot.segment_id == id_ ? snapshot.generation.value_or(kNeverInForce)
                                 : kNeverInForce;
  segment.insert(fact, token_id, secret,
                 segment.binding_of(token_id, stored_hash), generation);
}

}  // namespace pbstoken
