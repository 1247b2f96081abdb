// SPDX-License-Identifier: BSD-3-Clause
#include "admin/admin.h"

#include <array>

#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/cache/writer.h"

namespace pbstoken {

namespace {

Result<void> flush(const Store &store, Kind kind) {
  const auto lock =
      FileLock::acquire(store, lock_path_of(kind, store), kWriterSeconds);
  if (!lock) {
    return lock.error();
  }
  const HeldSignals signals;  // nothing stops the process while it holds it
  return CacheWriter(store, kind, *lock).flush();
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

constexpr std::array<CommandEntry, 5> kCommands = {{
    entry_of("list", Command::kList, Reach::kReads, list_tokens),
    entry_of("status", Command::kStatus, Reach::kReads, show_status),
    entry_of("check", Command::kCheck, Reach::kLists, check_store),
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
        "  flush             forget every verified secret\n"
        "  retire            remove what the store has in the kernel\n"
        "\n"};

ExitStatus flush_cache(Context *context) {
  const Store &store = context->store;
  auto flushed = flush(store, Kind::kSecrets);
  if (flushed && has_segment(Kind::kAccounts, store)) {
    flushed = flush(store, Kind::kAccounts);
  }
  if (!flushed) {
    complain(flushed.error());
  }
  return flushed ? ExitStatus::kDone : ExitStatus::kUnavailable;
}

}  // namespace pbstoken
