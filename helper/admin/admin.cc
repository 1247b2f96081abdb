// SPDX-License-Identifier: BSD-3-Clause
#include "admin/admin.h"

#include <unistd.h>

#include <array>
#include <climits>

#include "admin/duration.h"
#include "admin/sections.h"
#include "admin/time_text.h"
#include "io/command_line.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/objects.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/user_cfg.h"

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

Result<void> apply_token_shadow(std::string_view value, CommandLine *out) {
  return apply_path(value, &out->token_shadow);
}

template <bool kUsers>
Result<void> apply_users(std::string_view /*value*/, CommandLine *out) {
  out->users = kUsers;
  return {};
}

Result<void> apply_expire(std::string_view value, CommandLine *out) {
  out->expire = parse_time(value, epoch_seconds());
  return out->expire ? Result<void>()
                     : usage_error(
                           "not never, a duration such as 90d, a date such as "
                           "2027-01-31, or a time by RFC 3339:",
                           value);
}

Result<void> apply_comment(std::string_view value, CommandLine *out) {
  out->comment = value;
  return is_comment(value)
             ? Result<void>()
             : usage_error(
                   "not a comment of 1 to 128 characters without control "
                   "characters and without blanks at its ends:",
                   value);
}

// An empty one takes the comment away.
Result<void> apply_new_comment(std::string_view value, CommandLine *out) {
  out->comment = value;
  return value.empty() ? Result<void>() : apply_comment(value, out);
}

Result<void> apply_disabled(std::string_view /*value*/, CommandLine *out) {
  out->enable = false;
  return {};
}

template <std::optional<std::uint64_t> CommandLine::*kSeconds>
Result<void> apply_duration(std::string_view value, CommandLine *out) {
  out->*kSeconds = parse_duration(value);
  return out->*kSeconds
             ? Result<void>()
             : usage_error("not a duration, such as 12h, 90d or 2w:", value);
}

Result<void> apply_weak(std::string_view /*value*/, CommandLine *out) {
  out->weak = true;
  return {};
}

template <std::optional<std::uint64_t> CommandLine::*kNumber>
Result<void> apply_number(std::string_view value, CommandLine *out) {
  out->*kNumber = parse_number(value);
  return out->*kNumber ? Result<void>() : usage_error("not a number:", value);
}

Result<void> apply_over(std::string_view value, CommandLine *out) {
  out->over = value;
  return value.size() == 64 && value.find_first_not_of("0123456789abcdef") ==
                                   std::string_view::npos
             ? Result<void>()
             : usage_error("not a SHA-256 in lower case:", value);
}

Result<void> apply_unchanged(std::string_view /*value*/, CommandLine *out) {
  out->unchanged = true;
  return {};
}

