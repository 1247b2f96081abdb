// SPDX-License-Identifier: BSD-3-Clause
// What the entry points share: how a call begins, and the PAM code with which
// it ends.
#ifndef PBSTOKEN_CALL_H_
#define PBSTOKEN_CALL_H_

#include <security/pam_modules.h>

#include <span>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// What a failed call was about, in the log.
constexpr const char *kCannotVerify = "cannot verify";

// Sets *out_options, which are the defaults, to those of a call.  Returns
// false, and logs a line that begins with `what`, if they cannot be used:
// PAM_SERVICE_ERR.
bool get_options(const pam_handle_t *pamh, std::span<const char *const> argv,
                 const char *what, ModuleOptions *out_options);

// Returns the text of a PAM item, a view into what libpam keeps; empty if the
// item is not set.
std::string_view text_of_item(const pam_handle_t *pamh, int type);

// Sets *out_user to the user name that the handle has now.  Returns a PAM code.
int current_user(pam_handle_t *pamh, std::string_view *out_user);

// Does so for a call that is about a token.  Without `combined` the user name
// must be a token id.  Any other is not ours: it returns PAM_USER_UNKNOWN, and
// asks and logs nothing.
int get_user(pam_handle_t *pamh, const ModuleOptions &options,
             std::string_view *out_user);

// Returns the PAM code of an outcome.
int pam_code(Outcome outcome);

// Logs an error because of which there is no verdict.  Returns its outcome.
Outcome fail(const pam_handle_t *pamh, const Error &error);

}  // namespace pbstoken

#endif  // PBSTOKEN_CALL_H_
