// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check_lock.h"

#include <dirent.h>
#include <sys/file.h>

#include <ctime>
#include <memory>

#include "io/held_signals.h"
#include "pbstoken/store/lock_holder.h"
#include "write/replacement_file.h"

namespace pbstoken {

namespace {

// A writer that works holds it for milliseconds; who has had it for as long as
// all of this hangs.
constexpr int kAttempts = 100;
constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

struct DirectoryCloser {
  void operator()(DIR *directory) const {
    static_cast<void>(closedir(directory));  // it was only read
  }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

DirectoryStream read_directory(const Place &place) {
  const int directory =
      openat(place.directory(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DirectoryStream stream(directory < 0 ? nullptr : fdopendir(directory));
  if (!stream && directory >= 0) {
    close(directory);
  }
  return stream;
}

// Of FileLock::acquire(), who died before it had linked it into place.
bool is_new_lock_name(std::string_view lock_name, std::string_view name) {
  FixedText<NAME_MAX> prefix(lock_name);
  prefix.append(".tmp_");
  return name.starts_with(prefix.view()) &&
         slice(name, prefix.view().size()).find_first_not_of("0123456789") ==
             std::string_view::npos;
}

using IsLitter = bool (*)(std::string_view file_name, std::string_view name);

// Adds what lies beside a file and looks like an unfinished copy of it.
void check_litter(const PathText &path, IsLitter is_litter,
                  Problems *problems) {
  const auto place = open_place(path);
  if (!place) {
    // Whatever keeps the file from being opened has been added.
    return;
  }
  const DirectoryStream stream = read_directory(*place);
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
                    "a temporary file that a dead writer has left");
    }
  }
  if (errno != 0) {
    problems->add_error(
        path.view(), system_error("cannot read the directory of", path.view()));
  }
}

enum class Locked : std::uint8_t { kYes, kBySomebodyElse, kFailed };

// Together with whoever else only reads.
Locked lock_for_reading(const UniqueFd &lock) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (flock(lock.get(), LOCK_SH | LOCK_NB) == 0) {
      return Locked::kYes;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Locked::kFailed;
    }
    nanosleep(&kPause, nullptr);
  }
  return Locked::kBySomebodyElse;
}

void add_holder(const Store &store, const UniqueFd &lock, Problems *problems) {
  ProblemText what("held for more than a second by ");
  if (const auto pid = lock_holder(lock); pid) {
    what.append("process ").append(*pid);
  } else {
    what.append("somebody");
  }
  what.append(": nobody can write meanwhile");
  problems->add(store.lock_file.view(), what.view());
}

}  // namespace

void check_lock(const Store &store, const UniqueFd &lock, Problems *problems) {
  // Nobody stops or ends who holds it.
  const HeldSignals signals;
  const Locked locked = lock ? lock_for_reading(lock) : Locked::kYes;
  if (locked == Locked::kFailed) {
    problems->add_error(store.lock_file.view(),
                        system_error("cannot lock", store.lock_file.view()));
    return;
  }
  // Whose temporary file it is cannot be told from outside: the holder's is
  // no litter yet.
  if (locked == Locked::kBySomebodyElse) {
    add_holder(store, lock, problems);
    return;
  }
  check_litter(store.token_shadow, is_replacement_name, problems);
  check_litter(store.lock_file, is_new_lock_name, problems);
  if (lock) {
    flock(lock.get(), LOCK_UN);  // cannot fail on a descriptor of ours
  }
}

}  // namespace pbstoken
