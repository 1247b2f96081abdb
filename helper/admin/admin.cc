// SPDX-License-Identifier: BSD-3-Clause
#include "admin/admin.h"

#include <unistd.h>

#include <array>

#include "io/command_line.h"
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

constexpr auto kCommands = std::to_array<CommandEntry>({
    {.command = Command::kInit,
     .reach = Reach::kTokenShadow,
     .run = nullptr,
     .summary = "make a store: its configuration, directory and files"},
    {.command = Command::kList,
     .reach = Reach::kReads,
     .run = list_tokens,
     .summary = "the tokens, and which of them count"},
    {.command = Command::kStatus,
     .reach = Reach::kReads,
     .run = show_status,
     .summary = "the segment and its counters"},
    {.command = Command::kCheck,
     .reach = Reach::kLists,
     .run = check_store,
     .summary = "what is wrong with the store's files"},
    {.command = Command::kPrepare,
     .reach = Reach::kCache,
     .run = prepare_store,
     .summary = "make the segments and limits before they are needed"},
    {.command = Command::kFlush,
     .reach = Reach::kCache,
     .run = flush_cache,
     .summary = "forget every verified secret"},
    {.command = Command::kRetire,
     .reach = Reach::kRemoves,
     .run = retire_store,
     .summary = "remove what the store has in the kernel"},
});

Result<void> apply_token_shadow(std::string_view value, CommandLine *out) {
  return apply_path(value, &out->token_shadow);
}

template <bool kUsers>
Result<void> apply_users(std::string_view /*value*/, CommandLine *out) {
  out->users = kUsers;
  return {};
}

constexpr Commands kOfInit = one_command(Command::kInit);

constexpr auto kOptions = std::to_array<Option>({
    {"token-shadow", "PATH", kOfInit, apply_token_shadow,
     "of init: where the new store is"},
    {"users", {}, kOfInit, apply_users<true>, "of init: with a user.cfg"},
    {"no-users", {}, kOfInit, apply_users<false>, "of init: without one"},
});

}  // namespace

constinit const Program kAdminProgram = {.name = "pbstoken",
                                         .usage = " [OPTION...] COMMAND",
                                         .commands = kCommands,
                                         .options = kOptions,
                                         .other_page = "pbstoken-helper(8)"};

ExitStatus note(const Result<void> &result, ExitStatus before) {
  if (result) {
    return before;
  }
  complain(result.error());
  return ExitStatus::kUnavailable;
}

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
