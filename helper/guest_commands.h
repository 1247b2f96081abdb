// SPDX-License-Identifier: BSD-3-Clause
// The commands that the module asks for, on behalf of whoever runs it: verify,
// account, rotate, answered by the protocol of helper_protocol.h.
#ifndef PBSTOKEN_HELPER_GUEST_COMMANDS_H_
#define PBSTOKEN_HELPER_GUEST_COMMANDS_H_

#include <optional>
#include <string_view>

#include "caller.h"
#include "command_line.h"
#include "exit_status.h"

namespace pbstoken {

// secret: nothing if it is to come on standard input.
ExitStatus run_guest_command(const CommandLine &line, const Caller &caller,
                             std::optional<std::string_view> secret);

// Reads one request from the socket that is standard input and output, and
// answers it for who is connected there.  starter: who started this process,
// which must be root.
ExitStatus serve_connection(const Caller &starter);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_GUEST_COMMANDS_H_
