// SPDX-License-Identifier: BSD-3-Clause
// The holder of a flock(2) lock, for messages and for nothing else.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_LOCK_HOLDER_H_
#define PBSTOKEN_LOCK_HOLDER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// The process id of one holder of a lock of an open file, by /proc/locks.
// Returns nullopt if that cannot be told: there is no /proc, the holder is in
// another pid namespace, or the file system (btrfs, overlay) has another device
// number there than stat(2) gives.
std::optional<std::uint64_t> lock_holder(const UniqueFd &file);

// Does the same in a text of /proc/locks.
std::optional<std::uint64_t> lock_holder_in(std::string_view locks,
                                            dev_t device, ino_t inode);

}  // namespace pbstoken

#endif  // PBSTOKEN_LOCK_HOLDER_H_
