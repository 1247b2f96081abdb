// SPDX-License-Identifier: BSD-3-Clause
// Where the module gets the secret from.
#ifndef PBSTOKEN_AUTHTOK_H_
#define PBSTOKEN_AUTHTOK_H_

#include <security/pam_modules.h>

#include "pbstoken/verify/options.h"

namespace pbstoken {

// Gives the secret, which libpam owns as PAM_AUTHTOK and wipes itself, or
// returns the PAM code of a failure.  It asks for the secret in a conversation,
// unless the options want one that an earlier module of the stack has asked
// for.
int get_authtok(pam_handle_t *pamh, const ModuleOptions &options,
                const char **out_secret);

// Does the same for the secret that is to be changed, PAM_OLDAUTHTOK.
int get_old_authtok(pam_handle_t *pamh, const ModuleOptions &options,
                    const char **out_secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_AUTHTOK_H_
