// SPDX-License-Identifier: BSD-3-Clause
// The helper's commands.  Each prints what it has to say, complains where
// something failed, and returns the exit status.
#ifndef PBSTOKEN_HELPER_COMMANDS_H_
#define PBSTOKEN_HELPER_COMMANDS_H_

#include "caller.h"
#include "command_line.h"
#include "exit_status.h"

namespace pbstoken {

// For a caller who may do everything: uid 0.
ExitStatus run_command(const CommandLine &line, const Caller &caller);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_COMMANDS_H_
