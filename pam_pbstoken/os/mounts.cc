// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

// Looks at the file byte by byte, for the last component of each mount point.
class Search {
 public:
  explicit Search(std::string_view name) : name_(name) {}

  // True if this byte ends a mount point over a file of the name.
  bool takes(char byte) {
    if (byte == ' ' || byte == '\n') {
      const bool found =
          field_ == kMountPoint && same_ && matched_ == name_.size();
      field_ = byte == ' ' ? field_ + 1 : 0;
      begin();
      return found;
    }
    if (byte == '/') {
      begin();
      return false;
    }
    same_ = same_ && matched_ < name_.size() && name_[matched_] == byte;
    ++matched_;
    return false;
  }

 private:
  static constexpr std::size_t kMountPoint = 4;  // the field of a line, from 0

  void begin() {
    matched_ = 0;
    same_ = true;
  }

  std::string_view name_;
  std::size_t field_ = 0;
  std::size_t matched_ = 0;  // bytes of this component
  bool same_ = true;         // all of them so far
};

// Also true if the file cannot be read to its end, or is empty.
bool is_mounted_over(std::string_view name) {
  const UniqueFd file(
      open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  Search search(name);
  for (bool is_empty = true;; is_empty = false) {
    std::array<char, 1024> piece;  // one after the other: a stack may be small
    const ssize_t count = read(file.get(), piece.data(), piece.size());
    if (count <= 0) {
      return count < 0 || is_empty;
    }
    for (ssize_t i = 0; i < count; ++i) {
      if (search.takes(piece[static_cast<std::size_t>(i)])) {
        return true;
      }
    }
  }
}

// The file escapes some bytes; names that have them are not looked for.
bool is_plain(std::string_view name) {
  return name.find_first_of(" \t\n\\#") == std::string_view::npos;
}

// Names that were found free: of each a hash in the upper half, and in the
// lower one the second in which that was.
constinit std::array<std::atomic<std::uint64_t>, 8> found_free = {};

std::uint64_t free_now(std::string_view name) {
  const std::uint64_t second = boottime_now() / kNanosecondsPerSecond;
  return hash_of(name) << 32U | static_cast<std::uint32_t>(second);
}

}  // namespace

bool may_be_mounted_over(std::string_view name) {
  const std::uint64_t now = free_now(name);
  auto &remembered = found_free[(now >> 32U) % found_free.size()];
  if (remembered.load(std::memory_order_relaxed) == now) {
    return false;
  }
  if (!is_plain(name) || is_mounted_over(name)) {
    return true;
  }
  remembered.store(now, std::memory_order_relaxed);
  return false;
}

}  // namespace pbstoken
