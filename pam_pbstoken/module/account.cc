// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/account.h"

#include <optional>

#include "pbstoken/module/cancel.h"
#include "pbstoken/module/log.h"
#include "pbstoken/module/verified.h"
#include "pbstoken/module/verify.h"

namespace pbstoken {

namespace {

Meaning meaning_of(Reply reply) {
  switch (reply) {
    case Reply::kAllowed:
      return {PAM_SUCCESS, {}};
    case Reply::kNoUserCfg:
      return {PAM_IGNORE, {}};
    case Reply::kUserDisabled:
      return {PAM_PERM_DENIED, "user disabled"};
    case Reply::kTokenDisabled:
      return {PAM_PERM_DENIED, "token disabled"};
    case Reply::kExpired:
      return {PAM_ACCT_EXPIRED, "expired"};
    case Reply::kNoSuchUser:
      return {PAM_USER_UNKNOWN, "no user section"};
    default:
      return {PAM_USER_UNKNOWN, "no token section"};
  }
}

// The id that auth has verified, else the user name if it is one.
std::optional<TokenId> token_of(pam_handle_t *pamh) {
  if (const char *verified = verified_token_id(pamh); verified != nullptr) {
    return parse_token_id(verified);
  }
  const void *user = nullptr;
  if (pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == nullptr) {
    return std::nullopt;
  }
  return parse_token_id(static_cast<const char *>(user));
}

}  // namespace

Meaning judge_account(const pam_handle_t *pamh, const ModuleOptions &options,
                      Session *session, const TokenId &id) {
  if (session->store.user_cfg.empty()) {
    return meaning_of(Reply::kNoUserCfg);
  }
  const auto reply = ask_account(pamh, options, session, id);
  if (!reply) {
    log_broken(pamh, kCannotVerify, reply.error());
    return {pam_code(reply.error()), {}};
  }
  return meaning_of(*reply);
}

int manage_account(pam_handle_t *pamh, std::span<const char *const> argv) {
  const NotCancellable here;
  ModuleOptions options;
  if (!get_options(pamh, argv, kCannotVerify, &options)) {
    return PAM_SERVICE_ERR;
  }
  const auto id = token_of(pamh);
  if (!id) {
    return PAM_IGNORE;
  }
  const auto session = open_session(pamh, options);
  if (!session) {
    log_broken(pamh, kCannotVerify, session.error());
    return pam_code(session.error());
  }
  const Meaning meaning = judge_account(pamh, options, *session, *id);
  if (!meaning.reason.empty()) {
    log_failure(pamh, id->text, meaning.reason);
  }
  return meaning.code;
}

}  // namespace pbstoken
