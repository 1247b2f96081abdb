// SPDX-License-Identifier: BSD-3-Clause
#include "write/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "confine/split.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/shared_fs.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

namespace {

std::size_t most_bytes(Kind kind) {
  return kind == Kind::kSecrets ? kMaxShadowSize : kMaxUserCfgSize;
}

// True if the text is what the name of the file says.  The owner of the
// directory could have put another file of root's in its place, such as one
// with passwords' hashes.
bool is_what_it_is_called(Kind kind, const Buffer &text, const PathText &path) {
  Buffer copy;
  if (!copy.append(text.view()) || !copy.terminate()) {
    return false;
  }
  if (kind == Kind::kAccounts) {
    return static_cast<bool>(UserCfg::parse(std::move(copy), path));
  }
  const auto tokens = TokenShadow::parse(std::move(copy), path);
  const auto is_token = [](const TokenShadow::Entry &entry) {
    return parse_token_id(entry.token_id).has_value();
  };
  return tokens && std::all_of(tokens->entries().begin(),
                               tokens->entries().end(), is_token);
}

void complain_of_root(Kind kind, const PathText &path) {
  ErrorText text;
  text.append_escaped(path.view());
  text.append(kind == Kind::kSecrets
                  ? " was root's: it has owner, group and mode by file_owner, "
                    "file_group and file_mode again"
                  : " had another group or mode than the daemons need: it has "
                    "that of file_group and 0640 again");
  complain(text.view());
}

}  // namespace

Result<void> permit_writing(const Store &store, Kind kind) {
  const PathText &path = path_of(kind, store);
  if (const auto place = find_place(path);
      !place && place.error().code == Errc::kNotFound) {
    return plain_error(Errc::kNotFound, "cannot write", path.view(),
                       kNoDirectory);
  }
  if (store.shared_fs || !shared_fs_of(path)) {
    return {};
  }
  return plain_error(Errc::kUnsafe, "cannot write", path.view(),
                     "its file system is one of several hosts: set shared_fs = "
                     "yes if every writer takes the same lock there");
}

FileWriter::FileWriter(const Store &store, Kind kind, const FileLock &lock,
                       WatchedPlace place)
    : store_(store),
      kind_(kind),
      lock_(lock),
      place_(std::move(place)),
      cache_(store, kind, lock) {}

Result<FileWriter> FileWriter::open(const Store &store, Kind kind,
                                    const FileLock &lock) {
  auto place = open_place(path_of(kind, store));
  if (!place) {
    return place.error();
  }
  remove_litter(*place, lock_path_of(kind, store));
  return FileWriter(store, kind, lock, std::move(*place));
}

Result<void> FileWriter::read_current() {
  current_ = Current();
  auto file = open_regular_at(place_.at, place_.path);
  if (!file) {
    return file.error().code == Errc::kNotFound ? Result<void>() : file.error();
  }
  current_.file = std::move(*file);
  if (fstat(current_.file.get(), &current_.status) != 0) {
    return system_error("cannot stat", place_.path.view());
  }
  auto text = read_whole(current_.file, place_.path, most_bytes(kind_));
  if (!text) {
    return text.error();
  }
  current_.text = std::move(*text);
  return {};
}

bool FileWriter::is_unchanged() const {
  struct stat now = {};
  if (fstatat(place_.directory(), place_.name(), &now, AT_SYMLINK_NOFOLLOW) !=
      0) {
    return errno == ENOENT && !current_.file;
  }
  return current_.file && identity_of(now) == identity_of(current_.status);
}

bool FileWriter::is_given_back() const {
  return current_.file &&
         is_to_be_given_back(store_, kind_, place_, current_.status) &&
         is_what_it_is_called(kind_, current_.text, place_.path);
}

// The old file's, or what the store gives one that is made or given back.  The
// list of one that is given back stays, within its new mode.
Result<void> FileWriter::give_access(int to) const {
  if (current_.file) {
    const auto copied = copy_access(current_.file, current_.status, to, place_);
    if (!copied || !gives_back_) {
      return copied;
    }
  }
  return set_access(store_, kind_, to, place_);
}

Result<void> FileWriter::write_temporary(std::string_view text) {
  gives_back_ = is_given_back();
  auto temporary = ReplacementFile::create(place_);
  if (!temporary) {
    return temporary.error();
  }
  if (const auto given = give_access(temporary->fd()); !given) {
    return given.error();
  }
  if (text.size() > most_bytes(kind_)) {
    return plain_error(Errc::kMalformed, "cannot write", place_.path.view(),
                       "too large");
  }
  if (const auto filled = temporary->fill(text); !filled) {
    return filled.error();
  }
  temporary_.emplace(std::move(*temporary));
  return {};
}

Result<std::optional<Outcome>> FileWriter::commit(EndSignals end_signals) {
  if (!is_unchanged()) {
    temporary_.reset();
    return std::optional<Outcome>();
  }
  // The last moment at which a signal, or a caller that has gone, may have its
  // way.
  if (end_signals == EndSignals::kHeeded &&
      (HeldSignals::has_end_signal() || has_lost_caller())) {
    errno = EINTR;
    return system_error("cannot replace", place_.path.view());
  }
  const auto renamed = rename_into_place();
  temporary_.reset();
  return renamed ? Result<std::optional<Outcome>>(finish()) : renamed.error();
}

Error FileWriter::keeps_changing() const {
  return plain_error(Errc::kTimedOut, "cannot replace", place_.path.view(),
                     "another process keeps changing it");
}

Result<void> FileWriter::rename_into_place() {
  auto claim = cache_.claim(place_.at);
  if (!claim) {
    return claim.error();
  }
  // If the lock file was exchanged, another process may hold the new one.
  const PathText &lock_path = lock_path_of(kind_, store_);
  const auto renamed = lock_.is_still_named(lock_path)
                           ? temporary_->rename_into_place()
                           : Result<void>(plain_error(
                                 Errc::kUnsafe, "cannot use", lock_path.view(),
                                 "another process has replaced it"));
  if (renamed && record_ != nullptr) {
    recorded_ = record_->rename_into_place();
  }
  if (renamed) {
    announced_ = static_cast<bool>(
        bump_version_word(store_.version_cache, version_word_of(kind_)));
  }
  // No process takes over while this one holds the lock, unless one has
  // exchanged the lock file under us.
  if (*claim && (announced_ || !(*claim)->owes()) && !(*claim)->end()) {
    taken_over_ = true;
  }
  return renamed;
}

Outcome FileWriter::finish() {
  const bool durable = fsync(place_.directory()) == 0;
  if (gives_back_) {
    complain_of_root(kind_, place_.path);
  }
  return !durable      ? Outcome::kNotDurable
         : taken_over_ ? Outcome::kTakenOver
         : announced_  ? Outcome::kDone
                       : Outcome::kNotAnnounced;
}

}  // namespace pbstoken
