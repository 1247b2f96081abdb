// SPDX-License-Identifier: BSD-3-Clause
// Who may have what done.
#ifndef PBSTOKEN_HELPER_PERMISSIONS_H_
#define PBSTOKEN_HELPER_PERMISSIONS_H_

#include "caller.h"
#include "command_line.h"
#include "pbstoken/store.h"

namespace pbstoken {

// uid 0 and the store's admin_group: everything.  Its verify_group: to verify,
// to ask about accounts, and, where member_rotate says so, to rotate.  A group
// that cannot be looked up has no members.
bool permits(const Caller &caller, const Store &store, Command command);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_PERMISSIONS_H_
