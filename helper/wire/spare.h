// SPDX-License-Identifier: BSD-3-Clause
// A child of the resident service.  It is forked before there is a connection
// for it, and is confined from its birth by what its parent has given up.
#ifndef PBSTOKEN_SPARE_H_
#define PBSTOKEN_SPARE_H_

#include <cstdint>
#include <optional>

#include "pbstoken/os/unique_fd.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// A child that waits for its connection, for its parent.
struct Spare {
  UniqueFd process;  // a pidfd, readable when the child has ended
  UniqueFd channel;  // where the child waits for its connection
};

// Whether a connection waits for the child already: then there is no time to
// get ready for it.
enum class Haste : std::uint8_t { kNone, kConnectionWaits };

// Forks a child.  Returns nullopt without the means to.
//
//  1. The child waits for a connection on its channel.  If the parent closes
//     the channel before that, it exits.
//  2. The child calls answer() with the connection for standard input and
//     output.
//  3. It exits with the status that answer() returns.
//
// The child has no other descriptor of the parent, and its standard error leads
// nowhere.
std::optional<Spare> fork_spare(Haste haste, ExitStatus (*answer)());

// Gives the connection to the child, and closes its channel.  Returns false if
// the child has ended.
[[nodiscard]] bool hand_over(Spare *spare, const UniqueFd &connection);

// For a child: true if its client has closed the connection.
bool has_lost_client();

}  // namespace pbstoken

#endif  // PBSTOKEN_SPARE_H_
