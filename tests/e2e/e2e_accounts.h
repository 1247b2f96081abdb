// SPDX-License-Identifier: BSD-3-Clause
// A user.cfg with an account of each kind, and what each of its tokens gets.
#ifndef PBSTOKEN_TESTS_E2E_ACCOUNTS_H_
#define PBSTOKEN_TESTS_E2E_ACCOUNTS_H_

#include <security/pam_appl.h>

#include <array>

namespace pbstoken::testing {

constexpr const char *kAccounts =
    "user: john@pbs\n\tcomment An example\n\n"
    "token: john@pbs!client1\n\n"
    "token: john@pbs!off\n\tenable false\n\n"
    "token: john@pbs!gone\n\texpire 1700000000\n\n"
    "user: locked@pbs\n\tenable 0\n\n"
    "token: locked@pbs!t1\n\tenable true\n\n"
    "token: ghost@pbs!t1\n\n"
    "token: root@pam!old\n\texpire 0\n";

struct AccountRow {
  const char *id;
  int code;  // of pam_acct_mgmt(3)
};
constexpr std::array<AccountRow, 7> kAccountRows = {{
    {"john@pbs!client1", PAM_SUCCESS},
    {"root@pam!old", PAM_SUCCESS},
    {"john@pbs!off", PAM_PERM_DENIED},
    {"john@pbs!gone", PAM_ACCT_EXPIRED},
    {"locked@pbs!t1", PAM_PERM_DENIED},
    {"ghost@pbs!t1", PAM_USER_UNKNOWN},
    {"john@pbs!other", PAM_USER_UNKNOWN},
}};

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_ACCOUNTS_H_
