// SPDX-License-Identifier: BSD-3-Clause
// pbstoken: the administrator's tool.  It is not setuid, and runs for root
// only; but like the helper it parses files that belong to others, so it sheds
// what it inherits and confines itself in the same way.
#include <unistd.h>

#include "admin/admin.h"
#include "confine/confinement.h"
#include "confine/privileges.h"
#include "io/audit.h"
#include "io/command_line.h"
#include "io/message.h"

namespace pbstoken {
namespace {

ExitStatus give_up(ExitStatus status, const Error &error) {
  complain(error);
  return status;
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
      .client = {},
      .input = {},
      // It verifies no secret.
      .verifier = Verifier(*store, [] { return CryptFunction{}; })};
  return entry.run(&context);
}

ExitStatus serve_root(int argc, char **argv) {
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
  // The store need not be there, so there is nothing to be confined to.
  if (line->command == Command::kInit) {
    return init_store(*line);
  }
  const CommandEntry *entry = find_command(kAdminProgram, line->command);
  return entry != nullptr ? run(*entry, *line) : ExitStatus::kUsage;
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::serve_root(argc, argv));
}
