// SPDX-License-Identifier: BSD-3-Clause
// The helper's commands.
#ifndef PBSTOKEN_COMMANDS_H_
#define PBSTOKEN_COMMANDS_H_

#include "io/command.h"

namespace pbstoken {

// constinit in the source.
// NOLINTNEXTLINE(bugprone-dynamic-static-initializers)
extern const Program kHelperProgram;

// Runs the command of this row, for a caller that may give it.  Returns the
// exit status.
ExitStatus run_command(const CommandEntry &entry, const CommandLine &line,
                       const Store &store, const Client &client,
                       std::string_view secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMANDS_H_
