// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/password.h"

#include <security/pam_ext.h>

#include <cstdlib>
#include <cstring>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/wipe.h"
#include "pbstoken/module/authtok.h"
#include "pbstoken/module/call.h"
#include "pbstoken/module/cancel.h"
#include "pbstoken/module/helper.h"
#include "pbstoken/module/log.h"
#include "pbstoken/module/open_store.h"
#include "pbstoken/module/verify.h"
#include "pbstoken/verify/credentials.h"

namespace pbstoken {

namespace {

constexpr const char *kCannotChange = "cannot change the secret";

// code: of whatever is neither a refusal nor a lack of memory.
int broken(const pam_handle_t *pamh, const Error &error, int code) {
  log_broken(pamh, kCannotChange, error);
  return error.code == Errc::kNoMemory ? PAM_BUF_ERR : code;
}

int refused(const pam_handle_t *pamh, const TokenId &id, Outcome outcome) {
  log_refusal(pamh, id.text, outcome);
  return pam_code(outcome);
}

// A match is no answer here: nothing was changed.
int refused(const pam_handle_t *pamh, const TokenId &id,
            const HelperAnswer &answer) {
  if (info_of(answer.outcome).topic == Topic::kVerification &&
      !is_success(answer.outcome)) {
    return refused(pamh, id, answer.outcome);
  }
  return broken(pamh, error_of(answer),
                answer.outcome == Outcome::kNotPermitted ? PAM_PERM_DENIED
                                                         : PAM_AUTHTOK_ERR);
}

// Sets *out to the token, and what its secret is said to be.  Asks for the user
// name after the conversation, which may have given the handle another one.
int get_credentials(pam_handle_t *pamh, const ModuleOptions &options,
                    Credentials *out) {
  const char *password = nullptr;
  if (const int status = get_old_authtok(pamh, options, &password);
      status != PAM_SUCCESS) {
    return status;
  }
  const NotCancellable from_here_on;
  std::string_view user;
  if (const int status = get_user(pamh, options, &user);
      status != PAM_SUCCESS) {
    return status;
  }
  const auto outcome = find_credentials(options, user, password, out);
  return outcome ? refused(pamh, out->id, *outcome) : PAM_SUCCESS;
}

// --- PAM_PRELIM_CHECK

int check(pam_handle_t *pamh, const ModuleOptions &options) {
  const auto opened = open_store(pamh, options);
  if (!opened) {
    return broken(pamh, opened.error(), PAM_TRY_AGAIN);
  }
  if (const auto found = look_for_helper(options); !found) {
    return broken(pamh, found.error(), PAM_TRY_AGAIN);
  }
  Credentials credentials;
  if (const int status = get_credentials(pamh, options, &credentials);
      status != PAM_SUCCESS) {
    return status;
  }
  const NotCancellable from_here_on;
  const TokenId &id = credentials.id;
  const auto verification =
      verify(pamh, options, *opened, id, credentials.secret);
  if (!verification) {
    return broken(pamh, verification.error(), PAM_TRY_AGAIN);
  }
  return verification->outcome == Outcome::kMatch
             ? PAM_SUCCESS
             : refused(pamh, id, verification->outcome);
}

// --- PAM_UPDATE_AUTHTOK

// Tells the application the new secret.  Without pam_info(3): what formats its
// text, glibc's vasprintf(3), leaves a copy of it on the stack.
int show(pam_handle_t *pamh, std::string_view secret) {
  const void *item = nullptr;
  if (const int status = pam_get_item(pamh, PAM_CONV, &item);
      status != PAM_SUCCESS) {
    return status;
  }
  const auto *conversation = static_cast<const pam_conv *>(item);
  if (conversation == nullptr || conversation->conv == nullptr) {
    return PAM_CONV_ERR;
  }
  constexpr std::string_view kBefore = "New token secret: ";
  Buffer text;  // at its full size at once, and wiped
  if (!text.reserve(kBefore.size() + secret.size() + 1) ||
      !text.append(kBefore) || !text.append(secret) || !text.terminate()) {
    return PAM_BUF_ERR;
  }
  const pam_message message = {.msg_style = PAM_TEXT_INFO, .msg = text.data()};
  const pam_message *messages = &message;
  pam_response *responses = nullptr;
  const int status =
      conversation->conv(1, &messages, &responses, conversation->appdata_ptr);
  // Nothing was asked, but what there is is ours to wipe and free.
  if (responses != nullptr) {
    if (responses->resp != nullptr) {
      wipe(responses->resp, std::strlen(responses->resp));
    }
    std::free(responses->resp);
    std::free(responses);
  }
  return status;
}

// After the offer was acknowledged.
int conclude(pam_handle_t *pamh, const TokenId &id,
             const Result<HelperAnswer> &answer) {
  if (!answer) {
    static_cast<void>(pam_error(
        pamh, "It is not known whether the secret was changed: try both."));
    return broken(pamh, answer.error(), PAM_AUTHTOK_ERR);
  }
  const OutcomeInfo &info = info_of(answer->outcome);
  if (info.topic == Topic::kChange && is_success(answer->outcome)) {
    if (!info.message.empty()) {
      log_broken(pamh, "secret changed",
                 plain_error(Errc::kSystem, info.message.data(), {}));
    }
    log_change(pamh, id.text);
    return PAM_SUCCESS;
  }
  static_cast<void>(pam_error(
      pamh, "The secret was not changed: the new one does not count."));
  if (answer->outcome == Outcome::kChangedMeanwhile) {
    return broken(
        pamh, plain_error(Errc::kSystem, "somebody else has changed it", {}),
        PAM_AUTHTOK_ERR);
  }
  return refused(pamh, id, *answer);
}

int update(pam_handle_t *pamh, ModuleOptions options) {
  // What was asked for and verified in the preliminary check.
  options.try_first_pass = true;
  Credentials credentials;
  if (const int status = get_credentials(pamh, options, &credentials);
      status != PAM_SUCCESS) {
    return status;
  }
  // What is shown here is shown to its end: the helper waits meanwhile.
  const NotCancellable from_here_on;
  const TokenId &id = credentials.id;
  const auto opened = open_store(pamh, options);
  if (!opened) {
    return broken(pamh, opened.error(), PAM_AUTHTOK_ERR);
  }
  HelperRequest request = request_about(pamh, options, (*opened)->store, id,
                                        HelperCommand::kRotate);
  request.secret = secret_to_send(credentials.secret);
  HelperDialogue dialogue(options);
  const auto answer = dialogue.ask(request);
  if (!answer) {
    return broken(pamh, answer.error(), PAM_AUTHTOK_ERR);
  }
  if (answer->outcome != Outcome::kOffer) {
    return refused(pamh, id, *answer);
  }
  if (const int status = show(pamh, dialogue.offered());
      status != PAM_SUCCESS) {
    return status;  // not acknowledged: nothing was changed
  }
  return conclude(pamh, id, dialogue.acknowledge());
}

}  // namespace

int change_secret(pam_handle_t *pamh, int flags,
                  std::span<const char *const> argv) {
  const auto has = [flags](auto flag) {
    return (flags & static_cast<int>(flag)) != 0;
  };
  ModuleOptions options;
  if (!get_options(pamh, argv, kCannotChange, &options)) {
    return PAM_SERVICE_ERR;
  }
  std::string_view user;
  if (const int status = get_user(pamh, options, &user);
      status != PAM_SUCCESS) {
    return status;
  }
  // Of those that have grown old, only: a token's secret does not.
  if (has(PAM_CHANGE_EXPIRED_AUTHTOK)) {
    return PAM_IGNORE;
  }
  if (has(PAM_SILENT)) {
    return broken(pamh,
                  plain_error(Errc::kSystem, "PAM_SILENT is set", {},
                              "the new one could not be shown"),
                  PAM_AUTHTOK_ERR);
  }
  return has(PAM_PRELIM_CHECK) ? check(pamh, options) : update(pamh, options);
}

}  // namespace pbstoken
