// SPDX-License-Identifier: BSD-3-Clause
// The division in two of a setuid program.  Up to here the process had the real
// uid of its caller, who could end it and whose limits it was under.
#ifndef PBSTOKEN_SPLIT_H_
#define PBSTOKEN_SPLIT_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// What the child reads from standard input.
enum class ChildInput : std::uint8_t {
  kDelivery,  // how each piece of its output was passed on, see
              // await_delivery()
  kCallers    // what comes from the caller over the socket that is its output
};

// Takes the ids of the caller for good: root again neither by a system call nor
// by execve(2), and no other process of the caller may look into this one.
// False if that fails.
bool become_caller();

// Forks.  Returns nullopt in the child, which is root with all three ids (see
// become_root()), in a session of its own.  Its descriptors 0-2 lead to
// the parent; it has no others, so nothing of it is shared with the caller.
//
// The parent wipes the secret, takes the ids of the caller for good, and passes
// on what goes through them: a caller that does not read holds up that
// process of its own alone.  Returns the exit status of the child there, in the
// end, or one above 124 if that is not known; if a signal has ended the child,
// the parent ends by the same one.  If the parent is ended, the child finds
// them broken.
Result<std::optional<int>> split(ChildInput input, Buffer *secret);

// Whether this process is the child.
bool is_split();

// For the child, with ChildInput::kDelivery: waits until the parent has passed
// on what was printed in one piece, which takes it 5 seconds at most.
Result<void> await_delivery();

// For the child: true if no process is left that tells the caller how it ends.
bool has_lost_caller();

}  // namespace pbstoken

#endif  // PBSTOKEN_SPLIT_H_
