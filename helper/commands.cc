// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"

#include <crypt.h>

#include <array>

#include "check.h"
#include "held_signals.h"
#include "list.h"
#include "message.h"
#include "new_secret.h"
#include "output.h"
#include "pbstoken/secret.h"
#include "pbstoken/verifier.h"
#include "secret_input.h"
#include "shadow_writer.h"
#include "status.h"

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

// A command's store, its verifier, and the command line they came from.
struct Context {
  const CommandLine &line;
  const Store &store;
  Verifier verifier;

  Context(const CommandLine &command_line, const Store &settings)
      : line(command_line), store(settings), verifier(settings, linked_crypt) {}
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

ExitStatus explain(const Result<Written> &written) {
  if (!written) {
    return unavailable(written.error());
  }
  switch (*written) {
    case Written::kDurably:
      return ExitStatus::kDone;
    case Written::kNotDurably:
      complain(
          "token.shadow was changed, but its directory could not be "
          "synced: a power failure may undo it");
      return ExitStatus::kNotDurable;
    case Written::kNotAnnounced:
      complain(
          "token.shadow was changed, but the Proxmox daemons could not be "
          "told: they may take up to a minute to notice");
      return ExitStatus::kNotDurable;
    case Written::kTakenOver:
      complain(
          "token.shadow was changed, but somebody else has taken over the "
          "cache meanwhile: old secrets may count for up to cache_ttl");
      return ExitStatus::kNotDurable;
    case Written::kNoSuchToken:
      complain("no such token");
      return ExitStatus::kNoSuchToken;
    case Written::kOtherHash:
      complain("somebody else has changed the token meanwhile");
      return ExitStatus::kRefused;
  }
  return ExitStatus::kUnavailable;
}

// Whether upstream would take the id back, see kMaxWrittenId.
bool may_be_written(const TokenId &id) {
  if (is_writable(id)) {
    return true;
  }
  complain("not an API token ID: longer than 64 characters");
  return false;
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
  if (!may_be_written(context->line.token_id)) {
    return ExitStatus::kUsage;
  }
  return generate_expecting(context, std::nullopt);
}

ExitStatus set(Context *context) {
  if (!may_be_written(context->line.token_id)) {
    return ExitStatus::kUsage;
  }
  const auto input = read_secret(SecretPurpose::kNew);
  if (!input) {
    complain(input.error());
    return input.error().code == Errc::kMalformed ? ExitStatus::kUsage
                                                  : ExitStatus::kUnavailable;
  }
  Secret secret;
  if (!is_acceptable_secret(input->view()) || !secret.assign(input->view())) {
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

ExitStatus refuse(Verdict verdict) {
  if (verdict == Verdict::kUnknownToken) {
    complain("no such token");
    return ExitStatus::kNoSuchToken;
  }
  complain(verdict == Verdict::kUnusableHash
               ? "the stored hash is incomplete or of no known method"
               : "wrong secret");
  return ExitStatus::kRefused;
}

ExitStatus rotate(Context *context) {
  if (!may_be_written(context->line.token_id)) {
    return ExitStatus::kUsage;
  }
  const auto current = read_secret(SecretPurpose::kCurrent);
  if (!current) {
    return unavailable(current.error());
  }
  Buffer stored_hash;
  const auto verified = context->verifier.verify_in_file(
      context->line.token_id, current->view(), &stored_hash);
  if (!verified) {
    return unavailable(verified.error());
  }
  if (verified->verdict != Verdict::kMatch) {
    return refuse(verified->verdict);
  }
  // Replaces the very hash that the secret was checked against, or nothing.
  return generate_expecting(context, stored_hash.view());
}

ExitStatus verify(Context *context) {
  const auto secret = read_secret(SecretPurpose::kCurrent);
  if (!secret) {
    return unavailable(secret.error());
  }
  const auto verified =
      context->verifier.verify(context->line.token_id, secret->view());
  if (!verified) {
    return unavailable(verified.error());
  }
  return verified->verdict == Verdict::kMatch ? ExitStatus::kDone
                                              : refuse(verified->verdict);
}

ExitStatus flush(Context *context) {
  const auto lock = FileLock::acquire(context->store, kWriterSeconds);
  if (!lock) {
    return unavailable(lock.error());
  }
  const HeldSignals signals;  // none to be stopped by while it is held
  if (const auto flushed = context->verifier.cache().flush(*lock); !flushed) {
    return unavailable(flushed.error());
  }
  return ExitStatus::kDone;
}

ExitStatus status(Context *context) {
  return print_status(context->store, &context->verifier, context->line.format);
}

PathText configuration_of(const CommandLine &line) {
  return line.config.empty() ? configuration_path(line.store.view())
                             : line.config;
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
  }
  return ExitStatus::kUsage;
}

}  // namespace

ExitStatus run_command(const CommandLine &line) {
  const auto store = load_store(line.store.view(), configuration_of(line));
  if (!store) {
    return unavailable(store.error());
  }
  Context context(line, *store);
  return run(&context);
}

}  // namespace pbstoken
