// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/cache.h"

#include <utility>

#include "pbstoken/cache/renewal.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

namespace {

FileIdentity identity_in(const Stamp &stamp) {
  return {.device = stamp.device,
          .inode = stamp.inode,
          .size = stamp.size,
          .modified = stamp.modified,
          .changed = stamp.changed};
}

bool is_fresh(Watched file, const Stamp &stamp, const Moment &moment,
              const Store &store) {
  // Who cannot read upstream's word has the stamp's time alone to go by.
  const auto version = version_of(file, moment.versions);
  if (version && (stamp.has_version == 0 || stamp.version != *version)) {
    return false;
  }
  // A stamp in the future is somebody else's clock: expired.
  return moment.now != 0 && moment.now >= stamp.time &&
         moment.now - stamp.time < store.cache_ttl * kNanosecondsPerSecond;
}

// Retired, or so far that nobody can claim it any more, for either file.
bool is_used_up(const Segment &segment) {
  return segment.generation() > kLastGeneration ||
         segment.generation(Watched::kUserCfg) > kLastGeneration;
}

}  // namespace

Cache::Cache(const Store &store) : store_(store) {
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
  const auto generation = generation_in_force(Watched::kTokenShadow);
  if (!generation) {
    return std::nullopt;
  }
  const auto fact = segment_->find_in_force(token_id, secret, *generation);
  // What was found counts only if it was in force all the time.
  return segment_->generation_is_still(*generation) ? fact : std::nullopt;
}

std::optional<AccountVerdict> Cache::look_up_account(
    std::string_view token_id) {
  const auto generation = generation_in_force(Watched::kUserCfg);
  if (!generation) {
    return std::nullopt;
  }
  const auto verdict = segment_->find_account(token_id, *generation);
  return segment_->generation_is_still(*generation, Watched::kUserCfg)
             ? verdict
             : std::nullopt;
}

// The generation under which bindings to this file are in force now; the stamp
// that goes with it is good, or has just been found to be.
std::optional<std::uint64_t> Cache::generation_in_force(Watched file) {
  bool &stale = stale_[static_cast<std::size_t>(file)];
  stale = true;
  Segment *segment = segment_of(file);
  if (segment == nullptr) {
    return std::nullopt;
  }
  const auto versions = this->versions();
  const Moment moment = {.versions = versions, .now = boottime_now()};
  const std::uint64_t generation = segment->generation(file);
  if (!is_in_force(generation)) {
    return std::nullopt;
  }
  const auto stamp = segment->stamp(file);
  if (!stamp || stamp->generation != generation) {
    return std::nullopt;
  }
  if (!is_fresh(file, *stamp, moment, store_) &&
      !find_unchanged(file, *stamp, moment)) {
    return std::nullopt;
  }
  stale = false;
  return generation;
}

// Upstream's words; where there were none at first, nobody looks again.
std::optional<VersionWords> Cache::versions() {
  if (follows_versions_ == false) {
    return std::nullopt;
  }
  const auto words = read_version_words(store_.version_cache);
  if (!follows_versions_) {
    follows_versions_ = words.has_value();
  }
  return words;
}

bool Cache::find_unchanged(Watched file, const Stamp &stamp,
                           const Moment &moment) {
  if (stamp.racy != 0 || moment.now == 0) {
    return false;
  }
  const auto identity = look_at(path_of(file, store_));
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
      set_version(version_of(file, moment.versions), &renewed);
      if (segment_->generation_is_still(stamp.generation, file)) {
        writing->segment.set_stamp(renewed, file);
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

// Null where the segment's maker had another user.cfg.
Segment *Cache::segment_of(Watched file) {
  Segment *segment = this->segment();
  if (segment == nullptr || file == Watched::kTokenShadow) {
    return segment;
  }
  if (is_used_up(*segment)) {
    attach();
    segment = segment_ ? &*segment_ : nullptr;
  }
  return segment != nullptr && segment->has_accounts_of(store_.user_cfg)
             ? segment
             : nullptr;
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
  if (segment_ && !is_used_up(*segment_)) {
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

template <typename File>
Result<SnapshotOf<File>> Cache::read() {
  auto for_all = read_for_all<File>();
  return for_all ? std::move(*for_all) : read_alone<File>();
}

// Rule 5: the generation first, then the file.  What was read of another file
// than the stamp names may not be inserted: that one may come back as it was,
// by umount(8) for one, and the stamp would be renewed by comparing.
template <typename File>
Result<SnapshotOf<File>> Cache::read_alone() {
  constexpr Watched kWhich = WatchedFile<File>::kWhich;
  std::optional<std::uint64_t> generation;
  std::optional<Stamp> stamp;
  if (stale_[static_cast<std::size_t>(kWhich)] && is_orphan()) {
    attach();
  }
  if (Segment *segment = segment_of(kWhich); segment != nullptr) {
    const std::uint64_t loaded = segment->generation(kWhich);
    stamp = segment->stamp(kWhich);
    if (is_in_force(loaded) && stamp && stamp->generation == loaded) {
      generation = loaded;
    }
  }
  const int id = id_;
  auto file = File::read(path_of(kWhich, store_));
  if (!file) {
    return file.error();
  }
  if (generation && !(file->identity() == identity_in(*stamp))) {
    generation.reset();
  }
  return SnapshotOf<File>{std::move(*file), generation, id};
}

template <typename File>
std::optional<Result<SnapshotOf<File>>> Cache::read_for_all() {
  constexpr Watched kWhich = WatchedFile<File>::kWhich;
  if (!stale_[static_cast<std::size_t>(kWhich)] || !store_.cache ||
      !is_root()) {
    return std::nullopt;
  }
  if (is_orphan()) {
    attach();
  }
  Segment *segment = segment_of(kWhich);
  if (segment == nullptr || !is_in_force(segment->generation(kWhich))) {
    if (!is_only_root()) {
      return std::nullopt;
    }
    const auto lock = FileLock::acquire(store_, 0);
    if (!lock) {
      return std::nullopt;
    }
    return renew<File>(*lock);
  }
  auto writing = attach_for_writing(id_, store_);
  if (!writing) {
    return std::nullopt;
  }
  auto claim =
      GenerationClaim::from_even(writing->segment.generation_word(kWhich));
  if (!claim) {
    return std::nullopt;
  }
  return reread<File>(&*writing, &*claim, store_);
}

template std::optional<Result<Snapshot>> Cache::read_for_all<TokenShadow>();
template Result<Snapshot> Cache::read<TokenShadow>();
template Result<Snapshot> Cache::read_alone<TokenShadow>();
template Result<UserSnapshot> Cache::read<UserCfg>();
template Result<UserSnapshot> Cache::read_alone<UserCfg>();

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

void Cache::remember_account(std::string_view token_id,
                             const AccountVerdict &verdict,
                             const UserSnapshot &snapshot) {
  if (!snapshot.generation || segment() == nullptr || !is_root() ||
      snapshot.segment_id != id_) {
    return;
  }
  if (auto writing = attach_for_writing(id_, store_); writing) {
    writing->segment.insert_account(token_id, verdict, *snapshot.generation);
  }
}

}  // namespace pbstoken
