// SPDX-License-Identifier: BSD-3-Clause
// Limits and priorities that a caller has set for itself and hands on: with
// them it could make the helper fail where it likes, or hold the store's lock
// for as long as it likes.
#ifndef PBSTOKEN_RESOURCES_H_
#define PBSTOKEN_RESOURCES_H_

#include "pbstoken/base/result.h"

namespace pbstoken {

// Every resource limit as high as it goes, but for a few that have no use here
// and are as low as they go.  No core dump, and nobody traces the process.
// Root only.
Result<void> reset_limits();

// Processors, memory, disk and timers as a process has them that nobody slows
// down.  What the kernel or a container does not allow is left as it is: then
// the helper is slow, and no less safe.  Root only.
void reset_scheduling();

}  // namespace pbstoken

#endif  // PBSTOKEN_RESOURCES_H_
