// SPDX-License-Identifier: BSD-3-Clause
// pbstoken: the administrator's tool.  It is not setuid.  It runs for root, and
// with is_for_members() for others.  Like the helper it parses files that
// belong to others, so it sheds what it inherits and confines itself in the
// same way.
#include <unistd.h>

#include <array>

#include "admin/admin.h"
#include "confine/confinement.h"
#include "confine/privileges.h"
#include "io/audit.h"
#include "io/command_line.h"
#include "io/message.h"
#include "pbstoken/store/readers.h"

namespace pbstoken {
namespace {

ExitStatus give_up(ExitStatus status, const Error &error) {
  complain(error);
  return status;
}

// What a member of verify_group may give, too: it shows what the segments show
// to that user anyhow.
bool is_for_members(const CommandEntry &entry) {
  return entry.command == Command::kStatus;
}

// True if the process has no other ids than its user's, as if a bit were set by
// mistake.
bool has_own_ids_alone() {
  std::array<uid_t, 3> users{};
  std::array<gid_t, 3> groups{};
  return getresuid(&users[0], &users[1], &users[2]) == 0 &&
         getresgid(&groups[0], &groups[1], &groups[2]) == 0 && users[0] != 0 &&
         users[0] == users[1] && users[1] == users[2] &&
         groups[0] == groups[1] && groups[1] == groups[2];
}

bool is_reader(const Store &store) {
  const auto group = reader_group(store);
  return group && *group && group_member(**group) != 0;
}

ExitStatus run(const CommandEntry &entry, const CommandLine &line) {
  const PathText configuration = configuration_of(line);
  const auto store = load_store(line.store.view(), configuration);
  if (!store && line.command == Command::kExplain) {
    return explain_bad_store(line, store.error());
  }
  if (!store) {
    return give_up(ExitStatus::kUnavailable, store.error());
  }
  if (getuid() != 0 && !is_reader(*store)) {
    complain("not permitted: only root and members of verify_group may");
    return ExitStatus::kNotPermitted;
  }
  if (entry.reach >= Reach::kTokenShadow || entry.command == Command::kReset) {
    open_audit_log();
  }
  if (const auto confined = confine(entry.reach, configuration, *store);
      !confined) {
    return give_up(ExitStatus::kUnavailable, confined.error());
  }
  Context context = {
      .line = line,
      .store = *store,
      .client = {.one_shot = true},
      .input = {},
      // It verifies no secret.
      .verifier = Verifier(*store, [] { return CryptFunction{}; })};
  if (entry.reach <= Reach::kLists) {
    context.verifier.use().only_look();
  }
  return entry.run(&context);
}

// Makes the store's files with all the rights of root: they need not be there,
// so there is nothing to be confined to.  Then does what `prepare` does, as
// confined as that.
ExitStatus init_and_prepare(const CommandLine &line) {
  const ExitStatus made = init_store(line);
  const CommandEntry *prepare = find_command(kAdminProgram, Command::kPrepare);
  if (made != ExitStatus::kDone || prepare == nullptr) {
    return made;
  }
  const ExitStatus prepared = run(*prepare, line);
  if (prepared != ExitStatus::kDone) {
    complain(
        "the store is made, without all of its segments and limits: 'pbstoken "
        "check' says why; then run 'pbstoken prepare'");
  }
  return prepared;
}

// With all the rights of root, once it is certain that they are the caller's.
ExitStatus run_for_root(const CommandEntry &entry, const CommandLine &line) {
  // Both are asked, so that a setuid bit set by mistake opens nothing.
  if (getuid() != 0 || geteuid() != 0) {
    complain("not permitted: only root may run this program");
    return ExitStatus::kNotPermitted;
  }
  if (const auto installed = check_installation(); !installed) {
    return give_up(ExitStatus::kUnavailable, installed.error());
  }
  if (const auto root = become_root(); !root) {
    return give_up(ExitStatus::kUnavailable, root.error());
  }
  return entry.command == Command::kInit      ? init_and_prepare(line)
         : entry.command == Command::kMetrics ? print_metrics(entry, line, run)
                                              : run(entry, line);
}

// Runs a command with the rights of the user alone.
ExitStatus run_for_member(const CommandEntry &entry, const CommandLine &line) {
  if (const auto gave_up = give_up_capabilities(); !gave_up) {
    return give_up(ExitStatus::kUnavailable, gave_up.error());
  }
  const auto reset = reset_limits();
  return reset ? run(entry, line)
               : give_up(ExitStatus::kUnavailable, reset.error());
}

ExitStatus run_program(int argc, char **argv) {
  set_program_name(kAdminProgram.name);
  if (const auto shed = shed_inheritance(); !shed) {
    return give_up(ExitStatus::kUnavailable, shed.error());
  }
  const auto line = parse_command_line(kAdminProgram, argc, argv);
  if (line && line->about != About::kNothing) {
    return print_about(kAdminProgram, line->about) ? ExitStatus::kDone
                                                   : ExitStatus::kUnavailable;
  }
  if (!line) {
    return give_up(ExitStatus::kUsage, line.error());
  }
  const CommandEntry *entry = find_command(kAdminProgram, line->command);
  if (entry == nullptr) {
    return ExitStatus::kUsage;
  }
  return is_for_members(*entry) && has_own_ids_alone()
             ? run_for_member(*entry, *line)
             : run_for_root(*entry, *line);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::run_program(argc, argv));
}
