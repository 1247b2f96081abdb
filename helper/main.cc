// SPDX-License-Identifier: BSD-3-Clause
// pbstoken-helper: installed setuid root, so anybody may start it, with
// anything.  main() is the checklist; nothing above a line may depend on what
// that line establishes.
#include <unistd.h>

#include <optional>

#include "caller.h"
#include "command_line.h"
#include "commands.h"
#include "exit_status.h"
#include "guest_commands.h"
#include "message.h"
#include "privileges.h"
#include "reply.h"

namespace pbstoken {
namespace {

ExitStatus serve(int argc, char **argv) {
  if (const auto shed = shed_inheritance(); !shed) {
    complain(shed.error());
    return ExitStatus::kUnavailable;
  }
  const auto caller = calling_process();
  if (!caller) {
    complain(caller.error());
    return ExitStatus::kUnavailable;
  }
  // Of the arguments alone; it says how to complain.
  const auto line = parse_command_line(argc, argv);
  if (const auto root = become_root(); !root) {
    complain(root.error());
    return line && *line && (*line)->replies
               ? send_answer(Reply::kNotSetuid, describe(root.error()).view())
               : ExitStatus::kUnavailable;
  }
  if (!line) {
    complain(line.error());
    return ExitStatus::kUsage;
  }
  if (!*line) {
    return write_all(STDOUT_FILENO, usage_text()) ? ExitStatus::kDone
                                                  : ExitStatus::kUnavailable;
  }
  if ((*line)->replies) {
    return run_guest_command(**line, *caller, std::nullopt);
  }
  if ((*line)->command == Command::kServe) {
    return serve_connection(*caller);
  }
  if (caller->uid != 0) {
    complain("only root may do this");
    return ExitStatus::kNotPermitted;
  }
  return run_command(**line, *caller);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::serve(argc, argv));
}
