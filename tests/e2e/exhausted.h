// SPDX-License-Identifier: BSD-3-Clause
// Hosts that keep System V objects from root, in the IPC namespace of
// tests/scratch: their limit is what there is already, or strangers' stay.
#ifndef PBSTOKEN_TESTS_E2E_EXHAUSTED_H_
#define PBSTOKEN_TESTS_E2E_EXHAUSTED_H_

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "pbstoken/os/ipc_table.h"

namespace pbstoken::testing {

struct ObjectLimit {
  const char *path;
  const char *before;  // what stands in front of the number of objects
  int (*used)();
};

inline const ObjectLimit kSemaphoreLimit = {"/proc/sys/kernel/sem",
                                            "32000 1024000000 500 ", [] {
                                              int used = 0;
                                              SemaphoreEntry::last(&used);
                                              return used;
                                            }};
inline const ObjectLimit kSegmentLimit = {"/proc/sys/kernel/shmmni", "", [] {
                                            int used = 0;
                                            SegmentEntry::last(&used);
                                            return used;
                                          }};

class NoMoreObjects {
 public:
  explicit NoMoreObjects(const ObjectLimit &limit) : path_(limit.path) {
    std::getline(std::ifstream(path_), before_);
    write(limit.before + std::to_string(limit.used()));
  }
  NoMoreObjects(const NoMoreObjects &) = delete;
  NoMoreObjects &operator=(const NoMoreObjects &) = delete;
  ~NoMoreObjects() { write(before_); }

 private:
  void write(const std::string &text) const {
    if (!(std::ofstream(path_) << text << std::flush)) {
      std::perror(path_);
      std::abort();
    }
  }

  const char *path_;
  std::string before_;
};

// For a child: root that may not remove what others have made.
inline void give_up_sys_admin() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) {
    std::abort();
  }
  sets[0].effective &= ~(1U << CAP_SYS_ADMIN);
  sets[0].permitted &= ~(1U << CAP_SYS_ADMIN);
  if (syscall(SYS_capset, &header, sets.data()) != 0) {
    std::abort();
  }
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_EXHAUSTED_H_
