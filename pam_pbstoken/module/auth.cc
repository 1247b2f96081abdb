// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/auth.h"

#include <string_view>

#include "pbstoken/module/account.h"
#include "pbstoken/module/authtok.h"
#include "pbstoken/module/call.h"
#include "pbstoken/module/cancel.h"
#include "pbstoken/module/log.h"
#include "pbstoken/module/open_store.h"
#include "pbstoken/module/verified.h"
#include "pbstoken/module/verify.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/credentials.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

namespace {

std::string_view debug_text(Source source) {
  switch (source) {
    case Source::kSegment:
      return "answered from the segment";
    case Source::kFact:
      return "file read, fact known";
    case Source::kHash:
      return "password hash computed";
    case Source::kHelper:
      return "answered by the helper";
    case Source::kFile:
      break;
  }
  return "answered from the file";
}

bool map_user(pam_handle_t *pamh, const ModuleOptions &options,
              const TokenId &id) {
  if (options.map_user.empty()) {
    return true;
  }
  const std::string_view name =
      options.maps_to_user_part() ? id.user : options.map_user.view();
  // Libpam copies the name.  FixedText ends it with a NUL, which the user part
  // has not.
  return pam_set_item(pamh, PAM_USER, FixedText<32>(name).c_str()) ==
         PAM_SUCCESS;
}

// What the secret, and the account rules where they apply, say.
Verification decide(const pam_handle_t *pamh, const ModuleOptions &options,
                    OpenStore *opened, const Credentials &credentials) {
  const std::uint64_t start = options.debug ? boottime_now() : 0;
  const auto verification =
      verify(pamh, options, opened, credentials.id, credentials.secret);
  if (!verification) {
    return {fail(pamh, verification.error()), Source::kFile};
  }
  if (options.debug) {
    log_debug(pamh, debug_text(verification->source), boottime_now() - start);
  }
  if (verification->outcome == Outcome::kMatch && options.check_account) {
    const Outcome account =
        judge_account(pamh, options, opened, credentials.id);
    if (!lets_in(account)) {
      return {account, verification->source};
    }
  }
  return *verification;
}

// Hands the answer on, and the user name as it is to be.  The id may be a view
// into that name: it is the last thing to change.
int accept(pam_handle_t *pamh, const ModuleOptions &options, const Store &store,
           const TokenId &id, Source source, VerifiedTokenId *verified) {
  if (!verified->set({store.configuration.view(), id.text})) {
    return pam_code(fail(pamh, no_memory("cannot hand on the token id")));
  }
  // A log line costs more than a hit, and a busy web server has thousands of
  // hits a second.
  if (!options.quiet && (options.logs_hits() || source != Source::kSegment)) {
    log_success(pamh, id.text);
  }
  if (!map_user(pamh, options, id)) {
    verified->forget();
    return pam_code(fail(pamh, no_memory("cannot map the user")));
  }
  return PAM_SUCCESS;
}

}  // namespace

int authenticate(pam_handle_t *pamh, std::span<const char *const> argv) {
  VerifiedTokenId verified(pamh);
  ModuleOptions options;
  if (!get_options(pamh, argv, kCannotVerify, &options)) {
    return PAM_SERVICE_ERR;
  }
  std::string_view user;
  if (const int status = get_user(pamh, options, &user);
      status != PAM_SUCCESS) {
    return status;
  }
  // The store comes first: no secret is asked for that could not be verified.
  const auto opened = open_store(pamh, options);
  if (!opened) {
    return pam_code(fail(pamh, opened.error()));
  }
  const char *password = nullptr;
  if (const int status = get_authtok(pamh, options, &password);
      status != PAM_SUCCESS) {
    return status;
  }
  // The name is asked for again: the conversation may have given the handle
  // another user name.
  if (const int status = current_user(pamh, &user); status != PAM_SUCCESS) {
    return status;
  }
  const NotCancellable from_here_on;
  Credentials credentials;
  const auto refused = find_credentials(options, user, password, &credentials);
  const Verification decision =
      refused ? Verification{*refused, Source::kFile}
              : decide(pamh, options, *opened, credentials);
  if (decision.outcome != Outcome::kMatch) {
    log_refusal(pamh, credentials.id.text, decision.outcome);
    return pam_code(decision.outcome);
  }
  return accept(pamh, options, (*opened)->store, credentials.id,
                decision.source, &verified);
}

}  // namespace pbstoken
