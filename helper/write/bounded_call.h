// SPDX-License-Identifier: BSD-3-Clause
// A call that may block for ever, in a program that must not: it writes to what
// the caller of the program has made standard output, and that may be a pipe
// that is kept full, a terminal that is stopped, a file of its own file system.
#ifndef PBSTOKEN_BOUNDED_CALL_H_
#define PBSTOKEN_BOUNDED_CALL_H_

namespace pbstoken {

// What function(context) returns in a child process, which has descriptors 0-2
// only; false, with errno, if it does not return in so many seconds (and about
// one more, if the child cannot even be interrupted) or the child dies.
[[nodiscard]] bool call_within(unsigned seconds,
                               bool (*function)(const void *context),
                               const void *context);

}  // namespace pbstoken

#endif  // PBSTOKEN_BOUNDED_CALL_H_
