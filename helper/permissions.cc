// SPDX-License-Identifier: BSD-3-Clause
#include "permissions.h"

namespace pbstoken {

namespace {

// Whether members of verify_group may, too.  No default: a new command is
// nobody's until somebody has thought about it.
bool is_for_members(const Store &store, Command command) {
  switch (command) {
    case Command::kVerify:
    case Command::kAccount:
      return true;
    case Command::kRotate:
      return store.member_rotate;
    case Command::kGenerate:
    case Command::kSet:
    case Command::kDelete:
    case Command::kList:
    case Command::kStatus:
    case Command::kFlush:
    case Command::kCheck:
    case Command::kServe:
    case Command::kRetire:
      return false;
  }
  return false;
}

Result<bool> is_member(const Caller &caller, const Principal &group) {
  if (group.is_nobody()) {
    return false;
  }
  const auto id = group_id(group);
  if (id) {
    return is_in_group(caller, *id);
  }
  // The default's name may be missing in /etc/group; those that the
  // configuration gives were looked up when it was read.
  if (id.error().code == Errc::kBadConfiguration) {
    return false;
  }
  return id.error();
}

}  // namespace

bool may_name_configuration(const Caller &caller) {
  return caller.uid == 0;
}

Result<bool> permits(const Caller &caller, const Store &store,
                     Command command) {
  if (caller.uid == 0) {
    return true;
  }
  auto admin = is_member(caller, store.admin_group);
  if (!admin || *admin || !is_for_members(store, command)) {
    return admin;
  }
  return is_member(caller, store.verify_group);
}

ErrorText refusal(const Store &store, Command command) {
  ErrorText text("not permitted: only root");
  if (!store.admin_group.is_nobody()) {
    text.append(" or group ").append_escaped(store.admin_group.name.view());
  }
  if (is_for_members(store, command) && !store.verify_group.is_nobody()) {
    text.append(" or group ").append_escaped(store.verify_group.name.view());
  }
  return text.append(" may do this");
}

}  // namespace pbstoken
