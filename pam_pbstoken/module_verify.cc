// SPDX-License-Identifier: BSD-3-Clause
#include "module_verify.h"

#include "pbstoken/caller.h"

namespace pbstoken {

namespace {

// Root without CAP_DAC_OVERRIDE, for one.
bool is_permission_error(const Error &error) {
  return error.saved_errno == EACCES || error.saved_errno == EPERM;
}

Result<Verification> verify_by_helper(const pam_handle_t *pamh,
                                      const ModuleOptions &options,
                                      const TokenId &id, const char *secret) {
  HelperRequest request = request_about(pamh, options, id);
  request.secret = secret;
  HelperDialogue dialogue(options);
  const auto answer = dialogue.ask(request);
  if (!answer) {
    return answer.error();
  }
  if (const auto verification = verification_of(answer->reply); verification) {
    return *verification;
  }
  return error_of(*answer);
}

}  // namespace

Result<Verification> verify(const pam_handle_t *pamh,
                            const ModuleOptions &options, Session *session,
                            const TokenId &id, const char *secret) {
  if (is_only_root()) {
    auto verification = session->verifier.verify(id, secret);
    if (verification || !is_permission_error(verification.error())) {
      return verification;
    }
  } else if (const auto known = session->verifier.verify_in_segment(id, secret);
             known) {
    return *known;
  }
  return verify_by_helper(pamh, options, id, secret);
}

HelperRequest request_about(const pam_handle_t *pamh,
                            const ModuleOptions &options, const TokenId &id) {
  const void *host = nullptr;
  if (pam_get_item(pamh, PAM_RHOST, &host) != PAM_SUCCESS || host == nullptr) {
    host = "";
  }
  return {.command = HelperCommand::kVerify,
          .nocache = options.nocache,
          .store = options.store.view(),
          .host = slice(static_cast<const char *>(host), 0, kMaxRequestHost),
          .token_id = id.text,
          .secret = {}};
}

Error error_of(const HelperAnswer &answer) {
  switch (answer.reply) {
    case Reply::kNoMemory:
      return no_memory("the helper cannot verify");
    case Reply::kNotPermitted:
      return plain_error(Errc::kSystem,
                         "the helper refuses:", answer.text.view());
    default:
      break;
  }
  return plain_error(answer.reply == Reply::kBusy ? Errc::kBusy : Errc::kSystem,
                     "the helper:", answer.text.view());
}

}  // namespace pbstoken
