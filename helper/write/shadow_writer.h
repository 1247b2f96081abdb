// SPDX-License-Identifier: BSD-3-Clause
// Replacing one token's entry in token.shadow.
//
//  1. Take the store's lock: 10 s at most, as upstream.
//  2. Read and parse the whole file; one that is malformed is never touched.
//  3. Write a temporary file beside it: every member of the token's decoded
//     name changed (one remains, or none), every other one byte for byte as it
//     was.  Owner, permission bits, POSIX ACL and SELinux label of the old
//     file; of the store's settings where there was none, or one of root's, as
//     an edit leaves it and the daemons cannot read it.  fsync and close.
//  4. Look once more: if the file is no longer the one that was read, start
//     over at 2.
//  5. Claim the generation (generation.h), rename, raise upstream's word, end
//     the generation.  A writer that dies in between leaves its number; the
//     process that repairs that raises the word, too.
//  6. fsync the directory.
//  7. Put the cache in force again.
//
// Up to the rename every failure leaves token.shadow byte for byte the old
// file, and no temporary one.  After it the change stands.  The caller of the
// program can slow none of these steps: a new secret is delivered before them.
#ifndef PBSTOKEN_SHADOW_WRITER_H_
#define PBSTOKEN_SHADOW_WRITER_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

struct Change {
  TokenId token_id;
  // nullopt: remove the token.
  std::optional<std::string_view> stored_hash;
  // The secret that stored_hash was made of, for the cache.
  std::string_view secret;
  // nullopt, or the change is made only if the entry still is this one.
  std::optional<std::string_view> expected_hash;
};

// kUnsafe if other hosts may write there and the store does not say that they
// may; write_token() asks, too, but a new secret is not to be shown before.
Result<void> permit_file_system(const Store &store);

// Returns kDone, kNotDurable, kNotAnnounced or kTakenOver if the change stands;
// kUnknownToken if there was nothing to remove, kChangedMeanwhile if the entry
// is no longer expected_hash: nothing was changed.  An error is a failure up to
// the rename: nothing was changed.
Result<Outcome> write_token(const Store &store, Cache *cache,
                            const Change &change);

}  // namespace pbstoken

#endif  // PBSTOKEN_SHADOW_WRITER_H_
