// SPDX-License-Identifier: BSD-3-Clause
// File systems that other hosts, or a program on this one, may change without
// this kernel: what it says of a file may be old, and what it locks may be
// locked here alone.
#ifndef PBSTOKEN_SHARED_FS_H_
#define PBSTOKEN_SHARED_FS_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"

namespace pbstoken {

struct SharedFs {
  std::string_view name;
  // For people: how far what a host sees may lag behind, and where a lock does
  // not count.  Empty if there is nothing to be said.
  std::string_view caveat;
};

// What the directory is on, by statfs(2); nullopt if it is the host's own, or
// cannot be asked.
std::optional<SharedFs> shared_fs_of(int directory);

// The same of the directory that a file is in, or is to be in.
std::optional<SharedFs> shared_fs_of(const PathText &path);

}  // namespace pbstoken

#endif  // PBSTOKEN_SHARED_FS_H_
