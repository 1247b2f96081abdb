// SPDX-License-Identifier: BSD-3-Clause
// user.cfg with one section changed: each other byte stays.
#include "write/user_cfg_text.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "pbstoken/store/user_cfg.h"
#include "support.h"

namespace pbstoken {
namespace {

using Operation = SectionChange::Operation;
using testing::terminated;

const PathText kPath("/some/user.cfg");
constexpr const char *kToken = "a@pbs!t";
constexpr const char *kNewToken = "root@pam!t";  // the user needs no section

SectionChange add(const char *id = kNewToken, bool is_token = true) {
  return {Operation::kAdd, is_token, id, {}, {}, {}};
}
SectionChange change(const char *id = kToken, bool is_token = true) {
  return {Operation::kChange, is_token, id, {}, {}, {}};
}
SectionChange remove(const char *id = kToken, bool is_token = true) {
  return {Operation::kRemove, is_token, id, {}, {}, {}};
}
SectionChange with_enable(SectionChange base, bool enable) {
  base.enable = enable;
  return base;
}
SectionChange with_expire(SectionChange base, std::uint64_t expire) {
  base.expire = expire;
  return base;
}
SectionChange with_comment(SectionChange base, const char *comment) {
  base.comment = comment;
  return base;
}

std::string changed(const std::string &text, const SectionChange &change) {
  const Buffer old_text = terminated(text);
  Buffer out;
  const auto done = change_user_cfg_text(&old_text, kPath, change, &out);
  return !done                                ? describe(done.error()).c_str()
         : *done == SectionChanged::kNotThere ? "not there"
         : *done == SectionChanged::kNoUser   ? "no user"
         : *done == SectionChanged::kThereAlready ? "there already"
                                                  : std::string(out.view());
}

struct Case {
  std::string before;
  SectionChange change;
  std::string after;
};

void assert_cases(const std::vector<Case> &cases) {
  for (const Case &each : cases) {
    const std::string after = changed(each.before, each.change);
    if (after != each.after) {
      fail_msg("of\n%s\nbecame\n%s\nand not\n%s", each.before.c_str(),
               after.c_str(), each.after.c_str());
    }
  }
}

void section_is_added_at_the_end(void ** /*state*/) {
  const SectionChange full =
      with_comment(with_expire(with_enable(add(), false), 7), "for c");
  assert_cases({
      {"", add(), "token: root@pam!t\n\n"},
      {"", add("a@pbs", false), "user: a@pbs\n\n"},
      {"", full,
       "token: root@pam!t\n\tcomment for c\n\tenable false\n\texpire 7\n\n"},
      {"", with_expire(with_enable(add(), true), 0), "token: root@pam!t\n\n"},
      {"user: a@pbs\n\n", add(), "user: a@pbs\n\ntoken: root@pam!t\n\n"},
      {"user: a@pbs\n", add(), "user: a@pbs\n\ntoken: root@pam!t\n\n"},
      {"user: a@pbs", add(), "user: a@pbs\n\ntoken: root@pam!t\n\n"},
      {"user: a@pbs\n \t\n", add(), "user: a@pbs\n \t\ntoken: root@pam!t\n\n"},
      {"user: a@pbs\r\n\r\n", add(),
       "user: a@pbs\r\n\r\ntoken: root@pam!t\r\n\r\n"},
      {"user: a@pbs\r\n", add(),
       "user: a@pbs\r\n\r\ntoken: root@pam!t\r\n\r\n"},
      {"\n", add(), "\ntoken: root@pam!t\n\n"},
      // Its user must be there.
      {"", add("a@pbs!t"), "no user"},
      {"user: b@pbs\n", add("a@pbs!t"), "no user"},
      {"user: a@pbs\n", add("a@pbs!t"), "user: a@pbs\n\ntoken: a@pbs!t\n\n"},
      // root@pam exists without one, and may have one.
      {"", add("root@pam", false), "user: root@pam\n\n"},
      {"token: root@pam!t\n", add(), "there already"},
      // A user and a token are two.
      {"user: root@pam!t@r2\n", add(),
       "user: root@pam!t@r2\n\ntoken: root@pam!t\n\n"},
  });
}

void properties_change_where_they_stand(void ** /*state*/) {
  assert_cases({
      {"token: a@pbs!t\n\tenable 1\n", with_enable(change(), false),
       "token: a@pbs!t\n\tenable false\n"},
      {"token: a@pbs!t\n  enable   OFF  \n\n", with_enable(change(), true),
       "token: a@pbs!t\n  enable   true  \n\n"},
      {"token: a@pbs!t\n", with_enable(change(), true), "token: a@pbs!t\n"},
      {"token: a@pbs!t", with_enable(change(), false),
       "token: a@pbs!t\n\tenable false"},
      {"token: a@pbs!t\r\n\r\n", with_enable(change(), false),
       "token: a@pbs!t\r\n\tenable false\r\n\r\n"},
      {"token: a@pbs!t\n\texpire 9\n", with_expire(change(), 0),
       "token: a@pbs!t\n\texpire 0\n"},
      {"token: a@pbs!t\n\texpire 9\r\n\tcomment x\n", with_expire(change(), 10),
       "token: a@pbs!t\n\texpire 10\r\n\tcomment x\n"},
      {"token: a@pbs!t\n\tcomment x y\n\texpire 9\n",
       with_comment(change(), "z"),
       "token: a@pbs!t\n\tcomment z\n\texpire 9\n"},
      {"token: a@pbs!t\n\tcomment \n", with_comment(change(), "z"),
       "token: a@pbs!t\n\tcomment z\n"},
      {"token: a@pbs!t\n\tcomment x\n\texpire 9\n", with_comment(change(), ""),
       "token: a@pbs!t\n\texpire 9\n"},
      {"token: a@pbs!t\n\texpire 9\n\tcomment x", with_comment(change(), ""),
       "token: a@pbs!t\n\texpire 9\n"},
      {"token: a@pbs!t\n", with_comment(change(), ""), "token: a@pbs!t\n"},
      {"user: a@pbs\n\temail a@b\n", with_enable(change("a@pbs", false), false),
       "user: a@pbs\n\tenable false\n\temail a@b\n"},
      {"user: a@pbs\n", with_enable(change(), false), "not there"},
      {"", with_enable(change("root@pam", false), false), "not there"},
      // Of sections of one id the last counts.
      {"token: a@pbs!t\n\ntoken: a@pbs!t\n\n", with_enable(change(), false),
       "token: a@pbs!t\n\ntoken: a@pbs!t\n\tenable false\n\n"},
  });
}

void section_is_removed_with_its_blank_line(void ** /*state*/) {
  assert_cases({
      {"token: a@pbs!t\n\n", remove(), ""},
      {"token: a@pbs!t", remove(), ""},
      {"user: a@pbs\n\ntoken: a@pbs!t\n\texpire 1\n\nuser: b@pbs\n", remove(),
       "user: a@pbs\n\nuser: b@pbs\n"},
      {"user: a@pbs\r\n\r\ntoken: a@pbs!t\r\n\r\nuser: b@pbs\r\n", remove(),
       "user: a@pbs\r\n\r\nuser: b@pbs\r\n"},
      {"token: a@pbs!t\n\n\n\nuser: b@pbs\n", remove(), "\n\nuser: b@pbs\n"},
      // All of one id: none may come back to life.
      {"token: a@pbs!t\n\nuser: b@pbs\n\ntoken: a@pbs!t\n\n", remove(),
       "user: b@pbs\n\n"},
      {"token: a@pbs!u\n", remove(), "not there"},
  });
}

void bad_file_is_left_alone(void ** /*state*/) {
  assert_cases({
      {"token: a@pbs!t\nuser: b@pbs\n", add(),
       "/some/user.cfg:2:1: a@pbs!t: no blank line before a header, or no "
       "indent"},
      // What upstream would not read back.
      {"token: a@pbs!t\n", with_comment(change(), " x"),
       "cannot change /some/user.cfg: the new text would not say what it "
       "should"},
      {"token: a@pbs!t\n", with_comment(change(), "x\n\tenable false"),
       "cannot change /some/user.cfg: the new text would not say what it "
       "should"},
      {"", add("no id"), "/some/user.cfg:1:8: not an API token ID"},
  });
}

// A last line without an end: an end would make it another line.
void odd_end_of_a_file_is_refused(void ** /*state*/) {
  assert_cases({{"user: a@pbs\n\tcomment\r", add(),
                 "cannot change /some/user.cfg: the new text would not say "
                 "what it should"}});
}

// One pass, however often: the locks of both files are held meanwhile.
void repeated_sections_are_removed_in_one_pass(void ** /*state*/) {
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    text += "token: a@pbs!t\n\tenable 1\n\nuser: u" + std::to_string(i) +
            "@pbs\n\n";
  }
  const std::string after = changed(text, remove());
  assert_true(after.starts_with("user: u0@pbs\n\nuser: u1@pbs\n\n"));
  assert_true(after.ends_with("\nuser: u19999@pbs\n\n"));
  assert_true(after.find("token") == std::string::npos);
}

void missing_file_is_an_empty_one(void ** /*state*/) {
  Buffer out;
  const auto done = change_user_cfg_text(nullptr, kPath, add(), &out);
  assert_true(done && *done == SectionChanged::kDone);
  assert_text_equal(out.view(), "token: root@pam!t\n\n");
}

// --- at random

struct Model {
  bool enabled = true;
  std::uint64_t expires = 0;
  std::string comment;
  bool operator==(const Model &) const = default;
};
using Models = std::map<std::pair<bool, std::string>, Model>;

Models models_of(const std::string &text) {
  const auto cfg = UserCfg::parse(terminated(text), kPath);
  if (!cfg) {
    fail_msg("upstream refuses %s: %s", text.c_str(),
             describe(cfg.error()).c_str());
  }
  Models models;
  for (const auto &sections : {cfg->users(), cfg->tokens()}) {
    for (const UserCfg::Section &section : sections) {
      models[{section.is_token, std::string(section.id)}] = {
          section.enabled, section.expires, std::string(section.comment)};
    }
  }
  return models;
}

// The text without the sections of the change's id, which count.
std::string without(std::string text, const SectionChange &change) {
  const auto cfg = UserCfg::parse(terminated(text), kPath);
  const UserCfg::Section *section =
      change.is_token ? cfg->find_token(change.id) : cfg->find_user(change.id);
  if (section == nullptr || section->text.data() == nullptr) {
    return text;
  }
  return text.erase(
      static_cast<std::size_t>(section->text.data() - cfg->text().data()),
      section->text.size());
}

// The texts are equal from both ends until they meet.
void assert_one_piece_is_cut(const std::string &before,
                             const std::string &after) {
  const auto equal = [](auto begin, auto end, auto other, auto other_end) {
    return static_cast<std::size_t>(
        std::mismatch(begin, end, other, other_end).first - begin);
  };
  const std::size_t front =
      equal(before.begin(), before.end(), after.begin(), after.end());
  const std::size_t back =
      equal(before.rbegin(), before.rend(), after.rbegin(), after.rend());
  assert_true(after.size() < before.size());
  assert_true(front + back >= after.size());
}

class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  void step() {
    SectionChange change = next();
    const std::string after = changed(text_, change);
    const auto key = std::pair(change.is_token, std::string(change.id));
    const bool is_there = models_.contains(key);
    if (after == "no user") {
      assert_true(change.operation == Operation::kAdd && change.is_token);
      const auto user = user_id_of(*parse_token_id(change.id));
      assert_true(user != "root@pam" &&
                  !models_.contains({false, std::string(user)}));
      return;
    }
    if (after == "not there" || after == "there already") {
      assert_true(is_there == (change.operation == Operation::kAdd));
      return;
    }
    assert_true(is_there != (change.operation == Operation::kAdd));
    apply(key, change);
    if (models_of(after) != models_) {
      fail_msg("%s became %s", text_.c_str(), after.c_str());
    }
    switch (change.operation) {
      case Operation::kAdd:
        assert_true(after.starts_with(text_));
        break;
      case Operation::kChange:
        assert_text_equal(without(after, change), without(text_, change));
        break;
      case Operation::kRemove:
        assert_one_piece_is_cut(text_, after);
        break;
    }
    text_ = after;
  }

