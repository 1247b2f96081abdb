// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/limits_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

// The number of turns has a line of its own in front of the windows.
constexpr std::size_t kLine = 64;
constexpr std::size_t kSize = kLine + LimitsFile::kWindowsSize;

UniqueFd open_at(const PathText &path, int flags) {
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
  return above_standard(
      UniqueFd(::open(path.c_str(), flags | kAlways, S_IRUSR | S_IWUSR)));
}

// A file of another name might be anything, and would be added to.
bool is_roots_alone(const struct stat &status) {
  return S_ISREG(status.st_mode) && status.st_uid == 0 &&
         status.st_nlink == 1 && (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

// True if a longer file brings no signal, and no filter kills for asking.
bool may_add() {
  rlimit most{};
  return !is_filtered() && getrlimit(RLIMIT_FSIZE, &most) == 0 &&
         most.rlim_cur >= kSize;
}

// Adds zero bytes at the end, so that the file system has room for all of them:
// a page that it had none for would kill the process that writes there.
// Returns false if that fails.
bool fill(const UniqueFd &file, std::size_t size) {
  static constexpr std::array<char, 4096> kZeros{};
  while (size < kSize) {
    const ssize_t added =
        write(file.get(), kZeros.data(), std::min(kZeros.size(), kSize - size));
    if (added <= 0) {
      return false;
    }
    size += static_cast<std::size_t>(added);
  }
  return true;
}

}  // namespace

PathText limits_path(const Store &store) {
  PathText path("/run/pbstoken-limits-");
  return path.append(
      derive_number("pbstoken limits 1", store.token_shadow.view()));
}

LimitsFile LimitsFile::open(const Store &store) {
  const PathText path = limits_path(store);
  LimitsFile opened;
  opened.file_ = open_at(path, O_RDWR | O_APPEND | O_CREAT);
  opened.is_writable_ = static_cast<bool>(opened.file_);
  if (!opened.file_) {
    opened.file_ = open_at(path, O_RDONLY);
  }
  struct stat status = {};
  if (!opened.file_ || fstat(opened.file_.get(), &status) != 0 ||
      !is_roots_alone(status)) {
    return {};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size >= kSize ||
      (opened.is_writable_ && may_add() && fill(opened.file_, size))) {
    opened.map();
  }
  return opened;
}

// Without it there are no windows, and no turns are seen.
void LimitsFile::map() {
  const int rights = is_writable_ ? PROT_READ | PROT_WRITE : PROT_READ;
  void *address =
      mmap(nullptr, kSize, rights, MAP_SHARED, file_.get(), /*offset=*/0);
  if (address == MAP_FAILED) {
    return;
  }
  content_ = static_cast<std::byte *>(address);
  // A child may be about to change its privileges.
  static_cast<void>(madvise(address, kSize, MADV_DONTFORK));
  static_cast<void>(madvise(address, kSize, MADV_DONTDUMP));
}

std::byte *LimitsFile::windows() const {
  return content_ != nullptr && is_writable_ ? content_ + kLine : nullptr;
}

std::uint64_t LimitsFile::turns() const {
  return content_ != nullptr
             ? load_relaxed(reinterpret_cast<std::uint64_t *>(content_))
             : 0;
}

LimitsFile::Waited LimitsFile::lock_until(std::uint64_t deadline,
                                          bool *out_waited) {
  const std::uint64_t before = turns();
  while (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Waited::kNoLock;
    }
    *out_waited = true;
    if (time_left(deadline) == 0) {
      return turns() != before ? Waited::kOthersHad : Waited::kNoLock;
    }
    nanosleep(&kPause, nullptr);
  }
  is_locked_ = true;
  if (windows() != nullptr) {
    store_relaxed(reinterpret_cast<std::uint64_t *>(content_), turns() + 1);
  }
  return Waited::kHasLock;
}

LimitsFile::~LimitsFile() {
  if (is_locked_) {
    // A child that was forked meanwhile has the same lock.
    flock(file_.get(), LOCK_UN);
  }
  if (content_ != nullptr) {
    munmap(content_, kSize);
  }
}

}  // namespace pbstoken
