// SPDX-License-Identifier: BSD-3-Clause
// The resident service behind pbstoken-helper.socket.
//
// The parent process reads no byte of a client.  It alone accepts connections,
// asks for the user at the other end, keeps connections waiting, and hands each
// to a child (spare.h).  A child serves one connection and ends.
//
// At most 8 connections of one user are served at once, of root 32.  128 more
// of each user wait.  In all 512 are served or wait, of which other users leave
// 96 to root.  A connection that has waited for 5 seconds, or finds no room to
// wait, is answered `busy`.
//
// The service ends after 60 seconds without a connection, when the program, a
// configuration, the files of users and groups or the directory of a store has
// changed (surroundings.h), and by SIGTERM.  From then on it accepts nothing
// more, and answers what it has: what is not accepted starts the next one.  So
// that this does not wait for long, a change is heeded when all that is served
// has begun just now, or after 60 seconds.
#ifndef PBSTOKEN_SERVICE_H_
#define PBSTOKEN_SERVICE_H_

#include "pbstoken/base/result.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Serves the listening AF_UNIX stream socket that is standard input; returns
// when it ends.  In each child it calls `answer` with a connection for standard
// input and output; that returns the child's exit status.  Returns an error if
// the service cannot begin, or cannot go on.  Needs root; confines the process.
// One thread.
Result<void> serve(ExitStatus (*answer)());

// For a process that cannot serve: closes the connections that wait, which else
// would start the next such process, and lets a second pass.  One thread.
void turn_away();

}  // namespace pbstoken

#endif  // PBSTOKEN_SERVICE_H_
