// SPDX-License-Identifier: BSD-3-Clause
#include "module_call.h"

#include "module_log.h"
#include "pbstoken/caller.h"

namespace pbstoken {

int get_options(const pam_handle_t *pamh, std::span<const char *const> argv,
                const char *what, ModuleOptions *out_options) {
  const auto options = parse_module_options(argv);
  if (!options) {
    log_broken(pamh, what, options.error());
    return PAM_SERVICE_ERR;
  }
  // A caller whose privileges come from elsewhere must not choose the file
  // that says who is who.
  if (!options->config.empty() && !is_root()) {
    log_broken(pamh, what,
               plain_error(Errc::kBadConfiguration, "cannot use option",
                           "config=", "the effective uid is not 0"));
    return PAM_SERVICE_ERR;
  }
  *out_options = *options;
  return PAM_SUCCESS;
}

int get_token_id(pam_handle_t *pamh, TokenId *out_id) {
  const char *user = nullptr;
  if (const int status = pam_get_user(pamh, &user, nullptr);
      status != PAM_SUCCESS) {
    return status;
  }
  const auto id = parse_token_id(user);
  *out_id = id.value_or(TokenId{});
  return id ? PAM_SUCCESS : PAM_USER_UNKNOWN;
}

Meaning meaning_of(const Verification &verification) {
  switch (verification.verdict) {
    case Verdict::kMatch:
      return {PAM_SUCCESS, {}};
    case Verdict::kMismatch:
      return {PAM_AUTH_ERR, verification.source == Source::kHash
                                ? "wrong secret"
                                : "known mismatch"};
    case Verdict::kUnknownToken:
      return {PAM_USER_UNKNOWN, "unknown token"};
    case Verdict::kUnusableHash:
      return {PAM_AUTH_ERR, "unusable stored hash"};
    case Verdict::kUnacceptableSecret:
      return {PAM_AUTH_ERR, "unacceptable secret"};
    case Verdict::kThrottled:
      return {PAM_AUTH_ERR, "throttled"};
  }
  return {PAM_AUTH_ERR, "no verdict"};
}

}  // namespace pbstoken
