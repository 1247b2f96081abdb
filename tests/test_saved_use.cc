// SPDX-License-Identifier: BSD-3-Clause
// What is saved of the use of a store: its form, and that no use is counted
// twice.
#include "admin/saved_use.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using namespace testing;

const PathText kPath("/var/lib/pbstoken/pbs.use");
const PathText kShadow("/etc/proxmox-backup/token.shadow");

constexpr std::string_view kText =
    "pbstoken use 1\n"
    "token_shadow /etc/proxmox-backup/token.shadow\n"
    "life 77\n"
    "since 1700000000\n"
    "saved 1700086400\n"
    "lost 1600000000 1600000007\n"
    "root 1 2 3 4 5 6 7 8 9 10 11 12\n"
    "members 0 0 0 0 0 0 0 0 0 0 0 9007199254740991\n"
    "tokens 2\n"
    "1700000000 0 0 0 a@pbs!t\n"
    "1700000001 1700000002 3 4 jürgen@pbs!t\n";

Result<SavedUse> parse(std::string_view text) {
  Buffer buffer;
  assert_true(buffer.append(text));
  return parse_saved_use(std::move(buffer), kPath, kShadow);
}

std::string replaced(std::string_view what, std::string_view with) {
  std::string text(kText);
  const std::size_t at = text.find(what);
  assert_true(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

void text_is_read_and_written_again(void ** /*state*/) {
  const auto use = parse(kText);
  assert_true(static_cast<bool>(use));
  assert_int_equal(use->life, 77);
  assert_int_equal(use->since, 1700000000);
  assert_int_equal(use->saved, 1700086400);
  assert_int_equal(use->lost.from, 1600000000);
  assert_int_equal(use->lost.to, 1600000007);
  assert_true((use->events[0][5] == Counter{.former = 11, .current = 12}));
  assert_int_equal(use->events[1][5].total(), kMostUses);
  const SavedToken *token = use->find("jürgen@pbs!t");
  assert_non_null(token);
  assert_int_equal(token->since, 1700000001);
  assert_int_equal(token->last, 1700000002);
  assert_int_equal(token->uses.total(), 7);
  assert_null(use->find("b@pbs!t"));
  assert_null(use->find("z@pbs!t"));
  Buffer out;
  assert_true(append_saved_use(*use, kShadow, &out));
  assert_text_equal(out.view(), kText);
}

void text_that_is_cut_off_is_refused(void ** /*state*/) {
  for (std::size_t size = 0; size < kText.size(); ++size) {
    assert_false(static_cast<bool>(parse(kText.substr(0, size))));
  }
}

void malformed_text_is_refused_with_its_line(void ** /*state*/) {
  struct Case {
    std::string_view what;
    std::string_view with;
    unsigned line;
  };
  for (const Case &c : {
           Case{"pbstoken use", "pbstoken  use", 1},
           Case{"life 77", "life 7 7", 3},
           Case{"life 77", "life -7", 3},
           Case{"life 77", "life 18446744073709551616", 3},
           Case{"life 77", "live 77", 3},
           Case{"lost 1600000000", "lost", 6},
           Case{"root 1 2", "root 1", 7},
           Case{"root 1 2", "root 1 2 3", 7},
           Case{"9007199254740991", "9007199254740992", 8},
           Case{"tokens 2", "tokens 1", 10},
           Case{"tokens 2", "tokens 3", 12},
           Case{"tokens 2", "tokens 18446744073709551615", 12},
           Case{"a@pbs!t", "a@pbs", 10},
           Case{"a@pbs!t", "z@pbs!t", 11},
           Case{"jürgen@pbs!t", "a@pbs!t", 11},
           Case{" 3 4 j", " 3 j", 11},
       }) {
    const auto use = parse(replaced(c.what, c.with));
    assert_false(static_cast<bool>(use));
    if (c.line > 1) {
      assert_int_equal(use.error().code, Errc::kMalformed);
      assert_int_equal(use.error().line, c.line);
    }
  }
}

void other_version_or_store_is_refused(void ** /*state*/) {
  auto use = parse(replaced("use 1", "use 2"));
  assert_false(static_cast<bool>(use));
  assert_int_equal(use.error().code, Errc::kOtherVersion);
  use = parse(replaced("token.shadow", "other.shadow"));
  assert_false(static_cast<bool>(use));
  assert_int_equal(use.error().code, Errc::kUnsafe);
}

// --- numbers

// Of a number that was saved as often as one likes, and followed.
void uses_are_counted_once(void ** /*state*/) {
  Counter counter;
  for (const std::uint64_t now : {0U, 5U, 5U, 7U, 7U}) {
    counter = counter.at(now, /*is_same_life=*/true);
    assert_int_equal(counter.total(), now);
  }
  // The host restarts: another life, which has counted more, or less.
  for (const std::uint64_t now : {3U, 7U, 100U}) {
    assert_int_equal(counter.at(now, false).total(), 7 + now);
  }
  counter = counter.at(3, false).at(4, true).at(4, true);
  assert_int_equal(counter.total(), 11);
  // The segment had no room for the token, and then it had.
  assert_int_equal(counter.at(0, true).at(2, true).total(), 13);
}

// A member writes what it likes, again and again.
void numbers_have_an_end(void ** /*state*/) {
  Counter counter;
  for (int i = 0; i < 100; ++i) {
    counter = counter.at(i % 2 == 0 ? UINT64_MAX : 0, i % 3 == 0);
    assert_true(counter.former <= kMostUses && counter.current <= kMostUses);
    assert_in_range(counter.total(), 1, kMostUses);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(text_is_read_and_written_again),
      cmocka_unit_test(text_that_is_cut_off_is_refused),
      cmocka_unit_test(malformed_text_is_refused_with_its_line),
      cmocka_unit_test(other_version_or_store_is_refused),
      cmocka_unit_test(uses_are_counted_once),
      cmocka_unit_test(numbers_have_an_end),
  };
  return cmocka_run_group_tests_name("saved_use", tests, nullptr, nullptr);
}
