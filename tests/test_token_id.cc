// SPDX-License-Identifier: BSD-3-Clause
// Token ids, by the table of upstream's grammar and around its edges.
#include "pbstoken/store/token_id.h"

#include <array>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::next_code_point;
using testing::utf8;

std::string repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) {
    all += text;
  }
  return all;
}

struct Token {
  std::string user;
  std::string realm;
  std::string name;
};

void assert_token(const Token &expected) {
  const std::string text =
      expected.user + "@" + expected.realm + "!" + expected.name;
  const auto id = parse_token_id(text);
  if (!id) {
    fail_msg("refused: %s", text.c_str());
  }
  assert_text_equal(id->text, text);
  assert_text_equal(id->user, expected.user);
  assert_text_equal(id->realm, expected.realm);
  assert_text_equal(id->name, expected.name);
}

void assert_no_token(std::string_view text) {
  if (parse_token_id(text)) {
    fail_msg("accepted: %s", std::string(text).c_str());
  }
}

void parse_tokens_of_the_table_gives_their_parts(void ** /*state*/) {
  const std::vector<Token> all = {
      {"john", "pbs", "client1"},      {"root", "pam", "a"},
      {"john", "pbs", "_x"},           {"john", "pbs", "x.y-z_9"},
      {"John", "PBS", "T1"},           {"john@example.com", "ad", "ci"},
      {"a!b", "pam", "tok"},           {"DOM\\user", "ad", "t1"},
      {"j\"q", "pbs", "t1"},           {"jürgen", "pbs", "t1"},
      {"john@", "pbs", "t"},           {"!", "pam", "t"},
      {"jo\u200bhn", "pbs", "t1"},     {"jo" + utf8(0x80) + "hn", "pbs", "t1"},
      {"john", repeat("r", 32), "t1"},
  };
  for (const Token &token : all) {
    assert_token(token);
  }
}

void parse_users_of_the_table_are_no_tokens(void ** /*state*/) {
  // The last of them is the user `john@pbs!tok` of the realm `en`.
  for (const char *text : {"john@pbs", "a!b@pam", "john@pbs!tok@en"}) {
    assert_no_token(text);
  }
}

void parse_invalid_ids_of_the_table_are_refused(void ** /*state*/) {
  const std::vector<std::string> all = {
      "john@" + repeat("r", 33) + "!t1",
      // Empty token names.
      "john@pbs!",
      "!@!",
      // Realms with a '!'.
      "john@pbs!tok!en",
      "john@pbs!!t",
      // Token names.
      "john@pbs!a b",
      "john@pbs!-x",
      "john@pbs!.x",
      "john@pbs!tök",
      "john@pbs!t1\n",
      // Realms.
      "john@p!t1",
      "john@-pbs!t1",
      // User names.
      "jo hn@pbs!t1",
      "jo:hn@pbs!t1",
      "jo/hn@pbs!t1",
      "@pbs!t1",
      "jo\u00a0hn@pbs!t1",
      "jo" + utf8(0x85) + "hn@pbs!t1",
      "jo\u3000hn@pbs!t1",
      "jo\x7fhn@pbs!t1",
      // Neither.
      "",
      "@",
      "john!t1",
  };
  for (const std::string &text : all) {
    assert_no_token(text);
  }
}

// The grammar's forbidden characters, written down apart from the code's.
bool is_forbidden(char32_t c) {
  constexpr std::array<char32_t, 10> kSingle = {
      0x20, 0x7f, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
  for (const char32_t single : kSingle) {
    if (c == single) {
      return true;
    }
  }
  return c < 0x20 || c == U':' || c == U'/' || (c >= 0x2000 && c <= 0x200a);
}

void parse_every_character_in_user_name_is_judged(void ** /*state*/) {
  for (char32_t c = 0; c <= 0x10ffff; c = next_code_point(c)) {
    if (c >= 0xd800 && c < 0xe000) {
      c = 0xe000;  // the surrogates have a test of their own
    }
    const std::string text = "j" + utf8(c) + "@pbs!t";
    if (static_cast<bool>(parse_token_id(text)) == is_forbidden(c)) {
      fail_msg("U+%04X: %s", static_cast<unsigned>(c),
               is_forbidden(c) ? "accepted" : "refused");
    }
  }
}

void parse_white_space_anywhere_in_user_name_is_refused(void ** /*state*/) {
  std::vector<char32_t> spaces = {0x9,    0xa,    0xb,    0xc,    0xd,
                                  0x20,   0x85,   0xa0,   0x1680, 0x2028,
                                  0x2029, 0x202f, 0x205f, 0x3000};
  for (char32_t c = 0x2000; c <= 0x200a; ++c) {
    spaces.push_back(c);
  }
  for (const char32_t c : spaces) {
    const std::string space = utf8(c);
    assert_no_token(space + "@pbs!t");
    assert_no_token(space + "john@pbs!t");
    assert_no_token("john" + space + "@pbs!t");
    assert_no_token("jo" + space + "hn@pbs!t");
  }
}

void parse_every_byte_in_realm_and_name_is_judged(void ** /*state*/) {
  constexpr std::string_view kFirst =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (c == '@' || c == '!') {
      continue;  // they move the borders
    }
    const bool first = kFirst.find(c) != std::string_view::npos;
    const bool later = first || c == '.' || c == '-';
    struct Place {
      std::string before;
      std::string after;
      bool allowed;
    };
    const std::array<Place, 6> places = {{
        {"john@", "bs!t", first},
        {"john@p", "s!t", later},
        {"john@pb", "!t", later},
        {"john@pbs!", "x", first},
        {"john@pbs!x", "y", later},
        {"john@pbs!x", "", later},
    }};
    for (const Place &place : places) {
      const std::string text = place.before + c + place.after;
      if (static_cast<bool>(parse_token_id(text)) != place.allowed) {
        fail_msg("byte %02x in %s", byte, text.c_str());
      }
    }
  }
}

