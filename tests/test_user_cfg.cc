// SPDX-License-Identifier: BSD-3-Clause
// user.cfg as upstream reads it, and who counts by it.
#include "pbstoken/store/user_cfg.h"

#include <sys/stat.h>

#include <array>
#include <optional>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;
using testing::terminated;
using testing::utf8;

const PathText kPath("/some/user.cfg");

Result<UserCfg> parse(std::string_view text) {
  return UserCfg::parse(terminated(text), kPath);
}

// Of a text that is expected to be good.
UserCfg parsed(std::string_view text) {
  auto cfg = parse(text);
  if (!cfg) {
    fail_msg("refused: %s: %s", std::string(text).c_str(),
             describe(cfg.error()).c_str());
  }
  return std::move(*cfg);
}

std::string name_of(AccountStatus status) {
  switch (status) {
    case AccountStatus::kNoUser:
      return "no user";
    case AccountStatus::kNoToken:
      return "no token";
    case AccountStatus::kDisabledUser:
      return "disabled user";
    case AccountStatus::kDisabledToken:
      return "disabled token";
    case AccountStatus::kAllowed:
      return "allowed";
  }
  return "?";
}

std::string judged(const UserCfg &cfg, std::string_view id) {
  const AccountVerdict verdict = cfg.judge(*parse_token_id(id));
  return name_of(verdict.status) +
         (verdict.expires == 0 ? ""
                               : " until " + std::to_string(verdict.expires));
}

std::string judged(std::string_view text, std::string_view id) {
  return judged(parsed(text), id);
}

constexpr const char *kExample = R"(user: john@pbs
	comment An example

token: john@pbs!client1

token: john@pbs!off
	enable false

token: john@pbs!gone
	expire 1700000000

user: locked@pbs
	enable 0

token: locked@pbs!t1
	enable true

token: ghost@pbs!t1

token: root@pam!old
	expire 0
)";

// --- who counts

void judge_the_example_gives_its_answers(void ** /*state*/) {
  const UserCfg cfg = parsed(kExample);
  assert_text_equal(judged(cfg, "john@pbs!client1"), "allowed");
  assert_text_equal(judged(cfg, "root@pam!old"), "allowed");
  assert_text_equal(judged(cfg, "john@pbs!off"), "disabled token");
  assert_text_equal(judged(cfg, "john@pbs!gone"), "allowed until 1700000000");
  assert_text_equal(judged(cfg, "locked@pbs!t1"), "disabled user");
  assert_text_equal(judged(cfg, "ghost@pbs!t1"), "no user");
  assert_text_equal(judged(cfg, "john@pbs!other"), "no token");
  assert_text_equal(judged(cfg, "root@pam!new"), "no token");
}

void judge_expiry_is_the_earlier_that_is_one(void ** /*state*/) {
  struct Case {
    const char *user;
    const char *token;
    const char *expected;
  };
  constexpr std::array<Case, 6> kCases = {{
      {"0", "0", "allowed"},
      {"0", "7", "allowed until 7"},
      {"7", "0", "allowed until 7"},
      {"7", "8", "allowed until 7"},
      {"8", "7", "allowed until 7"},
      {"9223372036854775807", "0", "allowed until 9223372036854775807"},
  }};
  for (const Case &c : kCases) {
    const std::string text = std::string("user: a@pbs\n\texpire ") + c.user +
                             "\n\ntoken: a@pbs!t\n\texpire " + c.token + "\n";
    assert_text_equal(judged(text, "a@pbs!t"), c.expected);
  }
}

