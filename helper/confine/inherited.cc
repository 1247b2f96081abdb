// SPDX-License-Identifier: BSD-3-Clause
#include "confine/inherited.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "pbstoken/os/privilege.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

constexpr std::string_view kUserNamespace = "it runs in a user namespace";

constinit std::string_view what_was_noted = {};

// The first namespace maps all ids to themselves, see user_namespaces(7).
// Without a /proc no other one is assumed.
bool is_in_user_namespace() {
  constexpr std::string_view kFirst = "         0          0 4294967295\n";
  const UniqueFd map(open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> line{};
  const ssize_t size = read(map.get(), line.data(), line.size());
  return size > 0 && std::string_view(line.data(),
                                      static_cast<std::size_t>(size)) != kFirst;
}

bool is_bounded() {
  return std::ranges::any_of(
      std::array{CAP_SETGID, CAP_SETUID, CAP_DAC_OVERRIDE, CAP_IPC_OWNER},
      [](int number) { return prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 0; });
}

}  // namespace

void note_inherited_confinement() {
  what_was_noted = is_in_user_namespace() ? kUserNamespace
                   : is_bounded()         ? "its capabilities are bounded"
                   : is_filtered()        ? "a filter judges its system calls"
                                          : "";
}

std::string_view inherited_confinement() {
  return what_was_noted;
}

bool inherits_user_namespace() {
  return what_was_noted == kUserNamespace;
}

}  // namespace pbstoken
