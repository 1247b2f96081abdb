// SPDX-License-Identifier: BSD-3-Clause
// What user.cfg says of a token, in a form that does not go stale with the
// time: an allowed one names the second from which it is none any more, so a
// verdict may be kept for as long as user.cfg stays the same.
#ifndef PBSTOKEN_ACCOUNT_VERDICT_H_
#define PBSTOKEN_ACCOUNT_VERDICT_H_

#include <cstdint>

namespace pbstoken {

enum class AccountStatus : std::uint8_t {
  kNoUser,  // 0: a verdict that nobody has given refuses
  kNoToken,
  kDisabledUser,
  kDisabledToken,
  kAllowed,
};

struct AccountVerdict {
  AccountStatus status = AccountStatus::kNoUser;
  // Of an allowed one: seconds since the epoch, the earlier of the user's and
  // the token's; 0: never.
  std::uint64_t expires = 0;

  bool operator==(const AccountVerdict &) const = default;
};

// What a verdict means at a time.
enum class AccountAnswer : std::uint8_t {
  kUnknown,  // not in user.cfg
  kDisabled,
  kExpired,
  kAllowed,
};

// now: seconds since the epoch by the wall clock; 0: it could not be read, and
// then whatever expires has expired.
constexpr AccountAnswer answer_at(const AccountVerdict &verdict,
                                  std::uint64_t now) {
  switch (verdict.status) {
    case AccountStatus::kDisabledUser:
    case AccountStatus::kDisabledToken:
      return AccountAnswer::kDisabled;
    case AccountStatus::kAllowed:
      return verdict.expires == 0 || (now != 0 && now < verdict.expires)
                 ? AccountAnswer::kAllowed
                 : AccountAnswer::kExpired;
    case AccountStatus::kNoUser:
    case AccountStatus::kNoToken:
      break;
  }
  return AccountAnswer::kUnknown;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_ACCOUNT_VERDICT_H_