void judge_root_needs_no_section_but_obeys_one(void ** /*state*/) {
  assert_text_equal(judged("", "root@pam!t"), "no token");
  assert_text_equal(judged("token: root@pam!t\n", "root@pam!t"), "allowed");
  assert_text_equal(
      judged("token: root@pam!t\n\nuser: root@pam\n\tenable 0\n", "root@pam!t"),
      "disabled user");
  assert_text_equal(
      judged("token: root@pam!t\n\nuser: root@pam\n\texpire 5\n", "root@pam!t"),
      "allowed until 5");
  for (const char *other : {"root@pbs!t", "Root@pam!t", "root@PAM!t"}) {
    assert_text_equal(judged(std::string("token: ") + other + "\n", other),
                      "no user");
  }
}

void judge_other_case_is_another_id(void ** /*state*/) {
  const UserCfg cfg = parsed("user: a@pbs\n\ntoken: a@pbs!t\n");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  assert_text_equal(judged(cfg, "A@pbs!t"), "no user");
  assert_text_equal(judged(cfg, "a@pbs!T"), "no token");
  assert_text_equal(judged(cfg, "a@pbs!tt"), "no token");
}

void judge_repeated_section_replaces_the_earlier(void ** /*state*/) {
  const UserCfg cfg = parsed(
      "user: a@pbs\n\tenable 0\n\texpire 5\n\n"
      "token: a@pbs!t\n\texpire 6\n\tcomment first\n\n"
      "user: b@pbs\n\n"
      "user: a@pbs\n\n"
      "token: a@pbs!t\n\n"
      "token: a@pbs!t\n\tcomment third\n");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  assert_int_equal(cfg.users().size(), 2);
  assert_int_equal(cfg.tokens().size(), 1);
  assert_text_equal(cfg.tokens()[0].comment, "third");
  assert_text_equal(
      judged("user: a@pbs\n\ntoken: a@pbs!t\n\ntoken: a@pbs!t\n\tenable no\n",
             "a@pbs!t"),
      "disabled token");
}

// --- what upstream takes

void parse_empty_texts_have_no_sections(void ** /*state*/) {
  for (const char *text :
       {"", "\n", "\r\n", " \t\n\n\v\f\n", "\u00a0\n\u3000"}) {
    const UserCfg cfg = parsed(text);
    assert_true(cfg.users().empty());
    assert_true(cfg.tokens().empty());
  }
}

void parse_white_space_is_where_upstream_takes_it(void ** /*state*/) {
  for (const char *text : {
           "user: a@pbs\n\tcomment x y",
           "user:a@pbs\n comment x y\n",
           "user :\t a@pbs \t\n \t comment \t x y \t \n\n\n",
           "\n\n \nuser: a@pbs\r\n\tcomment x y\r\n\r\n",
           "user: a@pbs\n\tcomment x y\n \t \n",
           "user: a@pbs\n\u00a0comment\u3000x y\u2003\n\u00a0\n",
           "user: a@pbs\u0085\n\tcomment x y\r",
           "user: a@pbs\r\n\tcomment x y\n\tenable 1\r",
       }) {
    const UserCfg cfg = parsed(text);
    assert_int_equal(cfg.users().size(), 1);
    assert_text_equal(cfg.users()[0].id, "a@pbs");
    assert_text_equal(cfg.users()[0].comment, "x y");
  }
}

void parse_every_property_is_taken(void ** /*state*/) {
  const UserCfg cfg = parsed(
      "user: a@pbs\n\tcomment k\u00fcrz: #1\n\tenable 1\n\texpire 12\n"
      "\tfirstname J\n\tlastname " +
      std::string(64, 'x') + "\n\temail a@b.example\n\n" +
      "token: a@pbs!t\n\texpire 13\n\tenable off\n\tcomment \n");
  const UserCfg::Section *user = cfg.find_user("a@pbs");
  assert_non_null(user);
  assert_text_equal(user->comment, "kürz: #1");
  assert_int_equal(user->expires, 12);
  assert_int_equal(user->line, 1);
  assert_true(user->enabled);
  assert_false(user->is_token);
  const UserCfg::Section *token = cfg.find_token("a@pbs!t");
  assert_non_null(token);
  assert_text_equal(token->comment, "");
  assert_int_equal(token->expires, 13);
  assert_int_equal(token->line, 9);
  assert_false(token->enabled);
  assert_null(cfg.find_token("a@pbs"));
  assert_null(cfg.find_user("a@pbs!t"));
}

