// SPDX-License-Identifier: BSD-3-Clause
// What is left of root's power, for good.
#ifndef PBSTOKEN_CAPABILITIES_H_
#define PBSTOKEN_CAPABILITIES_H_

#include <cstdint>

#include "pbstoken/base/result.h"

namespace pbstoken {

// A set of capabilities(7), one bit each.
using Capabilities = std::uint64_t;

constexpr Capabilities capability(unsigned number) {
  return Capabilities{1} << number;
}

// Gives up all capabilities but these (of which the process may not have all),
// and whatever execve(2) could give back.  An error unless what is left is what
// was wanted, and one that was given up cannot be had again.
Result<void> keep_capabilities(Capabilities wanted);

}  // namespace pbstoken

#endif  // PBSTOKEN_CAPABILITIES_H_
