// SPDX-License-Identifier: BSD-3-Clause
// Entry points of pam_pbstoken.so.  What they return is part of the interface,
// see pam_pbstoken(8).
#include <security/pam_modules.h>

#include <span>

#include "pbstoken/module/account.h"
#include "pbstoken/module/auth.h"
#include "pbstoken/module/password.h"

namespace {

std::span<const char *const> arguments(int argc, const char **argv) {
  return {argv, static_cast<std::size_t>(argc)};
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int pam_sm_authenticate(pam_handle_t *pamh,
                                                       int /*flags*/, int argc,
                                                       const char **argv) {
  return pbstoken::authenticate(pamh, arguments(argc, argv));
}

[[gnu::visibility("default")]] int pam_sm_chauthtok(pam_handle_t *pamh,
                                                    int flags, int argc,
                                                    const char **argv) {
  return pbstoken::change_secret(pamh, flags, arguments(argc, argv));
}

// A token gives no credentials beyond PBSTOKEN_ID, which auth has set.  This
// must always succeed: sshd(8) calls it in another process than the one that
// has authenticated, and after a failure a line with default=die would keep out
// users with passwords, too.
[[gnu::visibility("default")]] int pam_sm_setcred(pam_handle_t * /*pamh*/,
                                                  int /*flags*/, int /*argc*/,
                                                  const char ** /*argv*/) {
  return PAM_SUCCESS;
}

[[gnu::visibility("default")]] int pam_sm_acct_mgmt(pam_handle_t *pamh,
                                                    int /*flags*/, int argc,
                                                    const char **argv) {
  return pbstoken::manage_account(pamh, arguments(argc, argv));
}

}  // extern "C"