// Upstream asks the length of an id and the pattern of its parts.  The length
// of a realm it asks where it looks a user up, and so of nobody else.
void parse_realm_of_another_length_spares_the_others(void ** /*state*/) {
  const std::string long_realm(33, 'r');
  const UserCfg cfg = parsed("user: x@y\n\ntoken: x@y!t\n\nuser: a@" +
                             long_realm + "\n\ntoken: a@" + long_realm +
                             "!t\n\nuser: a@pbs\n\ntoken: a@pbs!t\n");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  assert_int_equal(cfg.users().size(), 1);
  assert_int_equal(cfg.tokens().size(), 1);
  const auto remarks = cfg.remarks();
  assert_int_equal(remarks.size(), 4);
  assert_text_equal(remarks[0].id, "x@y");
  assert_int_equal(remarks[0].line, 1);
  assert_text_equal(remarks[3].id, "a@" + long_realm + "!t");
  for (const UserCfg::Remark &remark : remarks) {
    assert_true(remark.kind == UserCfg::Remark::kOddRealm);
  }
}

// A comment that is as long as one may be, and one that is longer: counted in
// characters.
void parse_long_comment_is_taken_and_remarked(void ** /*state*/) {
  std::string longest;
  for (int i = 0; i < 128; ++i) {
    longest += "\u00fc";
  }
  const std::string section = "user: a@pbs\n\tcomment ";
  assert_true(parsed(section + longest + "\n").remarks().empty());
  const UserCfg cfg =
      parsed(section + longest + "x\n\nuser: a@pbs\n\ntoken: a@pbs!t\n");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  // Also of a section that another one has replaced.
  assert_int_equal(cfg.remarks().size(), 1);
  assert_true(cfg.remarks()[0].kind == UserCfg::Remark::kLongComment);
  assert_text_equal(cfg.remarks()[0].id, "a@pbs");
  assert_int_equal(cfg.remarks()[0].line, 2);
}

// The name of what the header has said, which upstream reads over.
void parse_id_as_a_property_does_not_matter(void ** /*state*/) {
  const UserCfg cfg = parsed(
      "user: a@pbs\n\tuserid b@pbs\n\ntoken: a@pbs!t\n\ttokenid b@pbs!u\n");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  assert_null(cfg.find_user("b@pbs"));
  assert_null(cfg.find_token("b@pbs!u"));
}

// Rust's lines() leaves a carriage return at the end of the file where it is,
// and there it is the white space behind a key.
void parse_last_line_ends_in_a_carriage_return(void ** /*state*/) {
  const UserCfg cfg = parsed("user: a@pbs\n\n\ntoken: a@pbs!t\n\tcomment\r");
  assert_text_equal(judged(cfg, "a@pbs!t"), "allowed");
  assert_text_equal(cfg.tokens()[0].comment, "");
}

void parse_enable_words_are_upstreams(void ** /*state*/) {
  const auto enabled = [](std::string_view word) -> std::optional<bool> {
    const auto cfg = parse("user: a@pbs\n\tenable " + std::string(word) + "\n");
    return cfg ? std::optional<bool>(cfg->users()[0].enabled) : std::nullopt;
  };
  for (const char *word : {"1", "on", "yes", "true", "ON", "Yes", "tRUE"}) {
    assert_true(enabled(word) == true);
  }
  for (const char *word : {"0", "off", "no", "false", "OFF", "No", "fALSE"}) {
    assert_true(enabled(word) == false);
  }
  for (const char *word : {"", "2", "01", "y", "t", "enabled", "true.", "o n",
                           "-1", "yess", "ye", "t\u0280ue", "on\v1"}) {
    assert_false(enabled(word).has_value());
  }
  assert_true(parsed("user: a@pbs\n").users()[0].enabled);
}

