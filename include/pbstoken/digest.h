// SPDX-License-Identifier: BSD-3-Clause
// HMAC-SHA-256 (RFC 2104, FIPS 180-4) over unambiguous messages.
//
// The compression is OpenSSL's.  Its SHA256_* calls are used because they let
// the two key blocks be hashed once (a hit computes two digests and nothing
// else), need no memory and cannot fail; EVP_MAC costs several times as much
// and loads providers.  They are linked statically and hidden, so that a host
// that brings functions of the same names cannot replace them.
#ifndef PBSTOKEN_HMAC_H_
#define PBSTOKEN_HMAC_H_

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pbstoken {

constexpr std::size_t kHmacKeySize = 32;
using HmacKeyBytes = std::array<unsigned char, kHmacKeySize>;

// A digest as four words, in the machine's order: they are stored and
// compared on this host only.
using Digest = std::array<std::uint64_t, 4>;

// The state after the two key blocks.
class HmacKey {
 public:
  explicit HmacKey(const HmacKeyBytes &key);
  HmacKey(const HmacKey &) = default;
  HmacKey &operator=(const HmacKey &) = default;
  ~HmacKey();

 private:
  friend class Hmac;
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

// One message: a label that says what is digested, and so which fields follow.
// A text is preceded by its length and a number has always 8 bytes, so that no
// two lists of fields are one message.
class Hmac {
 public:
  Hmac(const HmacKey &key, char label);
  Hmac(const Hmac &) = delete;
  Hmac &operator=(const Hmac &) = delete;
  ~Hmac();

  Hmac &add(std::string_view field);
  // As many numbers as the label always has at this place.
  Hmac &add(std::span<const std::uint64_t> numbers);
  Digest finish();

 private:
  const HmacKey &key_;
  SHA256_CTX state_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_HMAC_H_
