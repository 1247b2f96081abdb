// SPDX-License-Identifier: BSD-3-Clause
// Finds, makes and retires segments (rule 3 in generation.h).
//
// The key of a subject is the short way to its segment, and no more.  Where
// another program has that key, the segment has no key and is found by a walk
// through the kernel's table.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_SEGMENT_LIFE_H_
#define PBSTOKEN_SEGMENT_LIFE_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/writable_segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// A segment that this process may read, in its table of attachments.
struct FoundSegment {
  ShmIdentity identity;
  AttachmentUse attachment;
  Segment segment;  // valid while attachment is
};

// Returns the segment of this subject that is in use; nullopt if there is no
// such segment that this process may read.  With kAnywhere it may be one of
// another IPC namespace, which the process attached there.
std::optional<FoundSegment> find_segment(
    const Subject &subject, Whereabouts whereabouts = Whereabouts::kHere);

// Returns a segment about this subject, in use or not; nullopt if the kernel's
// table has no such segment that this process may read.
std::optional<ShmAttachment> find_any_segment(const Subject &subject);

// True if find_any_segment() finds a segment about the file of this kind.
bool has_segment(Kind kind, const Store &store);

// True if the segment's maker and this process share CLOCK_BOOTTIME; false if
// this process cannot tell.
bool shares_clock(const Segment &segment);

// True if this process has the host's own clock and the maker of the segment
// had not.  Most users of such a segment could neither stamp nor renew it.
bool is_of_a_guest(const Segment &segment);

// A segment that is attached for writing as long as this object lives.  So no
// process keeps a place from which it could write to the cache later, under
// other privileges.
struct Writing {
  ShmAttachment attachment;
  WritableSegment segment;
};

// Attaches a segment for writing.  Returns nullopt if it cannot be attached, or
// is not the one of that instance.
std::optional<Writing> attach_for_writing(int id, const Subject &subject,
                                          std::uint64_t instance);

// What a walk leaves as it is.
enum class Keep : std::uint8_t {
  kNone,
  kInUse,         // the segment of this layout, this lock, right owner and mode
  kInUseOrNewer,  // that, or one of a newer layout, which has its own users
};

// What keep_one_segment() has kept.
struct Kept {
  std::optional<Writing> in_use;
  bool newer = false;  // a segment of a newer layout was kept
  bool owes = false;   // a dead writer's debt to upstream could not be paid
};

// Retires every segment of this subject but the one that is kept, whatever its
// layout, key, lock, owner or mode, removed ones and those of older modules
// included.  The caller holds the file's lock.  For each segment in the
// kernel's table:
//
//  1. Raises upstream's word if a dead writer has not.
//  2. Marks the segment as retired, so that its users stop using it.
//  3. Removes it.
//
// The segment `spared` is left alone.  Segments of ours that no process has
// attached for a day go as well, of whatever file.  Returns an error if the
// users of a segment could not be told: then the caller must not change the
// file.
Result<Kept> keep_one_segment(const Store &store, const Subject &subject,
                              const FileLock &lock, Keep keep,
                              std::optional<int> spared = std::nullopt);

// Retires segments about a file of the same name in any other directory than
// the one that the path leads to now.  A directory that is gone, with the lock
// and every token, cannot be told from the directory of another store.  To the
// services of that other store the retirement is a miss.  Returns an error if
// the directory or the kernel's table cannot be read.
Result<void> retire_others(Kind kind, const Store &store);

// Returns the size in bytes of a segment that would be made now.
std::uint64_t size_to_make(const Store &store, Kind kind);

// Makes a segment with a new random HMAC key.  Its mode is 0600, or 0640 if the
// store has a verify_group.  Returns its id.  The caller holds the file's lock,
// and keep_one_segment() has kept no segment.  Returns kUnsafe if the effective
// group is neither root's nor the verify_group, or if /proc does not tell the
// time namespace; else the system's error.
Result<int> make_segment(const Store &store, const Subject &subject,
                         const FileLock &lock);

// True if the segment is to be replaced for one of two reasons:
//   - A process has changed its mode or group.
//   - It was made for other readers, or with another number of slots, than the
//     store's settings say, and the settings are younger than the segment.  Of
//     two stores of one file the one that was configured last has its way, and
//     neither fights.
bool is_outdated(int id, const Segment &segment, const Store &store);

// Makes a segment with a new HMAC key, and then retires all others.  If no
// segment can be made, returns an error, and the others stay.
Result<void> replace_segments(const Store &store, const Subject &subject,
                              const FileLock &lock);

// Replaces `outgrown` by a larger segment with the same HMAC key and slots.
// Returns false if the file does not want a larger one.
Result<bool> grow_segment(const Store &store, const Subject &subject,
                          const FileLock &lock, const Writing &outgrown);

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_LIFE_H_
