// SPDX-License-Identifier: BSD-3-Clause
// What a setuid program does before it looks at its arguments.
#ifndef PBSTOKEN_PRIVILEGES_H_
#define PBSTOKEN_PRIVILEGES_H_

#include "pbstoken/base/result.h"

namespace pbstoken {

// Makes of the process that a hostile caller has set up one that only its
// arguments and standard input distinguish: no environment, descriptors 0-2
// valid and no others, umask 077, signals and timers as by default, working
// directory "/".
Result<void> shed_inheritance();

// Root for good, with all three ids and no supplementary group, under limits
// and priorities of its own (resources.h).  kUnsafe unless the program was
// installed as it must be: setuid root by its mode and root's alone to change,
// if somebody else than root has started it; without file capabilities, whoever
// has.
Result<void> become_root();

}  // namespace pbstoken

#endif  // PBSTOKEN_PRIVILEGES_H_
