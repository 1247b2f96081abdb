// SPDX-License-Identifier: BSD-3-Clause
// Who asks: the user that started the helper, or that connected to its socket.
#ifndef PBSTOKEN_CALLER_H_
#define PBSTOKEN_CALLER_H_

#include <sys/types.h>

#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/base/vector.h"
#include "pbstoken/limits/fail_limit.h"

namespace pbstoken {

struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  List<gid_t> groups;  // supplementary
};

// The process that started this one: its real ids, and the groups that come
// with them.  To be asked before they are given up.
Result<Caller> calling_process();

// Who connected to the AF_UNIX stream socket `fd`, with the ids and groups that
// it had then.
Result<Caller> connected_peer(int fd);

// Whom failures count against: root's services count by themselves.
Client client_of(const Caller &caller, std::string_view remote_host);

// Whether the caller's own group, or one of its others, is this one.
bool is_in_group(const Caller &caller, gid_t group);

}  // namespace pbstoken

#endif  // PBSTOKEN_CALLER_H_
