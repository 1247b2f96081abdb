// SPDX-License-Identifier: BSD-3-Clause
// The readers of a store's shared memory: root and, where the store has a
// verify_group, its members.
#ifndef PBSTOKEN_READERS_H_
#define PBSTOKEN_READERS_H_

#include <sys/types.h>

#include <ctime>
#include <optional>

#include "pbstoken/store/store.h"

namespace pbstoken {

// Returns the gid of verify_group; nullopt: the memory is root's alone.
// Returns an error if /etc/group cannot be read.  Any thread.
Result<std::optional<gid_t>> reader_group(const Store &store);

// True if what this process makes is readable for them alone: the group of its
// maker may read it, too, for ever, see sysvipc(7).
bool may_make_for(std::optional<gid_t> group);

// Returns when what reader_group() goes by was last changed: the store's
// configuration, its directory, /etc/group.  The time is in seconds of the wall
// clock, as shm_ctime is.  Returns nullopt if the store's settings are no
// longer those of its configuration: a handle that lives on has those of its
// start, and must not force them on others.
std::optional<std::time_t> readers_changed_at(const Store &store);

}  // namespace pbstoken

#endif  // PBSTOKEN_READERS_H_
