// SPDX-License-Identifier: BSD-3-Clause
// The helper's commands.  Each prints what it has to say, complains where
// something failed, and returns the exit status.
#ifndef PBSTOKEN_COMMANDS_H_
#define PBSTOKEN_COMMANDS_H_

#include <string_view>

#include "caller.h"
#include "io/command_line.h"
#include "io/exit_status.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The secret that a command takes from standard input; empty if it takes none.
// kMalformed if what was typed cannot be used.
Result<Buffer> read_secret_for(Command command);

// For a caller who may do this.
ExitStatus run_command(const CommandLine &line, const Store &store,
                       const Caller &caller, std::string_view secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMANDS_H_
