// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

constexpr const char *kNotAbsolute = "not an absolute path";
constexpr const char *kNoFile = "not the path of a file";
constexpr const char *kNoDirectory =
    "a component is a symbolic link or no directory";

constexpr int kOpenFlags =
    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;

Error unsafe(const PathText &path, const char *why) {
  return plain_error(Errc::kUnsafe, "cannot use", path.view(), why);
}

Error too_large(const PathText &path) {
  return plain_error(Errc::kMalformed, "cannot read", path.view(), "too large");
}

bool is_root_only(const struct stat &status) {
  return status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// openat(2), or the same with ELOOP for a symbolic link and EXDEV for what is
// mounted over the name; glibc has no function for it.
int open_at(int directory, const char *name, int flags, Mounts mounts) {
  if (mounts == Mounts::kFollowed) {
    return openat(directory, name, flags);
  }
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(
      syscall(SYS_openat2, directory, name, &how, sizeof(how)));
}

// Opens a regular file and looks at it.
Result<UniqueFd> open_file(int directory, const char *name,
                           const PathText &path, struct stat *out_status,
                           Mounts mounts = Mounts::kFollowed) {
  UniqueFd file(open_at(directory, name, kOpenFlags, mounts));
  if (!file) {
    // A symbolic link is not followed; a socket cannot be opened at all.
    return errno == ELOOP || errno == ENXIO
               ? unsafe(path, "not a regular file")
               : system_error("cannot open", path.view());
  }
  if (fstat(file.get(), out_status) != 0) {
    return system_error("cannot stat", path.view());
  }
  if (!S_ISREG(out_status->st_mode)) {
    return unsafe(path, "not a regular file");
  }
  return file;
}

}  // namespace

FileIdentity identity_of(const struct stat &status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified = nanoseconds(status.st_mtim),
          .changed = nanoseconds(status.st_ctim)};
}

