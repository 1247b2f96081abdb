// SPDX-License-Identifier: BSD-3-Clause
// Stored hashes: what crypt(3) made of a secret, as crypt(5) describes them.
//
// A stored hash is judged by its text before anything is computed: one that is
// cut off, of no known method or with an impossible setting can match nothing,
// so it costs nothing, and a computation that fails all the same has run out of
// memory.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_STORED_HASH_H_
#define PBSTOKEN_STORED_HASH_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/secret.h"

namespace pbstoken {

// Returns the name of the method ("yescrypt") if stored is a complete hash of
// one that libxcrypt knows; empty if it is not.
std::string_view hash_method(std::string_view stored);

// True if stored is a complete hash of a kind that upstream makes no more, and
// that is cheaper to guess: sha256crypt, which it made until March 2024, or
// yescrypt below the default cost.
bool is_old_hash(std::string_view stored);

// The type of libxcrypt's crypt_rn(3).  The module finds it when it first needs
// it; the helper is linked with it.
using CryptFunction = char *(*)(const char *phrase, const char *setting,
                                void *data, int size);

// Hashes secret, an acceptable one, by setting, a well-formed one: a complete
// hash or what crypt_gensalt(3) made.  Returns kNoMemory if it could not be
// computed to its end.  Takes 20 ms and 16 MiB for yescrypt, and 32 KiB of
// heap, wiped, whatever the method.
Result<Buffer> compute_hash(CryptFunction crypt, const Secret &secret,
                            const char *setting);

// A secret matches a stored hash or does not.  A fact never goes stale.
enum class Fact : std::uint8_t { kMatch, kMismatch };

// Hashes secret, an acceptable one, as stored was, and compares in constant
// time.  Returns nullopt if the stored hash can match nothing: it is
// incomplete, of no known method, or has impossible parameters (unless the
// method needs memory: then they look like a lack of it).  An error of
// compute_hash() is no fact about the secret.
Result<std::optional<Fact>> compare_with_hash(CryptFunction crypt,
                                              const Secret &secret,
                                              std::string_view stored);

}  // namespace pbstoken

#endif  // PBSTOKEN_STORED_HASH_H_