void parse_expire_numbers_are_upstreams(void ** /*state*/) {
  const auto expires = [](std::string_view word) -> std::int64_t {
    const auto cfg = parse("user: a@pbs\n\texpire " + std::string(word) + "\n");
    return cfg ? static_cast<std::int64_t>(cfg->users()[0].expires) : -1;
  };
  assert_int_equal(expires("0"), 0);
  assert_int_equal(expires("00012"), 12);
  assert_int_equal(expires("+12"), 12);
  assert_int_equal(expires("-0"), 0);
  assert_true(expires("9223372036854775807") == INT64_MAX);
  for (const char *word :
       {"", "-1", "9223372036854775808", "18446744073709551616", "1.0", "1e3",
        "0x10", "1 2", "+", "-", "+-1", "--0", "12s", "never", "\u0661"}) {
    assert_true(expires(word) == -1);
  }
}

void parse_ids_have_three_to_sixty_four_characters(void ** /*state*/) {
  const auto accepted = [](const std::string &header) {
    return static_cast<bool>(parse(header + "\n"));
  };
  std::string wide;
  for (int i = 0; i < 60; ++i) {
    wide += "ü";
  }
  assert_true(accepted("user: " + wide + "@pbs"));
  assert_false(accepted("user: u" + wide + "@pbs"));
  assert_true(accepted("token: " + std::string(57, 'u') + "@pbs!to"));
  assert_false(accepted("token: " + std::string(58, 'u') + "@pbs!to"));
}

void sections_are_sorted_by_id(void ** /*state*/) {
  const UserCfg cfg = parsed(
      "token: b@pbs!t\n\nuser: c@pbs\n\nuser: a@pbs\n\ntoken: a@pbs!u\n\n"
      "token: a@pbs!t\n");
  std::string order;
  for (const auto &sections : {cfg.users(), cfg.tokens()}) {
    for (const UserCfg::Section &section : sections) {
      order += std::string(section.id) + " ";
    }
  }
  assert_text_equal(order, "a@pbs c@pbs a@pbs!t a@pbs!u b@pbs!t ");
}

void judge_many_sections_finds_each(void ** /*state*/) {
  constexpr int kUsers = 20000;
  std::string text;
  // Each twice, in another order: the second time with an expiry.
  for (int i = 0; i < kUsers; ++i) {
    text += "user: u" + std::to_string(i) + "@pbs\n\n";
    text += "token: u" + std::to_string(i) + "@pbs!t\n\tenable 0\n\n";
  }
  for (int i = kUsers; i > 0; --i) {
    text += "token: u" + std::to_string(i - 1) + "@pbs!t\n\texpire " +
            std::to_string(i) + "\n\n";
  }
  const UserCfg cfg = parsed(text);
  assert_int_equal(cfg.users().size(), kUsers);
  assert_int_equal(cfg.tokens().size(), kUsers);
  for (int i = 0; i < kUsers; ++i) {
    assert_text_equal(judged(cfg, "u" + std::to_string(i) + "@pbs!t"),
                      "allowed until " + std::to_string(i + 1));
  }
  assert_text_equal(judged(cfg, "u20000@pbs!t"), "no user");
}

// --- what upstream refuses

struct Malformed {
  std::string text;
  std::string message;  // behind the path
};

void assert_refused(const std::vector<Malformed> &all) {
  for (const Malformed &malformed : all) {
    const auto cfg = parse(malformed.text);
    if (cfg) {
      fail_msg("accepted: %s", malformed.text.c_str());
    }
    assert_true(cfg.error().code == Errc::kMalformed);
    assert_text_equal(describe(cfg.error()).view(),
                      "/some/user.cfg:" + malformed.message);
  }
}

