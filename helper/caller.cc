// SPDX-License-Identifier: BSD-3-Clause
#include "caller.h"

#include <unistd.h>

namespace pbstoken {

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

bool is_in_group(const Caller &caller, gid_t group) {
  if (caller.gid == group) {
    return true;
  }
  for (const gid_t other : caller.groups.items()) {
    if (other == group) {
      return true;
    }
  }
  return false;
}

}  // namespace pbstoken
