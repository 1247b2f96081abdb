// SPDX-License-Identifier: BSD-3-Clause
// What the entry points share: how a call begins, and what an outcome means to
// PAM.
#ifndef PBSTOKEN_MODULE_CALL_H_
#define PBSTOKEN_MODULE_CALL_H_

#include <security/pam_modules.h>

#include <span>
#include <string_view>

#include "module_options.h"
#include "pbstoken/result.h"
#include "pbstoken/token_id.h"
#include "pbstoken/verifier.h"

namespace pbstoken {

// PAM_SERVICE_ERR, with a line in the log that begins with `what`, if an option
// cannot be used.
int get_options(const pam_handle_t *pamh, std::span<const char *const> argv,
                const char *what, ModuleOptions *out_options);

// The token id, as views into what libpam owns.  A user name that is none is
// not ours: PAM_USER_UNKNOWN, no question is asked, nothing is logged.
int get_token_id(pam_handle_t *pamh, TokenId *out_id);

// What a verdict means to PAM, and to who reads the log.
struct Meaning {
  int code;
  std::string_view reason;
};
Meaning meaning_of(const Verification &verification);

}  // namespace pbstoken

#endif  // PBSTOKEN_MODULE_CALL_H_
