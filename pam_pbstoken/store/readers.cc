// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/readers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace pbstoken {

Result<std::optional<gid_t>> reader_group(const Store &store) {
  if (store.verify_group.is_nobody()) {
    return std::optional<gid_t>();
  }
  const auto group = group_id(store.verify_group);
  if (group) {
    return std::optional<gid_t>(*group);
  }
  // The default's name may be missing: then the group has no members.  Names
  // that the configuration gives have been looked up by now.
  if (group.error().code == Errc::kBadConfiguration) {
    return std::optional<gid_t>();
  }
  return group.error();
}

bool may_make_for(std::optional<gid_t> group) {
  return !group || getegid() == 0 || getegid() == *group;
}

std::optional<std::time_t> readers_changed_at(const Store &store) {
  struct stat status = {};
  const bool is_there = stat(store.configuration.c_str(), &status) == 0;
  if ((is_there ? identity_of(status) : FileIdentity()) !=
      store.configuration_identity) {
    return std::nullopt;
  }
  std::time_t latest = is_there ? status.st_ctim.tv_sec : 0;
  const PathText directory = directory_of(store.configuration);
  for (const char *path : {directory.c_str(), "/etc/group"}) {
    if (stat(path, &status) == 0) {
      latest = std::max(latest, status.st_ctim.tv_sec);
    }
  }
  return latest;
}

}  // namespace pbstoken
