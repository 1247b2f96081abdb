// SPDX-License-Identifier: BSD-3-Clause
// The part of `check` that reads token.shadow: its syntax, members that are no
// tokens, duplicates, ids and stored hashes.
#ifndef PBSTOKEN_HELPER_CHECK_SHADOW_H_
#define PBSTOKEN_HELPER_CHECK_SHADOW_H_

#include "pbstoken/result.h"
#include "pbstoken/unique_fd.h"
#include "problems.h"

namespace pbstoken {

// file: open for reading; path names it in the problems.
void check_shadow(const UniqueFd &file, const PathText &path,
                  Problems *problems);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_CHECK_SHADOW_H_