// FORCE_SYNC: a network file system asks its server instead of its memory.
Result<FileIdentity> look_at(const PathText &path) {
  constexpr int kFlags =
      AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC;
  struct statx status = {};
  const auto look = [&] {
    return statx(AT_FDCWD, path.c_str(), kFlags, STATX_BASIC_STATS, &status);
  };
  // ESTALE: the server has replaced it between two steps of the way there.
  if (look() != 0 && (errno != ESTALE || look() != 0)) {
    return errno == ENOENT || errno == ENOTDIR
               ? Result<FileIdentity>(FileIdentity{})
               : Result<FileIdentity>(system_error("cannot stat", path.view()));
  }
  if ((status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
    return unsafe(path, "something is mounted over it");
  }
  const auto time = [](const statx_timestamp &stamp) {
    return nanoseconds({.tv_sec = static_cast<time_t>(stamp.tv_sec),
                        .tv_nsec = static_cast<std::int32_t>(stamp.tv_nsec)});
  };
  return FileIdentity{
      .device = makedev(status.stx_dev_major, status.stx_dev_minor),
      .inode = status.stx_ino,
      .size = status.stx_size,
      .modified = time(status.stx_mtime),
      .changed = time(status.stx_ctime)};
}

Result<FileIdentity> look_in(const FilePlace &place, const PathText &path) {
  const UniqueFd file(open_at(place.directory.get(), place.name.c_str(),
                              O_PATH | O_NOFOLLOW | O_CLOEXEC,
                              Mounts::kRefused));
  struct stat status = {};
  if (!file || fstat(file.get(), &status) != 0) {
    return errno == ENOENT
               ? Result<FileIdentity>(FileIdentity{})
               : Result<FileIdentity>(system_error("cannot stat", path.view()));
  }
  return identity_of(status);
}

bool may_change_unseen(const FileIdentity &identity, std::uint64_t now) {
  const std::uint64_t apart =
      std::max(identity.changed, now) - std::min(identity.changed, now);
  return apart < kSettlingTime;
}

Result<FilePlace> find_place(const PathText &path) {
  if (!path.view().starts_with('/')) {
    return unsafe(path, kNotAbsolute);
  }
  UniqueFd directory(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return system_error("cannot open", path.view());
  }
  std::string_view rest = path.view();
  while (true) {
    while (rest.starts_with('/')) {
      rest.remove_prefix(1);
    }
    const std::size_t end = rest.find('/');
    const FixedText<NAME_MAX> component(slice(rest, 0, end));
    if (component.truncated()) {
      errno = ENAMETOOLONG;
      return system_error("cannot open", path.view());
    }
    if (component.empty()) {
      return unsafe(path, kNoFile);
    }
    if (end == std::string_view::npos) {
      return FilePlace{std::move(directory), component};
    }
    rest.remove_prefix(end);
    // The errno is told before the directory above is closed.
    UniqueFd next(openat(directory.get(), component.c_str(),
                         O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) {
      return errno == ELOOP || errno == ENOTDIR
                 ? unsafe(path, kNoDirectory)
                 : system_error("cannot open", path.view());
    }
    directory = std::move(next);
  }
}

Result<UniqueFd> open_regular_at(const FilePlace &place, const PathText &path,
                                 Mounts mounts) {
  struct stat status = {};
  return open_file(place.directory.get(), place.name.c_str(), path, &status,
                   mounts);
}

Result<UniqueFd> open_regular(const PathText &path) {
  const auto place = find_place(path);
  if (!place) {
    return place.error();
  }
  return open_regular_at(*place, path);
}

// Each directory of the path is root's, and no other user may write it.  So no
// other user can exchange what was looked at, from the topmost one down, before
// the file is opened by its path.
Result<void> trust_directories(const PathText &path) {
  const std::string_view all = path.view();
  if (!all.starts_with('/')) {
    return unsafe(path, kNotAbsolute);
  }
  if (all.ends_with('/')) {
    return unsafe(path, kNoFile);
  }
  for (std::size_t end = 0; end != std::string_view::npos;
       end = all.find('/', end + 1)) {
    const PathText directory(end == 0 ? "/" : slice(all, 0, end));
    struct stat status = {};
    if (lstat(directory.c_str(), &status) != 0) {
      return errno == ELOOP || errno == ENOTDIR
                 ? unsafe(path, kNoDirectory)
                 : system_error("cannot open", path.view());
    }
    if (!S_ISDIR(status.st_mode)) {
      return unsafe(path, kNoDirectory);
    }
    if (!is_root_only(status)) {
      return unsafe(path, "a directory above it is not root's alone");
    }
  }
  return {};
}

Result<UniqueFd> open_trusted(const PathText &path) {
  if (const auto trusted = trust_directories(path); !trusted) {
    return trusted.error();
  }
  struct stat status = {};
  auto file = open_file(AT_FDCWD, path.c_str(), path, &status);
  if (file && !is_root_only(status)) {
    return unsafe(path, "others than root may change it");
  }
  return file;
}

Result<FileContent> read_opened(const Result<UniqueFd> &file,
                                const PathText &path, std::size_t limit) {
  if (!file) {
    return file.error().code == Errc::kNotFound
               ? Result<FileContent>(FileContent{{{}, boottime_now()}, {}})
               : Result<FileContent>(file.error());
  }
  struct stat status = {};
  if (fstat(file->get(), &status) != 0) {
    return system_error("cannot stat", path.view());
  }
  const Sighting sighting = {identity_of(status), boottime_now()};
  auto content = read_whole(*file, path, limit);
  if (!content) {
    return content.error();
  }
  return FileContent{sighting, std::move(*content)};
}

Result<Buffer> read_whole(const UniqueFd &file, const PathText &path,
                          std::size_t limit) {
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) {
    return system_error("cannot stat", path.view());
  }
  if (static_cast<std::uint64_t>(status.st_size) > limit) {
    return too_large(path);
  }
  // One byte more than it has, to see its end, and one for the NUL.
  std::size_t wanted = static_cast<std::size_t>(status.st_size) + 2;
  Buffer content;
  while (true) {
    if (content.size() > limit || wanted > limit + 2) {
      return too_large(path);
    }
    if (!content.reserve(wanted)) {
      return no_memory("cannot read", path.view());
    }
    const ssize_t count =
        read(file.get(), content.free_space(), content.free_size() - 1);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return system_error("cannot read", path.view());
    }
    if (count == 0) {
      *content.free_space() = '\0';
      return content;
    }
    content.add_filled(static_cast<std::size_t>(count));
    if (content.free_size() < 2) {
      // It grew under our eyes.
      wanted = std::min(content.size() * 2, limit) + 2;
    }
  }
}

}  // namespace pbstoken
