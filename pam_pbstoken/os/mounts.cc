// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/text.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

// More than a hundred mounts; a host with more has its cache by looking.
constexpr std::size_t kMost = 64 << 10;
constexpr std::size_t kMountPoint = 4;  // the field of a line, from 0

// False if it cannot be read to its end.
bool read_mounts(Buffer *out) {
  const UniqueFd file(
      open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file || !out->reserve(kMost)) {
    return false;
  }
  while (out->free_size() > 0) {
    const ssize_t count = read(file.get(), out->free_space(), out->free_size());
    if (count == 0) {
      return out->size() > 0;
    }
    if (count < 0 && errno != EINTR) {
      return false;
    }
    out->add_filled(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return false;
}

std::string_view field_of(std::string_view line, std::size_t number) {
  for (; number > 0; --number) {
    const std::size_t space = line.find(' ');
    line =
        slice(line, space == std::string_view::npos ? line.size() : space + 1);
  }
  return slice(line, 0, line.find(' '));
}

bool is_mount_point(std::string_view mounts, std::string_view name) {
  while (!mounts.empty()) {
    const std::string_view line = slice(mounts, 0, mounts.find('\n'));
    const std::string_view point = field_of(line, kMountPoint);
    if (slice(point, point.rfind('/') + 1) == name) {
      return true;
    }
    mounts = slice(mounts, line.size() + 1);
  }
  return false;
}

// The file escapes some bytes; names that have them are not looked for.
bool is_plain(std::string_view name) {
  return name.find_first_of(" \t\n\\#") == std::string_view::npos;
}

// Names that were found free: of each a hash in the upper half, and in the
// lower one the second in which that was.
constinit std::array<std::atomic<std::uint64_t>, 8> found_free = {};

std::uint64_t free_now(std::string_view name) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const char byte : name) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  }
  const std::uint64_t second = boottime_now() / kNanosecondsPerSecond;
  return std::uint64_t{hash} << 32U | static_cast<std::uint32_t>(second);
}

}  // namespace

bool may_be_mounted_over(std::string_view name) {
  const std::uint64_t now = free_now(name);
  auto &remembered = found_free[(now >> 32U) % found_free.size()];
  if (remembered.load(std::memory_order_relaxed) == now) {
    return false;
  }
  Buffer mounts;
  if (!is_plain(name) || !read_mounts(&mounts) ||
      is_mount_point(mounts.view(), name)) {
    return true;
  }
  remembered.store(now, std::memory_order_relaxed);
  return false;
}

}  // namespace pbstoken
