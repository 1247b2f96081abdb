// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/outcome.h"

#include <array>

namespace pbstoken {
namespace {

using O = Outcome;
using T = Topic;
using R = Ruling;
using E = ExitStatus;

// clang-format off
constexpr std::array<OutcomeInfo, kOutcomes> kTable = {{
    {O::kMatch, T::kVerification, R::kAccept, E::kDone, {}, {}},
    {O::kWrongSecret, T::kVerification, R::kRefuse, E::kRefused,
     "wrong secret", "wrong secret"},
    {O::kKnownMismatch, T::kVerification, R::kRefuse, E::kRefused,
     "known mismatch", "wrong secret"},
    {O::kUnknownToken, T::kVerification, R::kUnknownUser, E::kNoSuchToken,
     "unknown token", "no such token"},
    {O::kUnusableHash, T::kVerification, R::kRefuse, E::kRefused,
     "unusable stored hash",
     "the stored hash is incomplete or of no known method"},
    {O::kUnacceptableSecret, T::kVerification, R::kRefuse, E::kRefused,
     "unacceptable secret", "wrong secret"},
    {O::kThrottled, T::kVerification, R::kRefuse, E::kThrottled,
     "throttled", "too many wrong secrets, wait a while"},

    {O::kNoTokenId, T::kVerification, R::kUnknownUser, E::kRefused, {}, {}},
    {O::kNoTokenInHeader, T::kVerification, R::kRefuse, E::kRefused,
     "no token id in the header", {}},
    {O::kOtherRealm, T::kVerification, R::kRefuse, E::kRefused,
     "another realm's token", {}},
    {O::kOtherUser, T::kVerification, R::kRefuse, E::kRefused,
     "another user's token", {}},
    {O::kNotMappable, T::kVerification, R::kRefuse, E::kRefused,
     "not a user to map to", {}},

    {O::kAllowed, T::kAccount, R::kAccept, E::kDone, {}, {}},
    {O::kNoUserCfg, T::kAccount, R::kIgnore, E::kDone, {}, {}},
    {O::kUserDisabled, T::kAccount, R::kDeny, E::kRefused,
     "user disabled", "refused: the user is disabled"},
    {O::kTokenDisabled, T::kAccount, R::kDeny, E::kRefused,
     "token disabled", "refused: the token is disabled"},
    {O::kExpired, T::kAccount, R::kExpired, E::kRefused,
     "expired", "refused: the user or the token has expired"},
    {O::kNoUserSection, T::kAccount, R::kUnknownUser, E::kRefused,
     "no user section", "refused: user.cfg has no section for the user"},
    {O::kNoTokenSection, T::kAccount, R::kUnknownUser, E::kRefused,
     "no token section", "refused: user.cfg has no section for the token"},

    {O::kOffer, T::kChange, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kDone, T::kChange, R::kAccept, E::kDone, {}, {}},
    {O::kNotDurable, T::kChange, R::kAccept, E::kNotDurable, {},
     "the change counts, but its directory could not be synced: a power "
     "failure may undo it"},
    {O::kNotAnnounced, T::kChange, R::kAccept, E::kNotDurable, {},
     "the change counts, but the Proxmox daemons could not be told: "
     "they may take up to a minute to notice"},
    {O::kTakenOver, T::kChange, R::kAccept, E::kNotDurable, {},
     "the change counts, but another process has taken over the cache "
     "meanwhile: old secrets may count for up to cache_ttl"},
    {O::kChangedMeanwhile, T::kChange, R::kNoAnswer, E::kRefused, {},
     "another process has changed the token meanwhile"},

    {O::kBusy, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kNoMemory, T::kAny, R::kNoMemory, E::kUnavailable, {}, {}},
    {O::kNotPermitted, T::kAny, R::kNoAnswer, E::kNotPermitted, {}, {}},
    {O::kUnavailable, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kNotStarted, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kNotSetuid, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kOtherVersion, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kOtherView, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kConfined, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
    {O::kLease, T::kAny, R::kNoAnswer, E::kUnavailable, {}, {}},
}};
// clang-format on

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].outcome) != i) {
      return false;
    }
  }
  return true;
}
static_assert(is_in_order(), "each outcome has its row, at its own place");

constexpr OutcomeInfo kNoOutcome = {Outcome::kUnavailable, Topic::kAny,
                                    Ruling::kRefuse,       ExitStatus::kRefused,
                                    "no verdict",          "no verdict"};

}  // namespace

const OutcomeInfo &info_of(Outcome outcome) {
  const auto row = static_cast<std::size_t>(outcome);
  if (row < kTable.size()) {
    return kTable[row];
  }
  return kNoOutcome;
}

bool is_success(Outcome outcome) {
  return info_of(outcome).ruling == Ruling::kAccept;
}

bool lets_in(Outcome outcome) {
  return is_success(outcome) || info_of(outcome).ruling == Ruling::kIgnore;
}

Outcome outcome_of(const Error &error) {
  return error.code == Errc::kBusy           ? Outcome::kBusy
         : error.code == Errc::kNoMemory     ? Outcome::kNoMemory
         : error.code == Errc::kLease        ? Outcome::kLease
         : error.code == Errc::kOtherVersion ? Outcome::kOtherVersion
                                             : Outcome::kUnavailable;
}

Outcome outcome_of(const AccountVerdict &verdict, std::uint64_t now) {
  switch (verdict.status) {
    case AccountStatus::kNoUser:
      return Outcome::kNoUserSection;
    case AccountStatus::kNoToken:
      return Outcome::kNoTokenSection;
    case AccountStatus::kDisabledUser:
      return Outcome::kUserDisabled;
    case AccountStatus::kDisabledToken:
      return Outcome::kTokenDisabled;
    case AccountStatus::kAllowed:
      return verdict.expires == 0 || (now != 0 && now < verdict.expires)
                 ? Outcome::kAllowed
                 : Outcome::kExpired;
  }
  return Outcome::kNoUserSection;
}

}  // namespace pbstoken