void parse_bytes_that_end_c_strings_do_not_end_ids(void ** /*state*/) {
  for (const std::string_view text :
       {std::string_view("john@pbs!t\0", 11),
        std::string_view("john@pbs!t\0x", 12),
        std::string_view("\0john@pbs!t", 11),
        std::string_view("jo\0hn@pbs!t", 11),
        std::string_view("john@pbs\0!t", 11),
        std::string_view("john@pbs!\0t", 11),
        std::string_view("john\0@pbs!t", 11), std::string_view("\0", 1)}) {
    assert_no_token(text);
  }
}

void parse_trailing_newline_is_refused(void ** /*state*/) {
  for (const char *end : {"\n", "\r", "\r\n", " ", "\t", "\v", "\f"}) {
    assert_no_token(std::string("john@pbs!t1") + end);
    assert_no_token(std::string(end) + "john@pbs!t1");
    assert_no_token(std::string("john@pbs") + end + "!t1");
    assert_no_token(std::string("john") + end + "@pbs!t1");
  }
}

void parse_user_name_of_invalid_utf8_is_refused(void ** /*state*/) {
  for (const char *bytes : {
           "\x80",              // a continuation byte alone
           "\xbf",              //
           "\xc3",              // cut off before the '@'
           "\xe2\x82",          //
           "\xf0\x9f\x98",      //
           "\xc0\x80",          // NUL, overlong
           "\xc0\xaf",          // '/', overlong
           "\xe0\x80\xaf",      //
           "\xf0\x80\x80\xaf",  //
           "\xc1\xbf",          //
           "\xe0\x9f\xbf",      //
           "\xf0\x8f\xbf\xbf",  //
           "\xed\xa0\x80",      // surrogates
           "\xed\xad\xbf",      //
           "\xed\xae\x80",      //
           "\xed\xbf\xbf",      //
           "\xed\xa0\xbd\xed\xb8\x80",
           "\xf4\x90\x80\x80",  // above U+10FFFF
           "\xf7\xbf\xbf\xbf",
           "\xf8\x88\x80\x80\x80",
           "\xfc\x84\x80\x80\x80\x80",
           "\xfe",
           "\xff",
           "\xc3\x28",  // a lead byte without its continuation
           "\xe2\x28\xa1",
           "\xe2\x82\x28",
           "\xf0\x9f\x98\x28",
           "j\xfcrgen",  // Latin-1
       }) {
    const std::string user = bytes;
    assert_no_token(user + "@pbs!t");
    assert_no_token("jo" + user + "@pbs!t");
    assert_no_token(user + "hn@pbs!t");
  }
}

void parse_realm_of_two_to_thirty_two_is_accepted(void ** /*state*/) {
  for (std::size_t length = 0; length <= 40; ++length) {
    const std::string text = "john@" + repeat("r", length) + "!t";
    const bool allowed = length >= 2 && length <= 32;
    assert_true(static_cast<bool>(parse_token_id(text)) == allowed);
  }
}

void parse_last_at_and_last_mark_are_the_borders(void ** /*state*/) {
  const std::vector<Token> all = {
      {"a@b@c", "pam", "t"},     {"@", "pam", "t"},   {"@@", "pam", "t"},
      {"a!t@pbs!u", "pam", "t"}, {"!!", "pam", "t"},  {"a@pam!t", "pam", "t"},
      {"--store=x", "pbs", "t"}, {"#", "pbs", "t"},   {"*", "pbs", "0"},
      {"'", "pbs", "0"},         {"a=b", "pbs", "t"}, {"\ufeff", "pbs", "t"},
  };
  for (const Token &token : all) {
    assert_token(token);
  }
  for (const char *text :
       {"!", "!t", "@!", "@!t", "a@!t", "!a@pam", "a!t@", "a@pam!t@", "@@@",
        "!!!", "a@pam!t@pam", "a@pa!m!t", "a@pam!t!", "!a@", "a@pam"}) {
    assert_no_token(text);
  }
}

