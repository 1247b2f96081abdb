// SPDX-License-Identifier: BSD-3-Clause
// Confinement: a confined process has the capabilities, files and system calls
// that its command needs, and no others.  token.shadow and user.cfg,
// which it parses, belong to other users than root.
//
// This room includes io/.
#ifndef PBSTOKEN_CONFINEMENT_H_
#define PBSTOKEN_CONFINEMENT_H_

#include "io/command.h"
#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Confines this process, which is root's, once and for good.  `configuration`
// is the store's file.  First it does what takes more than will be left: it
// removes what other users have planted under the store's keys, and makes the
// lock file, if the command might have to.  On a kernel without Landlock or
// seccomp it goes without.  Returns an error for any other failure.
Result<void> confine(Reach reach, const PathText &configuration,
                     const Store &store);

// Confines the resident service's parent, for good, and with it all children
// that it forks: what is left is what confine() may need for any command.  The
// parent itself uses no capability.  Needs root.
Result<void> confine_service();

// For a child of it: take the capabilities that are left into use, and lay them
// down until then.  Return false if that fails.
[[nodiscard]] bool use_capabilities();
[[nodiscard]] bool lay_down_capabilities();

// For a child that has no request yet, and its capabilities in use: makes the
// rules for the files of one more store, as confine() would for a command of
// members.  confine() takes them if each path in them still leads where it did.
// Does nothing where rules cannot be made, or four stores have theirs.
void prepare_to_confine(const Store &store);

// Gives up every capability, for good.
Result<void> give_up_capabilities();

}  // namespace pbstoken

#endif  // PBSTOKEN_CONFINEMENT_H_
