// SPDX-License-Identifier: BSD-3-Clause
// Which limit of the kernel keeps a System V object from being made, and the
// users that fill it with their objects.  See proc_sys_kernel(5).
#ifndef PBSTOKEN_IPC_ROOM_H_
#define PBSTOKEN_IPC_ROOM_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/text.h"

namespace pbstoken {

struct Shortage {
  const char *path;  // of the limit, below /proc/sys/kernel
  // "all 4096 shared-memory segments are taken, 4000 objects are of uid 5; ..."
  FixedText<255> what = {};
};

// Returns the shortage for one more segment of so many bytes, or one more set
// of so many semaphores, on which one semop(2) does so many operations; nullopt
// if there is room, or the kernel does not tell.  Any thread.
std::optional<Shortage> shortage_of_segments(std::uint64_t size);
std::optional<Shortage> shortage_of_sets(std::uint64_t semaphores,
                                         std::uint64_t operations);

}  // namespace pbstoken

#endif  // PBSTOKEN_IPC_ROOM_H_
