// SPDX-License-Identifier: BSD-3-Clause
// What is said after a change that lets a token or a user in, if that is kept
// out all the same.
#ifndef PBSTOKEN_ACCOUNT_WARNING_H_
#define PBSTOKEN_ACCOUNT_WARNING_H_

#include <string_view>

#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

// Prints one line on standard error, with what to run, if the account data of
// the store refuse the token as they are now, or cannot be read.  Prints no
// line if the store has no account data.
void warn_if_kept_out(const Store &store, const TokenId &id);

// Prints one line on standard error, with what to run, if the user has a
// section and is disabled or has expired.
void warn_if_user_is_kept_out(const Store &store, std::string_view user_id);

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNT_WARNING_H_
