// SPDX-License-Identifier: BSD-3-Clause
// The keyed digests, against OpenSSL's one-shot HMAC over the same message,
// framed here by hand.
#include "pbstoken/cache/hmac.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using Numbers = std::array<std::uint64_t, 3>;
constexpr Numbers kNumbers = {0, 0x0123456789abcdef, ~std::uint64_t{0}};
constexpr std::array<std::uint64_t, 0> kNoNumbers = {};
constexpr std::size_t kBlock = 64;  // of SHA-256

// Key `seed`: every byte another one.
HmacKeyBytes key_bytes(unsigned seed) {
  HmacKeyBytes key{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<unsigned char>(seed + 37 * i);
  }
  return key;
}

template <typename Number>
std::string bytes_of(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

// What digest_of() makes a message of.
std::string framed(char label, const std::vector<std::uint64_t> &numbers,
                   const std::string &text) {
  std::string message(1, label);
  for (const std::uint64_t number : numbers) {
    message += bytes_of(number);
  }
  return message + bytes_of(static_cast<std::uint16_t>(text.size())) + text;
}

// What an HmacBeginning makes a beginning of.
std::string begun(char label, const std::string &text) {
  std::string message =
      std::string(1, label) + bytes_of(std::uint64_t{text.size()}) + text;
  message.resize((message.size() + kBlock - 1) / kBlock * kBlock);
  return message;
}

// A function of the shared library.  The static one, which the product has its
// SHA-256 from, would need all that libcrypto was built with for it.
template <typename Function>
Function openssl_function(const char *name) {
  static void *const library =
      dlopen(("libcrypto.so." + std::to_string(OPENSSL_SHLIB_VERSION)).c_str(),
             RTLD_NOW | RTLD_LOCAL);
  assert_non_null(library);
  void *const found = dlsym(library, name);
  assert_non_null(found);
  return reinterpret_cast<Function>(found);
}

Digest openssl_hmac(const HmacKeyBytes &key, const std::string &message) {
  static const auto hmac = openssl_function<decltype(&HMAC)>("HMAC");
  static const auto sha256 =
      openssl_function<decltype(&EVP_sha256)>("EVP_sha256");
  Digest digest{};
  unsigned size = 0;
  const auto *made = hmac(
      sha256(), key.data(), static_cast<int>(key.size()),
      reinterpret_cast<const unsigned char *>(message.data()), message.size(),
      reinterpret_cast<unsigned char *>(digest.data()), &size);
  assert_non_null(made);
  assert_int_equal(size, sizeof(digest));
  return digest;
}

// Across the padding and the blocks, with every byte, and longer than the two
// bytes of the length can say.
std::vector<std::string> texts() {
  std::vector<std::string> all = {std::string("a\0b", 3),
                                  std::string("\0\0", 2),
                                  "$y$j9T$salt$hash",
                                  "\xff\xfe",
                                  "päss wörd",
                                  std::string(100000, 'a')};
  for (std::size_t length = 0; length <= 4 * kBlock; ++length) {
    all.emplace_back(length, static_cast<char>(length));
  }
  return all;
}

void digest_equals_openssl(void ** /*state*/) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    const HmacKeyBytes bytes = key_bytes(seed);
    const HmacKey key(bytes);
    for (const std::string &text : texts()) {
      for (const char label : {'a', '\0', '\xff'}) {
        assert_true(key.digest_of(label, kNoNumbers, text) ==
                    openssl_hmac(bytes, framed(label, {}, text)));
        assert_true(key.digest_of(label, kNumbers, text) ==
                    openssl_hmac(
                        bytes, framed(label, {kNumbers.begin(), kNumbers.end()},
                                      text)));
      }
    }
  }
}

void digest_of_extreme_keys_equals_openssl(void ** /*state*/) {
  HmacKeyBytes key{};
  for (const unsigned byte : {0x00U, 0xffU, 0x36U, 0x5cU}) {
    key.fill(static_cast<unsigned char>(byte));
    assert_true(
        HmacKey(key).digest_of('a', kNumbers, "text") ==
        openssl_hmac(key,
                     framed('a', {kNumbers.begin(), kNumbers.end()}, "text")));
  }
}

void beginning_goes_on_as_one_message(void ** /*state*/) {
  const HmacKeyBytes bytes = key_bytes(1);
  const HmacKey key(bytes);
  for (const std::string &first : texts()) {
    const HmacBeginning beginning(key, 'n', first);
    // One beginning, several ends.
    for (const std::string text : {"", "b", "another"}) {
      assert_true(
          beginning.digest_of('a', kNoNumbers, text) ==
          openssl_hmac(bytes, begun('n', first) + framed('a', {}, text)));
    }
    assert_true(
        beginning.digest_of('a', kNumbers) ==
        openssl_hmac(bytes,
                     begun('n', first) +
                         framed('a', {kNumbers.begin(), kNumbers.end()}, "")));
  }
}

void beginning_state_is_that_of_key_and_text(void ** /*state*/) {
  const HmacKey key(key_bytes(1));
  std::set<std::array<std::uint64_t, 2>> seen;
  for (const std::string &text : texts()) {
    const auto state = HmacBeginning(key, 'n', text).state();
    assert_true(state == HmacBeginning(key, 'n', text).state());
    seen.insert(state);
  }
  assert_int_equal(seen.size(), texts().size());
  seen.insert(HmacBeginning(HmacKey(key_bytes(2)), 'n', "a").state());
  seen.insert(HmacBeginning(key, 'm', "a").state());
  assert_int_equal(seen.size(), texts().size() + 2);
}

void digest_splits_of_one_text_differ(void ** /*state*/) {
  const HmacKey key(key_bytes(1));
  // Zeros could pass for padding and for lengths, lengths for text.
  for (const std::string &text :
       {std::string("abcdefghijklmnop"), std::string(130, '\0'),
        std::string("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16)}) {
    std::set<Digest> seen;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      seen.insert(HmacBeginning(key, 'n', text.substr(0, i))
                      .digest_of('a', kNoNumbers, text.substr(i)));
    }
    assert_int_equal(seen.size(), text.size() + 1);
  }
}

void digest_labels_and_keys_separate(void ** /*state*/) {
  const HmacKey key(key_bytes(1));
  std::set<Digest> seen;
  for (unsigned label = 0; label < 256; ++label) {
    seen.insert(key.digest_of(static_cast<char>(label), kNumbers, "a"));
  }
  assert_int_equal(seen.size(), 256);
  for (std::size_t i = 0; i < kHmacKeySize * 8; ++i) {
    HmacKeyBytes other = key_bytes(1);
    other[i / 8] = static_cast<unsigned char>(other[i / 8] ^ (1U << (i % 8)));
    seen.insert(HmacKey(other).digest_of('a', kNumbers, "a"));
  }
  assert_int_equal(seen.size(), 256 + kHmacKeySize * 8);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(digest_equals_openssl),
      cmocka_unit_test(digest_of_extreme_keys_equals_openssl),
      cmocka_unit_test(beginning_goes_on_as_one_message),
      cmocka_unit_test(beginning_state_is_that_of_key_and_text),
      cmocka_unit_test(digest_splits_of_one_text_differ),
      cmocka_unit_test(digest_labels_and_keys_separate),
  };
  return cmocka_run_group_tests_name("hmac", tests, nullptr, nullptr);
}
