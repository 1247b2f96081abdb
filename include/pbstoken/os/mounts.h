// SPDX-License-Identifier: BSD-3-Clause
// What is mounted, for a process that may not look at the place itself.
#ifndef PBSTOKEN_MOUNTS_H_
#define PBSTOKEN_MOUNTS_H_

#include <string_view>

namespace pbstoken {

// Returns false if nothing is mounted over a file of this name, in whatever
// directory, in the mount namespace of the calling thread; true also if that
// cannot be told.  See proc_pid_mountinfo(5).  An answer is good for a second.
// Any thread.
bool may_be_mounted_over(std::string_view name);

}  // namespace pbstoken

#endif  // PBSTOKEN_MOUNTS_H_
