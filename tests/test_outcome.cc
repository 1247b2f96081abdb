// SPDX-License-Identifier: BSD-3-Clause
// What outcomes mean: success is said by few of them, and a value that is no
// outcome is a refusal wherever it is asked about.
#include "pbstoken/verify/outcome.h"

#include <security/pam_modules.h>

#include <string>

#include "pbstoken/module/call.h"
#include "support.h"

namespace pbstoken {
namespace {

using namespace testing;

std::string letters(bool accepts, int pam_code, ExitStatus status) {
  return std::string(accepts ? "accepts " : "refuses ") +
         std::to_string(pam_code) + " " +
         std::to_string(static_cast<int>(status));
}

std::string meaning_of(Outcome outcome) {
  return letters(is_success(outcome), pam_code(outcome),
                 info_of(outcome).exit_status);
}

// Every value that the type can have, whoever has put it there.
void info_of_any_value_accepts_six_outcomes_only(void ** /*state*/) {
  int accepted = 0;
  for (unsigned value = 0; value < 256; ++value) {
    const auto outcome = static_cast<Outcome>(value);
    const bool accepts = pam_code(outcome) == PAM_SUCCESS;
    assert_true(accepts == is_success(outcome));
    // An exit status of 0 says more than that in one case: no account rules.
    const bool done = info_of(outcome).exit_status == ExitStatus::kDone ||
                      info_of(outcome).exit_status == ExitStatus::kNotDurable;
    assert_true(done == (accepts || outcome == Outcome::kNoUserCfg));
    assert_true(!accepts || info_of(outcome).reason.empty());
    accepted += accepts ? 1 : 0;
  }
  assert_int_equal(accepted, 6);
}

void info_of_no_outcome_is_a_refusal(void ** /*state*/) {
  for (unsigned value = kOutcomes; value < 256; ++value) {
    const auto outcome = static_cast<Outcome>(value);
    assert_text_equal(meaning_of(outcome),
                      letters(false, PAM_AUTH_ERR, ExitStatus::kRefused));
    assert_text_equal(info_of(outcome).reason, "no verdict");
    assert_true(info_of(outcome).topic == Topic::kAny);
  }
}

// Only these answer a request: each of another topic is no answer to it.
void topic_each_request_has_its_own_successes(void ** /*state*/) {
  for (unsigned value = 0; value < kOutcomes; ++value) {
    const auto outcome = static_cast<Outcome>(value);
    if (!is_success(outcome)) {
      continue;
    }
    const Topic topic = info_of(outcome).topic;
    assert_true(topic != Topic::kAny);
    assert_true((topic == Topic::kVerification) ==
                (outcome == Outcome::kMatch));
    assert_true((topic == Topic::kAccount) == (outcome == Outcome::kAllowed));
  }
}

void outcome_of_an_error_is_no_success(void ** /*state*/) {
  for (int code = 0; code <= static_cast<int>(Errc::kLease); ++code) {
    const Outcome outcome =
        outcome_of(plain_error(static_cast<Errc>(code), "cannot", {}));
    assert_false(is_success(outcome));
    assert_true(info_of(outcome).topic == Topic::kAny);
    assert_true(info_of(outcome).reason.empty());
  }
  assert_true(outcome_of(plain_error(Errc::kBusy, "", {})) == Outcome::kBusy);
  assert_true(outcome_of(plain_error(Errc::kLease, "", {})) == Outcome::kLease);
  assert_true(info_of(Outcome::kLease).ruling == Ruling::kNoAnswer);
  assert_true(info_of(Outcome::kLease).exit_status == ExitStatus::kUnavailable);
  assert_true(outcome_of(no_memory("")) == Outcome::kNoMemory);
}

void outcome_of_an_account_at_the_second_of_expiry_is_expired(
    void ** /*state*/) {
  const AccountVerdict verdict = {.status = AccountStatus::kAllowed,
                                  .expires = 1700000000};
  assert_true(outcome_of(verdict, 1699999999) == Outcome::kAllowed);
  assert_true(outcome_of(verdict, 1700000000) == Outcome::kExpired);
  assert_true(outcome_of(verdict, 1700000001) == Outcome::kExpired);
  // No clock.
  assert_true(outcome_of(verdict, 0) == Outcome::kExpired);
  const AccountVerdict for_ever = {.status = AccountStatus::kAllowed};
  assert_true(outcome_of(for_ever, 0) == Outcome::kAllowed);
  assert_true(outcome_of(for_ever, UINT64_MAX) == Outcome::kAllowed);
}

void outcome_of_other_account_verdicts_never_allows(void ** /*state*/) {
  assert_true(outcome_of(AccountVerdict{}, 1) == Outcome::kNoUserSection);
  for (unsigned status = 0; status < 256; ++status) {
    const auto named = static_cast<AccountStatus>(status);
    if (named != AccountStatus::kAllowed) {
      const Outcome outcome = outcome_of(AccountVerdict{.status = named}, 1);
      assert_false(is_success(outcome));
      assert_true(info_of(outcome).topic == Topic::kAccount);
      assert_false(info_of(outcome).reason.empty());
    }
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(info_of_any_value_accepts_six_outcomes_only),
      cmocka_unit_test(info_of_no_outcome_is_a_refusal),
      cmocka_unit_test(topic_each_request_has_its_own_successes),
      cmocka_unit_test(outcome_of_an_error_is_no_success),
      cmocka_unit_test(
          outcome_of_an_account_at_the_second_of_expiry_is_expired),
      cmocka_unit_test(outcome_of_other_account_verdicts_never_allows),
  };
  return cmocka_run_group_tests_name("outcome", tests, nullptr, nullptr);
}