void parse_bad_headers_are_refused(void ** /*state*/) {
  const std::string no_header = "not the header of a section";
  const std::string no_type = "unknown type of section";
  const std::string no_user = "not a user id";
  const std::string no_token = "not an API token ID";
  const std::string length = "an id must have 3 to 64 characters";
  assert_refused({
      {"user a@pbs\n", "1:1: " + no_header},
      {"\n\n user: a@pbs\n", "3:1: " + no_header},
      {"\tenable 0\n", "1:1: " + no_header},
      {"\u00a0user: a@pbs\n", "1:1: " + no_header},
      {std::string("\0", 1), "1:1: " + no_header},
      {"# user\n", "1:1: " + no_header},
      {"# user: a@pbs\n", "1:1: " + no_type},
      {"\xef\xbb\xbfuser: a@pbs\n", "1:1: " + no_type},
      {"User: a@pbs\n", "1:1: " + no_type},
      {"group: a@pbs\n", "1:1: " + no_type},
      {": a@pbs\n", "1:1: " + no_type},
      {"user: a@pbs!t\n", "1:7: " + no_user},
      {"user:\ta b@pbs\n", "1:7: " + no_user},
      {"user: john\n", "1:7: " + no_user},
      {"user: a:b@pbs\n", "1:7: " + no_user},
      {"user: a@-p\n", "1:7: " + no_user},
      {std::string("user: a\0@pbs\n", 13), "1:7: " + no_user},
      {"token: a@pbs\n", "1:8: " + no_token},
      {"token: a@pbs!\n", "1:8: " + no_token},
      {"token: a@pbs!t x\n", "1:8: " + no_token},
      {"user:\n", "1:6: " + length},
      {"user: \n", "1:7: " + length},
      {"user: @\n", "1:7: " + length},
      {"token: a@pbs!" + std::string(59, 't'), "1:8: " + length},
  });
}

void parse_bad_properties_are_refused(void ** /*state*/) {
  const std::string user = "user: a@pbs\n";
  const std::string token = "token: a@pbs!t\n";
  assert_refused({
      {user + "token: a@pbs!t\n",
       "2:1: a@pbs: no blank line before a header, or no indent"},
      {user + "comment x\n",
       "2:1: a@pbs: no blank line before a header, or no indent"},
      {user + "\tenable\n", "2:2: a@pbs: a property without a value"},
      {user + "\tenable=1\n", "2:2: a@pbs: a property without a value"},
      {user + "\tcomment\r\n", "2:2: a@pbs: a property without a value"},
      {user + "\tpassword x\n", "2:2: a@pbs: unknown property"},
      {user + "  Enable 1\n", "2:3: a@pbs: unknown property"},
      {user + "\tenable: 1\n", "2:2: a@pbs: unknown property"},
      {user + "\ttokenid a@pbs!t\n", "2:2: a@pbs: unknown property"},
      {user + "\tuserid a@pbs!t\n", "2:9: a@pbs: not a user id"},
      {user + "\tuserid a@pbs\n\tuserid a@pbs\n",
       "3:2: a@pbs: a property given twice"},
      {token + "\tuserid a@pbs\n", "2:2: a@pbs!t: unknown property"},
      {token + "\ttokenid a@pbs\n", "2:10: a@pbs!t: not an API token ID"},
      {token + "\ttokenid @\n",
       "2:10: a@pbs!t: an id must have 3 to 64 characters"},
      {token + "\temail a@b.example\n", "2:2: a@pbs!t: unknown property"},
      {token + "\tfirstname Jo\n", "2:2: a@pbs!t: unknown property"},
      {token + "\tlastname Jo\n", "2:2: a@pbs!t: unknown property"},
      {user + "\tcomment x\n\tcomment x\n",
       "3:2: a@pbs: a property given twice"},
      {user + "\tenable 1\n\tenable 1\n", "3:2: a@pbs: a property given twice"},
      {user + "\texpire 0\n\texpire 0\n", "3:2: a@pbs: a property given twice"},
      {user + "\tenable maybe\n",
       "2:9: a@pbs: enable is neither true nor false"},
      {user + "\texpire \t -5\n",
       "2:11: a@pbs: expire is no number of seconds since the epoch"},
      {user + "\tcomment a\tb\n",
       "2:10: a@pbs: a control character in a value"},
      {user + "\tcomment a\rb\n",
       "2:10: a@pbs: a control character in a value"},
      {user + "\tcomment a\x7f\n",
       "2:10: a@pbs: a control character in a value"},
      {user + std::string("\tcomment a\0b\n", 13),
       "2:10: a@pbs: a control character in a value"},
      {user + "\tfirstname \n",
       "2:12: a@pbs: a name must have 1 to 64 characters"},
      {user + "\tlastname " + std::string(65, 'x') + "\n",
       "2:11: a@pbs: a name must have 1 to 64 characters"},
      {user + "\temail x\n",
       "2:8: a@pbs: an address must have 2 to 64 characters"},
  });
}

