// SPDX-License-Identifier: BSD-3-Clause
// pbstoken-helper: installed setuid root, so anybody may start it, with
// anything.  main() is the checklist; nothing above a line may depend on what
// that line establishes.
#include <unistd.h>

#include "command_line.h"
#include "commands.h"
#include "exit_status.h"
#include "message.h"
#include "privileges.h"

namespace pbstoken {
namespace {

ExitStatus serve(int argc, char **argv) {
  if (const auto shed = shed_inheritance(); !shed) {
    complain(shed.error());
    return ExitStatus::kUnavailable;
  }
  const uid_t caller = getuid();
  if (const auto root = become_root(); !root) {
    complain(root.error());
    return ExitStatus::kUnavailable;
  }
  const auto line = parse_command_line(argc, argv);
  if (!line) {
    complain(line.error());
    return ExitStatus::kUsage;
  }
  if (!*line) {
    return write_all(STDOUT_FILENO, usage_text()) ? ExitStatus::kDone
                                                  : ExitStatus::kUnavailable;
  }
  if (caller != 0) {
    complain("only root may do this");
    return ExitStatus::kNotPermitted;
  }
  return run_command(**line);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::serve(argc, argv));
}
