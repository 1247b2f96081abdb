// SPDX-License-Identifier: BSD-3-Clause
// The keyed digests, against OpenSSL's one-shot HMAC over the same message,
// framed here by hand.
#include "pbstoken/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

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

std::string framed(char label, const Fields &fields) {
  std::string message(1, label);
  for (const std::string &field : fields) {
    const std::uint64_t size = field.size();
    std::array<char, sizeof(size)> length{};
    std::memcpy(length.data(), &size, sizeof(size));
    message.append(length.data(), length.size());
    message += field;
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

Digest ours(const HmacKey &key, char label, const Fields &fields) {
  Hmac hmac(key, label);
  for (const std::string &field : fields) {
    hmac.add(field);
  }
  return hmac.finish();
}

Digest ours(char label, const Fields &fields) {
  return ours(HmacKey(key_bytes(1)), label, fields);
}

void finish_many_messages_equals_openssl(void ** /*state*/) {
  const std::vector<Fields> all = {
      {},
      {""},
      {"", "", ""},
      {"a"},
      {"a@pbs!t", "$y$j9T$salt$hash", "secret"},
      {std::string("\0", 1)},
      {std::string("a\0b", 3), std::string("\0\0", 2)},
      {"\xff\xfe", "päss wörd"},
      Fields(200, "x"),
      {std::string(100000, 'a'), "b"},
  };
  for (unsigned seed = 0; seed < 3; ++seed) {
    const HmacKeyBytes key = key_bytes(seed);
    for (const Fields &fields : all) {
      for (const char label : {'a', 'b', '\0', '\xff'}) {
        assert_true(ours(HmacKey(key), label, fields) ==
                    openssl_hmac(key, framed(label, fields)));
      }
    }
  }
}

void finish_every_message_length_equals_openssl(void ** /*state*/) {
  // Across the padding and the blocks of SHA-256, 64 bytes each.
  const HmacKeyBytes key = key_bytes(9);
  const HmacKey prepared(key);
  for (std::size_t length = 0; length <= 260; ++length) {
    const Fields fields = {std::string(length, 'x'), "y"};
    assert_true(ours(prepared, 'l', fields) ==
                openssl_hmac(key, framed('l', fields)));
  }
}

void finish_extreme_keys_equal_openssl(void ** /*state*/) {
  HmacKeyBytes key{};
  for (const unsigned byte : {0x00U, 0xffU, 0x36U, 0x5cU}) {
    key.fill(static_cast<unsigned char>(byte));
    assert_true(ours(HmacKey(key), 'k', {"field"}) ==
                openssl_hmac(key, framed('k', {"field"})));
  }
}

void add_splits_of_one_text_differ(void ** /*state*/) {
  // Zeros could pass for lengths, lengths for text.
  for (const std::string &text :
       {std::string("abcdefghijklmnop"), std::string(24, '\0'),
        std::string("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16),
        std::string("$y$j9T$$y$j9T$")}) {
    std::set<Digest> seen;
    std::size_t made = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      for (std::size_t j = i; j <= text.size(); ++j) {
        seen.insert(ours(
            's', {text.substr(0, i), text.substr(i, j - i), text.substr(j)}));
        ++made;
      }
      seen.insert(ours('s', {text.substr(0, i), text.substr(i)}));
      ++made;
    }
    seen.insert(ours('s', {text}));
    assert_int_equal(seen.size(), made + 1);
  }
}

void add_order_and_count_of_fields_matter(void ** /*state*/) {
  const std::vector<Fields> all = {
      {},         {""},           {"", ""},   {"", "", ""}, {"a", "b"},
      {"b", "a"}, {"a", "b", ""}, {"ab"},     {"", "ab"},   {"ab", ""},
      {"a"},      {"b"},          {"a", "a"}, {"aa"},
  };
  std::set<Digest> seen;
  for (const Fields &fields : all) {
    seen.insert(ours('o', fields));
  }
  assert_int_equal(seen.size(), all.size());
}

void add_a_frame_as_a_field_is_another_message(void ** /*state*/) {
  const std::string frame = framed('f', {"a", "b"});
  assert_false(ours('f', {"a", "b"}) == ours('f', {frame.substr(1)}));
  assert_false(ours('f', {"a", "b"}) == ours('f', {frame}));
}

void finish_labels_and_keys_separate(void ** /*state*/) {
  std::set<Digest> seen;
  for (unsigned label = 0; label < 256; ++label) {
    seen.insert(ours(static_cast<char>(label), {"a", "b"}));
  }
  assert_int_equal(seen.size(), 256);
  for (std::size_t i = 0; i < kHmacKeySize * 8; ++i) {
    HmacKeyBytes key = key_bytes(1);
    key[i / 8] = static_cast<unsigned char>(key[i / 8] ^ (1U << (i % 8)));
    seen.insert(ours(HmacKey(key), 'a', {"a", "b"}));
  }
  assert_int_equal(seen.size(), 256 + kHmacKeySize * 8);
}

void finish_fields_with_nul_are_taken_whole(void ** /*state*/) {
  const std::vector<std::string> all = {
      "a",
      std::string("a\0", 2),
      std::string("a\0\0", 3),
      std::string("a\0b", 3),
      std::string("a\0c", 3),
      std::string("\0a", 2),
      "",
      std::string("\0", 1),
  };
  std::set<Digest> seen;
  for (const std::string &field : all) {
    seen.insert(ours('n', {field}));
  }
  assert_int_equal(seen.size(), all.size());
}

// Numbers have always 8 bytes, so they go without a length.
void add_numbers_is_their_bytes(void ** /*state*/) {
  const std::array<std::uint64_t, 3> numbers = {0, 0x0123456789abcdef,
                                                ~std::uint64_t{0}};
  const HmacKey key(key_bytes(1));
  for (std::size_t count = 0; count <= numbers.size(); ++count) {
    std::string message(1 + count * sizeof(numbers[0]), 'n');
    std::memcpy(message.data() + 1, numbers.data(), message.size() - 1);
    message += framed('x', {"end"}).substr(1);
    Hmac hmac(key, 'n');
    hmac.add(std::span<const std::uint64_t>(numbers.data(), count)).add("end");
    assert_true(hmac.finish() == openssl_hmac(key_bytes(1), message));
  }
}

void add_null_view_is_an_empty_field(void ** /*state*/) {
  const HmacKey key(key_bytes(1));
  Hmac hmac(key, 'e');
  hmac.add(std::string_view());
  assert_true(hmac.finish() == ours('e', {""}));
}

void finish_one_key_serves_interleaved_messages(void ** /*state*/) {
  const HmacKey key(key_bytes(1));
  Hmac first(key, 'i');
  Hmac second(key, 'i');
  first.add("a");
  second.add("c");
  first.add("b");
  second.add("d");
  assert_true(second.finish() == ours('i', {"c", "d"}));
  assert_true(first.finish() == ours('i', {"a", "b"}));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(finish_many_messages_equals_openssl),
      cmocka_unit_test(finish_every_message_length_equals_openssl),
      cmocka_unit_test(finish_extreme_keys_equal_openssl),
      cmocka_unit_test(add_splits_of_one_text_differ),
      cmocka_unit_test(add_order_and_count_of_fields_matter),
      cmocka_unit_test(add_a_frame_as_a_field_is_another_message),
      cmocka_unit_test(finish_labels_and_keys_separate),
      cmocka_unit_test(finish_fields_with_nul_are_taken_whole),
      cmocka_unit_test(add_numbers_is_their_bytes),
      cmocka_unit_test(add_null_view_is_an_empty_field),
      cmocka_unit_test(finish_one_key_serves_interleaved_messages),
  };
  return cmocka_run_group_tests_name("hmac", tests, nullptr, nullptr);
}
