// SPDX-License-Identifier: BSD-3-Clause
#include "caller.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "confine/split.h"
#include "wire/spare.h"
#include "wire/subordinate.h"

namespace pbstoken {

namespace {

// The kernel tells of it in place of any group that has no number in this user
// namespace, see user_namespaces(7).
constexpr gid_t kOverflowGroup = 65534;

bool has_group(const Caller &caller, gid_t group) {
  const auto others = caller.groups.items();
  return caller.gid == group ||
         std::find(others.begin(), others.end(), group) != others.end();
}

bool is_in_group(const Caller &caller, gid_t group) {
  return group != kOverflowGroup && has_group(caller, group);
}

bool is_for_admins(const CommandEntry *entry) {
  return entry != nullptr && entry->users != Users::kRoot;
}

// True if members of verify_group may give it, too.
bool is_for_members(const Store &store, const CommandEntry *entry) {
  return entry != nullptr &&
         (entry->users == Users::kMembers ||
          (entry->users == Users::kRotators && store.member_rotate));
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
  // configuration gives the helper has looked up before.
  if (id.error().code == Errc::kBadConfiguration) {
    return false;
  }
  return id.error();
}

}  // namespace

Result<Caller> calling_process() {
  Caller caller;
  caller.uid = getuid();
  caller.gid = getgid();
  const int count = getgroups(0, nullptr);
  if (count < 0) {
    return system_error("cannot read the caller's groups", {});
  }
  if (count == 0) {
    return caller;
  }
  gid_t *groups = caller.groups.extend(static_cast<std::size_t>(count));
  if (groups == nullptr) {
    return no_memory("cannot read the caller's groups");
  }
  if (getgroups(count, groups) != count) {
    return system_error("cannot read the caller's groups", {});
  }
  return caller;
}

Result<Caller> connected_peer(int fd) {
  constexpr const char *kWhat = "cannot tell who is connected to";
  constexpr const char *kWhere = "standard input";
  constexpr uid_t kNoUser = ~uid_t{0};
  int domain = 0;
  int type = 0;
  ucred peer{};
  socklen_t size = sizeof(int);
  socklen_t peer_size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) {
    return system_error(kWhat, kWhere);
  }
  if (domain != AF_UNIX || type != SOCK_STREAM || peer.uid == kNoUser) {
    return plain_error(Errc::kUnsafe, kWhat, kWhere,
                       "not a connected AF_UNIX stream socket");
  }
  Caller caller = {.uid = peer.uid, .gid = peer.gid, .groups = {}};
  // It asks twice: first for how much room is needed.
  socklen_t bytes = 0;
  // NOLINTNEXTLINE(clang-analyzer-unix.StdCLibraryFunctions): room for nothing
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) != 0 &&
      errno != ERANGE) {
    return system_error(kWhat, kWhere);
  }
  if (bytes == 0) {
    return caller;
  }
  gid_t *groups = caller.groups.extend(bytes / sizeof(gid_t));
  if (groups == nullptr) {
    return no_memory(kWhat);
  }
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) != 0) {
    return system_error(kWhat, kWhere);
  }
  return caller;
}

Client client_of(const Caller &caller, uid_t real_uid,
                 std::string_view remote_host) {
  const uid_t user = owner_of(caller.uid == 0 ? real_uid : caller.uid);
  return {.rhost = remote_host,
          .caller = user == 0 ? std::nullopt : std::optional(user),
          .one_shot = true,
          .has_gone = is_split() ? has_lost_caller : has_lost_client};
}

bool has_unknown_groups(const Caller &caller) {
  return has_group(caller, kOverflowGroup);
}

bool may_name_configuration(const Caller &caller) {
  return caller.uid == 0;
}

Result<bool> permits(const Caller &caller, const Store &store,
                     const CommandEntry *entry) {
  if (caller.uid == 0) {
    return entry != nullptr;
  }
  if (!is_for_admins(entry)) {
    return false;
  }
  auto admin = is_member(caller, store.admin_group);
  if (!admin || *admin || !is_for_members(store, entry)) {
    return admin;
  }
  return is_member(caller, store.verify_group);
}

ErrorText refusal(const Caller &caller, const Store &store,
                  const CommandEntry *entry) {
  ErrorText text("not permitted: only root");
  if (is_for_admins(entry) && !store.admin_group.is_nobody()) {
    text.append(" or group ").append_escaped(store.admin_group.name.view());
  }
  if (is_for_members(store, entry) && !store.verify_group.is_nobody()) {
    text.append(" or group ").append_escaped(store.verify_group.name.view());
  }
  return text.append(" may do this, not uid ").append(caller.uid);
}

}  // namespace pbstoken
