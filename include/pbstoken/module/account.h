// SPDX-License-Identifier: BSD-3-Clause
// The account rules: what user.cfg says of the token that was verified.
#ifndef PBSTOKEN_ACCOUNT_H_
#define PBSTOKEN_ACCOUNT_H_

#include <security/pam_modules.h>

#include <span>

#include "pbstoken/module/open_store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Returns kAllowed, kNoUserCfg, or why the token does not count.  A failure to
// read the rules is logged here.
Outcome judge_account(const pam_handle_t *pamh, const ModuleOptions &options,
                      OpenStore *opened, const TokenId &id);

// Does the work of PAM's account type.  Returns a PAM code.
int manage_account(pam_handle_t *pamh, std::span<const char *const> argv);

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNT_H_
