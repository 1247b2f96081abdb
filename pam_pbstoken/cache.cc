// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache.h"

#include <utility>

#include "pbstoken/caller.h"
#include "pbstoken/clock.h"
#include "pbstoken/segment_life.h"
#include "pbstoken/version_word.h"

namespace pbstoken {

namespace {

// The 'racy git' rule.  A file whose ctime lies less than this before the
// moment at which it was read may change again within the same tick of the
// file system's clock and look the same.
constexpr std::uint64_t kRacyWindow = 2 * kNanosecondsPerSecond;

FileIdentity identity_in(const Stamp &stamp) {
  return {.device = stamp.device,
          .inode = stamp.inode,
          .size = stamp.size,
          .modified = stamp.modified,
          .changed = stamp.changed};
}

void set_version(std::optional<std::uint64_t> version, Stamp *stamp) {
  stamp->has_version = version ? 1 : 0;
  stamp->version = version.value_or(0);
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

// The segment, attached for writing for as long as this lives: no process
// keeps a place from which it could write to the cache later, under other
// privileges.
struct Writing {
  int id;
  ShmAttachment attachment;
  WritableSegment segment;
};

std::optional<Writing> attach_for_writing(int id, const Store &store) {
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (!attachment) {
    return std::nullopt;
  }
  const auto segment = WritableSegment::open(
      attachment->address(), attachment->size(), store.token_shadow);
  if (!segment) {
    return std::nullopt;
  }
  return Writing{id, std::move(*attachment), *segment};
}

// Rule 4 of generation.h, the re-reader's part.
Result<Snapshot> reread(Writing *writing, GenerationClaim *claim,
                        const Store &store) {
  WritableSegment *segment = &writing->segment;
  const auto version = read_version_word(store.version_cache);
  const std::uint64_t now = boottime_now();
  const std::uint64_t wall = realtime_now();
  auto shadow = TokenShadow::read(store.token_shadow);
  if (!shadow) {
    // In force from here on: no binding at all, and no stamp to trust.
    claim->end();
    return shadow.error();
  }
  for (const TokenShadow::Entry &entry : shadow->entries()) {
    segment->rebind(entry.token_id, entry.stored_hash, claim->next());
  }
  const FileIdentity &identity = shadow->identity();
  const bool racy = identity.changed + kRacyWindow > wall;
  if (claim->is_ours()) {
    Stamp stamp = {.generation = claim->next(),
                   .time = now,
                   .device = identity.device,
                   .inode = identity.inode,
                   .size = identity.size,
                   .modified = identity.modified,
                   .changed = identity.changed,
                   .racy = racy ? 1U : 0U,
                   .has_version = 0,
                   .version = 0};
    set_version(version, &stamp);
    segment->set_stamp(stamp);
  }
  std::optional<std::uint64_t> generation;
  if (claim->end()) {
    generation = claim->next();
  }
  return Snapshot{std::move(*shadow), generation, writing->id};
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
  if (stale_ && store_.cache && is_root()) {
    if (auto snapshot = reread_if_possible(); snapshot) {
      return std::move(*snapshot);
    }
  }
  return read_alone();
}

// Rule 5: the generation first, then the file.
Result<Snapshot> Cache::read_alone() {
  std::optional<std::uint64_t> generation;
  if (stale_ && is_orphan()) {
    attach();
  }
  if (Segment *segment = this->segment(); segment != nullptr) {
    const std::uint64_t loaded = segment->generation();
    if (is_in_force(loaded)) {
      generation = loaded;
    }
  }
  const int id = id_;
  auto shadow = TokenShadow::read(store_.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  return Snapshot{std::move(*shadow), generation, id};
}

// Nothing if somebody else is renewing the bindings, or nobody can.
std::optional<Result<Snapshot>> Cache::reread_if_possible() {
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

// --- writers

Result<std::optional<Cache::WriteClaim>> Cache::claim_for_write(
    const FileLock &lock) {
  auto claimed = claim_named(lock);
  if (claimed && !*claimed) {
    const auto origin = origin_of(store_);
    if (!origin) {
      return origin.error();
    }
    if (const auto retired = retire_orphans(*origin, lock); !retired) {
      return retired.error();
    }
  }
  return claimed;
}

// The generation of the segment that the key names.
Result<std::optional<Cache::WriteClaim>> Cache::claim_named(
    const FileLock &lock) {
  using Claimed = std::optional<WriteClaim>;
  const auto id = find_segment_id(store_);
  if (!id) {
    return id.error();
  }
  if (!*id) {
    return Claimed();
  }
  auto attached = ShmAttachment::attach(**id, Access::kWrite);
  if (!attached) {
    // One that is not root's alone is trusted by nobody; one that has just
    // been removed is an orphan.
    return attached.error().code == Errc::kUnsafe
               ? Result<Claimed>(Claimed())
               : Result<Claimed>(attached.error());
  }
  // Of any layout version: these words mean the same in all of them.
  auto *prefix = reinterpret_cast<SegmentPrefix *>(attached->address());
  if (attached->size() < sizeof(SegmentPrefix) ||
      load_acquire(&prefix->magic) != kSegmentMagic) {
    return Claimed();  // its maker died; nobody uses it
  }
  const auto claim = GenerationClaim::under_lock(&prefix->generation, lock);
  if (!claim) {
    return Claimed();  // retired
  }
  return Claimed(WriteClaim(std::move(*attached), *claim));
}

Result<Snapshot> Cache::renew(const FileLock &lock) {
  const Attached attached = attach();
  if (attached == Attached::kNone || attached == Attached::kReplaceable) {
    if (const auto origin = origin_of(store_); origin) {
      if (const auto id = replace_segment(store_, *origin, lock); id) {
        attach();
      }
    }
  }
  if (!segment_) {
    return read_alone();
  }
  auto writing = attach_for_writing(id_, store_);
  if (!writing) {
    return read_alone();
  }
  auto claim =
      GenerationClaim::under_lock(writing->segment.generation_word(), lock);
  if (!claim) {
    return read_alone();
  }
  // Whoever left it odd may have changed the file and not told upstream.  If
  // that fails its daemons find out by themselves, later.
  if (claim->took_over()) {
    static_cast<void>(bump_version_word(store_.version_cache));
  }
  return reread(&*writing, &*claim, store_);
}

Result<void> Cache::flush(const FileLock &lock) {
  const auto origin = origin_of(store_);
  if (!origin) {
    return origin.error();
  }
  if (!store_.cache) {
    return retire_segment(store_, *origin, lock);
  }
  if (const auto id = replace_segment(store_, *origin, lock); !id) {
    return id.error();
  }
  attach();
  return {};
}

}  // namespace pbstoken
