// SPDX-License-Identifier: BSD-3-Clause
// File systems that other hosts, or a program on this one, may change without
// this kernel: what it says of a file may be old, and what it locks may be
// locked here alone.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_SHARED_FS_H_
#define PBSTOKEN_SHARED_FS_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"

namespace pbstoken {

// Returns the name, by statfs(2), of a file system of several hosts: "NFS".  It
// is the one of the directory that a file is in, or is to be in.  Returns
// nullopt if it is the host's own, or cannot be asked.
std::optional<std::string_view> shared_fs_of(const PathText &path);

}  // namespace pbstoken

#endif  // PBSTOKEN_SHARED_FS_H_
