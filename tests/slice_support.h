// SPDX-License-Identifier: BSD-3-Clause
// What the kernel says of a thread's slice.
#ifndef PBSTOKEN_TESTS_SLICE_SUPPORT_H_
#define PBSTOKEN_TESTS_SLICE_SUPPORT_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace pbstoken::testing {

// In ns; 0 with a kernel before 6.12, which has none.
inline std::uint64_t slice_of(pid_t thread) {
  // struct sched_attr of sched_setattr(2), in words.
  constexpr std::size_t kRuntime = 3;
  std::array<std::uint64_t, 6> attributes{};
  return syscall(SYS_sched_getattr, thread, attributes.data(),
                 sizeof(attributes), 0) == 0
             ? attributes[kRuntime]
             : 0;
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_SLICE_SUPPORT_H_
