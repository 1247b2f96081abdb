// SPDX-License-Identifier: BSD-3-Clause
// Who may do what.
//
//   root (real uid 0)   everything
//   admin_group         every command
//   verify_group        verify, account; rotate, where the store has
//   member_rotate anybody else        nothing
//
// Judged by what the calling process itself has, never by the members that
// /etc/group lists.
#ifndef PBSTOKEN_PERMISSIONS_H_
#define PBSTOKEN_PERMISSIONS_H_

#include "caller.h"
#include "io/command_line.h"
#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Whether the caller may say where a store's configuration is: whoever does
// decides what is read as root.
bool may_name_configuration(const Caller &caller);

// Whether the caller may give this command.  A group that /etc/group does not
// know has no members; an error if that cannot be told.
Result<bool> permits(const Caller &caller, const Store &store, Command command);

// What to tell who may not: `not permitted: ...`, with the groups that may.
ErrorText refusal(const Store &store, Command command);

}  // namespace pbstoken

#endif  // PBSTOKEN_PERMISSIONS_H_
