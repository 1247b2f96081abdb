// SPDX-License-Identifier: BSD-3-Clause
// The part of `check` that looks at the shared-memory segment which the
// store's key names.
#ifndef PBSTOKEN_CHECK_SEGMENT_H_
#define PBSTOKEN_CHECK_SEGMENT_H_

#include "admin/problems.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// In the problems it is named by its key, as shm:0x12345678.  That there is
// none is no problem.
void check_segment(const Store &store, Problems *problems);

}  // namespace pbstoken

#endif  // PBSTOKEN_CHECK_SEGMENT_H_
