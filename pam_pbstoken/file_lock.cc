// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "pbstoken/clock.h"
#include "pbstoken/file.h"

namespace pbstoken {

namespace {

constexpr mode_t kLockMode = 0660;  // as upstream
constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

// Makes the lock file, unless it is there by now.
Result<void> create(const Store &store, const FilePlace &place) {
  const auto owner = user_id(store.file_owner);
  if (!owner) {
    return owner.error();
  }
  const auto group = group_id(store.file_group);
  if (!group) {
    return group.error();
  }
  // Under a name of its own until owner and mode are right: who died between
  // would leave a lock that upstream's daemons cannot open.
  FixedText<NAME_MAX> name(place.name.view());
  name.append(".tmp_").append(static_cast<std::uint64_t>(getpid()));
  const int directory = place.directory.get();
  const UniqueFd file(openat(
      directory, name.c_str(),
      O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!file) {
    return system_error("cannot create", store.lock_file.view());
  }
  const bool made =
      fchown(file.get(), *owner, *group) == 0 &&
      fchmod(file.get(), kLockMode) == 0 &&
      (linkat(directory, name.c_str(), directory, place.name.c_str(), 0) == 0 ||
       errno == EEXIST);
  const Error error = system_error("cannot create", store.lock_file.view());
  unlinkat(directory, name.c_str(), 0);
  return made ? Result<void>() : Result<void>(error);
}

Result<UniqueFd> open_or_create(const Store &store) {
  const auto place = find_place(store.lock_file, Trust::kAny);
  if (!place) {
    return place.error();
  }
  auto file = open_regular_at(*place, store.lock_file);
  if (file || file.error().code != Errc::kNotFound) {
    return file;
  }
  if (const auto created = create(store, *place); !created) {
    return created.error();
  }
  return open_regular_at(*place, store.lock_file);
}

bool is_still_named(const UniqueFd &file, const PathText &path) {
  struct stat ours {};
  struct stat named {};
  return fstat(file.get(), &ours) == 0 && lstat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

// A word of a line, which is taken off it.
std::string_view take_word(std::string_view *line) {
  const std::size_t start = line->find_first_not_of(' ');
  line->remove_prefix(start < line->size() ? start : line->size());
  const std::string_view word = slice(*line, 0, line->find(' '));
  line->remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  return error == std::errc{} && stop == end ? std::optional(number)
                                             : std::nullopt;
}

// Whether text is `major:minor:inode` of this file, the device in hexadecimal.
bool names(std::string_view text, const struct stat &file) {
  const std::string_view major = slice(text, 0, text.find(':'));
  text.remove_prefix(major.size() < text.size() ? major.size() + 1 : 0);
  const std::string_view minor = slice(text, 0, text.find(':'));
  const std::string_view inode = slice(text, minor.size() + 1);
  return parse_number(major, 16) == major(file.st_dev) &&
         parse_number(minor, 16) == minor(file.st_dev) &&
         parse_number(inode, 10) == file.st_ino;
}

// The pid in a line of proc_locks(5), if it says who has flock'ed this file:
//   1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
// A `->` as the second word marks one that waits.
std::optional<std::uint64_t> holder_in(std::string_view line,
                                       const struct stat &file) {
  take_word(&line);
  if (take_word(&line) != "FLOCK") {
    return std::nullopt;
  }
  take_word(&line);
  take_word(&line);
  const auto pid = parse_number(take_word(&line), 10);
  return names(take_word(&line), file) ? pid : std::nullopt;
}

// Nothing if it cannot be told: the file system may have another device there
// than stat(2) gives, and the process may be in another pid namespace.
std::optional<std::uint64_t> find_holder(const UniqueFd &file) {
  constexpr std::size_t kMaxTable = 1 << 20;
  const PathText path("/proc/locks");
  struct stat status {};
  const auto table = open_regular(path);
  if (!table || fstat(file.get(), &status) != 0) {
    return std::nullopt;
  }
  const auto text = read_whole(*table, path, kMaxTable);
  std::string_view rest = text ? text->view() : std::string_view();
  while (!rest.empty()) {
    const std::string_view line = slice(rest, 0, rest.find('\n'));
    rest.remove_prefix(line.size() < rest.size() ? line.size() + 1
                                                 : line.size());
    if (const auto pid = holder_in(line, status); pid) {
      return pid;
    }
  }
  return std::nullopt;
}

Error timed_out(const Store &store, std::optional<std::uint64_t> holder) {
  Error error = plain_error(Errc::kTimedOut, "cannot lock",
                            store.lock_file.view(), "somebody else holds it");
  if (holder) {
    error.why = nullptr;
    error.where.append(": process ").append(*holder).append(" holds it");
  }
  return error;
}

}  // namespace

void FileLock::prepare(const Store &store) {
  // What fails now fails again in acquire(), which says so.
  static_cast<void>(open_or_create(store));
}

Result<FileLock> FileLock::acquire(const Store &store, unsigned wait_seconds) {
  const std::uint64_t deadline =
      boottime_now() + wait_seconds * kNanosecondsPerSecond;
  while (true) {
    auto file = open_or_create(store);
    if (!file) {
      return file.error();
    }
    const bool locked = flock(file->get(), LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK && errno != EINTR) {
      return system_error("cannot lock", store.lock_file.view());
    }
    if (locked) {
      FileLock lock(std::move(*file));
      if (is_still_named(lock.file_, store.lock_file)) {
        return lock;
      }
    }
    if (boottime_now() >= deadline) {
      // Who does not wait does not ask either.
      return timed_out(store,
                       wait_seconds == 0 ? std::nullopt : find_holder(*file));
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
