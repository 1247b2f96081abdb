// SPDX-License-Identifier: BSD-3-Clause
// Verification by this process, if it is root and nothing else, or by the
// helper.
#ifndef PBSTOKEN_VERIFY_H_
#define PBSTOKEN_VERIFY_H_

#include <security/pam_modules.h>

#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/module/helper.h"
#include "pbstoken/module/open_store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

// A process that another user may stop, or that may not read token.shadow, asks
// the segment alone, and on a miss the helper, once.
Result<Verification> verify(const pam_handle_t *pamh,
                            const ModuleOptions &options, OpenStore *opened,
                            const TokenId &id, std::string_view secret);

// Returns what user.cfg says of a token, found in the same way: an outcome of
// Topic::kAccount.
Result<Outcome> ask_account(const pam_handle_t *pamh,
                            const ModuleOptions &options, OpenStore *opened,
                            const TokenId &id);

// Returns what the helper is to be asked about a token, with the service's
// PAM_RHOST and its view of the store's directory.
HelperRequest request_about(const pam_handle_t *pamh,
                            const ModuleOptions &options, const Store &store,
                            const TokenId &id, HelperCommand command);

// Returns a secret as the helper is to have it.  A text that cannot be a secret
// might be too long for a request: in its place stands the empty text, which
// cannot be one either.
std::string_view secret_to_send(std::string_view secret);

// Returns the error for an answer that does not answer the question.
Error error_of(const HelperAnswer &answer);

}  // namespace pbstoken

#endif  // PBSTOKEN_VERIFY_H_
