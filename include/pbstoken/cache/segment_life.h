// SPDX-License-Identifier: BSD-3-Clause
// How a segment is found, made, replaced and retired (rule 3 in
// generation.h).
#ifndef PBSTOKEN_SEGMENT_LIFE_H_
#define PBSTOKEN_SEGMENT_LIFE_H_

#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Whose segment this process looks for: token.shadow's path, its directory,
// and the time namespace that the clock belongs to.
Result<SegmentOrigin> origin_of(const Store &store);

// The id that the store's key names now; nothing if it names none.
Result<std::optional<int>> find_segment_id(const Store &store);

// Retires every segment of this origin that is still attached somewhere
// although no key names it any more: one that ipcrm(1) removed lives on in the
// processes that have it, out of every writer's reach.  Root only.  An error if
// one could not be told.
Result<void> retire_orphans(const SegmentOrigin &origin, const FileLock &lock);

// Marks the segment that the key names as retired, so that whoever has it
// attached stops using it, and removes it; then all orphans.  Root only.  An
// error, and nothing done, if it could not be marked: it has users who would
// go on, or it is a newer version's.
Result<void> retire_segment(const Store &store, const SegmentOrigin &origin,
                            const FileLock &lock);

// Only what the key names, and without the lock: for a store whose directory is
// gone, and the lock's file and every token with it.  Root only.
Result<void> retire_abandoned_segment(const Store &store);

// As retire_segment(), and makes a new one with a new random key, 0600 or, with
// a verify_group, 0640.
Result<int> replace_segment(const Store &store, const SegmentOrigin &origin,
                            const FileLock &lock);

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_LIFE_H_
