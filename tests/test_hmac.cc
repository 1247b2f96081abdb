// SPDX-License-Identifier: BSD-3-Clause
// The keyed digests, against OpenSSL's one-shot HMAC over the same message,
// framed here by hand.
#include "pbstoken/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using Fields = std::vector<std::string>;

// Key `seed`: every byte another one.
HmacKeyBytes key_bytes(unsigned seed) {
  HmacKeyBytes key{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<unsigned char>(seed + 37 * i);
  }
  return key;
}

// What hmac() makes a message of, by hand.
std::string framed(char label, const std::vector<std::uint64_t> &numbers,
                   const Fields &texts) {
  std::string message(1, label);
  const auto put = [&message](std::uint64_t word) {
    std::array<char, sizeof(word)> bytes{};
    std::memcpy(bytes.data(), &word, sizeof(word));
    message.append(bytes.data(), bytes.size());
  };
  for (const std::uint64_t number : numbers) {
    put(number);
  }
  for (const std::string &text : texts) {
    put(text.size());
  }
  for (const std::string &text : texts) {
    message += text;
  }
  return message;
}

Digest openssl_hmac(const HmacKeyBytes &key, const std::string &message) {
  Digest digest{};
  unsigned size = 0;
  const auto *made = HMAC(
      EVP_sha256(), key.data(), static_cast<int>(key.size()),
      reinterpret_cast<const unsigned char *>(message.data()), message.size(),
      reinterpret_cast<unsigned char *>(digest.data()), &size);
  assert_non_null(made);
  assert_int_equal(size, sizeof(digest));
  return digest;
}

template <std::size_t kTexts>
Digest of_texts(const HmacKey &key, char label,
                const std::array<std::string_view, kTexts> &texts) {
  return hmac(key, label, std::array<std::uint64_t, 0>{}, texts);
}

template <typename... Texts>
Digest ours(char label, const Texts &...texts) {
  return of_texts(HmacKey(key_bytes(1)), label,
                  std::array<std::string_view, sizeof...(texts)>{texts...});
}

void digest_of_any_pieces_equals_openssl(void ** /*state*/) {
  // Across the padding and the blocks of SHA-256, 64 bytes each.
  for (unsigned seed = 0; seed < 3; ++seed) {
    const HmacKeyBytes bytes = key_bytes(seed);
    const HmacKey key(bytes);
    for (std::size_t length = 0; length <= 260; ++length) {
      const std::string text(length, static_cast<char>('a' + seed));
      const std::string_view all = text;
      for (const std::size_t cut : {std::size_t{0}, length / 3, length}) {
        const auto *head = reinterpret_cast<const unsigned char *>(text.data());
        const std::array<std::string_view, 3> rest = {
            all.substr(cut, length / 2),
            {},
            all.substr(std::min(length, cut + length / 2))};
        assert_true(key.digest_of({head, cut}, rest) ==
                    openssl_hmac(bytes, text));
      }
    }
    assert_true(key.digest_of({}, {}) == openssl_hmac(bytes, ""));
  }
}

void digest_of_extreme_keys_equals_openssl(void ** /*state*/) {
  HmacKeyBytes key{};
  for (const unsigned byte : {0x00U, 0xffU, 0x36U, 0x5cU}) {
    key.fill(static_cast<unsigned char>(byte));
    const std::array<std::string_view, 1> text = {"field"};
    assert_true(HmacKey(key).digest_of({}, text) == openssl_hmac(key, "field"));
  }
}

void hmac_frames_its_fields(void ** /*state*/) {
  const HmacKeyBytes bytes = key_bytes(1);
  const HmacKey key(bytes);
  for (const char label : {'a', '\0', '\xff'}) {
    assert_true(ours(label) == openssl_hmac(bytes, framed(label, {}, {})));
    for (const Fields &texts :
         std::vector<Fields>{{"", ""},
                             {"a@pbs!t", "$y$j9T$salt$hash"},
                             {std::string("a\0b", 3), std::string("\0\0", 2)},
                             {"\xff\xfe", "päss wörd"},
                             {std::string(100000, 'a'), "b"}}) {
      const std::array<std::uint64_t, 3> numbers = {0, 0x0123456789abcdef,
                                                    ~std::uint64_t{0}};
      const std::array<std::string_view, 2> views = {texts[0], texts[1]};
      assert_true(
          hmac(key, label, numbers, views) ==
          openssl_hmac(bytes,
                       framed(label, {numbers.begin(), numbers.end()}, texts)));
      assert_true(of_texts(key, label, views) ==
                  openssl_hmac(bytes, framed(label, {}, texts)));
    }
  }
}

void hmac_splits_of_one_text_differ(void ** /*state*/) {
  // Zeros could pass for lengths, lengths for text.
  for (const std::string &text :
       {std::string("abcdefghijklmnop"), std::string(24, '\0'),
        std::string("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16),
        std::string("$y$j9T$$y$j9T$")}) {
    std::set<Digest> seen;
    std::size_t made = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      for (std::size_t j = i; j <= text.size(); ++j) {
        seen.insert(ours('s', text.substr(0, i), text.substr(i, j - i),
                         text.substr(j)));
        ++made;
      }
    }
    assert_int_equal(seen.size(), made);
  }
}

void hmac_labels_and_keys_separate(void ** /*state*/) {
  std::set<Digest> seen;
  for (unsigned label = 0; label < 256; ++label) {
    seen.insert(ours(static_cast<char>(label), "a", "b"));
  }
  assert_int_equal(seen.size(), 256);
  for (std::size_t i = 0; i < kHmacKeySize * 8; ++i) {
    HmacKeyBytes key = key_bytes(1);
    key[i / 8] = static_cast<unsigned char>(key[i / 8] ^ (1U << (i % 8)));
    const std::array<std::string_view, 2> texts = {"a", "b"};
    seen.insert(of_texts(HmacKey(key), 'a', texts));
  }
  assert_int_equal(seen.size(), 256 + kHmacKeySize * 8);
}

void hmac_texts_with_nul_are_taken_whole(void ** /*state*/) {
  std::set<Digest> seen;
  for (const std::string &text :
       {std::string("a"), std::string("a\0", 2), std::string("a\0\0", 3),
        std::string("a\0b", 3), std::string("a\0c", 3), std::string("\0a", 2),
        std::string(), std::string("\0", 1)}) {
    seen.insert(ours('n', text));
  }
  assert_int_equal(seen.size(), 8);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(digest_of_any_pieces_equals_openssl),
      cmocka_unit_test(digest_of_extreme_keys_equals_openssl),
      cmocka_unit_test(hmac_frames_its_fields),
      cmocka_unit_test(hmac_splits_of_one_text_differ),
      cmocka_unit_test(hmac_labels_and_keys_separate),
      cmocka_unit_test(hmac_texts_with_nul_are_taken_whole),
  };
  return cmocka_run_group_tests_name("hmac", tests, nullptr, nullptr);
}
