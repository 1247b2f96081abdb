// SPDX-License-Identifier: BSD-3-Clause
#include "wire/guest_commands.h"

#include <crypt.h>
#include <unistd.h>

#include "io/message.h"
#include "io/secret_input.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/verify/verifier.h"
#include "wire/reply.h"
#include "wire/request.h"
#include "write/new_secret.h"
#include "write/shadow_writer.h"

namespace pbstoken {

namespace {

CryptFunction linked_crypt() {
  return crypt_rn;
}

std::uint64_t request_deadline() {
  return boottime_now() + kRequestSeconds * kNanosecondsPerSecond;
}

ExitStatus verify(const Store &store, const CommandLine &line,
                  const Client &client, std::string_view secret) {
  Verifier verifier(store, linked_crypt);
  const auto verification = verifier.verify(line.token_id, secret, client);
  if (!verification) {
    return send_answer(verification.error());
  }
  // The question that comes next, most likely: so it is answered out of the
  // segment, without another run.
  if (verification->outcome == Outcome::kMatch && !store.user_cfg.empty()) {
    static_cast<void>(verifier.judge(line.token_id));
  }
  return send_answer(verification->outcome);
}

ExitStatus account(const Store &store, const TokenId &id) {
  if (store.user_cfg.empty()) {
    return send_answer(Outcome::kNoUserCfg);
  }
  Verifier verifier(store, linked_crypt);
  const auto verdict = verifier.judge(id);
  return verdict ? send_answer(outcome_of(
                       *verdict, realtime_now() / kNanosecondsPerSecond))
                 : send_answer(verdict.error());
}

ExitStatus tell(const Result<Outcome> &outcome) {
  return outcome ? send_answer(*outcome) : send_answer(outcome.error());
}

// The offer is made, and acknowledged, before the store's lock is taken, so
// that a client that takes its time holds up nobody.  What it was shown counts
// only with kDone: somebody may have changed the token meanwhile.
ExitStatus rotate(const Store &store, const CommandLine &line,
                  const Client &client, std::string_view secret) {
  const TokenId &id = line.token_id;
  if (!is_writable(id)) {
    return send_answer(Outcome::kUnavailable,
                       "not an API token ID: longer than 64 characters");
  }
  Verifier verifier(store, linked_crypt);
  Buffer stored_hash;
  const auto verified =
      verifier.verify_in_file(id, secret, &stored_hash, client);
  if (!verified) {
    return send_answer(verified.error());
  }
  if (verified->outcome != Outcome::kMatch) {
    return send_answer(verified->outcome);
  }
  Secret fresh;
  if (const auto made = make_secret(&fresh); !made) {
    return send_answer(made.error());
  }
  const auto hash = hash_new_secret(fresh);
  if (!hash) {
    return send_answer(hash.error());
  }
  if (!send_offer(fresh)) {
    return send_answer(Outcome::kUnavailable,
                       "the new secret was not acknowledged");
  }
  return tell(write_token(store, &verifier.cache(),
                          {.token_id = id,
                           .stored_hash = hash->view(),
                           .secret = fresh.view(),
                           .expected_hash = stored_hash.view()},
                          Delivery{}));
}

}  // namespace

ExitStatus run_guest_command(const CommandLine &line, const Store &store,
                             const Client &client, std::string_view secret) {
  switch (line.command) {
    case Command::kVerify:
      return verify(store, line, client, secret);
    case Command::kRotate:
      return rotate(store, line, client, secret);
    case Command::kAccount:
      return account(store, line.token_id);
    default:
      return send_answer(Outcome::kUnavailable, "no such command");
  }
}

Result<Buffer> receive_secret(Command command) {
  return command == Command::kRotate   ? receive_line(request_deadline())
         : command == Command::kVerify ? read_secret(SecretPurpose::kCurrent)
                                       : Result<Buffer>(Buffer());
}

Result<Buffer> receive_request() {
  const std::uint64_t deadline = request_deadline();
  Buffer head;
  if (const auto came = receive_exactly(kRequestHead, deadline, &head); !came) {
    return came.error();
  }
  const auto size = parse_request_head(head.view());
  if (!size) {
    return size.error();
  }
  Buffer body;
  if (const auto came = receive_exactly(*size, deadline, &body); !came) {
    return came.error();
  }
  return body;
}

}  // namespace pbstoken
