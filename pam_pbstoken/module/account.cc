// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/account.h"

#include <sys/stat.h>

#include <optional>

#include "pbstoken/module/call.h"
#include "pbstoken/module/cancel.h"
#include "pbstoken/module/log.h"
#include "pbstoken/module/verified.h"
#include "pbstoken/module/verify.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

// The id that auth has verified, else the user name if it is one.
std::optional<TokenId> token_of(const pam_handle_t *pamh,
                                const std::optional<VerifiedToken> &verified) {
  return parse_token_id(verified ? verified->id : text_of_item(pamh, PAM_USER));
}

// One file may be named in two ways; a default store's need not be there.
bool is_same_file(std::string_view path, const PathText &other) {
  struct stat one = {};
  struct stat two = {};
  return path == other.view() || (stat(PathText(path).c_str(), &one) == 0 &&
                                  stat(other.c_str(), &two) == 0 &&
                                  identity_of(one) == identity_of(two));
}

}  // namespace

Outcome judge_account(const pam_handle_t *pamh, const ModuleOptions &options,
                      OpenStore *opened, const TokenId &id) {
  if (opened->store.user_cfg.empty()) {
    return Outcome::kNoUserCfg;
  }
  const auto outcome = ask_account(pamh, options, opened, id);
  return outcome ? *outcome : fail(pamh, outcome.error());
}

int manage_account(pam_handle_t *pamh, std::span<const char *const> argv) {
  const NotCancellable here;
  ModuleOptions options;
  if (!get_options(pamh, argv, kCannotVerify, &options)) {
    return PAM_SERVICE_ERR;
  }
  const auto verified = verified_token(pamh);
  const auto id = token_of(pamh, verified);
  if (!id) {
    return PAM_IGNORE;
  }
  const auto opened = open_store(pamh, options);
  if (!opened) {
    return pam_code(fail(pamh, opened.error()));
  }
  // Another store may have the same id, with rules of its own.
  if (verified &&
      !is_same_file(verified->configuration, (*opened)->store.configuration)) {
    log_other_store(pamh, verified->configuration);
    return PAM_IGNORE;
  }
  const Outcome outcome = judge_account(pamh, options, *opened, *id);
  // A stack of which every line is ignored refuses.
  if (outcome == Outcome::kNoUserCfg && verified) {
    return PAM_SUCCESS;
  }
  log_refusal(pamh, id->text, outcome);
  return pam_code(outcome);
}

}  // namespace pbstoken
