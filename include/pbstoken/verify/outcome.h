// SPDX-License-Identifier: BSD-3-Clause
// Outcome: how a request ended, from the verification to the helper's answer,
// the exit status, the PAM code and the reason in the log.
//
// One table in outcome.cc says what each outcome means.  An outcome that the
// table does not know is a refusal everywhere.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_OUTCOME_H_
#define PBSTOKEN_OUTCOME_H_

#include <cstdint>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/store/account_verdict.h"

namespace pbstoken {

// How a request ended.
enum class Outcome : std::uint8_t {
  // of a verification
  kMatch,
  kWrongSecret,         // a password hash was computed
  kKnownMismatch,       // the segment knew that the secret does not match
  kUnknownToken,        // token.shadow has no such token
  kUnusableHash,        // the stored hash is incomplete or of no known method
  kUnacceptableSecret,  // see is_acceptable_secret()
  kThrottled,           // too many mismatches: nothing was computed
  // of the options combined, realm= and map_user=
  kNoTokenId,
  kNoTokenInHeader,
  kOtherRealm,
  kOtherUser,
  kNotMappable,
  // of the account rules
  kAllowed,
  kNoUserCfg,  // the store has none: no account rules
  kUserDisabled,
  kTokenDisabled,
  kExpired,
  kNoUserSection,
  kNoTokenSection,
  // of a change of token.shadow
  kOffer,  // the new secret: the helper waits for the module
  kDone,
  kNotDurable,        // done; the directory could not be synced
  kNotAnnounced,      // done; upstream's word could not be raised
  kTakenOver,         // done; another process had claimed the generation
  kChangedMeanwhile,  // not done: the entry was no longer the verified one
  // of a request that has no answer; an Error or a text has the details
  kBusy,
  kNoMemory,
  kNotPermitted,
  kUnavailable,
  kNotStarted,    // the helper could not be executed
  kNotSetuid,     // the helper is not setuid root, or that has no effect here
  kOtherVersion,  // the helper is of another version than the module
  kOtherView,     // the helper sees another directory of token.shadow
  kConfined,      // the helper was started where it cannot work
  kLease,         // the lease of token.shadow is not in force
};
constexpr std::size_t kOutcomes = 35;

// The exit status of the two programs, which scripts rely on.
enum class ExitStatus : std::uint8_t {
  kDone = 0,     // or verified
  kRefused = 1,  // wrong secret, refused by account rules, problems found
  kUsage = 2,
  kNotPermitted = 3,
  kUnavailable = 4,  // the store cannot be used; nothing was changed
  kNoSuchToken = 5,
  kThrottled = 6,
  kNotDurable = 7  // done, but not made durable or not announced
};

// What an outcome is to a PAM stack.  The core does not know PAM: module/ has
// the codes.
enum class Ruling : std::uint8_t {
  kRefuse,  // the first value, so that an unknown outcome is refused
  kAccept,
  kIgnore,       // another module must decide
  kUnknownUser,  // so that a stack can fall through to pam_unix(8)
  kDeny,         // disabled, or not permitted
  kExpired,
  kNoAnswer,
  kNoMemory,
};

// What the request with this outcome was about.
enum class Topic : std::uint8_t {
  kVerification,
  kAccount,
  kChange,
  kAny  // any request: it has no answer
};

// A row of the table.
struct OutcomeInfo {
  Outcome outcome;
  Topic topic;
  Ruling ruling;
  ExitStatus exit_status;
  // The reason in the log line of a refused token id; empty if the outcome is
  // no refusal.
  std::string_view reason;
  // The text for the person at the terminal; empty if there is nothing to say.
  std::string_view message;
};

// Returns what an outcome means; for a value that is no outcome, a refusal.
const OutcomeInfo &info_of(Outcome outcome);

// True if the outcome says yes: it lets a caller in, or a change was done.
bool is_success(Outcome outcome);

// True if the outcome keeps no caller out: a success, or that there are no
// account rules.  Such an answer counts only whole, and without a text.
bool lets_in(Outcome outcome);

// Returns the outcome of a request that ended with this error.
Outcome outcome_of(const Error &error);

// Returns what an account verdict means at a time.  now: seconds since the
// epoch by the wall clock; 0: the clock could not be read, and whatever expires
// has expired.
Outcome outcome_of(const AccountVerdict &verdict, std::uint64_t now);

}  // namespace pbstoken

#endif  // PBSTOKEN_OUTCOME_H_
