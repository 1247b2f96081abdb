// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/call.h"

#include "pbstoken/module/log.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

bool get_options(const pam_handle_t *pamh, std::span<const char *const> argv,
                 const char *what, ModuleOptions *out_options) {
  if (const auto parsed = parse_module_options(argv, out_options); !parsed) {
    log_broken(pamh, what, parsed.error());
    return false;
  }
  // A process that is not root must not choose the file that says which users
  // are privileged.
  if (!out_options->config.empty() && !is_root()) {
    log_broken(pamh, what,
               plain_error(Errc::kBadConfiguration, "cannot use option",
                           "config=", "the effective uid is not 0"));
    return false;
  }
  return true;
}

std::string_view text_of_item(const pam_handle_t *pamh, int type) {
  const void *item = nullptr;
  return pam_get_item(pamh, type, &item) == PAM_SUCCESS && item != nullptr
             ? static_cast<const char *>(item)
             : std::string_view();
}

int current_user(pam_handle_t *pamh, std::string_view *out_user) {
  const char *user = nullptr;
  const int status = pam_get_user(pamh, &user, nullptr);
  if (status == PAM_SUCCESS) {
    *out_user = user;
  }
  return status;
}

int get_user(pam_handle_t *pamh, const ModuleOptions &options,
             std::string_view *out_user) {
  if (const int status = current_user(pamh, out_user); status != PAM_SUCCESS) {
    return status;
  }
  if (options.combined || parse_token_id(*out_user)) {
    return PAM_SUCCESS;
  }
  log_missed_form(pamh, *out_user);
  return PAM_USER_UNKNOWN;
}

int pam_code(Outcome outcome) {
  switch (info_of(outcome).ruling) {
    case Ruling::kAccept:
      return PAM_SUCCESS;
    case Ruling::kIgnore:
      return PAM_IGNORE;
    case Ruling::kUnknownUser:
      return PAM_USER_UNKNOWN;
    case Ruling::kDeny:
      return PAM_PERM_DENIED;
    case Ruling::kExpired:
      return PAM_ACCT_EXPIRED;
    case Ruling::kNoAnswer:
      return PAM_AUTHINFO_UNAVAIL;
    case Ruling::kNoMemory:
      return PAM_BUF_ERR;
    case Ruling::kRefuse:
      break;
  }
  return PAM_AUTH_ERR;
}

Outcome fail(const pam_handle_t *pamh, const Error &error) {
  log_broken(pamh, kCannotVerify, error);
  return outcome_of(error);
}

}  // namespace pbstoken
