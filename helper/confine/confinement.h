// SPDX-License-Identifier: BSD-3-Clause
// As little as a command needs, for good: capabilities, files, system calls.
// token.shadow and user.cfg belong to somebody else than root, and are parsed.
#ifndef PBSTOKEN_CONFINEMENT_H_
#define PBSTOKEN_CONFINEMENT_H_

#include "io/command_line.h"
#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// First does what takes more than will be left: removes what strangers have
// made under the store's keys, and makes the lock file, where the command might
// have to.  Root only, once; a kernel that has no Landlock or no seccomp goes
// without, any other failure is one.
Result<void> confine(const CommandLine &line, const Store &store);

}  // namespace pbstoken

#endif  // PBSTOKEN_CONFINEMENT_H_
