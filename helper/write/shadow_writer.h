// SPDX-License-Identifier: BSD-3-Clause
// Replacing one token's entry in token.shadow.
//
// The lock is taken first: 10 s at most, as upstream.  Every member of the
// token's decoded name is changed (one remains, or none), every other one stays
// byte for byte as it was.  The rest is file_writer.h's; then the cache is put
// in force again.  The caller of the program can slow none of these steps: a
// new secret is delivered before them.
#ifndef PBSTOKEN_SHADOW_WRITER_H_
#define PBSTOKEN_SHADOW_WRITER_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/outcome.h"
#include "write/file_writer.h"

namespace pbstoken {

// A change of one token.  The views must outlive it.
struct Change {
  TokenId token_id;
  // What the entry is to be; nullopt: the token is removed.
  std::optional<std::string_view> stored_hash;
  // The secret that stored_hash was made of, for the cache.
  std::string_view secret = {};
  // What the entry must be for the change to be made; nullopt: anything.
  std::optional<std::string_view> expected_hash = {};
};

// Returns kDone, kNotDurable, kNotAnnounced or kTakenOver if the change stands;
// kUnknownToken if there was nothing to remove, kChangedMeanwhile if the entry
// is no longer expected_hash: nothing was changed.  An error is a failure up to
// the rename: nothing was changed.
Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change);

// Does the same for a holder of the lock that holds its signals.
Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change, const FileLock &lock,
                            EndSignals end_signals);

}  // namespace pbstoken

#endif  // PBSTOKEN_SHADOW_WRITER_H_
