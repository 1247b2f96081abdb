// SPDX-License-Identifier: BSD-3-Clause
#include "write/shadow_writer.h"

#include <utility>

#include "confine/split.h"
#include "io/held_signals.h"
#include "pbstoken/base/wipe.h"
#include "pbstoken/cache/writer.h"
#include "write/file_writer.h"
#include "write/shadow_text.h"

namespace pbstoken {

namespace {

// Returns kDone with the text, or why there is nothing to change.
Result<Outcome> change_text(const Change &change, const Buffer *old_text,
                            const PathText &path, Buffer *out_text) {
  auto changed = change_shadow_text(old_text, path, change.token_id.text,
                                    change.stored_hash);
  if (!changed) {
    return changed.error();
  }
  if (const auto proven =
          prove_change(old_text, changed->text, path, change.token_id.text,
                       change.stored_hash);
      !proven) {
    return proven.error();
  }
  if (!change.stored_hash && changed->old_members == 0) {
    return Outcome::kUnknownToken;
  }
  if (change.expected_hash && !equal_in_constant_time(changed->old_hash.view(),
                                                      *change.expected_hash)) {
    return Outcome::kChangedMeanwhile;
  }
  *out_text = std::move(changed->text);
  return Outcome::kDone;
}

// Nothing depends on it: otherwise the next process renews the cache.
void renew_cache(const Store &store, Cache *cache, const Change &change,
                 const FileLock &lock) {
  const auto snapshot = CacheWriter(store, Kind::kSecrets, lock).renew();
  if (snapshot && *snapshot && change.stored_hash && cache->is_usable() &&
      (*snapshot)->tokens.find(change.token_id.text) == change.stored_hash) {
    cache->remember(Fact::kMatch, change.token_id.text, change.secret,
                    *change.stored_hash, **snapshot);
  }
}

}  // namespace

Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change, const FileLock &lock,
                            EndSignals end_signals) {
  auto writer = FileWriter::open(store, Kind::kSecrets, lock);
  if (!writer) {
    return writer.error();
  }
  Outcome made = Outcome::kDone;
  const auto written = writer->change(
      [&](const Buffer *old_text, Buffer *out_text) -> Result<bool> {
        const auto text =
            change_text(change, old_text, store.token_shadow, out_text);
        if (!text) {
          return text.error();
        }
        made = *text;
        return made == Outcome::kDone;
      },
      end_signals);
  if (!written) {
    return written.error();
  }
  if (!*written) {
    return made;
  }
  renew_cache(store, cache, change, lock);
  return **written;
}

Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change) {
  if (const auto permitted = permit_writing(store, Kind::kSecrets);
      !permitted) {
    return permitted.error();
  }
  const auto lock = FileLock::acquire(store, store.lock_file, kWriterSeconds,
                                      has_lost_caller);
  if (!lock) {
    return lock.error();
  }
  // Ctrl-C must leave no temporary file, no unfinished claim, and no change
  // without its exit status; and no signal stops the holder of the lock.
  HeldSignals signals;
  auto written = write_token(store, cache, change, *lock, EndSignals::kHeeded);
  if (written && is_success(*written)) {
    signals.hold_for_good();
  }
  return written;
}

}  // namespace pbstoken
