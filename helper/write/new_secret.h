// SPDX-License-Identifier: BSD-3-Clause
// New secrets and their hashes, as upstream makes them.
#ifndef PBSTOKEN_NEW_SECRET_H_
#define PBSTOKEN_NEW_SECRET_H_

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Makes a random UUID (version 4), lower case with dashes, 36 characters: the
// kernel's, see random(4).  It has 122 random bits.
Result<void> make_secret(Secret *out_secret);

// Returns a yescrypt hash with cost 5 and 32 random bytes of salt: `$y$j9T$`,
// 94 characters.  Computes it with a place of the gate, which goes back at
// once.  Returns kBusy like enter_hash_gate().
Result<Buffer> hash_in_turn(const Store &store, const Client &client,
                            const Secret &secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_NEW_SECRET_H_
