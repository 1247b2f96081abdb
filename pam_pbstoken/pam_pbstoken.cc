// SPDX-License-Identifier: BSD-3-Clause
// Entry points of pam_pbstoken.so.  What they return is part of the interface,
// see README.md; every path that is not a match is a refusal.
#include <security/pam_modules.h>

#include <span>
#include <string_view>

#include "module_authtok.h"
#include "module_call.h"
#include "module_log.h"
#include "module_options.h"
#include "module_password.h"
#include "module_session.h"
#include "module_verify.h"
#include "pbstoken/token_id.h"
#include "pbstoken/verifier.h"

namespace pbstoken {
namespace {

constexpr const char *kTokenIdVariable = "PBSTOKEN_ID";
constexpr const char *kCannotVerify = "cannot verify";

int pam_code(const Error &error) {
  return error.code == Errc::kNoMemory ? PAM_BUF_ERR : PAM_AUTHINFO_UNAVAIL;
}

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

// Of an earlier success on this handle.
void forget_token_id(pam_handle_t *pamh) {
  if (pam_getenv(pamh, kTokenIdVariable) != nullptr) {
    static_cast<void>(pam_putenv(pamh, kTokenIdVariable));
  }
}

int conclude(pam_handle_t *pamh, const TokenId &id,
             const Verification &verification, bool debug) {
  const Meaning meaning = meaning_of(verification);
  if (meaning.code != PAM_SUCCESS) {
    log_failure(pamh, id.text, meaning.reason);
    return meaning.code;
  }
  // Who was verified, for services that map the user name afterwards.
  Buffer variable;
  if (!variable.append(kTokenIdVariable) || !variable.append("=") ||
      !variable.append(id.text) || !variable.terminate() ||
      pam_putenv(pamh, variable.data()) != PAM_SUCCESS) {
    log_broken(pamh, kCannotVerify, no_memory("cannot set PBSTOKEN_ID"));
    return PAM_BUF_ERR;
  }
  // A hit makes no system call, and a busy web server no line for each request.
  if (debug || verification.source != Source::kSegment) {
    log_success(pamh, id.text);
  }
  return PAM_SUCCESS;
}

int authenticate(pam_handle_t *pamh, std::span<const char *const> argv) {
  ModuleOptions options;
  if (const int status = get_options(pamh, argv, kCannotVerify, &options);
      status != PAM_SUCCESS) {
    return status;
  }
  forget_token_id(pamh);
  TokenId id;
  if (const int status = get_token_id(pamh, &id); status != PAM_SUCCESS) {
    return status;
  }
  const auto session = open_session(pamh, options);
  if (!session) {
    log_broken(pamh, kCannotVerify, session.error());
    return pam_code(session.error());
  }
  const char *secret = nullptr;
  if (const int status = get_authtok(pamh, options, &secret);
      status != PAM_SUCCESS) {
    return status;
  }
  // Again: the conversation may have given the handle another user name.
  if (const int status = get_token_id(pamh, &id); status != PAM_SUCCESS) {
    return status;
  }
  const auto verification = verify(pamh, options, *session, id, secret);
  if (!verification) {
    log_broken(pamh, kCannotVerify, verification.error());
    return pam_code(verification.error());
  }
  if (options.debug) {
    log_debug(pamh, debug_text(verification->source));
  }
  return conclude(pamh, id, *verification, options.debug);
}

}  // namespace
}  // namespace pbstoken

extern "C" {

[[gnu::visibility("default")]] int pam_sm_authenticate(pam_handle_t *pamh,
                                                       int /*flags*/, int argc,
                                                       const char **argv) {
  return pbstoken::authenticate(pamh, {argv, static_cast<std::size_t>(argc)});
}

[[gnu::visibility("default")]] int pam_sm_chauthtok(pam_handle_t *pamh,
                                                    int flags, int argc,
                                                    const char **argv) {
  return pbstoken::change_secret(pamh, flags,
                                 {argv, static_cast<std::size_t>(argc)});
}

// A token gives no credentials beyond PBSTOKEN_ID, which is set already.
[[gnu::visibility("default")]] int pam_sm_setcred(pam_handle_t * /*pamh*/,
                                                  int /*flags*/, int /*argc*/,
                                                  const char ** /*argv*/) {
  return PAM_SUCCESS;
}

}  // extern "C"
