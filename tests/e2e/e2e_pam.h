// SPDX-License-Identifier: BSD-3-Clause
// The module as a service calls it: over the real libpam, from a directory of
// stacks of our own.
#ifndef PBSTOKEN_TESTS_E2E_PAM_H_
#define PBSTOKEN_TESTS_E2E_PAM_H_

#include <security/pam_appl.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "e2e_support.h"

// Fails with the names of both codes.
#define assert_pam(actual, expected) \
  assert_text_equal(pam_code_name(actual), pam_code_name(expected))

#define PAM_TEST(name) \
  cmocka_unit_test_setup(name, pbstoken::testing::clean_host_with_service)

namespace pbstoken::testing {

inline std::string pam_code_name(int code) {
  switch (code) {
    case PAM_SUCCESS:
      return "PAM_SUCCESS";
    case PAM_SERVICE_ERR:
      return "PAM_SERVICE_ERR";
    case PAM_SYSTEM_ERR:
      return "PAM_SYSTEM_ERR";
    case PAM_BUF_ERR:
      return "PAM_BUF_ERR";
    case PAM_AUTH_ERR:
      return "PAM_AUTH_ERR";
    case PAM_AUTHINFO_UNAVAIL:
      return "PAM_AUTHINFO_UNAVAIL";
    case PAM_USER_UNKNOWN:
      return "PAM_USER_UNKNOWN";
    case PAM_CONV_ERR:
      return "PAM_CONV_ERR";
    case PAM_PERM_DENIED:
      return "PAM_PERM_DENIED";
    case PAM_ACCT_EXPIRED:
      return "PAM_ACCT_EXPIRED";
    case PAM_AUTHTOK_ERR:
      return "PAM_AUTHTOK_ERR";
    case PAM_AUTHTOK_RECOVERY_ERR:
      return "PAM_AUTHTOK_RECOVERY_ERR";
    case PAM_TRY_AGAIN:
      return "PAM_TRY_AGAIN";
    case PAM_IGNORE:
      return "PAM_IGNORE";
    case PAM_ABORT:
      return "PAM_ABORT";
    default:
      return "PAM code " + std::to_string(code);
  }
}

// --- stacks

constexpr const char *kService = "pbs";

// With the helper that was built, unless the options name another.
inline std::string stack_line(const std::string &type,
                              const std::string &control,
                              const std::string &options) {
  return type + " " + control + " " + module_path() +
         " helper=" + helper_path() + " " + options;
}

inline std::string auth_line(const std::string &control,
                             const std::string &options = {}) {
  return stack_line("auth", control, options);
}

inline std::string password_line(const std::string &control,
                                 const std::string &options = {}) {
  return stack_line("password", control, options);
}

inline void write_stack(const std::string &service,
                        const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines) {
    text += line + "\n";
  }
  write_file(scratch("pam.d/" + service), text);
}

// kService with the module alone.
inline void write_service(const std::string &options = {}) {
  write_stack(kService, {auth_line("required", options),
                         password_line("required", options)});
}

// Setup: a clean host, and the service without options.
inline int clean_host_with_service(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  std::filesystem::create_directories(scratch("pam.d"));
  empty_directory(scratch("pam.d"));
  // libpam wants one, and it is to be asked for nothing.
  write_stack("other", {"auth required pam_deny.so"});
  write_service();
  return 0;
}

// --- the conversation

struct Conversation {
  std::optional<std::string> answer = {};  // nothing: a NULL response
  int status = PAM_SUCCESS;                // else the conversation fails
  std::function<void()> at_question = {};
  int questions = 0;
  int style = 0;                        // of the last question
  std::string question = {};            // the last one
  std::vector<std::string> shown = {};  // what was only told
};

inline int converse(int count, const pam_message **messages,
                    pam_response **out_responses, void *data) {
  auto *conversation = static_cast<Conversation *>(data);
  conversation->questions += count;
  conversation->style = messages[0]->msg_style;
  conversation->question = messages[0]->msg;
  if (conversation->style == PAM_TEXT_INFO ||
      conversation->style == PAM_ERROR_MSG) {
    conversation->shown.emplace_back(messages[0]->msg);
  }
  if (conversation->at_question) {
    conversation->at_question();
  }
  if (conversation->status != PAM_SUCCESS) {
    return conversation->status;
  }
  auto *responses = static_cast<pam_response *>(
      std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  for (int i = 0; i < count && conversation->answer; ++i) {
    responses[i].resp = strdup(conversation->answer->c_str());
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

// One pam_start(3) to pam_end(3).  Every code is as libpam gave it.
class PamHandle {
 public:
  PamHandle(const std::string &service, const std::string &user,
            Conversation *conversation)
      : conv_{.conv = converse, .appdata_ptr = conversation} {
    pam_start_confdir(service.c_str(), user.c_str(), &conv_,
                      scratch("pam.d").c_str(), &handle_);
  }
  PamHandle(const PamHandle &) = delete;
  PamHandle &operator=(const PamHandle &) = delete;
  ~PamHandle() { pam_end(handle_, status_); }

  int authenticate() { return status_ = pam_authenticate(handle_, 0); }
  int change_secret(int flags = 0) {
    return status_ = pam_chauthtok(handle_, flags);
  }
  int manage_account() { return status_ = pam_acct_mgmt(handle_, 0); }
  [[nodiscard]] std::string user() const {
    const void *user = nullptr;
    return pam_get_item(handle_, PAM_USER, &user) == PAM_SUCCESS &&
                   user != nullptr
               ? static_cast<const char *>(user)
               : "(none)";
  }
  int set_credentials() {
    return status_ = pam_setcred(handle_, PAM_ESTABLISH_CRED);
  }
  [[nodiscard]] std::string variable(const char *name) const {
    const char *value = pam_getenv(handle_, name);
    return value != nullptr ? value : "(none)";
  }
  [[nodiscard]] pam_handle_t *get() const { return handle_; }

 private:
  pam_conv conv_;
  pam_handle_t *handle_ = nullptr;
  int status_ = PAM_SUCCESS;
};

// What a service gets that asks once, for one answer.
inline int authenticate(const std::string &service, const std::string &user,
                        const std::string &secret) {
  Conversation conversation = {.answer = secret};
  return PamHandle(service, user, &conversation).authenticate();
}

inline int authenticate(const std::string &user, const std::string &secret) {
  return authenticate(kService, user, secret);
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_PAM_H_
