// SPDX-License-Identifier: BSD-3-Clause
// PAM's auth type.
#ifndef PBSTOKEN_AUTH_H_
#define PBSTOKEN_AUTH_H_

#include <security/pam_modules.h>

#include <span>

namespace pbstoken {

// Does the work of PAM's auth type.  Returns a PAM code: every path that is not
// a match is a refusal.
int authenticate(pam_handle_t *pamh, std::span<const char *const> argv);

}  // namespace pbstoken

#endif  // PBSTOKEN_AUTH_H_
