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

// What user.cfg says of a token, found in the same way: an outcome of
// Topic::kAccount.
Result<Outcome> ask_account(const pam_handle_t *pamh,
                            const ModuleOptions &options, OpenStore *opened,
                            const TokenId &id);

// What the helper is to be asked about a token, with the service's PAM_RHOST
// and its view of the store's directory.
HelperRequest request_about(const pam_handle_t *pamh,
                            const ModuleOptions &options, const Store &store,
                            const TokenId &id, HelperCommand command);

// A secret as the helper is to have it: empty, which cannot be one either, in
// the place of one that cannot be, which might be too long for a request.
std::string_view secret_to_send(std::string_view secret);

// The error that an answer is which does not answer the question.
Error error_of(const HelperAnswer &answer);

}  // namespace pbstoken

#endif  // PBSTOKEN_VERIFY_H_
