// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/cache.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <utility>

#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/mounts.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/recent_hashes.h"
#include "pbstoken/os/shared_fs.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {

namespace {

// True if `since` is no longer ago than so many nanoseconds, and not in the
// future, as another clock's time may be.
bool is_within(std::uint64_t nanoseconds, std::uint64_t since,
               std::uint64_t now) {
  return now != 0 && now >= since && now - since < nanoseconds;
}

}  // namespace

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
  CacheStatus status = {.id = found_->identity.id,
                        .generation = generation,
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
  const auto generation = generation_in_force();
  if (!generation) {
    return std::nullopt;
  }
  const Segment &segment = found_->segment;
  const auto fact = segment.find_in_force(token_id, secret, *generation);
  // What was found counts only if it was in force all the time.
  return segment.generation_is_still(*generation) ? fact : std::nullopt;
}

std::optional<AccountVerdict> Cache::look_up_account(
    std::string_view token_id) {
  const auto generation = generation_in_force();
  if (!generation) {
    return std::nullopt;
  }
  const Segment &segment = found_->segment;
  const auto verdict = segment.find_account(token_id, *generation);
  return segment.generation_is_still(*generation) ? verdict : std::nullopt;
}

// Returns the generation under which bindings are in force now.  The stamp that
// goes with it is good, or has just been found to be.
std::optional<std::uint64_t> Cache::generation_in_force() {
  stale_ = true;
  Segment *segment = this->segment();
  if (segment == nullptr) {
    return std::nullopt;
  }
  const std::uint64_t now = boottime_now();  // before any look
  const std::uint64_t generation = segment->generation();
  if (!is_in_force(generation)) {
    return std::nullopt;
  }
  const auto stamp = segment->stamp();
  if (!stamp || stamp->generation != generation || !is_good(*stamp, now)) {
    return std::nullopt;
  }
  stale_ = false;
  return has_lease(now) ? std::optional(generation) : std::nullopt;
}

bool Cache::has_lease(std::uint64_t now) {
  if (store_.lease == 0) {
    return true;
  }
  const auto word = found_->segment.lease();
  return word && lasts(unpack(*word), store_.lease, now) && shares_clock();
}

// Asks once; a process that looks at a settled stamp does not ask.
bool Cache::shares_clock() {
  if (!shares_clock_) {
    shares_clock_ =
        found_ &&
        (!looks_ || found_->identity.ipc_namespace == namespace_inode("ipc")) &&
        pbstoken::shares_clock(found_->segment);
  }
  return *shares_clock_;
}

// True for cache_ttl, without a look at the file.
bool Cache::is_trusted(const Stamp &stamp, std::uint64_t now) {
  return is_within(ttl(), stamp.time, now) && shares_clock();
}

bool Cache::is_good(const Stamp &stamp, std::uint64_t now) {
  const bool looks = looks_ && (blind_ == 0 || !is_within(ttl(), blind_, now));
  return (!looks && is_trusted(stamp, now)) || is_good_by_look(stamp, now);
}

bool Cache::is_good_by_look(const Stamp &stamp, std::uint64_t now) {
  const auto identity = look_at(path());
  if (!identity) {
    const int reason = identity.error().saved_errno;
    if (reason != EACCES && reason != EPERM) {
      return false;
    }
    // No other check tells that this process has another file there.
    if (may_be_mounted_over(last_component(path()))) {
      return false;
    }
    blind_ = now;
    return is_trusted(stamp, now);
  }
  if (*identity != identity_in(stamp)) {
    return false;
  }
  if (is_settled(stamp)) {
    // Only root renews; other processes look again next time.  It renews early:
    // if one request has stamped both files, a member needs one request again.
    if (!is_within(ttl() / 2, stamp.time, now) && now != 0 &&
        store_.cache_ttl != 0 && is_root() && shares_clock()) {
      renew_stamp(found_->identity.id, subject_, store_, found_->segment, stamp,
                  now);
    }
    return true;
  }
  // The first process that comes after that reads for all.
  const bool is_settling = is_within(kSettlingTime, stamp.first_seen, now);
  if (store_.cache_ttl == 0) {
    stale_ = !is_settling;
    return false;
  }
  // Members trust an unsettled stamp for cache_ttl alone, which may be shorter.
  // Then it is read again, once and as early as one that is renewed, so that
  // the members need not ask the helper.
  stale_ = !is_settling || !is_trusted(stamp, now) ||
           !is_within(ttl() / 2, stamp.time, now);
  return !stale_;
}

