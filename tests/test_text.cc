// SPDX-License-Identifier: BSD-3-Clause
// The small owners of bytes: FixedText, Buffer, Secret; and how an Error is
// told.
#include "pbstoken/base/text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/secret.h"
#include "support.h"

namespace {

// What was wiped last.
struct Wiped {
  const void *bytes;
  std::size_t size;
};
Wiped last_wiped = {};

}  // namespace

// In place of libc's, which has two: the second with _FORTIFY_SOURCE.
extern "C" void hooked_wipe(void *bytes, size_t size) __asm__("explicit_bzero");
extern "C" void hooked_wipe(void *bytes, size_t size) {
  std::fill_n(static_cast<volatile char *>(bytes), size, '\0');
  last_wiped = {bytes, size};
}
extern "C" void hooked_checked_wipe(
    void *bytes, size_t size, size_t most) __asm__("__explicit_bzero_chk");
extern "C" void hooked_checked_wipe(void *bytes, size_t size, size_t /*most*/) {
  hooked_wipe(bytes, size);
}

namespace pbstoken {
namespace {

void append_up_to_capacity_is_kept(void ** /*state*/) {
  FixedText<5> text;
  assert_true(text.empty());
  assert_string_equal(text.c_str(), "");
  text.append("ab").append("").append("cde");
  assert_text_equal(text.view(), "abcde");
  assert_string_equal(text.c_str(), "abcde");
  assert_false(text.truncated());
  assert_false(text.empty());
}

void append_beyond_capacity_is_cut_off_and_remembered(void ** /*state*/) {
  FixedText<5> text("abc");
  text.append("def");
  assert_text_equal(text.view(), "abcde");
  assert_string_equal(text.c_str(), "abcde");
  assert_true(text.truncated());
  text.append("").append("x");
  assert_text_equal(text.view(), "abcde");
  assert_true(text.truncated());
  text.clear();
  assert_text_equal(text.view(), "");
  assert_string_equal(text.c_str(), "");
  assert_false(text.truncated());
  text.append("xyz");
  assert_string_equal(text.c_str(), "xyz");
}

void append_empty_to_full_text_is_not_truncation(void ** /*state*/) {
  FixedText<3> text("abc");
  text.append("").append(std::string_view());
  assert_false(text.truncated());
  FixedText<0> nothing;
  assert_false(nothing.append("").truncated());
  assert_true(nothing.append("a").truncated());
  assert_string_equal(nothing.c_str(), "");
}

void construct_too_long_is_truncated(void ** /*state*/) {
  const FixedText<4> text("abcde");
  assert_text_equal(text.view(), "abcd");
  assert_true(text.truncated());
  assert_false(FixedText<5>("abcde").truncated());
}

void append_nul_is_a_byte_like_others(void ** /*state*/) {
  const FixedText<8> text(std::string_view("a\0b", 3));
  assert_int_equal(text.view().size(), 3);
  assert_true(text.view() == std::string_view("a\0b", 3));
}

void append_number_is_decimal(void ** /*state*/) {
  struct Number {
    std::uint64_t number;
    const char *text;
  };
  constexpr std::array<Number, 8> kNumbers = {{
      {0, "0"},
      {7, "7"},
      {10, "10"},
      {99, "99"},
      {100, "100"},
      {4294967296, "4294967296"},
      {9999999999999999999U, "9999999999999999999"},
      {~std::uint64_t{0}, "18446744073709551615"},
  }};
  for (const Number &number : kNumbers) {
    FixedText<20> text;
    text.append(number.number);
    assert_text_equal(text.view(), number.text);
    assert_false(text.truncated());
  }
  FixedText<4> narrow("n=");
  narrow.append(std::uint64_t{1234});
  assert_text_equal(narrow.view(), "n=12");
  assert_true(narrow.truncated());
}

void append_hex_is_two_digits_in_lower_case(void ** /*state*/) {
  FixedText<9> text;
  for (const unsigned byte : {0x00U, 0x9fU, 0xa0U, 0xffU}) {
    text.append_hex(static_cast<std::uint8_t>(byte));
  }
  assert_text_equal(text.view(), "009fa0ff");
  assert_false(text.truncated());
  assert_text_equal(text.append_hex(0x12).view(), "009fa0ff1");
  assert_true(text.truncated());
}

void append_escaped_every_byte_stays_on_one_line(void ** /*state*/) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    FixedText<8> text;
    text.append_escaped(std::string_view(&c, 1));
    if (byte < 0x20 || byte == 0x7f || c == '\\') {
      constexpr std::string_view kHex = "0123456789abcdef";
      const std::string expected = {'\\', 'x', kHex[byte / 16],
                                    kHex[byte % 16]};
      assert_text_equal(text.view(), expected);
    } else {
      assert_true(text.view() == std::string_view(&c, 1));
    }
  }
}