  // What another writer may have left.
  void disturb() {
    constexpr std::array<const char *, 5> kOdd = {
        "\n", "\r\n", "user: odd@r\n\n", " \t\n",
        "token: x@pbs!y\r\n   comment   \xc3\xa9 x  \r\n\r\n"};
    const std::string more = kOdd.at(random_() % kOdd.size());
    if (text_.ends_with("\n\n") || text_.ends_with("\n\r\n")) {
      text_ += more;
      models_ = models_of(text_);
    }
  }

 private:
  SectionChange next() {
    static const std::vector<std::string> kUsers = {
        "a@pbs", "b@pam", "\xc3\xbc@ad", "root@pam", "x@y@pbs"};
    const bool is_token = random_() % 2 == 0;
    id_ = kUsers[random_() % kUsers.size()] +
          (is_token ? "!t" + std::to_string(random_() % 3) : "");
    comment_ = random_() % 3 == 0 ? "" : std::string(1 + random_() % 9, 'c');
    SectionChange change = {
        static_cast<Operation>(random_() % 3), is_token, id_, {}, {}, {}};
    if (change.operation != Operation::kRemove) {
      if (random_() % 2 == 0) {
        change.enable = random_() % 2 == 0;
      }
      if (random_() % 2 == 0) {
        change.expire = random_() % 3 * 1000;
      }
      if (random_() % 2 == 0) {
        change.comment = comment_;
      }
    }
    return change;
  }

