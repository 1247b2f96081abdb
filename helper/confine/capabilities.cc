// SPDX-License-Identifier: BSD-3-Clause
#include "confine/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace pbstoken {

namespace {

constexpr const char *kCannotDrop = "cannot give up capabilities";

struct CapabilitySets {
  Capabilities effective = 0;
  Capabilities permitted = 0;
  Capabilities inheritable = 0;

  bool operator==(const CapabilitySets &) const = default;
};

// The kernel has each set in two halves of 32 bits, and has the three sets of a
// half together.
constexpr unsigned kHalf = 32;
using Halves = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

__user_cap_header_struct own_header() {
  return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

// libc has no functions for these two calls; those of libcap are not needed.
bool get_sets(CapabilitySets *out_sets) {
  __user_cap_header_struct header = own_header();
  Halves halves{};
  if (syscall(SYS_capget, &header, halves.data()) != 0) {
    return false;
  }
  const auto whole = [&halves](std::uint32_t __user_cap_data_struct::*set) {
    return Capabilities{halves[0].*set} |
           (Capabilities{halves[1].*set} << kHalf);
  };
  *out_sets = {.effective = whole(&__user_cap_data_struct::effective),
               .permitted = whole(&__user_cap_data_struct::permitted),
               .inheritable = whole(&__user_cap_data_struct::inheritable)};
  return true;
}

bool set_sets(const CapabilitySets &sets) {
  __user_cap_header_struct header = own_header();
  const auto half = [&sets](unsigned shift) -> __user_cap_data_struct {
    return {
        .effective = static_cast<std::uint32_t>(sets.effective >> shift),
        .permitted = static_cast<std::uint32_t>(sets.permitted >> shift),
        .inheritable = static_cast<std::uint32_t>(sets.inheritable >> shift)};
  };
  const Halves halves = {half(0), half(kHalf)};
  return syscall(SYS_capset, &header, halves.data()) == 0;
}

// What execve(2) may give to a process of root.  A container may forbid even
// that to be reduced; with no_new_privs it gives nothing all the same.
Result<void> empty_bounding_set() {
  for (unsigned number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0;
       ++number) {
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EPERM) {
      return system_error(kCannotDrop, {});
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    return system_error(kCannotDrop, {});
  }
  return {};
}

// Asks for everything that was given up.
bool can_regain(const CapabilitySets &before, const CapabilitySets &now) {
  return before != now && set_sets(before);
}

}  // namespace

Result<void> keep_capabilities(Capabilities wanted) {
  CapabilitySets before;
  if (!get_sets(&before)) {
    return system_error(kCannotDrop, {});
  }
  if (const auto emptied = empty_bounding_set(); !emptied) {
    return emptied.error();
  }
  // An empty inheritable set empties the ambient one, too.
  const Capabilities kept = before.permitted & wanted;
  const CapabilitySets goal = {
      .effective = kept, .permitted = kept, .inheritable = 0};
  CapabilitySets now;
  if (!set_sets(goal) || !get_sets(&now)) {
    return system_error(kCannotDrop, {});
  }
  if (now != goal || can_regain(before, now)) {
    return plain_error(Errc::kUnsafe, kCannotDrop, {}, "they come back");
  }
  return {};
}

}  // namespace pbstoken
