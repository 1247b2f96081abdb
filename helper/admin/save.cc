// SPDX-License-Identifier: BSD-3-Clause
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "admin/admin.h"
#include "admin/use_history.h"
#include "io/held_signals.h"
#include "io/stores.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/token_shadow.h"
#include "write/replacement_file.h"

namespace pbstoken {

namespace {

// Only root can open the directory then, so that no other process holds this.
Result<void> lock_directory(const WatchedPlace &place) {
  if (fchmod(place.directory(), S_IRWXU) != 0) {
    return system_error("cannot lock the directory of", place.path.view());
  }
  constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};
  const std::uint64_t deadline = deadline_in(kWriterSeconds);
  while (flock(place.directory(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || time_left(deadline) == 0) {
      return system_error("cannot lock the directory of", place.path.view());
    }
    nanosleep(&kPause, nullptr);
  }
  return {};
}

Result<void> replace(const WatchedPlace &place, std::string_view text) {
  if (text.size() > kMaxSavedUse) {
    return plain_error(Errc::kMalformed, "cannot write", place.path.view(),
                       "too large");
  }
  auto file = ReplacementFile::create(place);
  if (!file) {
    return file.error();
  }
  if (const auto filled = file->fill(text); !filled) {
    return filled.error();
  }
  auto renamed = file->rename_into_place();
  if (renamed && fsync(place.directory()) != 0) {
    return system_error("cannot write", place.path.view());
  }
  return renamed;
}

// Returns the tokens sorted by id, one each.  Those that are gone from the file
// are forgotten, or what is saved would only grow; but a file that is not there
// may come back.
Result<List<std::string_view>> tokens_to_save(const TokenShadow &shadow,
                                              const UseHistory &history) {
  List<std::string_view> ids;
  bool ok = true;
  if (shadow.sighting().identity == FileIdentity{}) {
    for (const SavedToken &token : history.saved_tokens()) {
      ok = ok && ids.append(token.id);
    }
  }
  for (const TokenShadow::Entry &entry : shadow.entries()) {
    ok = ok && (!parse_token_id(entry.token_id) || ids.append(entry.token_id));
  }
  const auto all = ids.mutable_items();
  std::sort(all.begin(), all.end());
  List<std::string_view> once;
  for (const std::string_view id : all) {
    const auto kept = once.items();
    ok = ok && ((!kept.empty() && kept.back() == id) || once.append(id));
  }
  return ok ? Result<List<std::string_view>>(std::move(once))
            : no_memory("cannot save the use");
}

}  // namespace

Result<void> save_use(const Store &store, Use *use) {
  const auto shadow = TokenShadow::read(store.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  const PathText path = saved_use_path(store.name.view());
  if (const auto trusted = trust_directories(path); !trusted) {
    return trusted.error();
  }
  const auto place = open_place(path);
  if (!place) {
    return place.error();
  }
  const HeldSignals signals;  // nothing stops the process while it holds it
  if (const auto locked = lock_directory(*place); !locked) {
    return locked.error();
  }
  remove_litter(*place, path);
  const auto history = UseHistory::read(store, use);
  if (!history) {
    return history.error();
  }
  const auto ids = tokens_to_save(*shadow, *history);
  if (!ids) {
    return ids.error();
  }
  const auto next = history->next(ids->items());
  if (!next) {
    return next.error();
  }
  // The numbers have been read by now.
  if (const auto permitted = history->permit_save(store); !permitted) {
    return permitted.error();
  }
  if (!history->since()) {
    return {};  // no use was counted yet
  }
  Buffer text;
  return append_saved_use(*next, store.token_shadow, &text)
             ? replace(*place, text.view())
             : Result<void>(no_memory("cannot save the use"));
}

ExitStatus save_use(Context *context) {
  return note(save_use(context->store, &context->verifier.use()),
              ExitStatus::kDone);
}

}  // namespace pbstoken
