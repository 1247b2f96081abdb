// SPDX-License-Identifier: BSD-3-Clause
// Changing what a segment says: claims, re-reading for all, renewing.
//
// Only a process whose effective uid is 0 can; it attaches the segment for
// writing just while it does, and nobody waits for anybody.  One thread per
// object.
#ifndef PBSTOKEN_WRITER_H_
#define PBSTOKEN_WRITER_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/cache/snapshot.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// A generation that was claimed for a rename, and the attachment it lives in.
class WriteClaim {
 public:
  WriteClaim(ShmAttachment attachment, GenerationClaim claim, bool owes)
      : attachment_(std::move(attachment)), claim_(claim), owes_(owes) {}

  // True if upstream has not been told of a dead writer's change.  A claim that
  // owes, and whose owner told nothing either, must not be ended: the next
  // holder of the lock then pays.
  [[nodiscard]] bool owes() const { return owes_; }

  // Right after the rename and upstream's word.  False if the generation was no
  // longer ours.
  bool end() { return claim_.end(); }

 private:
  ShmAttachment attachment_;
  GenerationClaim claim_;
  bool owes_;
};

// What a change of one watched file takes, for the holder of its lock.
class CacheWriter {
 public:
  // All three must outlive the object; lock is that of this kind's file.
  CacheWriter(const Store &store, Kind kind, const FileLock &lock)
      : store_(store), kind_(kind), lock_(lock) {}

  // Walks the kernel's table, claims the generation of the segment that is in
  // use and retires all others, whatever the store says of the cache; place:
  // where the file will be renamed.  Returns nullopt if there is none, or the
  // place does not show what stands there (rule 6): then all are retired.  An
  // error if one can be neither claimed nor retired: then the file must not be
  // changed.
  Result<std::optional<WriteClaim>> claim(const FilePlace &place);

  // Reads the file for all, making a segment if there is none that is in use,
  // replacing one that is outdated, and making a larger one if the file has
  // outgrown it.  Returns nullopt if that cannot be: the cache stays as it is.
  std::optional<Result<Snapshot>> renew();

  // Why there was no segment for renew().
  [[nodiscard]] const std::optional<Error> &problem() const { return problem_; }

  // Makes a larger segment and reads the file for all, after begin_growth().
  // Returns nullopt if that cannot be, or is done by now.
  std::optional<Result<Snapshot>> grow();

  // Makes a segment and reads the file for all, if there is none that is in use
  // or it is outdated; an error if there is no room for it.
  Result<void> prepare();

  // Replaces the segment by a new one with a new key, which is made first: if
  // there is no room for it the old one stays.  Retires it if the store has no
  // cache any more.
  Result<void> flush();

 private:
  bool begin_replacement(Writing *writing);
  Result<std::optional<Writing>> find_or_make(const Subject &subject);

  const Store &store_;
  Kind kind_;
  const FileLock &lock_;
  std::optional<Error> problem_;
};

// Whether a file that was just read has more tokens than its segment has room
// for, and a larger one may be made or tried again.
bool is_outgrown(const Segment &segment, Kind kind, const Store &store,
                 const Snapshot &snapshot);

// The same for the one process a minute that then sets out to make it.
bool begin_growth(WritableSegment *segment, Kind kind, const Store &store,
                  const Snapshot &snapshot);

// The re-reader's part of the rules: opens the file through the segment's view,
// claims, reads and carries over all slots, ends.  lock: null, or that of the
// file.  Returns nullopt if that cannot be, or somebody else is at it; the
// caller goes on without the cache.
std::optional<Result<Snapshot>> reread_for_all(Writing *writing,
                                               const Subject &subject,
                                               const Store &store,
                                               const FileLock *lock);

// Sets the time of a settled stamp to `now`, which was read before the look by
// which the caller found the file unchanged, if the segment's view shows the
// same.
void renew_stamp(int id, const Subject &subject, const Store &store,
                 const Segment &segment, const Stamp &stamp, std::uint64_t now);

// How long the same identity must have been seen before it tells one content
// from another: two changes within one tick of the file's clock look the same.
constexpr std::uint64_t kSettlingTime = 2 * kNanosecondsPerSecond;
constexpr bool is_settled(const Stamp &stamp) {
  return stamp.first_seen != 0 && stamp.time >= stamp.first_seen &&
         stamp.time - stamp.first_seen >= kSettlingTime;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_WRITER_H_