// They would show another text than what stands there.
void append_escaped_hidden_characters_are_seen(void ** /*state*/) {
  for (const auto &[text, expected] :
       std::vector<std::pair<std::string, std::string>>{
           {"a\u202eb", "a\\xe2\\x80\\xaeb"},  // right-to-left override
           {"a\u200bb", "a\\xe2\\x80\\x8bb"},  // zero width space
           {"\u2066", "\\xe2\\x81\\xa6"},      // left-to-right isolate
           {"\ufeff", "\\xef\\xbb\\xbf"},      // byte order mark
           {"\u061c", "\\xd8\\x9c"},           // Arabic letter mark
           {"\u2010\u2030\u2070\ufefe", "\u2010\u2030\u2070\ufefe"},
           {"\u65e5\u672c", "\u65e5\u672c"},
           {"\xe2\x80", "\xe2\x80"}}) {
    assert_text_equal(FixedText<64>().append_escaped(text).view(), expected);
  }
}

void append_escaped_texts_cannot_be_taken_for_each_other(void ** /*state*/) {
  const FixedText<40> real = FixedText<40>().append_escaped("a\nb");
  const FixedText<40> written = FixedText<40>().append_escaped("a\\x0ab");
  assert_text_equal(real.view(), "a\\x0ab");
  assert_text_equal(written.view(), "a\\x5cx0ab");
}

void append_escaped_too_long_is_truncated(void ** /*state*/) {
  FixedText<6> text;
  text.append_escaped("abc\n");
  assert_true(text.truncated());
  assert_int_equal(text.view().size(), 6);
  assert_true(text.view().starts_with("abc"));
  text.clear();
  text.append_escaped(std::string(100000, '\1'));
  assert_true(text.truncated());
  assert_int_equal(text.view().size(), 6);
}

void slice_stays_within_the_text(void ** /*state*/) {
  struct Slice {
    std::size_t from;
    std::size_t count;
    const char *expected;
  };
  constexpr std::size_t kAll = std::string_view::npos;
  constexpr std::array<Slice, 13> kSlices = {{
      {0, kAll, "abcd"},
      {0, 4, "abcd"},
      {0, 5, "abcd"},
      {0, 0, ""},
      {1, 2, "bc"},
      {3, 1, "d"},
      {3, 2, "d"},
      {3, kAll, "d"},
      {4, 0, ""},
      {4, kAll, ""},
      {5, 1, ""},
      {kAll, kAll, ""},
      {1, kAll - 1, "bcd"},
  }};
  for (const Slice &part : kSlices) {
    assert_text_equal(slice("abcd", part.from, part.count), part.expected);
  }
  assert_text_equal(slice("abcd", 2), "cd");
  assert_text_equal(slice("", 0), "");
  assert_text_equal(slice({}, 1), "");
}

void buffer_new_is_empty(void ** /*state*/) {
  const Buffer buffer;
  assert_int_equal(buffer.size(), 0);
  assert_true(buffer.view().empty());
  assert_int_equal(buffer.free_size(), 0);
}

void buffer_append_grows_and_keeps(void ** /*state*/) {
  Buffer buffer;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string part = std::to_string(i);
    assert_true(buffer.append(part));
    expected += part;
  }
  assert_true(buffer.view() == expected);
  assert_true(buffer.append(""));
  assert_true(buffer.append(std::string_view()));
  assert_true(buffer.view() == expected);
}

