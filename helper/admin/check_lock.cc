// SPDX-License-Identifier: BSD-3-Clause
// What check says of the lock of a watched file, and of what writers that died
// have left beside both.
#include <sys/file.h>

#include <ctime>

#include "admin/check.h"
#include "io/held_signals.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/lock_holder.h"
#include "write/replacement_file.h"

namespace pbstoken {

namespace {

// A writer that works holds the lock for milliseconds; a process that has held
// it for as long as all of this hangs.
constexpr int kAttempts = 100;
constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

using IsLitter = bool (*)(std::string_view file_name, std::string_view name);

// Adds the files beside this one that look like unfinished copies of it.
void check_litter(const PathText &path, IsLitter is_litter,
                  Problems *problems) {
  const auto place = open_place(path);
  if (!place) {
    // What keeps the file from being opened has been added.
    return;
  }
  const DirectoryStream stream = read_directory(place->directory());
  if (!stream) {
    problems->add_error(
        path.view(), system_error("cannot read the directory of", path.view()));
    return;
  }
  const std::string_view parent =
      slice(path.view(), 0, path.view().rfind('/') + 1);
  errno = 0;
  while (const dirent *entry = readdir(stream.get())) {
    if (is_litter(place->at.name.view(), entry->d_name)) {
      PathText litter(parent);
      litter.append(entry->d_name);
      problems->add(litter.view(),
                    "a temporary file that a dead writer has left: the next "
                    "writer removes it");
    }
  }
  if (errno != 0) {
    problems->add_error(
        path.view(), system_error("cannot read the directory of", path.view()));
  }
}

// Shares the lock with other readers.  Returns false, with errno, if it cannot:
// EWOULDBLOCK if another process keeps the lock.
bool lock_for_reading(const UniqueFd &lock) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (flock(lock.get(), LOCK_SH | LOCK_NB) == 0) {
      return true;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return false;
    }
    nanosleep(&kPause, nullptr);
  }
  errno = EWOULDBLOCK;
  return false;
}

void add_holder(const PathText &path, const UniqueFd &lock,
                Problems *problems) {
  constexpr std::string_view kEffect = ": nobody can write meanwhile; ";
  ProblemText what("held for more than a second by ");
  if (const auto pid = lock_holder(lock); pid) {
    what.append("process ").append(*pid).append(kEffect);
    what.append("if it hangs: kill ").append(*pid);
  } else {
    what.append("somebody").append(kEffect);
    what.append("lslocks(8) outside of this container may show the process");
  }
  problems->add(path.view(), what.view());
}

}  // namespace

void check_lock(const Store &store, Kind kind, AccessCheck *access,
                Problems *problems) {
  const PathText &path = lock_path_of(kind, store);
  const UniqueFd lock = access->open(path, FileKind::kLock);
  // No signal stops or ends the process while it holds the lock.
  const HeldSignals signals;
  if (lock && !lock_for_reading(lock)) {
    // A temporary file does not tell its owner, and the holder's is no litter
    // yet.
    if (errno == EWOULDBLOCK) {
      add_holder(path, lock, problems);
    } else {
      problems->add_error(path.view(),
                          system_error("cannot lock", path.view()));
    }
    return;
  }
  check_litter(path_of(kind, store), is_replacement_name, problems);
  check_litter(path, is_new_lock_name, problems);
  if (lock) {
    flock(lock.get(), LOCK_UN);  // cannot fail on a descriptor of ours
  }
}

}  // namespace pbstoken
