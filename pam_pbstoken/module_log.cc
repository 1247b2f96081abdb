// SPDX-License-Identifier: BSD-3-Clause
#include "module_log.h"

#include <security/pam_ext.h>
#include <syslog.h>

namespace pbstoken {

namespace {

using Field = FixedText<128>;

Field escaped(std::string_view text) {
  return Field().append_escaped(text);
}

Field item(const pam_handle_t *pamh, int type) {
  const void *value = nullptr;
  if (pam_get_item(pamh, type, &value) != PAM_SUCCESS || value == nullptr) {
    return {};
  }
  return escaped(static_cast<const char *>(value));
}

}  // namespace

void log_failure(const pam_handle_t *pamh, std::string_view token_id,
                 std::string_view reason) {
  pam_syslog(pamh, LOG_NOTICE,
             "authentication failure; tokenid=%s rhost=%s tty=%s ruser=%s "
             "reason=%s",
             escaped(token_id).c_str(), item(pamh, PAM_RHOST).c_str(),
             item(pamh, PAM_TTY).c_str(), item(pamh, PAM_RUSER).c_str(),
             Field(reason).c_str());
}

void log_broken(const pam_handle_t *pamh, const char *what,
                const Error &error) {
  pam_syslog(pamh, LOG_ERR, "%s: %s", what, describe(error).c_str());
}

void log_success(const pam_handle_t *pamh, std::string_view token_id) {
  pam_syslog(pamh, LOG_INFO, "authenticated; tokenid=%s rhost=%s",
             escaped(token_id).c_str(), item(pamh, PAM_RHOST).c_str());
}

void log_change(const pam_handle_t *pamh, std::string_view token_id) {
  pam_syslog(pamh, LOG_INFO, "secret changed; tokenid=%s rhost=%s",
             escaped(token_id).c_str(), item(pamh, PAM_RHOST).c_str());
}

void log_debug(const pam_handle_t *pamh, std::string_view text) {
  pam_syslog(pamh, LOG_DEBUG, "%s", Field(text).c_str());
}

}  // namespace pbstoken
