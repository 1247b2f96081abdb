// SPDX-License-Identifier: BSD-3-Clause
// The file that stands in for the System V objects of a store's limits where
// the kernel has no room for them: any user may fill its tables.
//
// It holds windows of fail_limit, fewer than their segment, and its lock lets
// one process hash at a time.  It lies in /run, where no user can make, open or
// lock it: /run/pbstoken is there only with the helper's socket, and to make it
// takes a call that a service's filter may kill for.  Where it cannot be opened
// for writing, as under ProtectSystem=strict, it has a lock and no windows;
// where it cannot be opened at all, each process has a limit of its own.
//
// The kernel gives the lock back however its holder ends.  A stopped holder, or
// a child that was forked while its parent hashed and died, delays others, and
// does not deny them a hash: each holder counts a turn, and a process that has
// waited without a new turn goes on without the lock.
//
// Thread safety: one thread per object, and not in a child forked meanwhile.
#ifndef PBSTOKEN_LIMITS_FILE_H_
#define PBSTOKEN_LIMITS_FILE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "pbstoken/base/text.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Returns where the file of a store is.
PathText limits_path(const Store &store);

class LimitsFile {
 public:
  // How many bytes the windows have.
  static constexpr std::size_t kWindowsSize = std::size_t{65} * 1024;

  LimitsFile() = default;  // for a process that has none

  // Opens the file, and makes it if it is not there.  Returns an empty object
  // if that fails, or if others than root might have opened it.
  static LimitsFile open(const Store &store);

  LimitsFile(LimitsFile &&other) noexcept { swap(other); }
  LimitsFile &operator=(LimitsFile &&other) noexcept {
    swap(other);
    return *this;
  }
  LimitsFile(const LimitsFile &) = delete;
  LimitsFile &operator=(const LimitsFile &) = delete;
  ~LimitsFile();

  // Zero bytes at first.  Null if this process cannot write them.
  [[nodiscard]] std::byte *windows() const;

  enum class Waited : std::uint8_t {
    kHasLock,
    kOthersHad,  // in vain: others had the lock meanwhile
    kNoLock      // there is none, or its holder has been stopped
  };
  // Waits for the lock, until `deadline` (CLOCK_BOOTTIME in ns) at most; the
  // destructor gives it back.  Sets *out_waited if it has waited.
  [[nodiscard]] Waited lock_until(std::uint64_t deadline, bool *out_waited);

 private:
  void swap(LimitsFile &other) noexcept {
    std::swap(file_, other.file_);
    std::swap(content_, other.content_);
    std::swap(is_writable_, other.is_writable_);
    std::swap(is_locked_, other.is_locked_);
  }
  void map();
  [[nodiscard]] std::uint64_t turns() const;

  UniqueFd file_;
  std::byte *content_ = nullptr;
  bool is_writable_ = false;
  bool is_locked_ = false;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LIMITS_FILE_H_
