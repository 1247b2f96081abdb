// SPDX-License-Identifier: BSD-3-Clause
// What the entry points share: how a call begins, and what an outcome means to
// PAM.
#ifndef PBSTOKEN_CALL_H_
#define PBSTOKEN_CALL_H_

#include <security/pam_modules.h>

#include <span>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/module/options.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

// What a failed call was about, in the log.
constexpr const char *kCannotVerify = "cannot verify";

// Sets *out_options, which are the defaults, to those of a call; false, and a
// line in the log that begins with `what`, if they cannot be used:
// PAM_SERVICE_ERR.
bool get_options(const pam_handle_t *pamh, std::span<const char *const> argv,
                 const char *what, ModuleOptions *out_options);

// The user name that the handle has now.
int current_user(pam_handle_t *pamh, std::string_view *out_user);

// The same, where there can be a token id.  Without `combined` it is that;
// one that is none is not ours: PAM_USER_UNKNOWN, no question is asked, nothing
// is logged.
int get_user(pam_handle_t *pamh, const ModuleOptions &options,
             std::string_view *out_user);

// What an error that is no answer means to PAM.
int pam_code(const Error &error);

// What an answer means to PAM, and to who reads the log.
struct Meaning {
  int code;
  std::string_view reason;  // empty: no refusal to be logged
};
Meaning meaning_of(const Verification &verification);

}  // namespace pbstoken

#endif  // PBSTOKEN_CALL_H_
