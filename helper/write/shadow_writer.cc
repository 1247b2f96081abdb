// SPDX-License-Identifier: BSD-3-Clause
#include "write/shadow_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "confine/split.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/base/wipe.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/shared_fs.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/version_word.h"
#include "write/replacement_file.h"
#include "write/shadow_text.h"

namespace pbstoken {

namespace {

// Another process may change the file without the lock, again and again.
constexpr int kMaxRounds = 100;

// What stands there before the change.
struct Current {
  UniqueFd file;  // none if there is no such file
  struct stat status = {};
  Buffer text;
};

Result<Current> read_current(const Place &place) {
  Current current;
  auto file = open_regular_at(place.at, place.path);
  if (!file) {
    if (file.error().code == Errc::kNotFound) {
      return current;
    }
    return file.error();
  }
  current.file = std::move(*file);
  if (fstat(current.file.get(), &current.status) != 0) {
    return system_error("cannot stat", place.path.view());
  }
  auto text = read_whole(current.file, place.path, kMaxShadowSize);
  if (!text) {
    return text.error();
  }
  current.text = std::move(*text);
  return current;
}

bool is_unchanged(const Place &place, const Current &current) {
  struct stat now = {};
  if (fstatat(place.directory(), place.name(), &now, AT_SYMLINK_NOFOLLOW) !=
      0) {
    return errno == ENOENT && !current.file;
  }
  return current.file && identity_of(now) == identity_of(current.status);
}

// Whether it is what its name says.  The owner of the directory could have put
// another file of root's in its place, such as one with passwords' hashes.
bool has_tokens_alone(const Buffer &text, const PathText &path) {
  Buffer copy;
  if (!copy.append(text.view()) || !copy.terminate()) {
    return false;
  }
  const auto tokens = TokenShadow::parse(std::move(copy), path);
  const auto is_token = [](const TokenShadow::Entry &entry) {
    return parse_token_id(entry.token_id).has_value();
  };
  return tokens && std::all_of(tokens->entries().begin(),
                               tokens->entries().end(), is_token);
}

// The old file's, or what the store gives one that is made or given back.  The
// list of one that is given back stays, within its new mode.
Result<void> give_access(const Store &store, const Place &place,
                         const Current &current, bool gives_back, int to) {
  if (current.file) {
    const auto copied = copy_access(current.file, current.status, to, place);
    if (!copied || !gives_back) {
      return copied;
    }
  }
  return set_access(store, to, place);
}

Result<ReplacementFile> write_temporary(const Store &store, const Place &place,
                                        const Current &current, bool gives_back,
                                        std::string_view text) {
  auto temporary = ReplacementFile::create(place);
  if (!temporary) {
    return temporary.error();
  }
  const auto access =
      give_access(store, place, current, gives_back, temporary->fd());
  if (!access) {
    return access.error();
  }
  if (text.size() > kMaxShadowSize) {
    return plain_error(Errc::kMalformed, "cannot write", place.path.view(),
                       "too large");
  }
  if (!write_all(temporary->fd(), text) || fsync(temporary->fd()) != 0) {
    return system_error("cannot write a temporary file beside",
                        place.path.view());
  }
  // Before the rename, as upstream: some file systems want it that way.
  if (const auto closed = temporary->close(); !closed) {
    return closed.error();
  }
  return temporary;
}

// One round of steps 2 to 5.
enum class Round : std::uint8_t { kRenamed, kStartOver, kNoToken, kOtherHash };

class Writer {
 public:
  Writer(const Store &store, const Change &change, const Place &place,
         const FileLock &lock)
      : store_(store),
        writer_(store, Kind::kSecrets, lock),
        change_(change),
        place_(place),
        lock_(lock) {}

  Result<Round> run() {
    const auto current = read_current(place_);
    if (!current) {
      return current.error();
    }
    const auto changed = change_text(*current);
    if (!changed) {
      return changed.error();
    }
    if (!change_.stored_hash && changed->old_members == 0) {
      return Round::kNoToken;
    }
    if (change_.expected_hash &&
        !equal_in_constant_time(changed->old_hash.view(),
                                *change_.expected_hash)) {
      return Round::kOtherHash;
    }
    gives_back_ = current->file &&
                  is_to_be_given_back(store_, place_, current->status) &&
                  has_tokens_alone(current->text, place_.path);
    auto temporary = write_temporary(store_, place_, *current, gives_back_,
                                     changed->text.view());
    if (!temporary) {
      return temporary.error();
    }
    if (!is_unchanged(place_, *current)) {
      return Round::kStartOver;
    }
    return rename_into_place(&*temporary);
  }

  // Whether the file was root's, and is the store's again.
  [[nodiscard]] bool gives_back() const { return gives_back_; }

