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

// Of the descriptors that a child keeps; see ready_stores.h.
constexpr int kFirstOfStores = 5;

struct Spare {
  UniqueFd process;  // a pidfd, readable when the child has ended
  UniqueFd channel;  // where the child waits for its connection
};

// Whether a connection waits for the child already: then there is no time to
// get ready for it.
enum class Haste : std::uint8_t { kNone, kConnectionWaits };

// Forks a child, or returns nullopt without the means to.  The child waits for
// a connection, calls answer() with that for standard input and output, and
// exits with its status; without a connection once the parent closes the
// channel.  The child has no other descriptor of the parent but those of its
// stores, and its standard error leads nowhere.
std::optional<Spare> fork_spare(Haste haste, ExitStatus (*answer)());

// Gives the connection to the child, whose channel is closed then.  False if
// the child has ended.
[[nodiscard]] bool hand_over(Spare *spare, const UniqueFd &connection);

// For a child: true if its client has closed the connection.
bool has_lost_client();

}  // namespace pbstoken

#endif  // PBSTOKEN_SPARE_H_
