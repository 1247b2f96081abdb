// SPDX-License-Identifier: BSD-3-Clause
// Leaving the caller's session, its terminal and its share of the processors:
// neither Ctrl-Z nor a hangup nor job control may stop a process that holds the
// store's lock or a place of the gate.
#ifndef PBSTOKEN_SESSION_H_
#define PBSTOKEN_SESSION_H_

#include <optional>

#include "pbstoken/base/result.h"

namespace pbstoken {

// The process goes on in a session of its own; what it has open, a terminal
// too, it keeps.
//
// The leader of a process group, such as a shell's job, cannot do that: then a
// child goes on, which gets nothing, and the process itself stays behind,
// without any capability.  It passes on the signals that ask for an end (the
// child gives way where nothing has been changed yet), waits for the child, and
// gets its exit status; if a signal ended the child, it ends by that one.
Result<std::optional<int>> leave_session();

}  // namespace pbstoken

#endif  // PBSTOKEN_SESSION_H_
