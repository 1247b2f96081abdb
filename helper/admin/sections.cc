// SPDX-License-Identifier: BSD-3-Clause
#include "admin/sections.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "admin/admin.h"
#include "io/audit.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/store/user_cfg.h"
#include "write/account_warning.h"
#include "write/file_writer.h"
#include "write/new_secret.h"
#include "write/shadow_writer.h"
#include "write/user_cfg_writer.h"

namespace pbstoken {

namespace {

using Operation = SectionChange::Operation;

bool is_about_user(const CommandLine &line) {
  return !line.user_id.empty();
}

SectionChange change_of(const CommandLine &line, Operation operation) {
  const bool is_user = is_about_user(line);
  return {.operation = operation,
          .is_token = !is_user,
          .id = is_user ? line.user_id : line.token_id.text,
          .enable = line.command == Command::kTokenEnable ||
                            line.command == Command::kUserEnable
                        ? std::optional(true)
                    : line.command == Command::kTokenDisable ||
                            line.command == Command::kUserDisable
                        ? std::optional(false)
                        : line.enable,
          .expire = line.expire,
          .comment = line.comment};
}

// Complains: PATH WHAT ID; ADVICE.
void complain_of(const Store &store, std::string_view what, std::string_view id,
                 std::string_view advice) {
  FixedText<600> text;
  text.append_escaped(store.user_cfg.view()).append(what).append_escaped(id);
  text.append(advice);
  complain(text.view());
}

// Complains why no section was changed.  changed: not kDone.
ExitStatus complain_of(SectionChanged changed, const Store &store,
                       const SectionChange &change) {
  switch (changed) {
    case SectionChanged::kNoUser:
      complain_of(store, " has no section of the user ",
                  user_id_of(*parse_token_id(change.id)),
                  "; 'pbstoken user add' makes one");
      return ExitStatus::kRefused;
    case SectionChanged::kThereAlready:
      complain_of(store,
                  change.is_token ? " has a section of the token "
                                  : " has a section of the user ",
                  change.id,
                  change.is_token
                      ? "; 'pbstoken-helper generate' makes a new secret"
                      : "");
      return ExitStatus::kRefused;
    default:
      complain_of(store,
                  change.is_token ? " has no section of the token "
                                  : " has no section of the user ",
                  change.id, "; 'add' makes one");
      return ExitStatus::kNoSuchToken;
  }
}

// Returns nullopt if the store's files may be changed.
std::optional<ExitStatus> refuse_store(const Store &store) {
  if (store.user_cfg.empty()) {
    complain(
        "the store has no user_cfg: 'pbstoken-helper generate' makes a token, "
        "'pbstoken-helper delete' removes it");
    return ExitStatus::kUnavailable;
  }
  for (const Kind kind : {Kind::kSecrets, Kind::kAccounts}) {
    if (const auto permitted = permit_writing(store, kind); !permitted) {
      complain(permitted.error());
      return ExitStatus::kUnavailable;
    }
  }
  return std::nullopt;
}

// Takes the lock of a file, for a process that holds its signals: a signal that
// asks for an end ends the wait.
Result<FileLock> lock_file_of(const Store &store, Kind kind) {
  return FileLock::acquire(store, lock_path_of(kind, store), kWriterSeconds,
                           HeldSignals::has_end_signal);
}

// How a change ended.
struct Ending {
  // What to tell of a change that stands; nullopt: it does not, or what is to
  // be said of it has been said.
  std::optional<Outcome> outcome;
  ExitStatus status = ExitStatus::kUnavailable;  // without an outcome
  bool is_half = false;  // one of two changes stands, which is told already
};

Ending failed(const Error &error) {
  complain(error);
  return {.outcome = std::nullopt};
}

Ending refused(ExitStatus status) {
  return {.outcome = std::nullopt, .status = status};
}

Ending half_done(const Error &error, std::string_view half) {
  complain(error);
  complain(half);
  return {.outcome = std::nullopt,
          .status = ExitStatus::kNotDurable,
          .is_half = true};
}

// Tells how a change ended, and logs it, when no lock is held any more.
ExitStatus conclude(const Context &context, const Ending &ending,
                    HeldSignals *signals) {
  const CommandLine &line = context.line;
  const bool is_user = is_about_user(line);
  if (ending.outcome || ending.is_half) {
    signals->hold_for_good();
    audit({.command = command_name(line.command),
           .subject = is_user ? line.user_id : line.token_id.text,
           .store = context.store.name.view(),
           .caller = getuid(),
           .label = is_user ? "userid" : "tokenid"},
          ending.outcome.value_or(Outcome::kDone));
  }
  if (!ending.outcome) {
    return ending.status;
  }
  const OutcomeInfo &info = info_of(*ending.outcome);
  if (!info.message.empty()) {
    complain(info.message);
  }
  return info.exit_status;
}

Ending write_section_alone(const Store &store, const SectionChange &change) {
  const auto lock = lock_file_of(store, Kind::kAccounts);
  if (!lock) {
    return failed(lock.error());
  }
  auto writer = SectionWriter::open(store, change, *lock);
  if (!writer) {
    return failed(writer.error());
  }
  Outcome outcome = Outcome::kDone;
  auto changed = writer->prepare();
  if (changed && *changed == SectionChanged::kDone) {
    changed = writer->commit(EndSignals::kHeeded, &outcome);
  }
  if (!changed) {
    return failed(changed.error());
  }
  return *changed == SectionChanged::kDone
             ? Ending{.outcome = outcome}
             : refused(complain_of(*changed, store, change));
}

ExitStatus run_alone(Context *context, Operation operation) {
  const Store &store = context->store;
  if (const auto refusal = refuse_store(store); refusal) {
    return *refusal;
  }
  HeldSignals signals;
  return conclude(
      *context, write_section_alone(store, change_of(context->line, operation)),
      &signals);
}

// --- both files

// The two locks, in upstream's order.
struct BothLocks {
  FileLock users;
  FileLock tokens;
};

Result<BothLocks> lock_both(const Store &store) {
  auto users = lock_file_of(store, Kind::kAccounts);
  if (!users) {
    return users.error();
  }
  if (users->is_still_named(store.lock_file)) {
    return plain_error(Errc::kBadConfiguration, "cannot use",
                       store.user_lock.view(),
                       "user_lock and lock_file are the same file");
  }
  auto tokens = lock_file_of(store, Kind::kSecrets);
  if (!tokens) {
    return tokens.error();
  }
  return BothLocks{std::move(*users), std::move(*tokens)};
}

// Returns what is to be said of two changes that stand.
Outcome worse_of(Outcome a, Outcome b) {
  return a == Outcome::kDone ? b : a;
}

// Returns why a section that was prepared could not be written after all: the
// file has changed meanwhile.
Error error_of(const Result<SectionChanged> &changed, const Store &store) {
  return !changed ? changed.error()
                  : plain_error(Errc::kUnsafe, "cannot change",
                                store.user_cfg.view(),
                                "another process has changed the section");
}

// Makes a secret and its hash and prints the secret, before a lock is held.
Result<Buffer> deliver_secret(Context *context, Secret *out_secret) {
  if (const auto made = make_secret(out_secret); !made) {
    return made.error();
  }
  auto hash = hash_in_turn(context->store, context->client, *out_secret);
  if (!hash) {
    return hash;
  }
  const std::array<Field, 2> fields = {
      Field::string("tokenid", context->line.token_id.text),
      Field::string("value", out_secret->view())};
  context->delivered = true;  // a part of it, if it fails
  if (!print_fields(fields, context->line.format)) {
    return output_error();
  }
  return hash;
}

// The section could not be written: the secret, which would count where account
// rules are not asked, goes again.
Ending take_back(Context *context, const FileLock &lock, const Error &error) {
  const auto taken = write_token(
      context->store, &context->verifier.cache(),
      {.token_id = context->line.token_id, .stored_hash = std::nullopt}, lock,
      EndSignals::kLeftForLater);
  if (!taken) {
    complain(taken.error());
    return half_done(error,
                     "the token has a secret, which counts, and no section: "
                     "run the same again, or pbstoken token remove");
  }
  return failed(error);
}

// What follows the delivery.
Ending write_new_token(Context *context, const Change &secret) {
  const Store &store = context->store;
  const auto locks = lock_both(store);
  if (!locks) {
    return failed(locks.error());
  }
  const SectionChange change = change_of(context->line, Operation::kAdd);
  auto section = SectionWriter::open(store, change, locks->users);
  if (!section) {
    return failed(section.error());
  }
  const auto prepared = section->prepare();
  if (!prepared) {
    return failed(prepared.error());
  }
  if (*prepared != SectionChanged::kDone) {
    return refused(complain_of(*prepared, store, change));
  }
  const auto written = write_token(store, &context->verifier.cache(), secret,
                                   locks->tokens, EndSignals::kHeeded);
  if (!written) {
    return failed(written.error());
  }
  Outcome outcome = Outcome::kDone;
  const auto changed = section->commit(EndSignals::kLeftForLater, &outcome);
  if (!changed || *changed != SectionChanged::kDone) {
    return take_back(context, locks->tokens, error_of(changed, store));
  }
  return {.outcome = worse_of(*written, outcome)};
}

// Before a secret is made and printed; the same is asked again under the lock.
std::optional<ExitStatus> refuse_token(const Store &store,
                                       const SectionChange &change) {
  const auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    complain(cfg.error());
    return ExitStatus::kUnavailable;
  }
  if (cfg->find_user(user_id_of(*parse_token_id(change.id))) == nullptr) {
    return complain_of(SectionChanged::kNoUser, store, change);
  }
  return cfg->find_token(change.id) != nullptr
             ? std::optional(
                   complain_of(SectionChanged::kThereAlready, store, change))
             : std::nullopt;
}

Ending remove_both(Context *context) {
  const Store &store = context->store;
  const auto locks = lock_both(store);
  if (!locks) {
    return failed(locks.error());
  }
  const SectionChange change = change_of(context->line, Operation::kRemove);
  auto section = SectionWriter::open(store, change, locks->users);
  const auto prepared =
      section ? section->prepare() : Result<SectionChanged>(section.error());
  if (!prepared) {
    complain(prepared.error());
    // Where the disk is full, that fails, too.
    if (prepared.error().code != Errc::kSystem) {
      complain(
          "nothing was removed: 'pbstoken-helper delete' removes the secret, "
          "which ends the token");
    }
    return refused(ExitStatus::kUnavailable);
  }
  const auto written = write_token(
      store, &context->verifier.cache(),
      {.token_id = context->line.token_id, .stored_hash = std::nullopt},
      locks->tokens, EndSignals::kHeeded);
  if (!written) {
    return failed(written.error());
  }
  const bool had_secret = *written != Outcome::kUnknownToken;
  if (*prepared != SectionChanged::kDone) {
    if (!had_secret) {
      complain(info_of(Outcome::kUnknownToken).message);
      return refused(ExitStatus::kNoSuchToken);
    }
    return {.outcome = *written};
  }
  Outcome outcome = Outcome::kDone;
  const auto changed = section->commit(
      had_secret ? EndSignals::kLeftForLater : EndSignals::kHeeded, &outcome);
  if (!changed) {
    return had_secret ? half_done(changed.error(),
                                  "the token has no secret any more, and "
                                  "still its section: run the same again")
                      : failed(changed.error());
  }
  return {.outcome = had_secret ? worse_of(*written, outcome) : outcome};
}

// What counts again with a user's section, after the section was lost.
void warn_of_tokens_of(std::string_view user_id, const Store &store) {
  const auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    return;
  }
  std::uint64_t count = 0;
  for (const UserCfg::Section &token : cfg->tokens()) {
    const auto id = parse_token_id(token.id);
    count += id && user_id_of(*id) == user_id ? 1U : 0U;
  }
  if (count > 0) {
    complain(FixedText<200>("warning: the user has tokens already, and they "
                            "count again: ")
                 .append(count)
                 .append("; see pbstoken list")
                 .view());
  }
}

}  // namespace

