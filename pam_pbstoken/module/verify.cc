// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/verify.h"

#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/sched_slice.h"

namespace pbstoken {

namespace {

// Root without CAP_DAC_OVERRIDE, for one.
bool is_permission_error(const Error &error) {
  return error.saved_errno == EACCES || error.saved_errno == EPERM;
}

std::string_view remote_host(const pam_handle_t *pamh) {
  const void *host = nullptr;
  if (pam_get_item(pamh, PAM_RHOST, &host) != PAM_SUCCESS || host == nullptr) {
    return {};
  }
  return static_cast<const char *>(host);
}

bool is_account_reply(Reply reply) {
  return reply >= Reply::kAllowed && reply <= Reply::kNoUserCfg;
}

Result<Verification> verify_by_helper(const pam_handle_t *pamh,
                                      const ModuleOptions &options,
                                      const TokenId &id,
                                      std::string_view secret) {
  HelperRequest request =
      request_about(pamh, options, id, HelperCommand::kVerify);
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
                            const TokenId &id, std::string_view secret) {
  Verifier &verifier = *session->verifier;
  // Before any question who we are: that is a system call.
  if (const auto known = verifier.verify_in_segment(id, secret); known) {
    return *known;
  }
  const LongTurns while_others_are_served;
  if (is_only_root()) {
    auto verification = verifier.verify_beyond_segment(
        id, secret, {.rhost = remote_host(pamh), .caller = {}});
    if (verification || !is_permission_error(verification.error())) {
      return verification;
    }
  }
  return verify_by_helper(pamh, options, id, secret);
}

Result<Reply> ask_account(const pam_handle_t *pamh,
                          const ModuleOptions &options, Session *session,
                          const TokenId &id) {
  const std::uint64_t now = realtime_now() / kNanosecondsPerSecond;
  Verifier &verifier = *session->verifier;
  if (const auto known = verifier.cache().look_up_account(id.text); known) {
    return reply_of(*known, now);
  }
  if (is_only_root()) {
    const auto verdict = verifier.judge_beyond_segment(id);
    if (verdict) {
      return reply_of(*verdict, now);
    }
    if (!is_permission_error(verdict.error())) {
      return verdict.error();
    }
  }
  HelperDialogue dialogue(options);
  const auto answer =
      dialogue.ask(request_about(pamh, options, id, HelperCommand::kAccount));
  if (!answer) {
    return answer.error();
  }
  return is_account_reply(answer->reply) ? Result<Reply>(answer->reply)
                                         : Result<Reply>(error_of(*answer));
}

HelperRequest request_about(const pam_handle_t *pamh,
                            const ModuleOptions &options, const TokenId &id,
                            HelperCommand command) {
  return {.command = command,
          .nocache = options.nocache,
          .store = options.store.view(),
          .host = slice(remote_host(pamh), 0, kMaxRequestHost),
          .token_id = id.text,
          .secret = {}};
}

Error error_of(const HelperAnswer &answer) {
  if (answer.reply == Reply::kNoMemory) {
    return no_memory("the helper cannot verify");
  }
  return plain_error(answer.reply == Reply::kBusy ? Errc::kBusy : Errc::kSystem,
                     "the helper:", answer.text.view());
}

}  // namespace pbstoken
