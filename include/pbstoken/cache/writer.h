// SPDX-License-Identifier: BSD-3-Clause
// Changes what a segment says: claims, re-reads for all, renews.
//
// Only a process with effective uid 0 can do so.  It attaches the segment for
// writing just while it changes it, and no process waits for another.  The
// rules stand in generation.h.
//
// Thread safety: one thread per object.
#ifndef PBSTOKEN_WRITER_H_
#define PBSTOKEN_WRITER_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/cache/snapshot.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/cache/writable_segment.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/lease.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// A generation that was claimed for a rename, and the attachment that it lives
// in.
class WriteClaim {
 public:
  WriteClaim(ShmAttachment attachment, GenerationClaim claim, bool owes)
      : attachment_(std::move(attachment)), claim_(claim), owes_(owes) {}

  // True if upstream has not been told of a dead writer's change.  If this
  // writer can tell nothing either, it must not end the claim: the next holder
  // of the lock then pays.
  [[nodiscard]] bool owes() const { return owes_; }

  // Ends the claim, right after the rename and upstream's word.  Returns false
  // if another process has taken over the generation.
  bool end() { return claim_.end(); }

 private:
  ShmAttachment attachment_;
  GenerationClaim claim_;
  bool owes_;
};

// Changes the segment of one watched file, for the holder of the file's lock.
class CacheWriter {
 public:
  // All three arguments must outlive the object.  lock: that of this kind's
  // file.
  CacheWriter(const Store &store, Kind kind, const FileLock &lock)
      : store_(store), kind_(kind), lock_(lock) {}

  // Walks the kernel's table, claims the generation of the segment that is in
  // use, and retires all others, whatever the store says of the cache.  place:
  // where the file will be renamed.  Returns nullopt if no segment is in use,
  // or if the place does not show what stands there (rule 6): then all are
  // retired.  Returns an error if a segment can be neither claimed nor retired:
  // then the caller must not change the file.
  Result<std::optional<WriteClaim>> claim(const FilePlace &place);

  // Reads the file for all.  Before that it makes a segment if no segment is in
  // use, and replaces one that is outdated.  It makes a larger segment if the
  // file has outgrown this one.  Returns nullopt if that cannot be done: the
  // cache then stays as it is.
  std::optional<Result<Snapshot>> renew();

  // Returns the error that left renew() without a segment; nullopt if there was
  // no error.
  [[nodiscard]] const std::optional<Error> &problem() const { return problem_; }

  // Makes a larger segment and reads the file for all, after begin_growth().
  // Returns nullopt if that cannot be done, or another process has done it.
  std::optional<Result<Snapshot>> grow();

  // Makes a segment and reads the file for all, if no segment is in use or the
  // one in use is outdated.  Returns an error if there is no room for a
  // segment.
  Result<void> prepare();

  // Replaces the segment by one with a new HMAC key, which is made first: if
  // there is no room for it, returns an error and the old segment stays.  If
  // the store has no cache any more, retires the segment.
  Result<void> flush();

 private:
  bool begin_replacement(Writing *writing);
  Result<std::optional<Writing>> find_or_make(const Subject &subject);
  Result<std::optional<Writing>> find_or_make_unleased(const Subject &subject);

  const Store &store_;
  Kind kind_;
  const FileLock &lock_;
  std::optional<Error> problem_;
};

// True if a file that was just read has more tokens than its segment has room
// for, and a larger segment may be made or tried again.
bool is_outgrown(const Segment &segment, Kind kind, const Store &store,
                 const Snapshot &snapshot);

// True if is_outgrown() and this process is the one, at most once a minute,
// that now makes the larger segment.
bool begin_growth(WritableSegment *segment, Kind kind, const Store &store,
                  const Snapshot &snapshot);

// Does the re-reader's part of the rules.  lock: null, or that of the file.
//
//  1. Opens the file through the segment's view.
//  2. Claims the generation.
//  3. Reads the file and carries over all slots.
//  4. Ends the claim.
//
// Returns nullopt if that cannot be done, or if another process is at it: the
// caller then goes on without the cache.
std::optional<Result<Snapshot>> reread_for_all(Writing *writing,
                                               const Subject &subject,
                                               const Store &store,
                                               const FileLock *lock);

// Sets the time of a settled stamp to `now` (CLOCK_BOOTTIME in ns), if the
// segment's view still shows the same file.  The caller read `now` before the
// look by which it found the file unchanged.
void renew_stamp(int id, const Subject &subject, const Store &store,
                 const Segment &segment, const Stamp &stamp, std::uint64_t now);

// True if the stamp's identity has been seen for kSettlingTime, see file.h.
constexpr bool is_settled(const Stamp &stamp) {
  return stamp.first_seen != 0 && stamp.time >= stamp.first_seen &&
         stamp.time - stamp.first_seen >= kSettlingTime;
}

// Stores a lease in the segment of this kind that is in use, for a holder of
// the lock of token.shadow.
void renew_lease(const Store &store, Kind kind, const LeaseTerm &term);

// Returns the lease that is in force, if the segment was made after it and so
// has none: no fact in it is in force then.  Returns nullopt for a segment of
// another clock, which can have no lease.
std::optional<LeaseTerm> missing_lease(const Store &store, Segment *segment);

}  // namespace pbstoken

#endif  // PBSTOKEN_WRITER_H_