ExitStatus add_token(Context *context) {
  const Store &store = context->store;
  auto refusal = refuse_store(store);
  if (!refusal) {
    refusal = refuse_token(store, change_of(context->line, Operation::kAdd));
  }
  if (refusal) {
    return *refusal;
  }
  const TokenId &id = context->line.token_id;
  Secret secret;
  const auto hash = deliver_secret(context, &secret);
  HeldSignals signals;
  const Ending ending =
      hash ? write_new_token(context, {.token_id = id,
                                       .stored_hash = hash->view(),
                                       .secret = secret.view()})
           : failed(hash.error());
  const ExitStatus status = conclude(*context, ending, &signals);
  if (ending.outcome) {
    warn_if_kept_out(store, id);
  } else if (context->delivered && !ending.is_half) {
    complain("the secret that was printed does not count");
  }
  return status;
}

ExitStatus remove_token(Context *context) {
  if (const auto refusal = refuse_store(context->store); refusal) {
    return *refusal;
  }
  HeldSignals signals;
  return conclude(*context, remove_both(context), &signals);
}

ExitStatus add_user(Context *context) {
  const ExitStatus status = run_alone(context, Operation::kAdd);
  if (status == ExitStatus::kDone || status == ExitStatus::kNotDurable) {
    warn_of_tokens_of(context->line.user_id, context->store);
    warn_if_user_is_kept_out(context->store, context->line.user_id);
  }
  return status;
}

ExitStatus change_section(Context *context) {
  const ExitStatus status = run_alone(context, Operation::kChange);
  if (status != ExitStatus::kDone && status != ExitStatus::kNotDurable) {
    return status;
  }
  // A change by which the operator may expect a token to work from now on.
  switch (context->line.command) {
    case Command::kTokenEnable:
    case Command::kTokenExpire:
      warn_if_kept_out(context->store, context->line.token_id);
      break;
    case Command::kUserEnable:
    case Command::kUserExpire:
      warn_if_user_is_kept_out(context->store, context->line.user_id);
      break;
    default:
      break;
  }
  return status;
}

}  // namespace pbstoken