void parse_invalid_utf8_anywhere_is_refused(void ** /*state*/) {
  assert_refused({
      {"\xff\n", "1:1: invalid UTF-8"},
      {"user: \xff@pbs\n", "1:7: invalid UTF-8"},
      {"user: a@pbs\n\n\n  \xc3", "4:3: invalid UTF-8"},
      {"user: a@pbs\n\tcomment x\xed\xa0\x80\n", "2:11: a@pbs: invalid UTF-8"},
      {"user: a@pbs\n\tcomment \xc0\x80\n", "2:10: a@pbs: invalid UTF-8"},
  });
}

// Whoever can make a user chooses its name.
void parse_error_names_the_section_escaped_and_no_content(void ** /*state*/) {
  const auto cfg =
      parse("user: a\\" + utf8(0x9b) + "@pbs\n\tpassword topsecret\n");
  assert_false(static_cast<bool>(cfg));
  const std::string message(describe(cfg.error()).view());
  assert_text_equal(message,
                    "/some/user.cfg:2:2: a\\x5c\\xc2\\x9b@pbs: unknown "
                    "property");
}

// One bad line anywhere, and nobody counts.
void parse_each_line_of_the_example_spoilt_is_refused(void ** /*state*/) {
  const std::string example = kExample;
  for (std::size_t i = 0; i < example.size(); ++i) {
    if (i == 0 || example[i - 1] == '\n') {
      std::string spoilt = example;
      spoilt.insert(i, "!\n");
      if (parse(spoilt)) {
        fail_msg("accepted: %s", spoilt.c_str());
      }
    }
  }
}

// --- files

void read_missing_file_has_root_alone(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  for (const char *name : {"none", "no/such/directory"}) {
    const auto cfg = UserCfg::read(PathText(dir->path(name)));
    assert_true(static_cast<bool>(cfg));
    assert_true(cfg->users().empty());
    assert_true(cfg->sighting().identity == FileIdentity{});
    assert_text_equal(judged(*cfg, "root@pam!t"), "no token");
    assert_text_equal(judged(*cfg, "john@pbs!t"), "no user");
    assert_non_null(cfg->find_user("root@pam"));
  }
}

void read_identity_is_the_files(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const PathText path(dir->write("user.cfg", kExample));
  const auto cfg = UserCfg::read(path);
  assert_true(static_cast<bool>(cfg));
  assert_true(cfg->sighting().identity == *look_at(path));
  assert_int_equal(cfg->users().size(), 2);
  // It lives on when it is moved.
  const UserCfg moved = std::move(*UserCfg::read(path));
  assert_text_equal(judged(moved, "john@pbs!off"), "disabled token");
}

