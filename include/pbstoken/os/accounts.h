// SPDX-License-Identifier: BSD-3-Clause
// Finds users and groups by name, in /etc/passwd and /etc/group as files.
//
// It never goes through NSS: the modules of NSS would be loaded into a setuid
// program or into a host that did not ask for them, and may wait for a network.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_ACCOUNTS_H_
#define PBSTOKEN_ACCOUNTS_H_

#include <sys/types.h>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// Returns the number of a user, or group; kNotFound if the file does not know
// the name.
Result<uid_t> find_user(const char *name);
Result<gid_t> find_group(const char *name);

// Returns the names of the users that /etc/group or /etc/passwd has in this
// group, each once, a line for each.
Result<Buffer> members_of(gid_t gid);

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNTS_H_
