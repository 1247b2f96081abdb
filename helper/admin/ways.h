// SPDX-License-Identifier: BSD-3-Clause
// The ways to the helper, for services that may not read the store's files.
#ifndef PBSTOKEN_WAYS_H_
#define PBSTOKEN_WAYS_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

enum class SocketState : std::uint8_t {
  kMissing,
  kSilent,  // it is there, and no process listens
  kListens  // or that cannot be told
};

struct Ways {
  bool is_installed = false;  // the setuid program
  bool is_setuid = false;     // and root's
  SocketState socket = SocketState::kMissing;
};

// Returns the ways as this process sees them.  It connects to no socket: that
// would start the service.
Ways ways_to_helper();

// What keeps every service that is not root from an answer of the helper.
struct Obstacle {
  PathText where;
  const char *why;
  const char *what_to_do;
};

// Returns nullopt if there is a way.  A host without the program has services
// of root alone: that is no obstacle either.
std::optional<Obstacle> obstacle_to_helper(const Store &store,
                                           const Ways &ways);

}  // namespace pbstoken

#endif  // PBSTOKEN_WAYS_H_
