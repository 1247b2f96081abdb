// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/lock_holder.h"

namespace pbstoken {

namespace {

constexpr mode_t kLockMode = 0660;  // as upstream
constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

// Makes the lock file, unless it is there by now.
Result<void> create(const Store &store, const PathText &path,
                    const FilePlace &place) {
  const auto access = given_access(store);
  if (!access) {
    return access.error();
  }
  // The file has a name of its own until owner and mode are right: a process
  // that died between would leave a lock that upstream's daemons cannot open.
  FixedText<NAME_MAX> name(place.name.view());
  name.append(".tmp_").append(static_cast<std::uint64_t>(getpid()));
  const int directory = place.directory.get();
  const UniqueFd file(openat(
      directory, name.c_str(),
      O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!file) {
    return system_error("cannot create", path.view());
  }
  // ENOENT: the holder of a lock that is there by now took it for litter.
  const bool made =
      fchown(file.get(), access->owner, access->group) == 0 &&
      fchmod(file.get(), kLockMode) == 0 &&
      (linkat(directory, name.c_str(), directory, place.name.c_str(), 0) == 0 ||
       errno == EEXIST || errno == ENOENT);
  const Error error = system_error("cannot create", path.view());
  unlinkat(directory, name.c_str(), 0);
  return made ? Result<void>() : Result<void>(error);
}

Result<UniqueFd> open_or_create(const Store &store, const PathText &path) {
  const auto place = find_place(path);
  if (!place) {
    return place.error();
  }
  auto file = open_regular_at(*place, path);
  if (file || file.error().code != Errc::kNotFound) {
    return file;
  }
  if (const auto created = create(store, path, *place); !created) {
    return created.error();
  }
  return open_regular_at(*place, path);
}

// Opens the lock file once more: on NFS flock(2) locks bytes, and an exclusive
// lock takes a descriptor that is open for writing.
Result<UniqueFd> open_for_writing(const PathText &path) {
  const auto place = find_place(path);
  if (!place) {
    return place.error();
  }
  constexpr int kFlags =
      O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
  UniqueFd file(openat(place->directory.get(), place->name.c_str(), kFlags));
  struct stat status = {};
  if (!file || fstat(file.get(), &status) != 0) {
    return system_error("cannot lock", path.view());
  }
  if (!S_ISREG(status.st_mode)) {
    return plain_error(Errc::kUnsafe, "cannot use", path.view(),
                       "not a regular file");
  }
  return file;
}

// 0, or the errno of what keeps the lock from this process.
int lock_at_once(const UniqueFd &file) {
  return flock(file.get(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
}

// False if another process has the lock.  *file may become another descriptor
// of what the path names.
Result<bool> try_to_lock(const PathText &path, UniqueFd *file) {
  int problem = lock_at_once(*file);
  if (problem == EBADF) {
    auto writable = open_for_writing(path);
    if (!writable) {
      return writable.error();
    }
    *file = std::move(*writable);
    problem = lock_at_once(*file);
  }
  if (problem == 0 || problem == EWOULDBLOCK || problem == EINTR) {
    return problem == 0;
  }
  errno = problem;
  return system_error("cannot lock", path.view());
}

Error timed_out(const PathText &path, std::optional<std::uint64_t> holder) {
  Error error = plain_error(Errc::kTimedOut, "cannot lock", path.view(),
                            "somebody else holds it");
  if (holder) {
    error.why = nullptr;
    error.where.append(": process ").append(*holder).append(" holds it");
  }
  return error;
}

}  // namespace

void FileLock::prepare(const Store &store, const PathText &path) {
  // What fails now fails again in acquire(), which says so.
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    static_cast<void>(open_or_create(store, path));
  }
}

bool FileLock::is_still_named(const PathText &path) const {
  struct stat named = {};
  return lstat(path.c_str(), &named) == 0 &&
         identity_ == Identity{named.st_dev, named.st_ino};
}

Result<FileLock> FileLock::acquire(const Store &store, const PathText &path,
                                   unsigned wait_seconds, bool (*gives_up)()) {
  const std::uint64_t deadline = deadline_in(wait_seconds);
  while (true) {
    auto file = open_or_create(store, path);
    if (!file) {
      return file.error();
    }
    const auto locked = try_to_lock(path, &*file);
    if (!locked) {
      return locked.error();
    }
    if (*locked) {
      struct stat status = {};
      if (fstat(file->get(), &status) != 0) {
        return system_error("cannot stat", path.view());
      }
      FileLock lock(std::move(*file), {status.st_dev, status.st_ino});
      if (lock.is_still_named(path)) {
        return lock;
      }
    }
    if (time_left(deadline) == 0) {
      // A process that does not wait does not look for the holder either.
      return timed_out(path,
                       wait_seconds == 0 ? std::nullopt : lock_holder(*file));
    }
    if (gives_up != nullptr && gives_up()) {
      return plain_error(Errc::kTimedOut, "cannot lock", path.view(),
                         "nobody waits for it any more");
    }
    nanosleep(&kPause, nullptr);
  }
}

FileLock::~FileLock() {
  if (file_) {
    // Cannot fail on a descriptor of ours; closing it would end the lock, too.
    flock(file_.get(), LOCK_UN);
  }
}

}  // namespace pbstoken
