// SPDX-License-Identifier: BSD-3-Clause
// The check command: looks at every file that a store names, and at its
// segment, and reports what is wrong with them.  Changes nothing.
#ifndef PBSTOKEN_CHECK_H_
#define PBSTOKEN_CHECK_H_

#include "io/command_line.h"
#include "io/exit_status.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// configuration: the path that the store was read from.  A line for each
// problem, or an array of objects; kRefused if there are any, kUnavailable if
// something could not be looked at.
ExitStatus check_store(const Store &store, const PathText &configuration,
                       OutputFormat format);

}  // namespace pbstoken

#endif  // PBSTOKEN_CHECK_H_
