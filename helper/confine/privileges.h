// SPDX-License-Identifier: BSD-3-Clause
// What both programs give up of what their caller has left them.
#ifndef PBSTOKEN_PRIVILEGES_H_
#define PBSTOKEN_PRIVILEGES_H_

#include "pbstoken/base/result.h"

namespace pbstoken {

// Sheds what a hostile caller may have set up: no core image is made of the
// process, no environment is left, descriptors 0-2 are valid and no others are
// open, the umask is 077, signals and timers are as by default, the working
// directory is "/".  Ids, groups and all limits but that of descriptors are
// still the caller's.
Result<void> shed_inheritance();

// Returns kUnsafe unless the program is installed as it must be: it has no file
// capabilities, and if the caller is not root, it is setuid root and only root
// may change it.
Result<void> check_installation();

// Raises every limit of the process as far as it goes, but for a few that have
// no use here and go down.
Result<void> reset_limits();

// Makes the process root's for good, with all three ids and no supplementary
// group, and with limits and priorities that are not the caller's.
Result<void> become_root();

}  // namespace pbstoken

#endif  // PBSTOKEN_PRIVILEGES_H_