// --- the segment of this process

// Looks where the path leads this process now, and which segment is there.
void Cache::attach() {
  found_.reset();
  shares_clock_.reset();
  drop_stale_attachments();
  // What was forbidden to one user may not be to another.
  if (const uid_t uid = geteuid(); uid != uid_) {
    uid_ = uid;
    blind_ = 0;
  }
  checked_ = boottime_now();
  if (!store_.cache) {
    return;
  }
  const auto view = view_of(path());
  if (!view) {
    return;
  }
  looks_ = store_.look && can_look(*view);
  // Without a look at each hit nothing else would tell what is mounted over.
  if (!looks_ && look_at(path()).error().code == Errc::kUnsafe) {
    return;
  }
  subject_ = {kind_, *view};
  // A look is enough, wherever the segment is: what it holds in force under a
  // settled stamp was read of the file that the look finds.  A process that is
  // to trust the stamp's time, or to renew it, asks first where it is.
  found_ = find_segment(subject_,
                        looks_ ? Whereabouts::kAnywhere : Whereabouts::kHere);
  if (found_) {
    problem_.reset();  // another process could make one
  }
  if (!looks_) {
    static_cast<void>(shares_clock());  // each hit needs it
  }
}

// A file system of several hosts is on no block device of this one, so most
// processes need not ask.  The others ask once a minute.
bool Cache::can_look(const View &view) const {
  static constinit RecentHashes own_devices;
  if (major(view.directory_device) != 0 ||
      own_devices.has(view.directory_device)) {
    return true;
  }
  if (shared_fs_of(path())) {
    return false;
  }
  own_devices.add(view.directory_device);
  return true;
}

bool Cache::is_attached() const {
  return found_ && found_->attachment.address() != nullptr &&
         found_->segment.generation() <= kLastGeneration;
}

Segment *Cache::segment() {
  if (!is_attached() || geteuid() != uid_ ||
      !is_within(ttl(), checked_, boottime_now())) {
    attach();
  }
  return current_segment();
}

// Does not look for a new segment: it is for the later steps of a verification.
Segment *Cache::current_segment() {
  return is_attached() ? &found_->segment : nullptr;
}

std::optional<Writing> Cache::attach_writable() {
  if (current_segment() == nullptr || !is_root()) {
    return std::nullopt;
  }
  auto writing = attach_for_writing(found_->identity.id, subject_,
                                    found_->segment.instance());
  if (writing || found_->identity.ipc_namespace == namespace_inode("ipc")) {
    return writing;
  }
  // It is the segment of the namespace where the process was before.
  found_ = find_segment(subject_);
  shares_clock_.reset();
  return found_ ? attach_for_writing(found_->identity.id, subject_,
                                     found_->segment.instance())
                : std::nullopt;
}

// --- the file

Result<Snapshot> Cache::read() {
  if (auto for_all = read_for_all(); for_all) {
    return std::move(*for_all);
  }
  const bool knew = stale_;
  auto alone = read_alone();
  if (alone && stale_ && !knew) {
    if (auto for_all = read_for_all(); for_all && *for_all) {
      return std::move(*for_all);
    }
  }
  return alone;
}

// Rule 5: loads the generation first, then reads the file.  What was read of
// another file than the stamp names may not be inserted, and is evidence.
Result<Snapshot> Cache::read_alone() {
  std::optional<InsertPermit> permit;
  std::optional<Stamp> stamp;
  if (Segment *segment = current_segment(); segment != nullptr) {
    const std::uint64_t generation = segment->generation();
    stamp = segment->stamp();
    if (is_in_force(generation) && stamp && stamp->generation == generation) {
      permit = {segment->instance(), generation};
    }
  }
  auto snapshot = read_snapshot(kind_, open_regular(path()), path());
  if (const Segment *segment = current_segment();
      snapshot && segment != nullptr && may_take_lock() &&
      is_outgrown(*segment, kind_, store_, *snapshot)) {
    stale_ = true;
  }
  if (snapshot && permit) {
    if (snapshot->sighting.identity == identity_in(*stamp)) {
      snapshot->permit = permit;
    } else {
      stale_ = true;
    }
  }
  return snapshot;
}

