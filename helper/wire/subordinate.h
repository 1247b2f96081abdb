// SPDX-License-Identifier: BSD-3-Clause
// Users that have many uids: subuid(5) lets a user run processes under any uid
// of a range, with the user's groups.  What is counted for each user counts for
// the owner of the range, or one user could have the places of all.
#ifndef PBSTOKEN_SUBORDINATE_H_
#define PBSTOKEN_SUBORDINATE_H_

#include <sys/types.h>

#include "pbstoken/base/result.h"

namespace pbstoken {

constexpr const char *kSubordinateUids = "/etc/subuid";

// Reads the file for owner_of(), once, before there are children.  A line
// without a known user is left out, and so is a range of root's: containers are
// not root.  Returns an error if the file cannot be read, or has more ranges
// than there is room for: then it knows those that it has.
Result<void> load_subordinate_uids();

// Returns the user that the file gives the uid; the uid itself if it gives it
// to no user.
uid_t owner_of(uid_t uid);

}  // namespace pbstoken

#endif  // PBSTOKEN_SUBORDINATE_H_
