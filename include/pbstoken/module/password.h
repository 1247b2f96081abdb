// SPDX-License-Identifier: BSD-3-Clause
// The PAM type `password`: a token's secret for a new one, which the helper
// makes.  The helper does all writing, even for a caller that is root.
//
//  1. PAM_PRELIM_CHECK: the store can be used and the helper is there; the
//     current secret is asked for and verified, so that no other module of the
//     stack changes anything if it is wrong.
//  2. PAM_UPDATE_AUTHTOK: the helper verifies it once more and offers a new
//     secret.
//  3. It is shown, once.  If that fails nothing is changed.
//  4. The helper is told that it was shown, and only then writes.
//
// The new secret does not become PAM_AUTHTOK.  A module after us would take it
// for the password that the user has chosen, and pam_unix(8) would make what a
// machine keeps in a file the password of an account; without it, such a module
// asks for its own.
#ifndef PBSTOKEN_PASSWORD_H_
#define PBSTOKEN_PASSWORD_H_

#include <security/pam_modules.h>

#include <span>

namespace pbstoken {

// Does the work of PAM's password type.  Returns a PAM code.
int change_secret(pam_handle_t *pamh, int flags,
                  std::span<const char *const> argv);

}  // namespace pbstoken

#endif  // PBSTOKEN_PASSWORD_H_
