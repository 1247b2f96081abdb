// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/authtok.h"

#include <security/pam_ext.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "pbstoken/base/wipe.h"

namespace pbstoken {

namespace {

// What a conversation gave, which is ours to wipe and free.
struct ResponseDeleter {
  void operator()(char *response) const {
    wipe(response, std::strlen(response));
    std::free(response);
  }
};
using Response = std::unique_ptr<char, ResponseDeleter>;

// An item that libpam keeps and wipes.
struct SecretItem {
  int type;
  const char *prompt;
  int missing;  // what use_first_pass without one returns
};

int stored(const pam_handle_t *pamh, const SecretItem &wanted,
           const char **out_secret) {
  const void *item = nullptr;
  const int status = pam_get_item(pamh, wanted.type, &item);
  *out_secret = static_cast<const char *>(item);
  return status;
}

int get_secret(pam_handle_t *pamh, const ModuleOptions &options,
               const SecretItem &wanted, const char **out_secret) {
  if (options.try_first_pass || options.use_first_pass) {
    const int status = stored(pamh, wanted, out_secret);
    if (status != PAM_SUCCESS || *out_secret != nullptr) {
      return status;
    }
    if (options.use_first_pass) {
      return wanted.missing;
    }
  }
  char *answer = nullptr;
  int status =
      pam_prompt(pamh, PAM_PROMPT_ECHO_OFF, &answer, "%s", wanted.prompt);
  const Response response(answer);
  if (status != PAM_SUCCESS) {
    return status;
  }
  if (!response) {
    return PAM_CONV_ERR;
  }
  // This is for the modules after us, and so that libpam keeps and wipes it.
  status = pam_set_item(pamh, wanted.type, response.get());
  if (status != PAM_SUCCESS) {
    return status;
  }
  return stored(pamh, wanted, out_secret);
}

// Callers know the question by its first word, as OpenVPN does.
constexpr SecretItem kSecret = {PAM_AUTHTOK,
                                "Password (token secret): ", PAM_AUTH_ERR};
// The answer may be a password for the modules after us, so the question must
// not surprise its owner.
constexpr SecretItem kCombined = {PAM_AUTHTOK, "Password: ", PAM_AUTH_ERR};
constexpr SecretItem kCurrentSecret = {
    PAM_OLDAUTHTOK, "Current token secret: ", PAM_AUTHTOK_RECOVERY_ERR};

}  // namespace

int get_authtok(pam_handle_t *pamh, const ModuleOptions &options,
                const char **out_secret) {
  return get_secret(pamh, options, options.combined ? kCombined : kSecret,
                    out_secret);
}

int get_old_authtok(pam_handle_t *pamh, const ModuleOptions &options,
                    const char **out_secret) {
  return get_secret(pamh, options, kCurrentSecret, out_secret);
}

}  // namespace pbstoken
