// SPDX-License-Identifier: BSD-3-Clause
#include "module_account.h"

#include <cstdlib>
#include <cstring>
#include <optional>

#include "module_log.h"
#include "pbstoken/account_verdict.h"
#include "pbstoken/clock.h"

namespace pbstoken {

namespace {

constexpr const char *kVerified = "pam_pbstoken verified";

void free_text(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  std::free(data);
}

std::string_view reason_of(const AccountVerdict &verdict) {
  switch (verdict.status) {
    case AccountStatus::kNoUser:
      return "no user section";
    case AccountStatus::kNoToken:
      return "no token section";
    case AccountStatus::kDisabledUser:
      return "user disabled";
    case AccountStatus::kDisabledToken:
      return "token disabled";
    case AccountStatus::kAllowed:
      break;
  }
  return "expired";
}

Meaning meaning_of(const AccountVerdict &verdict) {
  switch (answer_at(verdict, realtime_now() / kNanosecondsPerSecond)) {
    case AccountAnswer::kAllowed:
      return {PAM_SUCCESS, {}};
    case AccountAnswer::kDisabled:
      return {PAM_PERM_DENIED, reason_of(verdict)};
    case AccountAnswer::kExpired:
      return {PAM_ACCT_EXPIRED, reason_of(verdict)};
    case AccountAnswer::kUnknown:
      break;
  }
  return {PAM_USER_UNKNOWN, reason_of(verdict)};
}

// The id that auth has verified, else the user name if it is one.
std::optional<TokenId> token_of(pam_handle_t *pamh) {
  const void *verified = nullptr;
  if (pam_get_data(pamh, kVerified, &verified) == PAM_SUCCESS &&
      verified != nullptr) {
    return parse_token_id(static_cast<const char *>(verified));
  }
  const void *user = nullptr;
  if (pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == nullptr) {
    return std::nullopt;
  }
  return parse_token_id(static_cast<const char *>(user));
}

}  // namespace

bool remember_verified(pam_handle_t *pamh, std::string_view token_id) {
  char *copy = strndup(token_id.data(), token_id.size());
  if (copy == nullptr) {
    return false;
  }
  if (pam_set_data(pamh, kVerified, copy, free_text) != PAM_SUCCESS) {
    std::free(copy);
    return false;
  }
  return true;
}

void forget_verified(pam_handle_t *pamh) {
  const void *verified = nullptr;
  if (pam_get_data(pamh, kVerified, &verified) == PAM_SUCCESS &&
      verified != nullptr) {
    // Replacing what is there needs no memory.
    static_cast<void>(pam_set_data(pamh, kVerified, nullptr, nullptr));
  }
}

Meaning judge_account(const pam_handle_t *pamh, Session *session,
                      const TokenId &id) {
  if (session->store.user_cfg.empty()) {
    return {PAM_IGNORE, {}};
  }
  const auto verdict = session->verifier.judge(id);
  if (!verdict) {
    log_broken(pamh, verdict.error());
    return {pam_code(verdict.error()), {}};
  }
  return meaning_of(*verdict);
}

int manage_account(pam_handle_t *pamh, std::span<const char *const> argv) {
  const auto options = usable_options(pamh, argv);
  if (!options) {
    return PAM_SERVICE_ERR;
  }
  const auto id = token_of(pamh);
  if (!id) {
    return PAM_IGNORE;
  }
  const auto session = open_session(pamh, *options);
  if (!session) {
    log_broken(pamh, session.error());
    return pam_code(session.error());
  }
  const Meaning meaning = judge_account(pamh, *session, *id);
  if (!meaning.reason.empty()) {
    log_failure(pamh, id->text, meaning.reason);
  }
  return meaning.code;
}

}  // namespace pbstoken
