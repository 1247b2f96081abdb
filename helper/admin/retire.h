// SPDX-License-Identifier: BSD-3-Clause
// The retire command: takes away every IPC object of a store, as before the
// program is removed.
#ifndef PBSTOKEN_RETIRE_H_
#define PBSTOKEN_RETIRE_H_

#include "io/command_line.h"
#include "io/exit_status.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Prints the key of each object, there or not, first of all: a service that
// still has the module loaded may make one anew at any time, and ipcrm(1) finds
// it by the key.  Then removes what is there; whoever has the segment attached
// stops using it.  Goes on past a failure.
ExitStatus retire(const Store &store, OutputFormat format);

}  // namespace pbstoken

#endif  // PBSTOKEN_RETIRE_H_
