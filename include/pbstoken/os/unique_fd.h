// SPDX-License-Identifier: BSD-3-Clause
// UniqueFd: the one owner of a file descriptor.
//
// Thread safety: one thread per object; any thread may call the functions.
#ifndef PBSTOKEN_UNIQUE_FD_H_
#define PBSTOKEN_UNIQUE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace pbstoken {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd &operator=(UniqueFd &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  UniqueFd(const UniqueFd &) = delete;
  UniqueFd &operator=(const UniqueFd &) = delete;
  ~UniqueFd() {
    if (fd_ >= 0) {
      // A descriptor that was only read, or was fsync'ed, has nothing left to
      // report; Linux closes it whatever close(2) returns.
      ::close(fd_);
    }
  }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // Gives up ownership, for a caller that closes the file itself and wants to
  // know whether that failed.
  [[nodiscard]] int take() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Returns the same file under a number above those of standard input, output
// and error, which other threads of a host may take for their own.  Returns no
// descriptor, with errno, if no number is free.
inline UniqueFd above_standard(UniqueFd file) {
  constexpr int kFirstFree = STDERR_FILENO + 1;
  if (file && file.get() < kFirstFree) {
    return UniqueFd(fcntl(file.get(), F_DUPFD_CLOEXEC, kFirstFree));
  }
  return file;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_UNIQUE_FD_H_
