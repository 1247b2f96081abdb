// SPDX-License-Identifier: BSD-3-Clause
// A program's commands: one table for pbstoken-helper and one for pbstoken.
//
// The table says of each command what it takes, which users may give it, how
// far it reaches and which function it runs.  A command that a program's table
// does not have is refused.
#ifndef PBSTOKEN_COMMAND_H_
#define PBSTOKEN_COMMAND_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "io/secret_input.h"
#include "pbstoken/base/result.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/outcome.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

enum class Command : std::uint8_t {
  // of pbstoken-helper
  kGenerate,
  kSet,
  kDelete,
  kRotate,
  kVerify,
  kAccount,
  kRequest,
  kServe,
  // of pbstoken
  kInit,
  kTokenAdd,
  kTokenRemove,
  kTokenEnable,
  kTokenDisable,
  kTokenExpire,
  kTokenComment,
  kUserAdd,
  kUserEnable,
  kUserDisable,
  kUserExpire,
  kAdopt,
  kList,
  kStatus,
  kReset,
  kMetrics,
  kCheck,
  kExplain,
  kPrepare,
  kSave,
  kFlush,
  kRetire,
  kNone
};

// The names of the commands, in the order of their enumerators.
inline constexpr auto kCommandNames = std::to_array<std::string_view>(
    {"generate", "set", "delete", "rotate", "verify", "account", "request",
     "serve",
     // of pbstoken
     "init", "token add", "token remove", "token enable", "token disable",
     "token expire", "token comment", "user add", "user enable", "user disable",
     "user expire", "adopt", "list", "status", "reset", "metrics", "check",
     "explain", "prepare", "save", "flush", "retire"});
static_assert(kCommandNames.size() == static_cast<std::size_t>(Command::kNone));

// Returns the name of a command other than kNone, as the user gives it.
constexpr std::string_view command_name(Command command) {
  return kCommandNames[static_cast<std::size_t>(command)];
}

enum class OutputFormat : std::uint8_t { kText, kJson, kJsonPretty };

// What a program prints about itself instead of running a command.
enum class About : std::uint8_t { kNothing, kHelp, kVersion };

struct CommandLine {
  Command command = Command::kNone;
  About about = About::kNothing;
  OutputFormat format = OutputFormat::kText;
  bool is_one_store = false;  // one of the next two was given
  FixedText<32> store = FixedText<32>(kDefaultStore);
  PathText config;  // empty: the store's own
  // The operands, of the commands that take one, and of --token.  They are
  // views into argv; empty: none was given.
  TokenId token_id;
  std::string_view user_id;
  std::string_view service;  // of explain: of PAM; empty: not given
  // What a section of user.cfg is to have; nullopt: not given.
  std::optional<std::uint64_t> expire;      // seconds since the epoch; 0: never
  std::optional<std::string_view> comment;  // empty: no comment
  std::optional<bool> enable;
  // The remote host that a secret came from; empty: none is known.
  FixedText<255> remote_host;
  bool nocache = false;  // bypass the segment
  // Options of init: where a new store is to be, and whether it has a user.cfg.
  PathText token_shadow;  // empty: not given
  std::optional<bool> users;
  // Options of list: only tokens that have an old or unusable hash, that were
  // not used for so many seconds, that expire in so many.
  bool weak = false;
  std::optional<std::uint64_t> unused;
  std::optional<std::uint64_t> expiring;
  // Options of adopt: the revision, when it was asked for by CLOCK_BOOTTIME in
  // ms, the SHA-256 of the file that it may replace, and that the file that is
  // there is the one.
  std::optional<std::uint64_t> revision;
  std::optional<std::uint64_t> asked;
  std::string_view over;  // empty: it may replace any
  bool unchanged = false;
  // The program answers by the protocol of helper_protocol.h, not by text.
  bool replies = false;
};

// What a command works with.
struct Context {
  const CommandLine &line;
  const Store &store;
  Client client;
  std::string_view input;  // the secret from standard input
  Verifier verifier;
  // A new secret was printed, or a part of it.  It counts only if the command
  // then succeeds.
  bool delivered = false;
};

// What follows the command's name.
enum class Operand : std::uint8_t {
  kNone,
  kTokenId,
  kWritableId,  // a token id that upstream would take back, see kMaxWrittenId
  kUserId
};

// The users that may give a command; root may give each.
enum class Users : std::uint8_t {
  kRoot,
  kAdmins,    // members of admin_group, too
  kRotators,  // the same; with member_rotate members of verify_group, too
  kMembers    // members of admin_group and of verify_group, too
};

// How far a command reaches when it is confined.
enum class Reach : std::uint8_t {
  kReads,        // it changes nothing but the counters
  kReports,      // besides, it reads what was saved of them
  kLists,        // besides, it lists the directories of the store's files
  kSaves,        // it saves the counters
  kRemoves,      // besides, it takes the segment away, under the store's lock
  kCache,        // it fills, repairs or replaces the segment, under that lock
  kTokenShadow,  // it replaces token.shadow
  kUserCfg       // it replaces user.cfg, too
};

// One row of a program's table.
struct CommandEntry {
  Command command;
  Operand operand = Operand::kNone;
  SecretPurpose secret = SecretPurpose::kNone;  // from standard input
  Users users = Users::kRoot;
  Reach reach;
  // Prints what it has to say, complains where something failed, and returns
  // the exit status; null for `serve`, which is no command of a store.
  ExitStatus (*run)(Context *context);
  std::string_view summary;  // for --help; more lines are indented
  // A second operand: what --help calls it, and what takes it, as with an
  // Option.  An empty name: the command has none.
  std::string_view value = {};
  Result<void> (*apply)(std::string_view value, CommandLine *out) = nullptr;

  [[nodiscard]] constexpr std::string_view name() const {
    return command_name(command);
  }
};

// A set of commands, one bit each.
using Commands = std::uint64_t;
constexpr Commands one_command(Command command) {
  return Commands{1} << static_cast<unsigned>(command);
}
static_assert(kCommandNames.size() <= 64, "each has a bit");
constexpr Commands kEachCommand = ~Commands{0};

// An option that one of the programs has beside those of both.
struct Option {
  const char *name;        // without its dashes
  std::string_view value;  // what --help calls its value; empty: it has none
  Commands commands;       // that take it
  // Refuses a bad value; the value is empty if the option has none.
  Result<void> (*apply)(std::string_view value, CommandLine *out);
  std::string_view summary;  // for --help
};

struct Program {
  std::string_view name;
  std::string_view usage;  // for --help: what follows the name
  std::size_t column;      // for --help: where the summaries begin
  std::span<const CommandEntry> commands;
  std::span<const Option> options;
  std::string_view other_page;  // of the program that has all other commands
};

// The command's row; null if the program has no such command.
inline const CommandEntry *find_command(const Program &program,
                                        Command command) {
  for (const CommandEntry &entry : program.commands) {
    if (entry.command == command) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMAND_H_
