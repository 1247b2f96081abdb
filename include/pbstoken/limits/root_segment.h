// SPDX-License-Identifier: BSD-3-Clause
// The small shared-memory segments that stand beside the one with the verified
// secrets, and that only root attaches: counters and failures.
//
// Zero bytes must be a valid content of such a segment, so there is nothing to
// initialise and nobody to wait for; nothing that matters may depend on it.
#ifndef PBSTOKEN_ROOT_SEGMENT_H_
#define PBSTOKEN_ROOT_SEGMENT_H_

#include <sys/types.h>

#include <cstddef>
#include <string_view>

#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The key of an IPC object that stands beside the segment of this store; the
// version of its layout is part of its purpose.
key_t key_beside(const Store &store, std::string_view purpose);

// The segment under this key, made if it is not there, in the table of this
// process.  What somebody else put there is removed.  An empty use if it cannot
// be had.
AttachmentUse use_root_segment(key_t key, std::size_t size);

}  // namespace pbstoken

#endif  // PBSTOKEN_ROOT_SEGMENT_H_
