// SPDX-License-Identifier: BSD-3-Clause
// What a setuid program does before it looks at its arguments.
#ifndef PBSTOKEN_HELPER_PRIVILEGES_H_
#define PBSTOKEN_HELPER_PRIVILEGES_H_

#include "pbstoken/result.h"

namespace pbstoken {

// Makes of the process that a hostile caller has set up one that only its
// arguments and standard input distinguish: no environment, descriptors 0-2
// valid and no others, umask 077, signals and timers as by default, working
// directory "/".
Result<void> shed_inheritance();

// Root for good, with all three ids and no supplementary group; no core dump,
// and limits that a caller may have lowered raised again.  kUnsafe if the
// program was not installed setuid root.
Result<void> become_root();

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_PRIVILEGES_H_
