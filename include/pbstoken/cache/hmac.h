// SPDX-License-Identifier: BSD-3-Clause
// HMAC-SHA-256 (RFC 2104, FIPS 180-4) over unambiguous messages.
//
// The compression is OpenSSL's.  Its SHA256_* calls are used because they let
// the two key blocks be hashed once, need no memory and cannot fail; EVP_MAC
// costs several times as much and loads providers.  They are linked statically
// and hidden, so that a host that brings functions of the same names cannot
// replace them.
#ifndef PBSTOKEN_HMAC_H_
#define PBSTOKEN_HMAC_H_

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace pbstoken {

constexpr std::size_t kHmacKeySize = 32;
using HmacKeyBytes = std::array<unsigned char, kHmacKeySize>;

// A digest as four words, in the machine's order: they are stored and
// compared on this host only.
using Digest = std::array<std::uint64_t, 4>;

// The head of a message: a label, which says what is digested and so how many
// numbers follow; the numbers, 8 bytes each; the length of the text that comes
// behind it, in two bytes.  Longer texts differ from shorter ones by the length
// of the whole message, which is part of SHA-256.  So no two lists of fields
// are one message.
template <std::size_t kNumbers>
auto message_head(char label,
                  const std::array<std::uint64_t, kNumbers> &numbers,
                  std::string_view text) {
  const auto length = static_cast<std::uint16_t>(text.size());
  std::array<unsigned char,
             sizeof(label) + kNumbers * sizeof(std::uint64_t) + sizeof(length)>
      head{};
  unsigned char *end = head.data();
  const auto put = [&end](const auto &value) {
    std::memcpy(end, &value, sizeof(value));
    end += sizeof(value);
  };
  put(label);
  for (const std::uint64_t number : numbers) {
    put(number);
  }
  put(length);
  return head;
}

// A key, kept as the states after its two blocks.  Wiped by the destructor.
// Any thread may call the const functions.
class HmacKey {
 public:
  explicit HmacKey(const HmacKeyBytes &key);
  HmacKey(const HmacKey &) = default;
  HmacKey &operator=(const HmacKey &) = default;
  ~HmacKey();

  // Returns the digest of a message that shares no beginning with others.
  template <std::size_t kNumbers>
  [[nodiscard]] Digest digest_of(
      char label, const std::array<std::uint64_t, kNumbers> &numbers,
      std::string_view text = {}) const {
    return finish(inner_, message_head(label, numbers, text), text);
  }

 private:
  friend class HmacBeginning;
  [[nodiscard]] Digest finish(SHA256_CTX inner,
                              std::span<const unsigned char> head,
                              std::string_view text) const;

  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

// The beginning of several messages: a label and a text, in whole blocks, which
// are hashed once for all of them.  `key` must outlive the object.
class HmacBeginning {
 public:
  HmacBeginning(const HmacKey &key, char label, std::string_view text);

  // Returns the digest of a message that goes on like this.
  template <std::size_t kNumbers>
  [[nodiscard]] Digest digest_of(
      char label, const std::array<std::uint64_t, kNumbers> &numbers,
      std::string_view text = {}) const {
    return key_.finish(inner_, message_head(label, numbers, text), text);
  }

  // Returns SHA-256's state so far.  Only a holder of the key can foresee it,
  // but it proves nothing.
  [[nodiscard]] std::array<std::uint64_t, 2> state() const;

 private:
  const HmacKey &key_;
  SHA256_CTX inner_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_HMAC_H_
