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

ExitStatus complain_of_absence(const Store &store, bool is_token,
                               std::string_view id) {
  complain_of(store,
              is_token ? " has no section of the token "
                       : " has no section of the user ",
              id, "; 'add' makes one");
  return ExitStatus::kNoSuchToken;
}

ExitStatus complain_of_presence(const Store &store, bool is_token,
                                std::string_view id) {
  complain_of(
      store,
      is_token ? " has a section of the token " : " has a section of the user ",
      id, is_token ? "; 'pbstoken-helper generate' makes a new secret" : "");
  return ExitStatus::kRefused;
}

// nullopt: the store's files may be changed.
std::optional<ExitStatus> refuse_store(const Store &store) {
  if (store.user_cfg.empty()) {
    complain(
        "the store has no user_cfg: 'pbstoken-helper generate' makes a token, "
        "'pbstoken-helper delete' removes it");
    return ExitStatus::kUnavailable;
  }
  for (const Kind kind : {Kind::kSecrets, Kind::kAccounts}) {
    if (const auto permitted = permit_file_system(store, kind); !permitted) {
      complain(permitted.error());
      return ExitStatus::kUnavailable;
    }
  }
  return std::nullopt;
}

Result<FileLock> lock_file_of(const Store &store, Kind kind) {
  return FileLock::acquire(store, lock_path_of(kind, store), kWriterSeconds);
}

// Tells how a change ended, and logs it.
ExitStatus conclude(const Context &context, Outcome outcome) {
  const CommandLine &line = context.line;
  const bool is_user = is_about_user(line);
  audit({.command = kCommandNames[static_cast<std::size_t>(line.command)],
         .subject = is_user ? line.user_id : line.token_id.text,
         .store = context.store.name.view(),
         .caller = getuid(),
         .is_user = is_user},
        outcome);
  const OutcomeInfo &info = info_of(outcome);
  if (!info.message.empty()) {
    complain(info.message);
  }
  return info.exit_status;
}

ExitStatus write_section_alone(Context *context, Operation operation) {
  const Store &store = context->store;
  if (const auto refused = refuse_store(store); refused) {
    return *refused;
  }
  const auto lock = lock_file_of(store, Kind::kAccounts);
  if (!lock) {
    return note(lock.error(), ExitStatus::kDone);
  }
  const HeldSignals signals;
  const SectionChange change = change_of(context->line, operation);
  Outcome outcome = Outcome::kDone;
  const auto changed = write_section(store, change, *lock, &outcome);
  if (!changed) {
    return note(changed.error(), ExitStatus::kDone);
  }
  switch (*changed) {
    case SectionChanged::kNotThere:
      return complain_of_absence(store, change.is_token, change.id);
    case SectionChanged::kThereAlready:
      return complain_of_presence(store, change.is_token, change.id);
    case SectionChanged::kDone:
      break;
  }
  return conclude(*context, outcome);
}

// --- token add

// nullopt: the token may have a section.
std::optional<ExitStatus> refuse_token(const Store &store, const TokenId &id) {
  const auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    return note(cfg.error(), ExitStatus::kDone);
  }
  if (cfg->find_user(user_id_of(id)) == nullptr) {
    complain_of(store, " has no section of the user ", user_id_of(id),
                "; 'pbstoken user add' makes one");
    return ExitStatus::kRefused;
  }
  return cfg->find_token(id.text) != nullptr
             ? std::optional(complain_of_presence(store, true, id.text))
             : std::nullopt;
}

// Makes a secret and its hash and prints the secret, before a lock is held.
Result<Buffer> deliver_secret(const Context &context, Secret *out_secret) {
  if (const auto made = make_secret(out_secret); !made) {
    return made.error();
  }
  auto hash = hash_in_turn(context.store, context.client, *out_secret);
  if (!hash) {
    return hash;
  }
  const std::array<Field, 2> fields = {
      Field::string("tokenid", context.line.token_id.text),
      Field::string("value", out_secret->view())};
  if (!print_fields(fields, context.line.format)) {
    return system_error("cannot write to", "standard output");
  }
  return hash;
}

// Both locks, in upstream's order.
struct BothLocks {
  FileLock users;
  FileLock tokens;
};

