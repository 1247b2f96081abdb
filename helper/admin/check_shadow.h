// SPDX-License-Identifier: BSD-3-Clause
// The part of `check` that reads token.shadow: its syntax, members that are no
// tokens, duplicates, ids and stored hashes.
#ifndef PBSTOKEN_CHECK_SHADOW_H_
#define PBSTOKEN_CHECK_SHADOW_H_

#include "admin/problems.h"
#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// file: open for reading; path names it in the problems.
void check_shadow(const UniqueFd &file, const PathText &path,
                  Problems *problems);

}  // namespace pbstoken

#endif  // PBSTOKEN_CHECK_SHADOW_H_
