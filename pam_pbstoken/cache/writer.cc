// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/writer.h"

#include "pbstoken/os/clock.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

namespace {

// Rule 6: returns the file's place if it is the one that the segment is about.
std::optional<FilePlace> find_own_place(const Subject &subject,
                                        const PathText &path) {
  auto place = find_place(path);
  if (!place) {
    return std::nullopt;
  }
  const auto view = view_in(*place);
  return view && *view == subject.view ? std::optional(std::move(*place))
                                       : std::nullopt;
}

// True if the file can be opened, or is missing: that is an identity, too.
bool can_be_opened(const FilePlace &place, const PathText &path) {
  const auto file = open_regular_at(place, path, Mounts::kRefused);
  return file || file.error().code == Errc::kNotFound;
}

// Rule 3: tells upstream what a dead writer has not told, before its number
// goes.  Returns false if that fails.
bool pay_debt(WritableSegment *segment, Kind kind, const Store &store) {
  return !is_writers(segment->generation()) ||
         bump_version_word(store.version_cache, version_word_of(kind));
}

Stamp make_stamp(const FileIdentity &identity, std::uint64_t generation,
                 std::uint64_t time, std::uint64_t first_seen) {
  return {.generation = generation,
          .time = time,
          .device = identity.device,
          .inode = identity.inode,
          .size = identity.size,
          .modified = identity.modified,
          .changed = identity.changed,
          .first_seen = first_seen};
}

// Does rule 4, from the claim on.
Result<Snapshot> reread(Writing *writing, GenerationClaim *claim, Kind kind,
                        const FilePlace &place, const PathText &path) {
  WritableSegment *segment = &writing->segment;
  // The stamp is of an earlier generation: what it says of the time is still
  // so.
  const auto before = segment->stamp();
  const std::uint64_t now = boottime_now();
  auto snapshot =
      read_snapshot(kind, open_regular_at(place, path, Mounts::kRefused), path);
  if (!snapshot) {
    // From here on no binding is in force, and there is no stamp to trust.
    claim->end();
    return snapshot.error();
  }
  rebind_all(segment, kind, *snapshot, claim->next());
  const auto &[identity, seen] = snapshot->sighting;
  const bool seen_before =
      before && identity_in(*before) == identity && before->first_seen <= now;
  if (claim->is_ours()) {
    segment->set_stamp(make_stamp(identity, claim->next(), now,
                                  seen_before ? before->first_seen : seen));
  }
  if (claim->end()) {
    snapshot->permit = {segment->instance(), claim->next()};
  }
  return snapshot;
}

}  // namespace

std::optional<Result<Snapshot>> reread_for_all(Writing *writing,
                                               const Subject &subject,
                                               const Store &store,
                                               const FileLock *lock) {
  const PathText &path = path_of(subject.kind, store);
  const auto place = find_own_place(subject, path);
  if (!place || !can_be_opened(*place, path) ||
      (lock != nullptr && !pay_debt(&writing->segment, subject.kind, store))) {
    return std::nullopt;
  }
  auto claim =
      GenerationClaim::as_rereader(writing->segment.generation_words(), lock);
  if (!claim) {
    return std::nullopt;
  }
  return reread(writing, &*claim, subject.kind, *place, path);
}

void renew_stamp(int id, const Subject &subject, const Store &store,
                 const Segment &segment, const Stamp &stamp,
                 std::uint64_t now) {
  const PathText &path = path_of(subject.kind, store);
  const auto place = find_own_place(subject, path);
  if (!place) {
    return;
  }
  const auto identity = look_in(*place, path);
  if (!identity || *identity != identity_in(stamp)) {
    return;
  }
  auto writing = attach_for_writing(id, subject, segment.instance());
  // A stamp that a faster process has renewed meanwhile may go back to our
  // time, which is earlier but no less true.
  if (writing && writing->segment.generation_is_still(stamp.generation)) {
    Stamp renewed = stamp;
    renewed.time = now;
    writing->segment.set_stamp(renewed);
  }
}

void renew_lease(const Store &store, Kind kind, const LeaseTerm &term) {
  const auto view = view_of(path_of(kind, store));
  if (!view) {
    return;
  }
  const Subject subject = {kind, *view};
  const auto found = find_segment(subject);
  if (!found || !shares_clock(found->segment)) {
    return;
  }
  auto writing = attach_for_writing(found->identity.id, subject,
                                    found->segment.instance());
  if (writing) {
    writing->segment.set_lease(pack(term));
  }
}

std::optional<LeaseTerm> missing_lease(const Store &store, Segment *segment) {
  if (store.lease == 0 || segment->lease() || !shares_clock(*segment)) {
    return std::nullopt;
  }
  const auto standing = lease_standing(store);
  return standing && standing->state == LeaseState::kInForce
             ? std::optional(standing->term)
             : std::nullopt;
}

bool is_outgrown(const Segment &segment, Kind kind, const Store &store,
                 const Snapshot &snapshot) {
  const std::size_t tokens = tokens_in(kind, snapshot);
  return !store.cache_slots && tokens > segment.slots() &&
         slots_for(store, tokens) > segment.slots() &&
         segment.may_be_replaced(boottime_now());
}

bool begin_growth(WritableSegment *segment, Kind kind, const Store &store,
                  const Snapshot &snapshot) {
  return is_outgrown(*segment, kind, store, snapshot) &&
         segment->begin_replacement(boottime_now());
}

// --- for the holder of the lock

