// SPDX-License-Identifier: BSD-3-Clause
// The helper's commands.
#ifndef PBSTOKEN_COMMANDS_H_
#define PBSTOKEN_COMMANDS_H_

#include "io/command.h"

namespace pbstoken {

// constinit in the source.
// NOLINTNEXTLINE(bugprone-dynamic-static-initializers)
extern const Program kHelperProgram;

// Returns true if the store is a draft of pbstoken-cluster(8), in the directory
// where that program works: a copy of token.shadow for a change that counts
// only when etcd has taken it.  A draft leaves no line in the log and no record
// of use.  Its configuration was named by --config, which is for root.
bool is_draft(const CommandLine &line, const Store &store);

// Runs the command of this row, for a caller that may give it.  Returns the
// exit status.
ExitStatus run_command(const CommandEntry &entry, const CommandLine &line,
                       const Store &store, const Client &client,
                       std::string_view secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMANDS_H_