void buffer_append_around_the_capacity_is_kept(void ** /*state*/) {
  for (const std::size_t before : {0U, 1U, 15U}) {
    for (const std::size_t added : {0U, 1U, 14U, 15U, 16U, 17U, 64U}) {
      Buffer buffer;
      assert_true(buffer.reserve(16));
      assert_true(buffer.append(std::string(before, 'a')));
      assert_true(buffer.append(std::string(added, 'b')));
      assert_true(buffer.view() ==
                  std::string(before, 'a') + std::string(added, 'b'));
    }
  }
  // To the last byte of its own capacity nothing moves.
  Buffer buffer;
  assert_true(buffer.reserve(16));
  const char *place = buffer.data();
  assert_true(buffer.append(std::string(buffer.free_size(), 'c')));
  assert_true(buffer.data() == place);
  assert_int_equal(buffer.free_size(), 0);
  assert_true(buffer.append("d"));
  assert_true(buffer.view() == std::string(16, 'c') + "d");
}

void buffer_that_grows_wipes_what_it_leaves(void ** /*state*/) {
  Buffer buffer;
  assert_true(buffer.append("a secret"));
  const void *before = buffer.data();
  last_wiped = {};
  assert_true(buffer.append(std::string(1000, 'x')));
  assert_ptr_equal(last_wiped.bytes, before);
  assert_true(last_wiped.size >= std::string_view("a secret").size());
}

void buffer_reserve_less_changes_nothing(void ** /*state*/) {
  Buffer buffer;
  assert_true(buffer.append("abc"));
  const std::size_t room = buffer.free_size();
  assert_true(buffer.reserve(0));
  assert_true(buffer.reserve(3));
  assert_int_equal(buffer.free_size(), room);
  assert_text_equal(buffer.view(), "abc");
}

void buffer_filled_from_outside_counts(void ** /*state*/) {
  Buffer buffer;
  assert_true(buffer.append("ab"));
  assert_true(buffer.reserve(10));
  assert_true(buffer.free_size() >= 8);
  buffer.free_space()[0] = 'c';
  buffer.free_space()[1] = 'd';
  buffer.add_filled(2);
  assert_text_equal(buffer.view(), "abcd");
  assert_true(buffer.append("e"));
  assert_text_equal(buffer.view(), "abcde");
}

void buffer_drop_last_takes_one_byte(void ** /*state*/) {
  Buffer buffer;
  assert_true(buffer.append("ab"));
  buffer.drop_last();
  assert_text_equal(buffer.view(), "a");
  assert_true(buffer.append("c"));
  assert_text_equal(buffer.view(), "ac");
  buffer.drop_last();
  buffer.drop_last();
  assert_true(buffer.view().empty());
}

void buffer_move_leaves_nothing_behind(void ** /*state*/) {
  Buffer from;
  assert_true(from.append("abc"));
  Buffer to(std::move(from));
  assert_text_equal(to.view(), "abc");
  assert_int_equal(from.size(), 0);  // NOLINT: what the moved-from one holds
  Buffer third;
  assert_true(third.append("old"));
  third = std::move(to);
  assert_text_equal(third.view(), "abc");
  assert_int_equal(to.size(), 0);  // NOLINT
  assert_true(to.append("new"));
  assert_text_equal(to.view(), "new");
}

void secret_assign_up_to_511_bytes_is_kept(void ** /*state*/) {
  Secret secret;
  assert_int_equal(secret.view().size(), 0);
  assert_string_equal(secret.c_str(), "");
  for (const std::size_t size : {0U, 1U, 510U, 511U}) {
    const std::string text(size, 's');
    assert_true(secret.assign(text));
    assert_true(secret.view() == text);
    assert_string_equal(secret.c_str(), text.c_str());
  }
}

void secret_assign_too_long_is_empty(void ** /*state*/) {
  for (const std::size_t size : {512U, 513U, 100000U}) {
    Secret secret;
    assert_true(secret.assign("before"));
    assert_false(secret.assign(std::string(size, 's')));
    assert_int_equal(secret.view().size(), 0);
    assert_string_equal(secret.c_str(), "");
  }
}

void secret_assign_shorter_leaves_nothing_of_the_longer(void ** /*state*/) {
  Secret secret;
  assert_true(secret.assign("a long secret"));
  assert_true(secret.assign("b"));
  assert_string_equal(secret.c_str(), "b");
  const std::array<char, kMaxSecret> zeros{};
  assert_memory_equal(secret.c_str() + 1, zeros.data(), zeros.size());
}

