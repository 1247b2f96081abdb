// SPDX-License-Identifier: BSD-3-Clause
// Wiping secret bytes, by the C library, and comparing them, by OpenSSL.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_WIPE_H_
#define PBSTOKEN_WIPE_H_

#include <openssl/crypto.h>
#include <string.h>

#include <cstddef>
#include <string_view>

namespace pbstoken {

// Overwrites size bytes in a way that no compiler removes.
inline void wipe(void *bytes, std::size_t size) {
  explicit_bzero(bytes, size);
}

// True if length and content are equal; the time depends on the lengths alone.
inline bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_WIPE_H_
