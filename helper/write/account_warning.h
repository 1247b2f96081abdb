// SPDX-License-Identifier: BSD-3-Clause
// What is said of a token that has a new secret and is kept out all the same.
#ifndef PBSTOKEN_ACCOUNT_WARNING_H_
#define PBSTOKEN_ACCOUNT_WARNING_H_

#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

// Prints one line on standard error, with what to run, if the account data of
// the store refuse the token as they are now, or cannot be read.  Prints no
// line if the store has no account data.
void warn_if_kept_out(const Store &store, const TokenId &id);

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNT_WARNING_H_