  void apply(const std::pair<bool, std::string> &key,
             const SectionChange &change) {
    if (change.operation == Operation::kRemove) {
      models_.erase(key);
      return;
    }
    Model &model = models_[key];
    model.enabled = change.enable.value_or(model.enabled);
    model.expires = change.expire.value_or(model.expires);
    model.comment = change.comment.value_or(model.comment);
  }

  std::mt19937 random_;
  std::string id_;
  std::string comment_;
  std::string text_;
  Models models_;
};

void random_changes_leave_what_upstream_takes(void ** /*state*/) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    Writer writer(seed);
    for (int step = 0; step < 300; ++step) {
      writer.step();
      if (step % 7 == 0) {
        writer.disturb();
      }
    }
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(section_is_added_at_the_end),
      cmocka_unit_test(properties_change_where_they_stand),
      cmocka_unit_test(section_is_removed_with_its_blank_line),
      cmocka_unit_test(bad_file_is_left_alone),
      cmocka_unit_test(odd_end_of_a_file_is_refused),
      cmocka_unit_test(repeated_sections_are_removed_in_one_pass),
      cmocka_unit_test(missing_file_is_an_empty_one),
      cmocka_unit_test(random_changes_leave_what_upstream_takes),
  };
  return cmocka_run_group_tests_name("user_cfg_text", tests, nullptr, nullptr);
}
