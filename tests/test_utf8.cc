// SPDX-License-Identifier: BSD-3-Clause
// UTF-8 exhaustively, against the C library's own decoder.
#include "pbstoken/base/utf8.h"

#include <iconv.h>

#include <array>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::next_code_point;
using testing::utf8;

constexpr char32_t kLastCodePoint = 0x10ffff;

bool is_surrogate(char32_t c) {
  return c >= 0xd800 && c <= 0xdfff;
}

// The first character of a text and how many bytes it has; none: 0.
struct Taken {
  char32_t code_point = 0;
  std::size_t length = 0;

  bool operator==(const Taken &) const = default;
};

Taken take(std::string_view text) {
  std::string_view rest = text;
  const auto c = take_code_point(&rest);
  // Only whole characters are taken, and only from the front.
  assert_true(rest.data() + rest.size() == text.data() + text.size());
  assert_true(c.has_value() == (rest.size() < text.size()));
  return {.code_point = c.value_or(0), .length = text.size() - rest.size()};
}

// The same by iconv(3), which is stopped after one character by the size of
// its output.  UTF-32 has neither surrogates nor anything above U+10FFFF.
class Reference {
 public:
  Reference() : state_(iconv_open("UTF-32LE", "UTF-8")) {}
  Reference(const Reference &) = delete;
  Reference &operator=(const Reference &) = delete;
  ~Reference() { iconv_close(state_); }

  [[nodiscard]] bool usable() const {
    return state_ != reinterpret_cast<iconv_t>(-1);
  }

  Taken take(std::string_view text) const {
    std::string copy(text);
    char *in = copy.data();
    std::size_t in_left = copy.size();
    std::array<unsigned char, 4> bytes{};
    char *out = reinterpret_cast<char *>(bytes.data());
    std::size_t out_left = bytes.size();
    iconv(state_, nullptr, nullptr, nullptr, nullptr);
    iconv(state_, &in, &in_left, &out, &out_left);
    if (out_left != 0) {
      return {};
    }
    char32_t c = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
      c = (c << 8U) | bytes[i];
    }
    return {.code_point = c, .length = text.size() - in_left};
  }

 private:
  iconv_t state_;
};

int open_reference(void **state) {
  auto *reference = new Reference;
  *state = reference;
  return reference->usable() ? 0 : -1;
}

int close_reference(void **state) {
  delete static_cast<Reference *>(*state);
  return 0;
}

void assert_agrees(const Reference &reference, std::string_view text) {
  const Taken expected = reference.take(text);
  const Taken actual = take(text);
  if (actual == expected) {
    return;
  }
  std::string hex;
  for (const char c : text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    hex += kHex[byte >> 4U];
    hex += kHex[byte & 0xfU];
  }
  fail_msg("%s: U+%04X in %zu bytes, not U+%04X in %zu", hex.c_str(),
           static_cast<unsigned>(actual.code_point), actual.length,
           static_cast<unsigned>(expected.code_point), expected.length);
}

std::string bytes(std::initializer_list<unsigned> values) {
  std::string text;
  for (const unsigned value : values) {
    text += static_cast<char>(value);
  }
  return text;
}

// Of what may stand third or fourth: around both ends of the continuation
// bytes, and the ends of the range.
constexpr std::array<unsigned, 8> kLater = {0x00, 0x41, 0x7f, 0x80,
                                            0x9a, 0xbf, 0xc0, 0xff};

void take_every_scalar_value_is_itself(void ** /*state*/) {
  for (char32_t c = 0; c <= kLastCodePoint; c = next_code_point(c)) {
    if (is_surrogate(c)) {
      continue;
    }
    const std::string text = utf8(c);
    const Taken expected = {.code_point = c, .length = text.size()};
    if (!(take(text) == expected && take(text + "\xbf" + text) == expected)) {
      fail_msg("U+%04X", static_cast<unsigned>(c));
    }
  }
}

void take_every_surrogate_is_refused(void ** /*state*/) {
  for (char32_t c = 0xd800; c <= 0xdfff; ++c) {
    assert_true(take(utf8(c)) == Taken{});
  }
}

void take_above_the_last_code_point_is_refused(void ** /*state*/) {
  for (char32_t c = kLastCodePoint + 1; c < 0x200000; c = next_code_point(c)) {
    assert_true(take(utf8(c)) == Taken{});
  }
}

