// SPDX-License-Identifier: BSD-3-Clause
// FileLock: flock(2) exclusive on the lock of a watched file, which upstream's
// own daemons take before they write it: lock_file for token.shadow, user_lock
// for user.cfg.  A process that needs both takes user_lock first.
//
// Released by an explicit LOCK_UN, so that a child that another thread of the
// host forked meanwhile does not keep it.
#ifndef PBSTOKEN_FILE_LOCK_H_
#define PBSTOKEN_FILE_LOCK_H_

#include <cstdint>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// How long a writer waits, as upstream does.
constexpr unsigned kWriterSeconds = 10;

class FileLock {
 public:
  // Tries for wait_seconds (0: once), by polling and without any signal.
  // Returns kTimedOut if another process holds the lock.  The error names the
  // holder's pid if a wait was in vain and /proc/locks has it.  A lock file
  // that is not there is made, 0660, with the owner and group that the store
  // gives its files, which takes root.  The lock counts only if the path still
  // names the file that was locked.
  static Result<FileLock> acquire(const Store &store, unsigned wait_seconds) {
    return acquire(store, store.lock_file, wait_seconds);
  }
  // path: lock_file or user_lock of the store.  gives_up: called again and
  // again while it waits; true ends the wait.
  static Result<FileLock> acquire(const Store &store, const PathText &path,
                                  unsigned wait_seconds,
                                  bool (*gives_up)() = nullptr);

  // Makes the lock file if it is not there and can be made: for a process that
  // gives up the privileges for that before acquire().
  static void prepare(const Store &store, const PathText &path);

  // Which lock it is: an inode on a device.
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator==(const Identity &) const = default;
  };
  [[nodiscard]] const Identity &identity() const { return identity_; }

  // True if the path still names it.
  [[nodiscard]] bool is_still_named(const PathText &path) const;

  FileLock(FileLock &&) noexcept = default;
  FileLock &operator=(FileLock &&) noexcept = default;
  FileLock(const FileLock &) = delete;
  FileLock &operator=(const FileLock &) = delete;
  ~FileLock();

 private:
  FileLock(UniqueFd file, const Identity &identity)
      : file_(std::move(file)), identity_(identity) {}

  UniqueFd file_;
  Identity identity_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FILE_LOCK_H_
