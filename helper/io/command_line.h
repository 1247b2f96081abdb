// SPDX-License-Identifier: BSD-3-Clause
// The command line of both programs:
//   PROGRAM [--store NAME] [--config PATH] [--output-format FORMAT]
//           COMMAND [--rhost HOST] [--] [TOKENID]
// --rhost is the helper's.
#ifndef PBSTOKEN_COMMAND_LINE_H_
#define PBSTOKEN_COMMAND_LINE_H_

#include "io/command.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// Where the configuration of the line's store is.
PathText configuration_of(const CommandLine &line);

// Returns an error that says which argument is wrong.  With --help or
// --version `about` says so, and the rest of the line is not looked at.
Result<CommandLine> parse_command_line(const Program &program, int argc,
                                       char **argv);

// Prints what --help or --version asks for; false, with errno, if not all of
// it could be written.
[[nodiscard]] bool print_about(const Program &program, About about);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMAND_LINE_H_
