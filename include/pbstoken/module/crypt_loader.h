// SPDX-License-Identifier: BSD-3-Clause
// libxcrypt for the module, loaded when a password hash is first needed: most
// processes that load the module never compute one.
#ifndef PBSTOKEN_CRYPT_LOADER_H_
#define PBSTOKEN_CRYPT_LOADER_H_

#include "pbstoken/store/stored_hash.h"

namespace pbstoken {

// Null if libcrypt.so.1 cannot be loaded.  Stays loaded for the life of the
// process, as the module itself does.
CryptFunction load_crypt();

}  // namespace pbstoken

#endif  // PBSTOKEN_CRYPT_LOADER_H_
