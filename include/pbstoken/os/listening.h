// SPDX-License-Identifier: BSD-3-Clause
// Whether a process listens on a Unix socket, without a connection: that might
// start a service.  Any thread.
#ifndef PBSTOKEN_LISTENING_H_
#define PBSTOKEN_LISTENING_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"

namespace pbstoken {

// The kernel's table of them, of this process's network: no symbolic link, so
// that a process which may open files by name alone can be given it.
PathText socket_table();

// True if a process listens on the socket that was bound by this path; nullopt
// if the table cannot be read.
std::optional<bool> is_listened_on(std::string_view path);

}  // namespace pbstoken

#endif  // PBSTOKEN_LISTENING_H_
