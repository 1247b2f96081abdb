// SPDX-License-Identifier: BSD-3-Clause
// The caller: the user that started the helper or connected to its socket, and
// which commands that user may give.
//
//   root (real uid 0)   every command
//   admin_group         every command but `serve`
//   verify_group        verify, account; rotate, if the store has member_rotate
//   all others          none
//
// What counts are the groups that the calling process has, not the members that
// /etc/group lists.
#ifndef PBSTOKEN_CALLER_H_
#define PBSTOKEN_CALLER_H_

#include <sys/types.h>

#include <string_view>

#include "io/command.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  List<gid_t> groups;  // supplementary
};

// Returns the process that started this one: its real ids, and the groups that
// come with them.  Call it before this process gives them up.
Result<Caller> calling_process();

// Returns the process that connected to the AF_UNIX stream socket `fd`, with
// the ids and groups that it had then.
Result<Caller> connected_peer(int fd);

// Returns the client that failures and turns count against: the caller, or the
// user that has its uid as a subordinate one; or where the caller is root, the
// real uid that its request states (of su(1), the user that started it).  For a
// real uid of root the remote host alone counts.
Client client_of(const Caller &caller, uid_t real_uid,
                 std::string_view remote_host);

// True if the caller has groups that have no number in this user namespace:
// they count for nothing.
bool has_unknown_groups(const Caller &caller);

// True if the caller may say where a store's configuration is: that file
// decides what is read as root.
bool may_name_configuration(const Caller &caller);

// Returns whether the caller may give this command; without an entry no caller
// may.  A group that /etc/group does not know has no members.  Returns an error
// if that cannot be told.
Result<bool> permits(const Caller &caller, const Store &store,
                     const CommandEntry *entry);

// Returns the message for a caller that may not: `not permitted: ...`, with the
// groups that may, and its uid.
ErrorText refusal(const Caller &caller, const Store &store,
                  const CommandEntry *entry);

}  // namespace pbstoken

#endif  // PBSTOKEN_CALLER_H_
