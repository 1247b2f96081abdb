// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/verify.h"

#include <unistd.h>

#include "pbstoken/base/secret.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/module/call.h"
#include "pbstoken/module/log.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/mounts.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/sched_slice.h"

namespace pbstoken {

namespace {

// Root without CAP_DAC_OVERRIDE, for one.
bool is_permission_error(const Error &error) {
  return error.saved_errno == EACCES || error.saved_errno == EPERM;
}

// True if the helper may succeed all the same: this process may not read a
// file, or its /proc has no boot_id, as with ProcSubset=pid.
bool may_succeed_elsewhere(const Error &error) {
  return is_permission_error(error) || error.saved_errno == ENOENT;
}

// True if something is mounted over it, as far as this process can tell.
bool is_mounted_over(const PathText &path) {
  const auto identity = look_at(path);
  return identity ? false
         : is_permission_error(identity.error())
             ? may_be_mounted_over(last_component(path))
             : identity.error().code == Errc::kUnsafe;
}

// Asks the helper a question.  Returns an error if the answer is not an outcome
// of this topic.
Result<Outcome> ask_helper(const ModuleOptions &options,
                           const HelperRequest &request, Topic topic) {
  HelperDialogue dialogue(options);
  const auto answer = dialogue.ask(request);
  if (!answer) {
    return answer.error();
  }
  return info_of(answer->outcome).topic == topic
             ? Result<Outcome>(answer->outcome)
             : Result<Outcome>(error_of(*answer));
}

}  // namespace

Result<Verification> verify(const pam_handle_t *pamh,
                            const ModuleOptions &options, OpenStore *opened,
                            const TokenId &id, std::string_view secret) {
  Verifier &verifier = *opened->verifier;
  // The segment comes before is_only_root(), which is a system call.
  if (const auto known = verifier.verify_in_segment(id, secret); known) {
    return *known;
  }
  const LongTurns while_others_are_served;
  if (is_only_root()) {
    if (const auto named = look_up_names(options, opened); !named) {
      return named.error();
    }
    verifier.heal();
    auto verification = verifier.verify_beyond_segment(
        id, secret, {.rhost = text_of_item(pamh, PAM_RHOST)});
    if (const auto &lost = verifier.lost_limit(); lost) {
      log_lost_limit(pamh, *lost);
    }
    if (const auto &lost = verifier.lost_cache(); lost) {
      log_lost_cache(pamh, *lost);
    }
    if (verification || !may_succeed_elsewhere(verification.error())) {
      return verification;
    }
  }
  HelperRequest request =
      request_about(pamh, options, opened->store, id, HelperCommand::kVerify);
  request.secret = secret_to_send(secret);
  const auto outcome = ask_helper(options, request, Topic::kVerification);
  if (outcome && opened->store.cache && !verifier.cache().is_usable()) {
    log_no_segment(pamh);
  }
  return outcome ? Verification{*outcome, Source::kHelper}
                 : Result<Verification>(outcome.error());
}

Result<Outcome> ask_account(const pam_handle_t *pamh,
                            const ModuleOptions &options, OpenStore *opened,
                            const TokenId &id) {
  const std::uint64_t now = epoch_seconds();
  Verifier &verifier = *opened->verifier;
  if (const auto known = verifier.judge_in_segment(id); known) {
    return outcome_of(*known, now);
  }
  if (is_only_root()) {
    if (const auto named = look_up_names(options, opened); !named) {
      return named.error();
    }
    verifier.heal();
    const auto verdict = verifier.judge_beyond_segment(id);
    if (const auto &lost = verifier.lost_cache(); lost) {
      log_lost_cache(pamh, *lost);
    }
    if (verdict) {
      return outcome_of(*verdict, now);
    }
    if (!may_succeed_elsewhere(verdict.error())) {
      return verdict.error();
    }
  }
  return ask_helper(
      options,
      request_about(pamh, options, opened->store, id, HelperCommand::kAccount),
      Topic::kAccount);
}

HelperRequest request_about(const pam_handle_t *pamh,
                            const ModuleOptions &options, const Store &store,
                            const TokenId &id, HelperCommand command) {
  const PathText &file =
      command == HelperCommand::kAccount ? store.user_cfg : store.token_shadow;
  const auto view = view_of(file);
  return {.command = command,
          .nocache = options.nocache,
          .store = options.store.view(),
          .host = slice(text_of_item(pamh, PAM_RHOST), 0, kMaxRequestHost),
          .token_id = id.text,
          .directory_device = view ? view->directory_device : 0,
          .directory_inode = view ? view->directory_inode : 0,
          .real_uid = getuid(),
          .is_mounted_over = is_mounted_over(file)};
}

std::string_view secret_to_send(std::string_view secret) {
  return is_acceptable_secret(secret) ? secret : std::string_view();
}

Error error_of(const HelperAnswer &answer) {
  if (answer.outcome == Outcome::kNoMemory) {
    return no_memory("the helper cannot verify");
  }
  return plain_error(answer.outcome == Outcome::kBusy    ? Errc::kBusy
                     : answer.outcome == Outcome::kLease ? Errc::kLease
                                                         : Errc::kSystem,
                     "the helper:", answer.text.view());
}

}  // namespace pbstoken
