// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"

#include <crypt.h>

#include <array>

#include "admin/check.h"
#include "admin/list.h"
#include "admin/retire.h"
#include "admin/status.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "io/output.h"
#include "io/secret_input.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/account_verdict.h"
#include "pbstoken/verify/verifier.h"
#include "write/new_secret.h"
#include "write/shadow_writer.h"

namespace pbstoken {

namespace {

// Below this a secret can be guessed from its stored hash, or from the digests
// that a member of verify_group may read.
constexpr std::size_t kStrongSecret = 32;

CryptFunction linked_crypt() {
  return crypt_rn;
}

ExitStatus unavailable(const Error &error) {
  complain(error);
  return ExitStatus::kUnavailable;
}

// A command's store, its verifier, and the request they came from.
struct Context {
  const CommandLine &line;
  const Store &store;
  Client client;
  std::string_view input;  // the secret from standard input
  Verifier verifier;

  Context(const CommandLine &command_line, const Store &settings,
          const Caller &caller, std::string_view secret)
      : line(command_line),
        store(settings),
        client(client_of(caller, command_line.remote_host.view())),
        input(secret),
        verifier(settings, linked_crypt) {}
};

struct NewToken {
  const CommandLine &line;
  const Secret &secret;
};

bool print_new_token(const void *context) {
  const auto *token = static_cast<const NewToken *>(context);
  const std::array<Field, 2> fields = {
      Field::string("tokenid", token->line.token_id.text),
      Field::string("value", token->secret.view())};
  return print_fields(fields, token->line.format);
}

// Says what the outcome means to the person who has run the command.
ExitStatus explain(const Result<Outcome> &outcome) {
  if (!outcome) {
    return unavailable(outcome.error());
  }
  const OutcomeInfo &info = info_of(*outcome);
  if (!info.message.empty()) {
    complain(info.message);
  }
  return info.exit_status;
}

// Hashes the secret and writes it; tell: prints it, since the caller does not
// know it yet.
ExitStatus write_secret(Context *context, const Secret &secret, bool tell,
                        std::optional<std::string_view> expected_hash) {
  const auto hash = hash_new_secret(secret);
  if (!hash) {
    return unavailable(hash.error());
  }
  const NewToken token = {.line = context->line, .secret = secret};
  const Delivery delivery = {.deliver = tell ? print_new_token : nullptr,
                             .context = &token};
  return explain(write_token(context->store, &context->verifier.cache(),
                             {.token_id = context->line.token_id,
                              .stored_hash = hash->view(),
                              .secret = secret.view(),
                              .expected_hash = expected_hash},
                             delivery));
}

ExitStatus generate_expecting(Context *context,
                              std::optional<std::string_view> expected_hash) {
  Secret secret;
  if (const auto made = make_secret(&secret); !made) {
    return unavailable(made.error());
  }
  return write_secret(context, secret, /*tell=*/true, expected_hash);
}

ExitStatus generate(Context *context) {
  return generate_expecting(context, std::nullopt);
}

ExitStatus set(Context *context) {
  Secret secret;
  if (!is_acceptable_secret(context->input) || !secret.assign(context->input)) {
    complain(
        "cannot set the secret: it must have 1 to 511 bytes and no "
        "control character");
    return ExitStatus::kUsage;
  }
  if (secret.view().size() < kStrongSecret) {
    complain("warning: a secret of less than 32 bytes may be guessed");
  }
  return write_secret(context, secret, /*tell=*/false, std::nullopt);
}

ExitStatus remove(Context *context) {
  return explain(write_token(context->store, &context->verifier.cache(),
                             {.token_id = context->line.token_id,
                              .stored_hash = std::nullopt,
                              .secret = {},
                              .expected_hash = std::nullopt},
                             Delivery{}));
}

ExitStatus rotate(Context *context) {
  Buffer stored_hash;
  const auto verified = context->verifier.verify_in_file(
      context->line.token_id, context->input, &stored_hash, context->client);
  if (!verified) {
    return unavailable(verified.error());
  }
  if (verified->outcome != Outcome::kMatch) {
    return explain(verified->outcome);
  }
  // Replaces the very hash that the secret was checked against, or nothing.
  return generate_expecting(context, stored_hash.view());
}

ExitStatus verify(Context *context) {
  const auto verified = context->verifier.verify(
      context->line.token_id, context->input, context->client);
  return verified ? explain(verified->outcome) : unavailable(verified.error());
}

ExitStatus account(Context *context) {
  if (context->store.user_cfg.empty()) {
    return explain(Outcome::kNoUserCfg);
  }
  const auto verdict = context->verifier.judge(context->line.token_id);
  return verdict ? explain(outcome_of(*verdict,
                                      realtime_now() / kNanosecondsPerSecond))
                 : unavailable(verdict.error());
}

Result<void> flush_cache(Context *context) {
  const auto lock = FileLock::acquire(context->store, kWriterSeconds);
  if (!lock) {
    return lock.error();
  }
  const HeldSignals signals;  // none to be stopped by while it is held
  return context->verifier.cache().flush(*lock);
}

ExitStatus flush(Context *context) {
  const auto flushed = flush_cache(context);
  return flushed ? ExitStatus::kDone : unavailable(flushed.error());
}

ExitStatus status(Context *context) {
  return print_status(context->store, &context->verifier, context->line.format);
}

ExitStatus run(Context *context) {
  switch (context->line.command) {
    case Command::kGenerate:
      return generate(context);
    case Command::kSet:
      return set(context);
    case Command::kDelete:
      return remove(context);
    case Command::kRotate:
      return rotate(context);
    case Command::kVerify:
      return verify(context);
    case Command::kList:
      return print_list(context->store, context->line.format);
    case Command::kStatus:
      return status(context);
    case Command::kFlush:
      return flush(context);
    case Command::kCheck:
      return check_store(context->store, configuration_of(context->line),
                         context->line.format);
    case Command::kRetire:
      return retire(context->store, context->line.format);
    case Command::kAccount:
      return account(context);
    case Command::kServe:
      break;  // not a command of a store
  }
  return ExitStatus::kUsage;
}

}  // namespace

Result<Buffer> read_secret_for(Command command) {
  switch (command) {
    case Command::kSet:
      return read_secret(SecretPurpose::kNew);
    case Command::kRotate:
    case Command::kVerify:
      return read_secret(SecretPurpose::kCurrent);
    case Command::kGenerate:
    case Command::kDelete:
    case Command::kAccount:
    case Command::kList:
    case Command::kStatus:
    case Command::kFlush:
    case Command::kCheck:
    case Command::kRetire:
    case Command::kServe:
      break;
  }
  return Buffer();
}

ExitStatus run_command(const CommandLine &line, const Store &store,
                       const Caller &caller, std::string_view secret) {
  Context context(line, store, caller, secret);
  return run(&context);
}

}  // namespace pbstoken
