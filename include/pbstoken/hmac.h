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

// The state after the two key blocks.
class HmacKey {
 public:
  explicit HmacKey(const HmacKeyBytes &key);
  HmacKey(const HmacKey &) = default;
  HmacKey &operator=(const HmacKey &) = default;
  ~HmacKey();

  // Of head and the texts, one after the other as they are.
  [[nodiscard]] Digest digest_of(std::span<const unsigned char> head,
                                 std::span<const std::string_view> texts) const;

  // HMAC's inner hash of the same, for half the price: what nobody can foresee
  // who has not the key, but no proof of anything.
  [[nodiscard]] Digest inner_digest_of(
      std::span<const unsigned char> head,
      std::span<const std::string_view> texts) const;

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

// The head of a message: a label, which says what is digested and so how many
// numbers and texts follow; the numbers, 8 bytes each; the lengths of the
// texts, which come behind it.  So no two lists of fields are one message.
template <std::size_t kNumbers, std::size_t kTexts>
auto message_head(char label,
                  const std::array<std::uint64_t, kNumbers> &numbers,
                  const std::array<std::string_view, kTexts> &texts) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  std::array<unsigned char, 1 + kWord *(kNumbers + kTexts)> head{};
  unsigned char *end = head.data();
  *end++ = static_cast<unsigned char>(label);
  const auto put = [&end](std::uint64_t word) {
    std::memcpy(end, &word, kWord);
    end += kWord;
  };
  for (const std::uint64_t number : numbers) {
    put(number);
  }
  for (const std::string_view text : texts) {
    put(text.size());
  }
  return head;
}

template <std::size_t kNumbers, std::size_t kTexts>
Digest hmac(const HmacKey &key, char label,
            const std::array<std::uint64_t, kNumbers> &numbers,
            const std::array<std::string_view, kTexts> &texts) {
  return key.digest_of(message_head(label, numbers, texts), texts);
}

}  // namespace pbstoken

#endif  // PBSTOKEN_HMAC_H_
