// SPDX-License-Identifier: BSD-3-Clause
// What user.cfg says of a token, in a form that does not go stale with the
// time: an allowed token comes with the second at which it expires.  So a
// verdict may be kept for as long as user.cfg stays the same.
#ifndef PBSTOKEN_ACCOUNT_VERDICT_H_
#define PBSTOKEN_ACCOUNT_VERDICT_H_

#include <cstdint>

namespace pbstoken {

enum class AccountStatus : std::uint8_t {
  kNoUser,  // 0: a verdict that was never set refuses
  kNoToken,
  kDisabledUser,
  kDisabledToken,
  kAllowed,
};

struct AccountVerdict {
  AccountStatus status = AccountStatus::kNoUser;
  // When an allowed one expires, in seconds since the epoch, the earlier of the
  // user's and the token's; 0: never.
  std::uint64_t expires = 0;

  bool operator==(const AccountVerdict &) const = default;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNT_VERDICT_H_
