// SPDX-License-Identifier: BSD-3-Clause
// Clocks that run ahead when they are told to, and places to step in between
// two steps of the protocol.  They stand in place of libc's
// functions for the core that is linked into the same program; for one source
// file of it.
#ifndef PBSTOKEN_TESTS_E2E_CACHE_HOOKS_H_
#define PBSTOKEN_TESTS_E2E_CACHE_HOOKS_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <utility>
#include <vector>

#include "e2e/cache_support.h"
#include "pbstoken/os/clock.h"

namespace pbstoken::testing {

// Added to what the clocks say, in nanoseconds: tests need not sleep.
struct Clocks {
  std::uint64_t boottime = 0;
  std::uint64_t realtime = 0;
};
inline Clocks ahead;

inline void advance_seconds(std::uint64_t seconds) {
  ahead.boottime += seconds * kNanosecondsPerSecond;
  ahead.realtime += seconds * kNanosecondsPerSecond;
}

// So that what has been read before may be settled by the next that comes.
inline void leave_settling_time() {
  advance_seconds(3);
}

// How often somebody looked at a file, and the errors that the next looks give.
inline std::size_t looks = 0;
inline std::vector<int> look_errors;

// Each runs once: right after the look at a file; after a file was read to its
// end; before a new file takes its place, and after it.
inline std::function<void()> *after_look = nullptr;
inline std::function<void()> *after_end_of_file = nullptr;
inline std::function<void()> *before_rename = nullptr;
inline std::function<void()> *after_rename = nullptr;

// Runs before each fstat(2), but for those of its own.
inline std::function<void()> before_fstat;

inline void run_once(std::function<void()> **hook) {
  if (*hook != nullptr) {
    (*std::exchange(*hook, nullptr))();
  }
}

inline void run_before_fstat() {
  if (auto hook = std::exchange(before_fstat, nullptr); hook) {
    hook();
    before_fstat = std::move(hook);
  }
}

inline int make_scene_with_hooks(void **state) {
  ahead = {};
  looks = 0;
  look_errors.clear();
  after_look = nullptr;
  after_end_of_file = nullptr;
  before_rename = nullptr;
  after_rename = nullptr;
  before_fstat = nullptr;
  return make_scene(state);
}

}  // namespace pbstoken::testing

extern "C" int clock_gettime(clockid_t id, timespec *out_time) noexcept {
  using pbstoken::kNanosecondsPerSecond;
  using pbstoken::testing::ahead;
  const auto result =
      static_cast<int>(syscall(SYS_clock_gettime, id, out_time));
  const std::uint64_t more = id == CLOCK_BOOTTIME   ? ahead.boottime
                             : id == CLOCK_REALTIME ? ahead.realtime
                                                    : 0;
  const std::uint64_t sum = pbstoken::nanoseconds(*out_time) + more;
  out_time->tv_sec = static_cast<time_t>(sum / kNanosecondsPerSecond);
  out_time->tv_nsec = static_cast<long>(sum % kNanosecondsPerSecond);
  return result;
}

extern "C" int statx(int directory, const char *path, int flags, unsigned mask,
                     struct statx *out_status) noexcept {
  using pbstoken::testing::look_errors;
  ++pbstoken::testing::looks;
  if (!look_errors.empty()) {
    errno = look_errors.front();
    look_errors.erase(look_errors.begin());
    return -1;
  }
  const auto result = static_cast<int>(
      syscall(SYS_statx, directory, path, flags, mask, out_status));
  pbstoken::testing::run_once(&pbstoken::testing::after_look);
  return result;
}

extern "C" int fstat(int fd, struct stat *out_status) noexcept {
  pbstoken::testing::run_before_fstat();
  return fstatat(fd, "", out_status, AT_EMPTY_PATH);
}

// Under another name in here: with _FORTIFY_SOURCE clang has an inline read().
extern "C" ssize_t hooked_read(int fd, void *buffer,
                               size_t size) __asm__("read");
extern "C" ssize_t hooked_read(int fd, void *buffer, size_t size) {
  const ssize_t result = syscall(SYS_read, fd, buffer, size);
  if (result == 0) {
    pbstoken::testing::run_once(&pbstoken::testing::after_end_of_file);
  }
  return result;
}

extern "C" int renameat(int from_directory, const char *from, int to_directory,
                        const char *to) noexcept {
  pbstoken::testing::run_once(&pbstoken::testing::before_rename);
  const auto result = static_cast<int>(
      syscall(SYS_renameat2, from_directory, from, to_directory, to, 0));
  pbstoken::testing::run_once(&pbstoken::testing::after_rename);
  return result;
}

#define with_hooks(test)                                                    \
  cmocka_unit_test_setup_teardown(test,                                     \
                                  pbstoken::testing::make_scene_with_hooks, \
                                  pbstoken::testing::remove_scene)

#endif  // PBSTOKEN_TESTS_E2E_CACHE_HOOKS_H_
