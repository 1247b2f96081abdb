// SPDX-License-Identifier: BSD-3-Clause
// The division in two of a setuid program: a parent with the ids of the caller,
// and a child that is root.  Only the child reads the files of a store.
//
// Before the division the process has the real uid of its caller.  So the
// caller can end it, and the caller's limits apply to it.
//
// One thread: no function here may run beside another one.
#ifndef PBSTOKEN_SPLIT_H_
#define PBSTOKEN_SPLIT_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// What the child reads from standard input.
enum class ChildInput : std::uint8_t {
  kDelivery,  // how the parent passed each piece of output on, see
              // await_delivery()
  kCallers    // what comes from the caller over the socket that is its output
};

// Takes the ids of the caller for good.  The process can become root again
// neither by a system call nor by execve(2), and no other process of the caller
// may look into it.  Returns false if that fails.
bool become_caller();

// Forks.
//
//  1. The child becomes root with all three ids (see become_root()), in a
//     session of its own.  Its descriptors 0-2 lead to the parent, and it has
//     no others, so it shares nothing with the caller.  Here split() returns
//     nullopt.  It returns an error if a step fails.
//  2. The parent wipes `secret` and takes the ids of the caller for good.
//  3. The parent passes on what goes through the descriptors.  A caller that
//     does not read holds up this process of its own alone.
//  4. When the child has ended, split() returns the child's exit status in the
//     parent, or one above 124 if that is not known.  If a signal has ended the
//     child, the parent ends by the same signal.
//
// If the parent is ended, the child finds its descriptors broken.  Without a
// fork, split() returns an error in the process that called it.
Result<std::optional<int>> split(ChildInput input, Buffer *secret);

// True if this process is the child.
bool is_split();

// For the child, with ChildInput::kDelivery: waits until the parent has passed
// on what was printed in one piece, which takes it 5 seconds at most.  Returns
// an error if the caller did not take all of it.
Result<void> await_delivery();

// For the child: true if no process is left that tells the caller how it ends.
bool has_lost_caller();

}  // namespace pbstoken

#endif  // PBSTOKEN_SPLIT_H_
