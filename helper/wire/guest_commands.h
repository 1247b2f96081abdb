// SPDX-License-Identifier: BSD-3-Clause
// The commands that the module asks for, on behalf of whoever runs it: verify,
// account, rotate, answered by the protocol of helper_protocol.h.
#ifndef PBSTOKEN_GUEST_COMMANDS_H_
#define PBSTOKEN_GUEST_COMMANDS_H_

#include <string_view>

#include "io/command.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// The body of the one request that comes over the socket, in kRequestSeconds.
Result<Buffer> receive_request();

// The secret that a command takes, where standard input has nothing else.
Result<Buffer> receive_secret(Command command);

// For a caller who may do this.
ExitStatus run_guest_command(const CommandLine &line, const Store &store,
                             const Client &client, std::string_view secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_GUEST_COMMANDS_H_