void secret_append_overflow_leaves_it_unchanged(void ** /*state*/) {
  Secret secret;
  assert_true(secret.append(std::string(500, 'a')));
  assert_false(secret.append(std::string(12, 'b')));
  assert_true(secret.view() == std::string(500, 'a'));
  assert_int_equal(secret.c_str()[500], 0);
  assert_true(secret.append(std::string(11, 'b')));
  assert_true(secret.view() == std::string(500, 'a') + std::string(11, 'b'));
  assert_int_equal(secret.c_str()[511], 0);
  assert_false(secret.append("c"));
  assert_true(secret.append(""));
  assert_true(secret.append(std::string_view()));
  assert_int_equal(secret.view().size(), 511);
}

void secret_clear_wipes(void ** /*state*/) {
  Secret secret;
  assert_true(secret.assign(std::string(511, 's')));
  secret.clear();
  assert_int_equal(secret.view().size(), 0);
  const std::array<char, kMaxSecret + 1> zeros{};
  assert_memory_equal(secret.c_str(), zeros.data(), zeros.size());
}

void is_acceptable_secret_by_length(void ** /*state*/) {
  struct Length {
    std::size_t length;
    bool acceptable;
  };
  constexpr std::array<Length, 7> kLengths = {{{0, false},
                                               {1, true},
                                               {36, true},
                                               {510, true},
                                               {511, true},
                                               {512, false},
                                               {1U << 20U, false}}};
  for (const Length &length : kLengths) {
    assert_true(is_acceptable_secret(std::string(length.length, 'a')) ==
                length.acceptable);
  }
}

void is_acceptable_secret_by_every_byte(void ** /*state*/) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool acceptable = byte >= 0x20 && byte != 0x7f;
    const std::string c(1, static_cast<char>(byte));
    for (const std::string &secret : {c, c + "ab", "a" + c + "b", "ab" + c}) {
      assert_true(is_acceptable_secret(secret) == acceptable);
    }
  }
  for (const char *secret : {" ", "päss wörd", "a:b", "\xff", "\xc2\x85"}) {
    assert_true(is_acceptable_secret(secret));
  }
}

Error error_of_open(int number) {
  errno = number;
  return system_error("cannot open", "/etc/proxmox-backup/token.shadow");
}

void system_error_has_code_and_reason(void ** /*state*/) {
  struct Number {
    int number;
    Errc code;
    const char *message;
  };
  constexpr std::array<Number, 4> kNumbers = {{
      {EACCES, Errc::kSystem,
       "cannot open /etc/proxmox-backup/token.shadow: Permission denied"},
      {ENOENT, Errc::kNotFound,
       "cannot open /etc/proxmox-backup/token.shadow: No such file or "
       "directory"},
      {ENOMEM, Errc::kNoMemory,
       "cannot open /etc/proxmox-backup/token.shadow: Cannot allocate memory"},
      {99999, Errc::kSystem,
       "cannot open /etc/proxmox-backup/token.shadow: unknown error"},
  }};
  for (const Number &number : kNumbers) {
    const Error error = error_of_open(number.number);
    assert_true(error.code == number.code);
    assert_int_equal(error.saved_errno, number.number);
    assert_text_equal(describe(error).view(), number.message);
  }
}

Error placed(std::uint64_t line, std::uint64_t column, const char *subject,
             const char *why) {
  Error error =
      plain_error(Errc::kBadConfiguration, "unknown key", "/a.conf", why);
  error.line = line;
  error.column = column;
  error.subject.append_escaped(subject);
  return error;
}

void describe_every_form_is_one_line(void ** /*state*/) {
  struct Form {
    Error error;
    const char *message;
  };
  const std::vector<Form> forms = {
      {placed(3, 0, "cache_tll", nullptr), "/a.conf:3: cache_tll: unknown key"},
      {placed(3, 7, "cache_tll", nullptr),
       "/a.conf:3:7: cache_tll: unknown key"},
      {placed(3, 7, "", nullptr), "/a.conf:3:7: unknown key"},
      {placed(3, 7, "", "a reason"), "/a.conf:3:7: unknown key: a reason"},
      {placed(0, 0, "", nullptr), "unknown key /a.conf"},
      {placed(0, 0, "", "a reason"), "unknown key /a.conf: a reason"},
      {placed(0, 0, "cache_tll", "a reason"),
       "unknown key cache_tll /a.conf: a reason"},
      // Without a line there is no column.
      {placed(0, 7, "", nullptr), "unknown key /a.conf"},
      {plain_error(Errc::kUnsafe, "cannot do it", {}), "cannot do it"},
      {plain_error(Errc::kUnsafe, "cannot do it", {}, "why not"),
       "cannot do it: why not"},
      {no_memory("cannot hash"), "cannot hash: out of memory"},
      {placed(~std::uint64_t{0}, ~std::uint64_t{0}, "", nullptr),
       "/a.conf:18446744073709551615:18446744073709551615: unknown key"},
  };
  for (const Form &form : forms) {
    assert_text_equal(describe(form.error).view(), form.message);
  }
}

