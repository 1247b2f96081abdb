// SPDX-License-Identifier: BSD-3-Clause
#include "module_authtok.h"

#include <security/pam_ext.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "pbstoken/wipe.h"

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

int stored_authtok(const pam_handle_t *pamh, const char **out_secret) {
  const void *item = nullptr;
  const int status = pam_get_item(pamh, PAM_AUTHTOK, &item);
  *out_secret = static_cast<const char *>(item);
  return status;
}

}  // namespace

int get_authtok(pam_handle_t *pamh, const ModuleOptions &options,
                const char **out_secret) {
  if (options.try_first_pass || options.use_first_pass) {
    const int status = stored_authtok(pamh, out_secret);
    if (status != PAM_SUCCESS || *out_secret != nullptr) {
      return status;
    }
    if (options.use_first_pass) {
      return PAM_AUTH_ERR;
    }
  }
  char *answer = nullptr;
  int status = pam_prompt(pamh, PAM_PROMPT_ECHO_OFF, &answer, "Token secret: ");
  const Response response(answer);
  if (status != PAM_SUCCESS) {
    return status;
  }
  if (!response) {
    return PAM_CONV_ERR;
  }
  // For the modules after us, and so that libpam keeps and wipes it.
  status = pam_set_item(pamh, PAM_AUTHTOK, response.get());
  if (status != PAM_SUCCESS) {
    return status;
  }
  return stored_authtok(pamh, out_secret);
}

}  // namespace pbstoken