constexpr auto kCommands = std::to_array<CommandEntry>({
    {.command = Command::kInit,
     .reach = Reach::kTokenShadow,
     .run = nullptr,
     .summary = "make a store: its configuration, directory and files"},
    {.command = Command::kTokenAdd,
     .operand = Operand::kWritableId,
     .reach = Reach::kUserCfg,
     .run = add_token,
     .summary = "make a token, print its secret once"},
    {.command = Command::kTokenRemove,
     .operand = Operand::kTokenId,
     .reach = Reach::kUserCfg,
     .run = remove_token,
     .summary = "end a token and forget it"},
    {.command = Command::kTokenEnable,
     .operand = Operand::kTokenId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "let it in again"},
    {.command = Command::kTokenDisable,
     .operand = Operand::kTokenId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "keep it out for now"},
    {.command = Command::kTokenExpire,
     .operand = Operand::kTokenId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "90d, 2027-01-31, never, ...",
     .value = "WHEN",
     .apply = apply_expire},
    {.command = Command::kTokenComment,
     .operand = Operand::kTokenId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "what it is for; '' for nothing",
     .value = "TEXT",
     .apply = apply_new_comment},
    {.command = Command::kUserAdd,
     .operand = Operand::kUserId,
     .reach = Reach::kUserCfg,
     .run = add_user,
     .summary = "make a user, who may have tokens"},
    {.command = Command::kUserEnable,
     .operand = Operand::kUserId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "let the user's tokens in again"},
    {.command = Command::kUserDisable,
     .operand = Operand::kUserId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "keep all of them out for now"},
    {.command = Command::kUserExpire,
     .operand = Operand::kUserId,
     .reach = Reach::kUserCfg,
     .run = change_section,
     .summary = "when all of them end",
     .value = "WHEN",
     .apply = apply_expire},
    {.command = Command::kAdopt,
     .reach = Reach::kTokenShadow,
     .run = adopt_file,
     .summary = "take a token.shadow from standard input, renew the lease"},
    {.command = Command::kList,
     .reach = Reach::kReports,
     .run = list_tokens,
     .summary = "the tokens, and which of them count"},
    {.command = Command::kStatus,
     .reach = Reach::kReports,
     .run = show_status,
     .summary = "the segment and its counters"},
    {.command = Command::kReset,
     .operand = Operand::kTokenId,
     .reach = Reach::kReads,
     .run = reset_token,
     .summary = "end a token's throttling by fail_limit"},
    {.command = Command::kMetrics,
     .reach = Reach::kReports,
     .run = tell_metrics,
     .summary = "the numbers of all stores, for a collector"},
    {.command = Command::kCheck,
     .reach = Reach::kLists,
     .run = check_store,
     .summary = "what is wrong with the store's files"},
    {.command = Command::kExplain,
     .operand = Operand::kTokenId,
     .reach = Reach::kLists,
     .run = explain_token,
     .summary = "why a token is let in or refused"},
    {.command = Command::kPrepare,
     .reach = Reach::kCache,
     .run = prepare_store,
     .summary = "make the segments and limits before they are needed"},
    {.command = Command::kSave,
     .reach = Reach::kSaves,
     .run = save_use,
     .summary = "save the counters, which a restart would empty"},
    {.command = Command::kFlush,
     .reach = Reach::kCache,
     .run = flush_cache,
     .summary = "forget every verified secret"},
    {.command = Command::kRetire,
     .reach = Reach::kRemoves,
     .run = retire_store,
     .summary = "remove what the store has in the kernel"},
});

Result<void> apply_service(std::string_view value, CommandLine *out) {
  out->service = value;
  return !value.empty() && !value.starts_with('.') && !has_control(value) &&
                 value.find('/') == std::string_view::npos &&
                 value.size() <= NAME_MAX
             ? Result<void>()
             : usage_error("not the name of a PAM service:", value);
}

constexpr Commands kOfList = one_command(Command::kList);
constexpr Commands kOfInit = one_command(Command::kInit);
constexpr Commands kOfAdopt = one_command(Command::kAdopt);
constexpr Commands kOfAdd =
    one_command(Command::kTokenAdd) | one_command(Command::kUserAdd);

constexpr auto kOptions = std::to_array<Option>({
    {"token-shadow", "PATH", kOfInit, apply_token_shadow,
     "of init: where the new store is"},
    {"users", {}, kOfInit, apply_users<true>, "of init: with a user.cfg"},
    {"no-users", {}, kOfInit, apply_users<false>, "of init: without one"},
    {"comment", "TEXT", kOfAdd, apply_comment, "of add: what it is for"},
    {"expire", "WHEN", kOfAdd, apply_expire, "of add: when it ends"},
    {"disabled", {}, kOfAdd, apply_disabled, "of add: kept out at first"},
    {"token", "ID", one_command(Command::kStatus), apply_token_id,
     "of status: the throttling of this token"},
    {"service", "NAME", one_command(Command::kExplain), apply_service,
     "of explain: with its stack in /etc/pam.d"},
    {"unused", "DURATION", kOfList, apply_duration<&CommandLine::unused>,
     "of list: only tokens not used for so long"},
    {"expiring", "DURATION", kOfList, apply_duration<&CommandLine::expiring>,
     "of list: only those that expire so soon"},
    {"revision", "N", kOfAdopt, apply_number<&CommandLine::revision>,
     "of adopt: which one it is"},
    {"asked", "MS", kOfAdopt, apply_number<&CommandLine::asked>,
     "of adopt: CLOCK_BOOTTIME before the question"},
    {"over", "SHA256", kOfAdopt, apply_over,
     "of adopt: only if the file that is there has it"},
    {"unchanged",
     {},
     kOfAdopt,
     apply_unchanged,
     "of adopt: the file that is there is the one"},
    {"weak", {}, kOfList, apply_weak, "of list: only bad and old hashes"},
});

}  // namespace

constinit const Program kAdminProgram = {
    .name = "pbstoken",
    .usage = " [OPTION...] COMMAND [--] [ID] [VALUE]",
    .column = 30,
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
