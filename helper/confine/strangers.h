// SPDX-License-Identifier: BSD-3-Clause
// What a stranger has made in the kernel under a store's keys.
#ifndef PBSTOKEN_STRANGERS_H_
#define PBSTOKEN_STRANGERS_H_

#include "pbstoken/store/store.h"

namespace pbstoken {

// Removes the segments and semaphores under the store's keys that neither
// belong to root nor were made by it, for which nobody has a use.  Takes
// CAP_SYS_ADMIN, which is why it comes before that is given up; those that are
// root's the cache and the gate judge and replace by themselves.
void remove_strangers(const Store &store);

}  // namespace pbstoken

#endif  // PBSTOKEN_STRANGERS_H_
