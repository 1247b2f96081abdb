// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"

#include <crypt.h>

#include <array>

#include "confine/split.h"
#include "io/audit.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/verify/verifier.h"
#include "wire/answer.h"
#include "write/account_warning.h"
#include "write/file_writer.h"
#include "write/new_secret.h"
#include "write/shadow_writer.h"

namespace pbstoken {

namespace {

// Below this a secret can be guessed from its stored hash, or from the digests
// that a member of verify_group may read.
constexpr std::size_t kStrongSecret = 32;

// Tells the caller how the command ended, which is the last act: the module by
// the word of the outcome, a person by a message.  Returns the exit status.
ExitStatus conclude(const Context &context, const Result<Outcome> &outcome) {
  if (outcome && info_of(*outcome).topic == Topic::kChange) {
    audit({.command = command_name(context.line.command),
           .subject = context.line.token_id.text,
           .store = context.store.name.view(),
           .caller = context.client.caller.value_or(0)},
          *outcome);
  }
  if (context.line.replies) {
    return outcome ? send_answer(*outcome) : send_answer(outcome.error());
  }
  if (!outcome) {
    complain(outcome.error());
  } else if (const auto message = info_of(*outcome).message; !message.empty()) {
    complain(message);
  }
  if (context.delivered && !(outcome && is_success(*outcome))) {
    complain("the secret that was printed does not count");
  }
  return outcome ? info_of(*outcome).exit_status : ExitStatus::kUnavailable;
}

// Hands a new secret to the caller.  Neither a place of the gate nor a lock is
// held meanwhile, so a slow caller does not hold up others.  The
// secret counts only if the command then ends with 0 or 7.
Result<void> deliver(const Context &context, const Secret &secret) {
  if (context.line.replies) {
    return send_offer(secret);
  }
  const std::array<Field, 2> fields = {
      Field::string("tokenid", context.line.token_id.text),
      Field::string("value", secret.view())};
  return print_fields(fields, context.line.format) ? await_delivery()
                                                   : output_error();
}

// Hashes the secret, delivers it if it is new, and writes it.
Result<Outcome> write_secret(Context *context, const Secret &secret,
                             bool is_new,
                             std::optional<std::string_view> expected_hash) {
  if (const auto permitted = permit_writing(context->store, Kind::kSecrets);
      !permitted) {
    return permitted.error();
  }
  const auto hash = hash_in_turn(context->store, context->client, secret);
  if (!hash) {
    return hash.error();
  }
  if (is_new) {
    context->delivered = true;  // a part of it, if it fails
    if (const auto delivered = deliver(*context, secret); !delivered) {
      return delivered.error();
    }
  }
  return write_token(context->store, &context->verifier.cache(),
                     {.token_id = context->line.token_id,
                      .stored_hash = hash->view(),
                      .secret = secret.view(),
                      .expected_hash = expected_hash});
}

Result<Outcome> generate_expecting(
    Context *context, std::optional<std::string_view> expected_hash) {
  Secret secret;
  if (const auto made = make_secret(&secret); !made) {
    return made.error();
  }
  return write_secret(context, secret, /*is_new=*/true, expected_hash);
}

// A command of which nothing but the outcome is to be told.
template <Result<Outcome> (*kRun)(Context *context)>
ExitStatus concluded(Context *context) {
  return conclude(*context, kRun(context));
}

// Adds the warning to the outcome of an administrator's change.  The module's
// requests have no such change.
Result<Outcome> with_warning(const Context &context, Result<Outcome> outcome) {
  if (outcome && is_success(*outcome)) {
    warn_if_kept_out(context.store, context.line.token_id);
  }
  return outcome;
}

Result<Outcome> generate(Context *context) {
  return with_warning(*context, generate_expecting(context, std::nullopt));
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
  return conclude(
      *context,
      with_warning(*context, write_secret(context, secret, /*is_new=*/false,
                                          std::nullopt)));
}

Result<Outcome> remove(Context *context) {
  return write_token(
      context->store, &context->verifier.cache(),
      {.token_id = context->line.token_id, .stored_hash = std::nullopt});
}

Result<Outcome> rotate(Context *context) {
  const TokenId &id = context->line.token_id;
  if (!is_writable(id)) {
    return plain_error(Errc::kMalformed,
                       "not an API token ID: longer than 64 characters", {});
  }
  Buffer stored_hash;
  const auto verified = context->verifier.verify_in_file(
      id, context->input, &stored_hash, context->client);
  if (!verified) {
    return verified.error();
  }
  if (verified->outcome != Outcome::kMatch) {
    return verified->outcome;
  }
  // This replaces the very hash that the secret was checked against, or
  // nothing.
  return generate_expecting(context, stored_hash.view());
}

Result<Outcome> verify(Context *context) {
  const TokenId &id = context->line.token_id;
  const auto verified =
      context->verifier.verify(id, context->input, context->client);
  if (!verified) {
    return verified.error();
  }
  // The account is most likely asked next: then the segment has the answer, and
  // no other run is needed.
  if (verified->outcome == Outcome::kMatch && context->line.replies &&
      !context->store.user_cfg.empty()) {
    static_cast<void>(context->verifier.judge(id));
  }
  return verified->outcome;
}

Result<Outcome> account(Context *context) {
  if (context->store.user_cfg.empty()) {
    return Outcome::kNoUserCfg;
  }
  const auto verdict = context->verifier.judge(context->line.token_id);
  // The next secret is most likely asked for soon: its stamp is kept as young
  // as that of the accounts, so that one run serves both.
  if (context->line.replies) {
    Cache &secrets = context->verifier.cache();
    static_cast<void>(secrets.look_up(context->line.token_id.text, {}));
    static_cast<void>(secrets.read_for_all());
  }
  if (!verdict) {
    return verdict.error();
  }
  return outcome_of(*verdict, epoch_seconds());
}

constexpr auto kCommands = std::to_array<CommandEntry>({
    {.command = Command::kGenerate,
     .operand = Operand::kWritableId,
     .users = Users::kAdmins,
     .reach = Reach::kTokenShadow,
     .run = concluded<generate>,
     .summary = "make a random secret, print it once"},
    {.command = Command::kSet,
     .operand = Operand::kWritableId,
     .secret = SecretPurpose::kNew,
     .users = Users::kAdmins,
     .reach = Reach::kTokenShadow,
     .run = set,
     .summary = "take the secret from standard input"},
    {.command = Command::kDelete,
     .operand = Operand::kTokenId,
     .users = Users::kAdmins,
     .reach = Reach::kTokenShadow,
     .run = concluded<remove>,
     .summary = "remove the token"},
    {.command = Command::kRotate,
     .operand = Operand::kWritableId,
     .secret = SecretPurpose::kCurrent,
     .users = Users::kRotators,
     .reach = Reach::kTokenShadow,
     .run = concluded<rotate>,
     .summary = "current secret on standard input, print a new one"},
    {.command = Command::kVerify,
     .operand = Operand::kTokenId,
     .secret = SecretPurpose::kCurrent,
     .users = Users::kMembers,
     .reach = Reach::kCache,
     .run = concluded<verify>,
     .summary = "secret on standard input; exit 0 if it matches"},
    {.command = Command::kAccount,
     .operand = Operand::kTokenId,
     .users = Users::kMembers,
     .reach = Reach::kCache,
     .run = concluded<account>,
     .summary = "exit 0 if user.cfg lets the token in"},
    {.command = Command::kRequest,
     .users = Users::kMembers,
     .reach = Reach::kReads,
     .run = nullptr,
     .summary = "answer one request on standard input, for the module"},
    {.command = Command::kServe,
     .reach = Reach::kReads,
     .run = nullptr,
     .summary = "answer requests on the socket that is standard\n"
                "                    input, for pbstoken-helper.service"},
});

Result<void> apply_remote_host(std::string_view value, CommandLine *out) {
  out->remote_host = FixedText<255>(value);
  return {};
}

constexpr auto kOptions = std::to_array<Option>(
    {{"rhost", "HOST",
      one_command(Command::kVerify) | one_command(Command::kRotate),
      apply_remote_host, "where the secret came from"}});

}  // namespace

constinit const Program kHelperProgram = {
    .name = "pbstoken-helper",
    .usage = " [OPTION...] COMMAND [--] [TOKENID]",
    .column = 20,
    .commands = kCommands,
    .options = kOptions,
    .other_page = "pbstoken(8)"};

// load_store() takes no path with "..", which could lead elsewhere.
bool is_draft(const CommandLine &line, const Store &store) {
  return !line.config.empty() &&
         store.token_shadow.view().starts_with("/run/pbstoken-cluster/");
}

ExitStatus run_command(const CommandEntry &entry, const CommandLine &line,
                       const Store &store, const Client &client,
                       std::string_view secret) {
  if (entry.run == nullptr) {
    return ExitStatus::kUsage;
  }
  // The module has no other commands than those of its protocol.
  if (line.replies && entry.command != Command::kVerify &&
      entry.command != Command::kAccount && entry.command != Command::kRotate) {
    return send_answer(Outcome::kUnavailable, "no such command");
  }
  Context context = {
      .line = line,
      .store = store,
      .client = client,
      .input = secret,
      .verifier = Verifier(store, [] { return CryptFunction{crypt_rn}; })};
  context.verifier.use().count_for(is_for_user(client) ? Party::kMembers
                                                       : Party::kRoot);
  if (is_draft(line, store)) {
    context.verifier.use().only_look();
  }
  // A member could freeze this process with the lock in its hands.
  if (client.caller && entry.reach == Reach::kCache && is_split()) {
    context.verifier.take_no_lock();
  }
  // A member most likely asks because the segment is of no use to it.
  if (entry.reach == Reach::kCache) {
    context.verifier.heal();
  }
  return entry.run(&context);
}

}  // namespace pbstoken