Result<std::optional<WriteClaim>> CacheWriter::claim(const FilePlace &place) {
  using Claimed = std::optional<WriteClaim>;
  const auto view = view_in(place);
  if (!view) {
    return view.error();
  }
  const bool sees_the_file =
      static_cast<bool>(look_in(place, path_of(kind_, store_)));
  auto kept = keep_one_segment(store_, {kind_, *view}, lock_,
                               sees_the_file ? Keep::kInUse : Keep::kNone);
  if (!kept) {
    return kept.error();
  }
  if (!kept->in_use) {
    return Claimed();
  }
  WritableSegment *segment = &kept->in_use->segment;
  // What cannot be paid now, this writer pays by what it is about to tell.
  const bool owes = !pay_debt(segment, kind_, store_) || kept->owes;
  const auto claim =
      GenerationClaim::as_writer(segment->generation_words(), lock_);
  if (!claim) {
    return Claimed();  // retired
  }
  return Claimed(WriteClaim(std::move(kept->in_use->attachment), *claim, owes));
}

// Tries at most once a minute, as with growth: where no other segment can be
// made, or two stores want it differently, this must not cost each request a
// claim.
bool CacheWriter::begin_replacement(Writing *writing) {
  return writing->segment.may_be_replaced(boottime_now()) &&
         is_outdated(writing->attachment.identity().id, writing->segment,
                     store_) &&
         pay_debt(&writing->segment, kind_, store_) &&
         writing->segment.begin_replacement(boottime_now());
}

// Returns nullopt if the segment that is in use is a newer version's.
Result<std::optional<Writing>> CacheWriter::find_or_make(
    const Subject &subject) {
  auto writing = find_or_make_unleased(subject);
  if (writing && *writing) {
    WritableSegment &segment = (*writing)->segment;
    if (const auto term = missing_lease(store_, &segment); term) {
      segment.set_lease(pack(*term));
    }
  }
  return writing;
}

Result<std::optional<Writing>> CacheWriter::find_or_make_unleased(
    const Subject &subject) {
  auto kept = keep_one_segment(store_, subject, lock_, Keep::kInUseOrNewer);
  if (kept && kept->in_use && begin_replacement(&*kept->in_use) &&
      replace_segments(store_, subject, lock_)) {
    kept = keep_one_segment(store_, subject, lock_, Keep::kInUse);
  }
  if (!kept) {
    return kept.error();
  }
  if (kept->newer || kept->in_use) {
    return std::move(kept->in_use);
  }
  const auto id = make_segment(store_, subject, lock_);
  if (!id) {
    return id.error();
  }
  auto attached = ShmAttachment::attach(*id, Access::kWrite);
  if (!attached) {
    return attached.error();
  }
  const auto segment =
      WritableSegment::open(attached->address(), attached->size(), subject);
  return segment ? std::optional(Writing{std::move(*attached), *segment})
                 : std::nullopt;
}

std::optional<Result<Snapshot>> CacheWriter::renew() {
  const auto view = view_of(path_of(kind_, store_));
  if (!store_.cache || !view) {
    return std::nullopt;
  }
  const Subject subject = {kind_, *view};
  auto found = find_or_make(subject);
  if (!found) {
    problem_ = found.error();
    return std::nullopt;
  }
  if (!*found) {
    problem_ = plain_error(Errc::kUnsafe, "cannot use the segment", {},
                           "a newer version has made it");
    return std::nullopt;
  }
  if (!shares_clock((*found)->segment)) {
    return std::nullopt;
  }
  auto snapshot = reread_for_all(&**found, subject, store_, &lock_);
  if (snapshot && *snapshot &&
      begin_growth(&(*found)->segment, kind_, store_, **snapshot)) {
    if (auto grown = grow(); grown) {
      return grown;
    }
  }
  return snapshot;
}

std::optional<Result<Snapshot>> CacheWriter::grow() {
  const auto view = view_of(path_of(kind_, store_));
  if (!view) {
    return std::nullopt;
  }
  const Subject subject = {kind_, *view};
  auto outgrown = find_or_make(subject);
  if (!outgrown || !*outgrown || !shares_clock((*outgrown)->segment) ||
      !pay_debt(&(*outgrown)->segment, kind_, store_)) {
    return std::nullopt;
  }
  const auto grown = grow_segment(store_, subject, lock_, **outgrown);
  if (!grown || !*grown) {
    return std::nullopt;
  }
  auto found = find_or_make(subject);
  return found && *found ? reread_for_all(&**found, subject, store_, &lock_)
                         : std::nullopt;
}

Result<void> CacheWriter::prepare() {
  const auto view = view_of(path_of(kind_, store_));
  if (!view) {
    return view.error();
  }
  if (!store_.cache) {
    return {};
  }
  const Subject subject = {kind_, *view};
  auto found = find_or_make(subject);
  if (!found) {
    return found.error();
  }
  if (*found && !is_in_force((*found)->segment.generation()) &&
      shares_clock((*found)->segment)) {
    // Every verification tells of a file that cannot be read.
    static_cast<void>(reread_for_all(&**found, subject, store_, &lock_));
  }
  return {};
}

Result<void> CacheWriter::flush() {
  const auto view = view_of(path_of(kind_, store_));
  if (!view) {
    return view.error();
  }
  const Subject subject = {kind_, *view};
  if (store_.cache) {
    return replace_segments(store_, subject, lock_);
  }
  const auto kept = keep_one_segment(store_, subject, lock_, Keep::kNone);
  return kept ? Result<void>() : kept.error();
}

}  // namespace pbstoken
