// SPDX-License-Identifier: BSD-3-Clause
#include "admin/admin.h"

#include <unistd.h>

#include <array>

#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/objects.h"

namespace pbstoken {

namespace {

// Has a segment changed under its lock.
Result<void> change(const Store &store, Kind kind,
                    Result<void> (CacheWriter::*change)()) {
  const auto lock =
      FileLock::acquire(store, lock_path_of(kind, store), kWriterSeconds);
  if (!lock) {
    return lock.error();
  }
  const HeldSignals signals;  // nothing stops the process while it holds it
  CacheWriter writer(store, kind, *lock);
  return (writer.*change)();
}

// Complains of what failed.
ExitStatus note(const Result<void> &result, ExitStatus before) {
  if (result) {
    return before;
  }
  complain(result.error());
  return ExitStatus::kUnavailable;
}

constexpr CommandEntry entry_of(std::string_view name, Command command,
                                Reach reach, ExitStatus (*run)(Context *)) {
  return {.name = name,
          .command = command,
          .operand = Operand::kNone,
          .secret = SecretPurpose::kNone,
          .users = Users::kRoot,
          .reach = reach,
          .run = run};
}

constexpr std::array<CommandEntry, 6> kCommands = {{
    entry_of("list", Command::kList, Reach::kReads, list_tokens),
    entry_of("status", Command::kStatus, Reach::kReads, show_status),
    entry_of("check", Command::kCheck, Reach::kLists, check_store),
    entry_of("prepare", Command::kPrepare, Reach::kCache, prepare_store),
    entry_of("flush", Command::kFlush, Reach::kCache, flush_cache),
    entry_of("retire", Command::kRetire, Reach::kRemoves, retire_store),
}};

constexpr std::array<CommandElsewhere, 7> kElsewhere = {{
    {"generate", "'generate' is a command of pbstoken-helper(8)"},
    {"set", "'set' is a command of pbstoken-helper(8)"},
    {"delete", "'delete' is a command of pbstoken-helper(8)"},
    {"rotate", "'rotate' is a command of pbstoken-helper(8)"},
    {"verify", "'verify' is a command of pbstoken-helper(8)"},
    {"account", "'account' is a command of pbstoken-helper(8)"},
    {"serve", "'serve' is a command of pbstoken-helper(8)"},
}};

}  // namespace

constinit const Program kAdminProgram = {
    .name = "pbstoken",
    .commands = kCommands,
    .elsewhere = kElsewhere,
    .takes_secrets = false,
    .summary =
        "  list              the tokens, and which of them count\n"
        "  status            the segment and its counters\n"
        "  check             what is wrong with the store's files\n"
        "  prepare           make the segments and limits before they are "
        "needed\n"
        "  flush             forget every verified secret\n"
        "  retire            remove what the store has in the kernel\n"
        "\n"};

ExitStatus prepare_store(Context *context) {
  const Store &store = context->store;
  ExitStatus status = ExitStatus::kDone;
  for_each_object(store, [&](std::string_view /*name*/, const auto &object) {
    const auto id = open_named(object);
    status = note(id ? Result<void>() : id.error(), status);
  });
  status = note(change(store, Kind::kSecrets, &CacheWriter::prepare), status);
  if (access(store.user_cfg.c_str(), F_OK) == 0) {
    status =
        note(change(store, Kind::kAccounts, &CacheWriter::prepare), status);
  }
  return status;
}

ExitStatus flush_cache(Context *context) {
  const Store &store = context->store;
  auto flushed = change(store, Kind::kSecrets, &CacheWriter::flush);
  if (flushed && has_segment(Kind::kAccounts, store)) {
    flushed = change(store, Kind::kAccounts, &CacheWriter::flush);
  }
  return note(flushed, ExitStatus::kDone);
}

}  // namespace pbstoken
