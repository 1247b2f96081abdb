// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/version_word.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstddef>

#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr std::size_t kPageSize = 4096;
constexpr std::array<unsigned char, 8> kMagic = {0x19, 0xc6, 0xa8, 0xe6,
                                                 0x9a, 0x84, 0x8f, 0x83};

// Returns an error if that cannot be told.
Result<bool> is_page(const UniqueFd &file, const PathText &path) {
  if (!file) {
    return false;
  }
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) {
    return system_error("cannot read", path.view());
  }
  if (!S_ISREG(status.st_mode) ||
      status.st_size < static_cast<off_t>(kPageSize)) {
    return false;
  }
  std::array<unsigned char, 8> magic{};
  const ssize_t count = pread(file.get(), magic.data(), magic.size(), 0);
  if (count < 0) {
    return system_error("cannot read", path.view());
  }
  return count == static_cast<ssize_t>(magic.size()) && magic == kMagic;
}

// What open(2) says of what is no regular file, and so no page.
bool is_no_file(int error) {
  return error == ENOENT || error == ELOOP || error == EISDIR || error == ENXIO;
}

constexpr int kOpenFlags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;

class Mapping {
 public:
  explicit Mapping(const UniqueFd &file)
      : address_(mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED,
                      file.get(), 0)) {}
  Mapping(const Mapping &) = delete;
  Mapping &operator=(const Mapping &) = delete;
  ~Mapping() {
    if (address_ != MAP_FAILED) {
      munmap(address_, kPageSize);
    }
  }

  // Returns null if it could not be mapped.
  [[nodiscard]] std::byte *address() const {
    return address_ == MAP_FAILED ? nullptr
                                  : static_cast<std::byte *>(address_);
  }

 private:
  void *address_;
};

}  // namespace

Result<void> bump_version_word(const PathText &path, VersionWord which) {
  if (path.empty()) {
    return {};
  }
  const auto place = find_place(path);
  if (!place) {
    const Errc code = place.error().code;
    return code == Errc::kNotFound || code == Errc::kUnsafe
               ? Result<void>()
               : Result<void>(place.error());
  }
  const UniqueFd file(
      openat(place->directory.get(), place->name.c_str(), O_RDWR | kOpenFlags));
  if (!file && !is_no_file(errno)) {
    return system_error("cannot open", path.view());
  }
  const auto found = is_page(file, path);
  if (!found) {
    return found.error();
  }
  if (!*found) {
    return {};
  }
  const Mapping page(file);
  if (page.address() == nullptr) {
    return system_error("cannot map", path.view());
  }
  // FUTEX_WAKE_OP adds to a word of 32 bits in the kernel, as atomically as
  // the daemons' own adds of 64: the low half of their counter, which they
  // cannot fill in the life of a host.  If the page is truncated under us the
  // call fails with EFAULT, where an instruction of ours would raise SIGBUS
  // and kill the host.
  constexpr std::size_t kLowHalf =
      std::endian::native == std::endian::little ? 0 : 4;
  std::byte *word = page.address() + static_cast<std::size_t>(which) + kLowHalf;
  constexpr unsigned kAddOne = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0);
  // No process waits at that address; a waiter would be woken, and no more.
  if (syscall(SYS_futex, word, FUTEX_WAKE_OP, 0, nullptr, word, kAddOne) < 0) {
    return system_error("cannot raise the generation in", path.view());
  }
  return {};
}

bool is_version_page(const UniqueFd &file) {
  const auto found = is_page(file, PathText());
  return found && *found;
}

}  // namespace pbstoken
