// SPDX-License-Identifier: BSD-3-Clause
// seccomp: the system calls that a command may still make.
#ifndef PBSTOKEN_SECCOMP_H_
#define PBSTOKEN_SECCOMP_H_

#include "pbstoken/base/result.h"

namespace pbstoken {

// Makes any call that is not listed kill the process, from here on.  A kernel
// without seccomp, or a processor that there is no list for, restricts nothing.
// Needs no_new_privs.
Result<void> restrict_system_calls();

// Does the same for the resident service's parent and all its children:
// besides, it leaves what they need to accept, hand over and confine themselves
// further.
Result<void> restrict_system_calls_of_service();

}  // namespace pbstoken

#endif  // PBSTOKEN_SECCOMP_H_