  // What is to be said of a change that was renamed into place.
  [[nodiscard]] Outcome outcome(bool durable) const {
    return !durable      ? Outcome::kNotDurable
           : taken_over_ ? Outcome::kTakenOver
           : announced_  ? Outcome::kDone
                         : Outcome::kNotAnnounced;
  }

 private:
  Result<ChangedText> change_text(const Current &current) const {
    const Buffer *old_text = current.file ? &current.text : nullptr;
    auto changed = change_shadow_text(
        old_text, place_.path, change_.token_id.text, change_.stored_hash);
    if (changed) {
      if (const auto proven =
              prove_change(old_text, changed->text, place_.path,
                           change_.token_id.text, change_.stored_hash);
          !proven) {
        return proven.error();
      }
    }
    return changed;
  }

  Result<Round> rename_into_place(ReplacementFile *temporary) {
    // The last moment at which a signal, or a caller that has gone, may have
    // its way.
    if (HeldSignals::has_end_signal() || has_lost_caller()) {
      errno = EINTR;
      return system_error("cannot replace", place_.path.view());
    }
    auto claim = writer_.claim(place_.at);
    if (!claim) {
      return claim.error();
    }
    // If the lock file was exchanged, another process may hold the new one.
    const auto renamed =
        lock_.is_still_named(store_.lock_file)
            ? temporary->rename_into_place()
            : Result<void>(plain_error(Errc::kUnsafe, "cannot use",
                                       store_.lock_file.view(),
                                       "another process has replaced it"));
    if (renamed) {
      announced_ = static_cast<bool>(
          bump_version_word(store_.version_cache, VersionWord::kTokenShadow));
    }
    // No process takes over while this one holds the lock, unless one has
    // exchanged the lock file under us.
    if (*claim && (announced_ || !(*claim)->owes()) && !(*claim)->end()) {
      taken_over_ = true;
    }
    if (!renamed) {
      return renamed.error();
    }
    return Round::kRenamed;
  }

  const Store &store_;
  CacheWriter writer_;
  const Change &change_;
  const Place &place_;
  const FileLock &lock_;
  bool gives_back_ = false;
  bool announced_ = false;   // upstream's daemons have been told
  bool taken_over_ = false;  // the generation was not ours any more
};

// Step 7.  Nothing depends on it: otherwise the next process renews the cache.
void renew_cache(const Store &store, Cache *cache, const Change &change,
                 const FileLock &lock) {
  const auto snapshot = CacheWriter(store, Kind::kSecrets, lock).renew();
  if (snapshot && *snapshot && change.stored_hash && cache->is_usable() &&
      (*snapshot)->tokens.find(change.token_id.text) == change.stored_hash) {
    cache->remember(Fact::kMatch, change.token_id.text, change.secret,
                    *change.stored_hash, **snapshot);
  }
}

void complain_of_root(const PathText &path) {
  ErrorText text;
  text.append_escaped(path.view());
  text.append(
      " was root's: it has owner, group and mode by file_owner, file_group and "
      "file_mode again");
  complain(text.view());
}

}  // namespace

Result<void> permit_file_system(const Store &store) {
  if (store.shared_fs || !shared_fs_of(store.token_shadow)) {
    return {};
  }
  return plain_error(Errc::kUnsafe, "cannot write", store.token_shadow.view(),
                     "its file system is one of several hosts: set shared_fs = "
                     "yes if every writer takes the same lock there");
}

Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change) {
  if (const auto permitted = permit_file_system(store); !permitted) {
    return permitted.error();
  }
  const auto lock = FileLock::acquire(store, store.lock_file, kWriterSeconds,
                                      has_lost_caller);
  if (!lock) {
    return lock.error();
  }
  // Ctrl-C must leave no temporary file, no unfinished claim, and no change
  // without its exit status; and no signal stops the holder of the lock.
  const HeldSignals signals;
  const auto place = open_place(store.token_shadow);
  if (!place) {
    return place.error();
  }
  remove_litter(*place, store.lock_file);
  Writer writer(store, change, *place, *lock);
  for (int round = 0; round < kMaxRounds; ++round) {
    const auto done = writer.run();
    if (!done) {
      return done.error();
    }
    switch (*done) {
      case Round::kNoToken:
        return Outcome::kUnknownToken;
      case Round::kOtherHash:
        return Outcome::kChangedMeanwhile;
      case Round::kStartOver:
        continue;
      case Round::kRenamed:
        break;
    }
    const bool durable = fsync(place->directory()) == 0;
    renew_cache(store, cache, change, *lock);
    if (writer.gives_back()) {
      complain_of_root(place->path);
    }
    return writer.outcome(durable);
  }
  return plain_error(Errc::kTimedOut, "cannot replace", place->path.view(),
                     "somebody else keeps changing it");
}

}  // namespace pbstoken
