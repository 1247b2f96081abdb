// SPDX-License-Identifier: BSD-3-Clause
// The status command: what the segment is, and what verifications cost.
#ifndef PBSTOKEN_STATUS_H_
#define PBSTOKEN_STATUS_H_

#include "io/command_line.h"
#include "io/exit_status.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

// Changes nothing, but for a counters' segment that was not there.
ExitStatus print_status(const Store &store, Verifier *verifier,
                        OutputFormat format);

}  // namespace pbstoken

#endif  // PBSTOKEN_STATUS_H_
