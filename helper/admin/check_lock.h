// SPDX-License-Identifier: BSD-3-Clause
// The part of `check` that asks whether somebody holds the store's lock, and
// what dead writers have left behind.
#ifndef PBSTOKEN_CHECK_LOCK_H_
#define PBSTOKEN_CHECK_LOCK_H_

#include "admin/problems.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// lock: the lock file, open for reading, or none.  It is held, together with
// other readers, while the directories are looked through.
void check_lock(const Store &store, const UniqueFd &lock, Problems *problems);

}  // namespace pbstoken

#endif  // PBSTOKEN_CHECK_LOCK_H_