std::optional<Result<Snapshot>> Cache::read_for_all() {
  if (!stale_ || !store_.cache || !is_root()) {
    return std::nullopt;
  }
  attach();  // the one that was found may be gone
  const Segment *segment = current_segment();
  if (segment != nullptr && !is_writers(segment->generation()) &&
      !is_of_a_guest(*segment)) {
    auto writing = attach_writable();
    if (!writing || !shares_clock()) {
      return std::nullopt;
    }
    auto snapshot = reread_for_all(&*writing, subject_, store_, nullptr);
    if (snapshot && *snapshot && may_take_lock() &&
        begin_growth(&writing->segment, kind_, store_, **snapshot)) {
      if (auto grown = read_under_lock(&CacheWriter::grow); grown) {
        return grown;
      }
    }
    return snapshot;
  }
  return may_take_lock() ? read_under_lock(&CacheWriter::renew) : std::nullopt;
}

bool Cache::may_take_lock() const {
  return is_only_root() && takes_lock_;
}

std::optional<Result<Snapshot>> Cache::read_under_lock(
    std::optional<Result<Snapshot>> (CacheWriter::*change)()) {
  problem_.reset();
  const auto lock = FileLock::acquire(store_, lock_path_of(kind_, store_), 0);
  if (!lock) {
    // Another process that holds the lock is at it.
    if (!is_attached() && lock.error().code != Errc::kTimedOut) {
      problem_ = lock.error();
    }
    return std::nullopt;
  }
  CacheWriter writer(store_, kind_, *lock);
  auto snapshot = (writer.*change)();
  attach();
  if (!is_attached()) {
    problem_ = writer.problem();
  }
  static_cast<void>(shares_clock());  // the new stamp is not settled
  return snapshot;
}

bool Cache::needs_healing() {
  return segment() != nullptr &&
         ((found_->segment.may_be_replaced(boottime_now()) &&
           is_outdated(found_->identity.id, found_->segment, store_)) ||
          missing_lease(store_, &found_->segment));
}

void Cache::heal() {
  if (!takes_lock_ || !is_only_root() || !needs_healing()) {
    return;
  }
  const auto lock = FileLock::acquire(store_, lock_path_of(kind_, store_), 0);
  attach();  // another process may just have done it
  if (lock && needs_healing()) {
    static_cast<void>(CacheWriter(store_, kind_, *lock).renew());
    attach();
  }
}

bool Cache::has_slot(std::string_view token_id) {
  const Segment *segment = current_segment();
  return segment != nullptr && segment->has_slot(token_id);
}

std::optional<Fact> Cache::find_fact(std::string_view token_id,
                                     std::string_view secret,
                                     std::string_view stored_hash) {
  const Segment *segment = current_segment();
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
  auto writing = attach_writable();
  if (!writing) {
    return;
  }
  WritableSegment &segment = writing->segment;
  // Without a permit for this segment the fact alone is of use, to the next
  // process that reads the file.
  const bool permitted =
      snapshot.permit && snapshot.permit->instance == segment.instance();
  segment.insert(fact, token_id, secret,
                 segment.binding_of(token_id, stored_hash),
                 permitted ? snapshot.permit->generation : kNeverInForce);
}

void Cache::remember_account(std::string_view token_id,
                             const AccountVerdict &verdict,
                             const Snapshot &snapshot) {
  auto writing = attach_writable();
  if (writing && snapshot.permit &&
      snapshot.permit->instance == writing->segment.instance()) {
    writing->segment.insert_account(token_id, verdict,
                                    snapshot.permit->generation);
  }
}

}  // namespace pbstoken
