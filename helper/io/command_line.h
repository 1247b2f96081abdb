// SPDX-License-Identifier: BSD-3-Clause
// The command line of both programs:
//   PROGRAM [--store NAME] [--config PATH] [--output-format FORMAT]
//           COMMAND [--] [OPERAND...]
// and the options of that program.  A command may be two words: `token add`.
#ifndef PBSTOKEN_COMMAND_LINE_H_
#define PBSTOKEN_COMMAND_LINE_H_

#include "io/command.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// Returns where the configuration of the line's store is.
PathText configuration_of(const CommandLine &line);

// Returns the error for an argument: what is wrong, then the argument.
Error usage_error(const char *what, std::string_view subject);

// Sets *out to the value of an option.  Returns a usage_error() unless that is
// an absolute path.
Result<void> apply_path(std::string_view value, PathText *out);

// Sets the token id of the line.  Returns a usage_error() if the value has not
// the form of a token id.
Result<void> apply_token_id(std::string_view value, CommandLine *out);

// Returns the command line of the program.  Returns an error that says which
// argument is wrong.  With --help or --version `about` says so, and the rest of
// the line is not looked at.
Result<CommandLine> parse_command_line(const Program &program, int argc,
                                       char **argv);

// Prints what --help or --version asks for.  Returns false, with errno, if not
// all of it could be written.
[[nodiscard]] bool print_about(const Program &program, About about);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMAND_LINE_H_