void take_overlong_forms_are_refused(void ** /*state*/) {
  for (unsigned c = 0; c < 0x10000; ++c) {
    const unsigned last = 0x80U | (c & 0x3fU);
    const unsigned third = 0x80U | ((c >> 6U) & 0x3fU);
    const unsigned second = 0x80U | (c >> 12U);
    if (c < 0x80) {
      assert_true(take(bytes({0xc0U | (c >> 6U), last})) == Taken{});
    }
    if (c < 0x800) {
      assert_true(take(bytes({0xe0U, third, last})) == Taken{});
    }
    assert_true(take(bytes({0xf0U, second, third, last})) == Taken{});
  }
}

void take_every_truncation_is_refused(void ** /*state*/) {
  // One character of each length and of each end of its range.
  for (const char32_t c : {0x80U, 0x7ffU, 0x800U, 0xd7ffU, 0xe000U, 0xffffU,
                           0x10000U, 0x10ffffU}) {
    const std::string text = utf8(c);
    for (std::size_t length = 0; length < text.size(); ++length) {
      const std::string cut = text.substr(0, length);
      assert_true(take(cut) == Taken{});
      assert_true(length == 0 || take(cut + "a") == Taken{});
      assert_true(length == 0 || take(cut + text) == Taken{});
    }
  }
}

void take_one_and_two_bytes_agree_with_iconv(void **state) {
  const auto &reference = *static_cast<Reference *>(*state);
  for (unsigned first = 0; first < 256; ++first) {
    assert_agrees(reference, bytes({first}));
    for (unsigned second = 0; second < 256; ++second) {
      assert_agrees(reference, bytes({first, second}));
    }
  }
}

void take_three_bytes_agree_with_iconv(void **state) {
  const auto &reference = *static_cast<Reference *>(*state);
  for (unsigned first = 0x80; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      for (const unsigned third : kLater) {
        assert_agrees(reference, bytes({first, second, third}));
      }
    }
  }
}

void take_four_bytes_agree_with_iconv(void **state) {
  const auto &reference = *static_cast<Reference *>(*state);
  for (unsigned first = 0xe0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      for (const unsigned third : {0x7fU, 0x80U, 0xbfU, 0xc0U}) {
        for (const unsigned fourth : {0x7fU, 0x80U, 0xbfU, 0xc0U}) {
          assert_agrees(reference, bytes({first, second, third, fourth}));
        }
      }
    }
  }
}

void take_empty_view_is_nothing(void ** /*state*/) {
  std::string_view null_view;
  assert_false(take_code_point(&null_view).has_value());
  std::string_view end = slice("a", 1);
  assert_false(take_code_point(&end).has_value());
}

void take_stays_within_its_view(void ** /*state*/) {
  // What would complete the character lies behind the end of the view.
  const std::string text = utf8(0x1f600);
  for (std::size_t length = 0; length < text.size(); ++length) {
    assert_true(take(slice(text, 0, length)) == Taken{});
  }
}

void count_is_of_characters_and_stray_bytes(void ** /*state*/) {
  assert_int_equal(count_characters(""), 0);
  assert_int_equal(count_characters("abc"), 3);
  assert_int_equal(count_characters("aü€" + utf8(0x1f600)), 4);
  assert_int_equal(count_characters("u" + utf8(0x308)), 2);
  assert_int_equal(count_characters("a\xff\xc3"), 3);
}

void white_space_is_unicodes(void ** /*state*/) {
  std::string spaces;
  for (char32_t c = 0; c <= 0x10ffff; c = next_code_point(c)) {
    if (is_white_space(c)) {
      spaces += std::to_string(static_cast<unsigned>(c)) + " ";
    }
  }
  assert_text_equal(spaces,
                    "9 10 11 12 13 32 133 160 5760 8192 8193 8194 8195 8196 "
                    "8197 8198 8199 8200 8201 8202 8232 8233 8239 8287 12288 ");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(take_every_scalar_value_is_itself),
      cmocka_unit_test(take_every_surrogate_is_refused),
      cmocka_unit_test(take_above_the_last_code_point_is_refused),
      cmocka_unit_test(take_overlong_forms_are_refused),
      cmocka_unit_test(take_every_truncation_is_refused),
      cmocka_unit_test_setup_teardown(take_one_and_two_bytes_agree_with_iconv,
                                      open_reference, close_reference),
      cmocka_unit_test_setup_teardown(take_three_bytes_agree_with_iconv,
                                      open_reference, close_reference),
      cmocka_unit_test_setup_teardown(take_four_bytes_agree_with_iconv,
                                      open_reference, close_reference),
      cmocka_unit_test(take_empty_view_is_nothing),
      cmocka_unit_test(take_stays_within_its_view),
      cmocka_unit_test(count_is_of_characters_and_stray_bytes),
      cmocka_unit_test(white_space_is_unicodes),
  };
  return cmocka_run_group_tests_name("utf8", tests, nullptr, nullptr);
}