Result<BothLocks> lock_both(const Store &store) {
  auto users = lock_file_of(store, Kind::kAccounts);
  if (!users) {
    return users.error();
  }
  auto tokens = lock_file_of(store, Kind::kSecrets);
  if (!tokens) {
    return tokens.error();
  }
  return BothLocks{std::move(*users), std::move(*tokens)};
}

// Of two changes that stand: what is to be said of them.
Outcome worse_of(Outcome a, Outcome b) {
  return a == Outcome::kDone ? b : a;
}

ExitStatus complain_of_half(const Error &error, std::string_view half) {
  complain(error);
  complain(half);
  return ExitStatus::kUnavailable;
}

// What follows the delivery: all of it may fail.
ExitStatus write_new_token(Context *context, const Change &secret) {
  const Store &store = context->store;
  const auto locks = lock_both(store);
  if (!locks) {
    return note(locks.error(), ExitStatus::kDone);
  }
  const HeldSignals signals;
  if (const auto refused = refuse_token(store, context->line.token_id);
      refused) {
    return *refused;
  }
  const auto written =
      write_token(store, &context->verifier.cache(), secret, locks->tokens);
  if (!written) {
    return note(written.error(), ExitStatus::kDone);
  }
  Outcome outcome = Outcome::kDone;
  const auto changed = write_section(
      store, change_of(context->line, Operation::kAdd), locks->users, &outcome);
  if (!changed) {
    return complain_of_half(
        changed.error(),
        "the token has a secret and no section: run the same again");
  }
  return conclude(*context, worse_of(*written, outcome));
}

}  // namespace

ExitStatus add_token(Context *context) {
  const TokenId &id = context->line.token_id;
  const Store &store = context->store;
  auto refused = refuse_store(store);
  if (!refused) {
    refused = refuse_token(store, id);
  }
  if (refused) {
    return *refused;
  }
  Secret secret;
  const auto hash = deliver_secret(*context, &secret);
  const ExitStatus status =
      hash ? write_new_token(context, {.token_id = id,
                                       .stored_hash = hash->view(),
                                       .secret = secret.view(),
                                       .expected_hash = std::nullopt})
           : note(hash.error(), ExitStatus::kDone);
  if (status == ExitStatus::kDone || status == ExitStatus::kNotDurable) {
    warn_if_kept_out(store, id);
  } else {
    complain("the secret that was printed does not count");
  }
  return status;
}

// A malformed user.cfg is told before anything is changed: the secret alone is
// pbstoken-helper's to delete.
ExitStatus remove_token(Context *context) {
  const Store &store = context->store;
  if (const auto refused = refuse_store(store); refused) {
    return *refused;
  }
  const auto locks = lock_both(store);
  if (!locks) {
    return note(locks.error(), ExitStatus::kDone);
  }
  const HeldSignals signals;
  if (const auto cfg = UserCfg::read(store.user_cfg); !cfg) {
    return complain_of_half(
        cfg.error(),
        "nothing was removed: 'pbstoken-helper delete' removes the secret, "
        "which ends the token");
  }
  const TokenId &id = context->line.token_id;
  const auto written = write_token(store, &context->verifier.cache(),
                                   {.token_id = id,
                                    .stored_hash = std::nullopt,
                                    .secret = {},
                                    .expected_hash = std::nullopt},
                                   locks->tokens);
  if (!written) {
    return note(written.error(), ExitStatus::kDone);
  }
  const bool had_secret = *written != Outcome::kUnknownToken;
  Outcome outcome = Outcome::kDone;
  const auto changed =
      write_section(store, change_of(context->line, Operation::kRemove),
                    locks->users, &outcome);
  if (!changed) {
    return complain_of_half(
        changed.error(),
        "the token has no secret any more, and still its section: run the "
        "same again");
  }
  if (!had_secret && *changed == SectionChanged::kNotThere) {
    complain(info_of(Outcome::kUnknownToken).message);
    return ExitStatus::kNoSuchToken;
  }
  return conclude(*context, had_secret ? worse_of(*written, outcome) : outcome);
}

ExitStatus change_section(Context *context) {
  return write_section_alone(context, Operation::kChange);
}

ExitStatus add_user(Context *context) {
  return write_section_alone(context, Operation::kAdd);
}

}  // namespace pbstoken
