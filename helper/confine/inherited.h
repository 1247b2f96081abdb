// SPDX-License-Identifier: BSD-3-Clause
// The confinement of the caller, which a setuid program inherits.
#ifndef PBSTOKEN_INHERITED_H_
#define PBSTOKEN_INHERITED_H_

#include <string_view>

namespace pbstoken {

// Notes what of it may keep the program from working.  Call this before the
// process confines itself.
void note_inherited_confinement();

// Returns what was noted, for a message: `it runs in a user namespace`.  Empty
// if there was nothing to note.
std::string_view inherited_confinement();

// True if that is a user namespace, in which ids may have no number.
bool inherits_user_namespace();

}  // namespace pbstoken

#endif  // PBSTOKEN_INHERITED_H_
