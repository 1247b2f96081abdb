// SPDX-License-Identifier: BSD-3-Clause
// How segments are found, made and retired (rule 3 in generation.h).
//
// The key of a subject is the short way to its segment, and no more: where the
// key is another's, the segment has none, and is found by walking the kernel's
// table.  Any thread may call everything in here.
#ifndef PBSTOKEN_SEGMENT_LIFE_H_
#define PBSTOKEN_SEGMENT_LIFE_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/segment.h"
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

// The segment of this subject that is in use; nullopt if there is none that
// this process may read.
std::optional<FoundSegment> find_segment(const Subject &subject);

// One about this subject in the kernel's table, in use or not; nullopt if there
// is none that this process may read.
std::optional<ShmAttachment> find_any_segment(const Subject &subject);

// Whether there is one about the file of this kind.
bool has_segment(Kind kind, const Store &store);

// Whether its maker and this process share CLOCK_BOOTTIME; false if this
// process cannot tell.
bool shares_clock(const Segment &segment);

// Whether this process has the host's own clock and the maker of the segment
// had not.  Most of its users could neither stamp nor renew it.
bool is_of_a_guest(const Segment &segment);

// A segment, attached for writing for as long as this lives: no process keeps a
// place from which it could write to the cache later, under other privileges.
struct Writing {
  ShmAttachment attachment;
  WritableSegment segment;
};

// Returns nullopt if it cannot be attached, or is not the one of that instance.
std::optional<Writing> attach_for_writing(int id, const Subject &subject,
                                          std::uint64_t instance);

// What a walk leaves as it is.
enum class Keep : std::uint8_t {
  kNone,
  kInUse,         // the segment of this layout, this lock, right owner and mode
  kInUseOrNewer,  // that, or one of a newer layout, whose users it is for
};
struct Kept {
  std::optional<Writing> in_use;
  bool newer = false;
  bool owes = false;  // a dead writer's debt to upstream could not be paid
};

// For the holder of the file's lock.  Walks the kernel's table and retires
// every segment of this subject but the one that is kept, whatever its layout,
// key, lock, owner or mode, removed ones and those of older modules included:
// marks it, so that its users stop using it, and removes it.  Raises upstream's
// word first where a dead writer has not.  `spared` is left alone.  Segments of
// ours that nobody has used for a day go, too, of whatever file.  An error,
// and the file must not be changed, if one could not be told.
Result<Kept> keep_one_segment(const Store &store, const Subject &subject,
                              const FileLock &lock, Keep keep,
                              std::optional<int> spared = std::nullopt);

// Retires what is about a file of that name in any other directory than the one
// that the path leads to now.  Nothing tells a directory that is gone, with the
// lock and every token, from another store's.  To the services of that store it
// is a miss.
Result<void> retire_others(Kind kind, const Store &store);

// How large a segment would be that is made now, in bytes.
std::uint64_t size_to_make(const Store &store, Kind kind);

// Makes a new one with a new random key, 0600 or, with a verify_group, 0640,
// after keep_one_segment() has kept none; returns its id.
Result<int> make_segment(const Store &store, const Subject &subject,
                         const FileLock &lock);

// Whether somebody has changed the segment's mode or group; or it was made for
// other readers, or with another number of slots, than the store's settings
// say, and the settings are younger than it is: of two stores of one file the
// one that was configured last has its way, and neither fights.
bool is_outdated(int id, const Segment &segment, const Store &store);

// Makes a new one with a new key, and retires all others then: where none can
// be made, they stay.
Result<void> replace_segments(const Store &store, const Subject &subject,
                              const FileLock &lock);

// Does so with one that is larger than `outgrown`, and has its key and slots;
// false if the file does not want a larger one.
Result<bool> grow_segment(const Store &store, const Subject &subject,
                          const FileLock &lock, const Writing &outgrown);

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_LIFE_H_