void read_error_names_the_file(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const std::string path = dir->write("user.cfg", "user: a@pbs\n\tx y\n");
  const auto cfg = UserCfg::read(PathText(path));
  assert_false(static_cast<bool>(cfg));
  assert_text_equal(describe(cfg.error()).view(),
                    path + ":2:2: a@pbs: unknown property");
}

void read_what_is_no_regular_file_is_refused_at_once(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  assert_int_equal(mkfifo(dir->path("fifo").c_str(), 0600), 0);
  std::filesystem::create_directory(dir->path("directory"));
  std::filesystem::create_symlink(dir->write("real", ""), dir->path("link"));
  for (const char *name : {"fifo", "directory", "link"}) {
    const auto cfg = UserCfg::read(PathText(dir->path(name)));
    assert_false(static_cast<bool>(cfg));
    assert_true(cfg.error().code == Errc::kUnsafe);
  }
}

void read_too_large_a_file_is_refused(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const std::string path = dir->write("user.cfg", "");
  std::filesystem::resize_file(path, kMaxUserCfgSize + 1);
  const auto cfg = UserCfg::read(PathText(path));
  assert_false(static_cast<bool>(cfg));
  assert_true(cfg.error().code == Errc::kMalformed);
  assert_int_equal(cfg.error().line, 0);
  // One byte less is read, and is none.
  std::filesystem::resize_file(path, kMaxUserCfgSize);
  assert_int_equal(UserCfg::read(PathText(path)).error().line, 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using testing::make_temp_dir;
  using testing::remove_temp_dir;
  const CMUnitTest tests[] = {
      cmocka_unit_test(judge_the_example_gives_its_answers),
      cmocka_unit_test(judge_expiry_is_the_earlier_that_is_one),
      cmocka_unit_test(judge_root_needs_no_section_but_obeys_one),
      cmocka_unit_test(judge_other_case_is_another_id),
      cmocka_unit_test(judge_repeated_section_replaces_the_earlier),
      cmocka_unit_test(parse_empty_texts_have_no_sections),
      cmocka_unit_test(parse_white_space_is_where_upstream_takes_it),
      cmocka_unit_test(parse_every_property_is_taken),
      cmocka_unit_test(parse_realm_of_another_length_spares_the_others),
      cmocka_unit_test(parse_long_comment_is_taken_and_remarked),
      cmocka_unit_test(parse_id_as_a_property_does_not_matter),
      cmocka_unit_test(parse_last_line_ends_in_a_carriage_return),
      cmocka_unit_test(parse_enable_words_are_upstreams),
      cmocka_unit_test(parse_expire_numbers_are_upstreams),
      cmocka_unit_test(parse_ids_have_three_to_sixty_four_characters),
      cmocka_unit_test(sections_are_sorted_by_id),
      cmocka_unit_test(judge_many_sections_finds_each),
      cmocka_unit_test(parse_bad_headers_are_refused),
      cmocka_unit_test(parse_bad_properties_are_refused),
      cmocka_unit_test(parse_invalid_utf8_anywhere_is_refused),
      cmocka_unit_test(parse_error_names_the_section_escaped_and_no_content),
      cmocka_unit_test(parse_each_line_of_the_example_spoilt_is_refused),
      cmocka_unit_test_setup_teardown(read_missing_file_has_root_alone,
                                      make_temp_dir, remove_temp_dir),
      cmocka_unit_test_setup_teardown(read_identity_is_the_files, make_temp_dir,
                                      remove_temp_dir),
      cmocka_unit_test_setup_teardown(read_error_names_the_file, make_temp_dir,
                                      remove_temp_dir),
      cmocka_unit_test_setup_teardown(
          read_what_is_no_regular_file_is_refused_at_once, make_temp_dir,
          remove_temp_dir),
      cmocka_unit_test_setup_teardown(read_too_large_a_file_is_refused,
                                      make_temp_dir, remove_temp_dir),
  };
  return cmocka_run_group_tests_name("user_cfg", tests, nullptr, nullptr);
}