void parse_very_long_ids_are_read(void ** /*state*/) {
  constexpr std::size_t kMany = 1 << 17;  // longer than any place of ours
  assert_token({repeat("u", kMany), "pbs", "t"});
  assert_token({repeat("ü", kMany), "pbs", "t"});
  assert_token({repeat("@", kMany), "pbs", "t"});
  assert_token({repeat("!", kMany), "pbs", "t"});
  assert_token({"john", "pbs", repeat("t", kMany)});
  assert_no_token("john@" + repeat("r", kMany) + "!t");
  assert_no_token("john@pbs" + repeat("!", kMany) + "t");
  assert_no_token(repeat("@", kMany));
  assert_no_token(repeat("!", kMany));
}

struct Written {
  std::string text;
  bool writable;
};

void is_writable_counts_characters_and_not_bytes(void ** /*state*/) {
  // "@pbs!t" has six characters.
  const std::vector<Written> all = {
      {"a@pbs!t", true},
      {repeat("u", 58) + "@pbs!t", true},
      {repeat("u", 59) + "@pbs!t", false},
      {repeat("ü", 58) + "@pbs!t", true},
      {repeat("ü", 59) + "@pbs!t", false},
      {repeat("€", 58) + "@pbs!t", true},
      {repeat("€", 59) + "@pbs!t", false},
      {repeat("😀", 58) + "@pbs!t", true},
      {repeat("😀", 59) + "@pbs!t", false},
      {"a@pbs!" + repeat("t", 58), true},
      {"a@pbs!" + repeat("t", 59), false},
      {repeat("u", 1 << 20) + "@pbs!t", false},
      // A combining character counts, as for upstream.
      {repeat("u\u0308", 29) + "@pbs!t", true},
      {repeat("u\u0308", 29) + "u@pbs!t", false},
  };
  for (const Written &written : all) {
    const auto id = parse_token_id(written.text);
    assert_true(id.has_value());
    if (is_writable(*id) != written.writable) {
      fail_msg("%s", written.text.c_str());
    }
  }
}

// --- users

void is_user_id_tells_users_from_tokens_and_others(void ** /*state*/) {
  for (const std::string &user :
       {std::string("john@pbs"), std::string("a!b@pam"), std::string("!@pam"),
        std::string("john@pbs!tok@en"), std::string("jürgen@pbs"),
        "john@" + repeat("r", 32), std::string("john@@pbs")}) {
    if (!is_user_id(user)) {
      fail_msg("refused: %s", user.c_str());
    }
  }
  for (const std::string &other :
       {std::string("john@pbs!t1"), std::string("john@pbs!"),
        std::string("john"), std::string("@pbs"), std::string("john@"),
        std::string("john@p"), "john@" + repeat("r", 33), std::string("@"),
        std::string(), std::string("jo hn@pbs"), std::string("jo:hn@pbs"),
        std::string("john@pbs\n"), std::string("john@pb s"),
        std::string("\xff@pbs")}) {
    if (is_user_id(other)) {
      fail_msg("accepted: %s", other.c_str());
    }
  }
}

// By upstream's pattern, which leaves the length of a realm open.
void has_form_takes_a_realm_of_any_length(void ** /*state*/) {
  for (const std::string &user :
       {std::string("x@y"), "john@" + repeat("r", 33), std::string("a@pbs")}) {
    assert_true(has_user_form(user));
    assert_false(has_token_form(user));
    assert_true(has_token_form(user + "!t"));
    assert_false(has_user_form(user + "!t"));
  }
  for (const char *other : {"", "@", "@y", "x@", "x@-y", "a b@y", "x@y!"}) {
    assert_false(has_user_form(other));
    assert_false(has_token_form(std::string(other) + "!t"));
  }
}

void user_id_of_ends_before_the_last_mark(void ** /*state*/) {
  for (const char *user : {"john@pbs", "a!b@pam", "john@example.com@ad"}) {
    const std::string text = std::string(user) + "!t1";
    const auto id = parse_token_id(text);
    assert_true(id.has_value());
    assert_text_equal(user_id_of(*id), user);
    assert_true(is_user_id(user_id_of(*id)));
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(parse_tokens_of_the_table_gives_their_parts),
      cmocka_unit_test(parse_users_of_the_table_are_no_tokens),
      cmocka_unit_test(parse_invalid_ids_of_the_table_are_refused),
      cmocka_unit_test(parse_every_character_in_user_name_is_judged),
      cmocka_unit_test(parse_white_space_anywhere_in_user_name_is_refused),
      cmocka_unit_test(parse_every_byte_in_realm_and_name_is_judged),
      cmocka_unit_test(parse_bytes_that_end_c_strings_do_not_end_ids),
      cmocka_unit_test(parse_trailing_newline_is_refused),
      cmocka_unit_test(parse_user_name_of_invalid_utf8_is_refused),
      cmocka_unit_test(parse_realm_of_two_to_thirty_two_is_accepted),
      cmocka_unit_test(parse_last_at_and_last_mark_are_the_borders),
      cmocka_unit_test(parse_very_long_ids_are_read),
      cmocka_unit_test(is_writable_counts_characters_and_not_bytes),
      cmocka_unit_test(is_user_id_tells_users_from_tokens_and_others),
      cmocka_unit_test(has_form_takes_a_realm_of_any_length),
      cmocka_unit_test(user_id_of_ends_before_the_last_mark),
  };
  return cmocka_run_group_tests_name("token_id", tests, nullptr, nullptr);
}