void describe_outside_text_is_escaped_and_bounded(void ** /*state*/) {
  const Error error =
      plain_error(Errc::kUnsafe, "cannot use", "/a\nb\x1b[2J\x7f\\c", "why");
  assert_text_equal(describe(error).view(),
                    "cannot use /a\\x0ab\\x1b[2J\\x7f\\x5cc: why");
  const std::string long_path(100000, '\n');
  const Error too_long = plain_error(Errc::kUnsafe, "cannot use", long_path);
  assert_true(describe(too_long).view().size() <= 511);
  assert_true(describe(too_long).view().find('\n') == std::string_view::npos);
}

void describe_does_not_change_errno(void ** /*state*/) {
  const Error error = error_of_open(EACCES);
  errno = EPIPE;
  static_cast<void>(describe(error));
  assert_int_equal(errno, EPIPE);
}

void result_holds_a_value_or_an_error(void ** /*state*/) {
  const Result<int> value(7);
  assert_true(static_cast<bool>(value));
  assert_int_equal(*value, 7);
  const Result<int> failed(no_memory("cannot count"));
  assert_false(static_cast<bool>(failed));
  assert_true(failed.error().code == Errc::kNoMemory);
  assert_true(static_cast<bool>(Result<void>()));
  const Result<void> nothing(no_memory("cannot do"));
  assert_false(static_cast<bool>(nothing));
  assert_string_equal(nothing.error().what, "cannot do");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(append_up_to_capacity_is_kept),
      cmocka_unit_test(append_beyond_capacity_is_cut_off_and_remembered),
      cmocka_unit_test(append_empty_to_full_text_is_not_truncation),
      cmocka_unit_test(construct_too_long_is_truncated),
      cmocka_unit_test(append_nul_is_a_byte_like_others),
      cmocka_unit_test(append_number_is_decimal),
      cmocka_unit_test(append_hex_is_two_digits_in_lower_case),
      cmocka_unit_test(append_escaped_every_byte_stays_on_one_line),
      cmocka_unit_test(append_escaped_hidden_characters_are_seen),
      cmocka_unit_test(append_escaped_texts_cannot_be_taken_for_each_other),
      cmocka_unit_test(append_escaped_too_long_is_truncated),
      cmocka_unit_test(slice_stays_within_the_text),
      cmocka_unit_test(buffer_new_is_empty),
      cmocka_unit_test(buffer_append_grows_and_keeps),
      cmocka_unit_test(buffer_append_around_the_capacity_is_kept),
      cmocka_unit_test(buffer_that_grows_wipes_what_it_leaves),
      cmocka_unit_test(buffer_reserve_less_changes_nothing),
      cmocka_unit_test(buffer_filled_from_outside_counts),
      cmocka_unit_test(buffer_drop_last_takes_one_byte),
      cmocka_unit_test(buffer_move_leaves_nothing_behind),
      cmocka_unit_test(secret_assign_up_to_511_bytes_is_kept),
      cmocka_unit_test(secret_assign_too_long_is_empty),
      cmocka_unit_test(secret_assign_shorter_leaves_nothing_of_the_longer),
      cmocka_unit_test(secret_append_overflow_leaves_it_unchanged),
      cmocka_unit_test(secret_clear_wipes),
      cmocka_unit_test(is_acceptable_secret_by_length),
      cmocka_unit_test(is_acceptable_secret_by_every_byte),
      cmocka_unit_test(system_error_has_code_and_reason),
      cmocka_unit_test(describe_every_form_is_one_line),
      cmocka_unit_test(describe_outside_text_is_escaped_and_bounded),
      cmocka_unit_test(describe_does_not_change_errno),
      cmocka_unit_test(result_holds_a_value_or_an_error),
  };
  return cmocka_run_group_tests_name("text", tests, nullptr, nullptr);
}
