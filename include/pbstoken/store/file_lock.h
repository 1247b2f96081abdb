// SPDX-License-Identifier: BSD-3-Clause
// FileLock: the store's lock, flock(2) exclusive on the store's lock_file,
// which upstream's own daemons take before they write token.shadow.
//
// Released by an explicit LOCK_UN, so that a child that another thread of the
// host forked meanwhile does not keep it.
#ifndef PBSTOKEN_FILE_LOCK_H_
#define PBSTOKEN_FILE_LOCK_H_

#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// How long a writer waits, as upstream does.
constexpr unsigned kWriterSeconds = 10;

class FileLock {
 public:
  // Tries for wait_seconds (0: once), by polling and without any signal;
  // kTimedOut if somebody else holds it, with the pid of who does if a wait was
  // in vain and /proc/locks has it.  A lock file that is not there is
  // made, 0660, with the owner and group that the store gives its files, which
  // takes root.  The lock counts only if the path still names the file
  // that was locked.
  static Result<FileLock> acquire(const Store &store, unsigned wait_seconds);

  // Makes the lock file if it is not there and can be made: for who gives up
  // the privileges for that before acquire().
  static void prepare(const Store &store);

  FileLock(FileLock &&) noexcept = default;
  FileLock &operator=(FileLock &&) noexcept = default;
  FileLock(const FileLock &) = delete;
  FileLock &operator=(const FileLock &) = delete;
  ~FileLock();

 private:
  explicit FileLock(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FILE_LOCK_H_
