// SPDX-License-Identifier: BSD-3-Clause
#include "permissions.h"

namespace pbstoken {

namespace {

bool is_member(const Caller &caller, const Principal &group) {
  if (group.is_nobody()) {
    return false;
  }
  const auto id = group_id(group);
  return id && is_in_group(caller, *id);
}

}  // namespace

bool permits(const Caller &caller, const Store &store, Command command) {
  if (caller.uid == 0 || is_member(caller, store.admin_group)) {
    return true;
  }
  const bool for_members = command == Command::kVerify ||
                           command == Command::kAccount ||
                           (command == Command::kRotate && store.member_rotate);
  return for_members && is_member(caller, store.verify_group);
}

}  // namespace pbstoken
