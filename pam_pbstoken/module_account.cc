// SPDX-License-Identifier: BSD-3-Clause
#include "module_account.h"

#include <cstdlib>
#include <cstring>
#include <optional>

#include "module_cancel.h"
#include "module_log.h"
#include "module_verify.h"

namespace pbstoken {

namespace {

constexpr const char *kVerified = "pam_pbstoken verified";

void free_text(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  std::free(data);
}

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
