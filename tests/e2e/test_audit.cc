// SPDX-License-Identifier: BSD-3-Clause
// The trail of changes in the system log: who changed which token; and that no
// log, or one that takes nothing, keeps no change from being done.
#include "e2e_log.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kStart = kTrail + "pbstoken-helper: ";

template <typename Act>
void assert_trail(Act act, const std::string &command, uid_t uid) {
  const auto lines = trail_of("pbstoken-helper", act);
  assert_int_equal(lines.size(), 1);
  assert_text_equal(lines[0], kStart + command +
                                  "; uid=" + std::to_string(uid) +
                                  " store=pbs tokenid=" + kId);
}

void each_change_has_a_line(void ** /*state*/) {
  std::string secret;
  assert_trail([&] { secret = generate(kId); }, "generate", 0);
  assert_trail([&] { helper_output({"set", "--", kId}, std::string(36, 's')); },
               "set", 0);
  assert_trail(
      [&] { helper_output({"rotate", "--", kId}, std::string(36, 's')); },
      "rotate", 0);
  assert_trail([&] { helper_output({"delete", "--", kId}); }, "delete", 0);
}

void line_names_the_caller(void ** /*state*/) {
  configure("member_rotate = yes\n");
  write_shadow({{kId, kHash}});
  assert_trail(
      [] {
        const RunResult outcome = run({.path = setuid_helper(),
                                       .arguments = {"rotate", "--", kId},
                                       .input = kSecret,
                                       .prepare = become_member});
        assert_int_equal(outcome.status, 0);
      },
      "rotate", kMember);
}

// A long id, and one with many escapes, hides neither.
void odd_id_hides_no_caller(void ** /*state*/) {
  std::string invisible;
  for (int i = 0; i < 58; ++i) {
    invisible += "\u200b";
  }
  for (const std::string &id :
       {invisible + "@pbs!c",
        std::string("a\u3164uid=7\u2800loginuid=7@pbs!c")}) {
    const auto lines = trail_of("pbstoken-helper", [&] { generate(id); });
    assert_int_equal(lines.size(), 1);
    assert_true(
        lines[0].starts_with(kStart + "generate; uid=0 store=pbs tokenid="));
    for (const char c : lines[0]) {
      assert_true(c >= ' ' && c <= '~');
    }
  }
}

// The session's, where there is one.
void line_has_the_login_uid(void ** /*state*/) {
  const std::string login = read_file("/proc/self/loginuid");
  log_lines();
  generate(kId);
  std::string line;
  for (const std::string &each : log_lines()) {
    line = each.find("pbstoken-helper[") != std::string::npos ? each : line;
  }
  const bool has_one = !login.empty() && login != "4294967295";
  const std::size_t found = line.find(" loginuid=" + login + " ");
  assert_true((found != std::string::npos) == has_one);
  assert_true(has_one || line.find("loginuid") == std::string::npos);
}

void what_was_not_changed_has_no_line(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto lines = trail_of("pbstoken-helper", [] {
    run_helper({"delete", "--", "other@pbs!t"});
    run_helper({"rotate", "--", kId}, kWrongSecret);
    run_helper({"verify", "--", kId}, kSecret);
    run({.path = setuid_helper(),
         .arguments = {"delete", "--", kId},
         .prepare = become_member});
  });
  assert_true(lines.empty());
}

// A copy on which pbstoken-cluster(8) tries a change.
const std::string kDraft = "/run/pbstoken-cluster/work.1";

std::string configuration_in(const std::string &directory) {
  std::filesystem::create_directories(directory);
  write_file(directory + "/token.shadow", shadow_of({{kId, kHash}}), 0600);
  return "token_shadow = " + directory +
         "/token.shadow\ncache = no\nfail_limit = 0\nmax_hashes = 0\n"
         "verify_group =\nuser_cfg =\nversion_cache =\n";
}

int segments() {
  shm_info info{};
  shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  return info.used_ids;
}

void draft_of_the_cluster_leaves_nothing(void ** /*state*/) {
  const std::string path = kDraft + "/store.conf";
  write_file(path, configuration_in(kDraft));
  const int before = segments();
  const auto lines = trail_of("pbstoken-helper", [&path] {
    const RunResult outcome =
        run_helper({"--config", path, "rotate", "--", kId}, kSecret);
    assert_int_equal(outcome.status, 0);
  });
  assert_true(lines.empty());
  assert_int_equal(segments(), before);
}

// Neither the directory alone nor --config alone makes a store a draft.
void what_is_no_draft_has_a_line(void ** /*state*/) {
  configure(configuration_in(kDraft));
  assert_trail([] { helper_output({"delete", "--", kId}); }, "delete", 0);
  const std::string path = "/run/store.conf";
  write_file(path, configuration_in("/run/pbstoken-clusters"));
  assert_trail(
      [&path] { helper_output({"--config", path, "delete", "--", kId}); },
      "delete", 0);
}

void trail_holds_no_secret(void ** /*state*/) {
  std::string secret;
  log_lines();
  secret = generate(kId);
  for (const std::string &line : log_lines()) {
    assert_true(line.find(secret) == std::string::npos);
  }
}

// Ten lines fill the queue of a daemon that has stopped; the caller is told of
// those that are lost.
void log_that_takes_nothing_stops_no_change(void ** /*state*/) {
  RunResult last;
  for (int i = 0; i < 14; ++i) {
    last = run_helper({"generate", "--", "john@pbs!t" + std::to_string(i)});
    assert_int_equal(last.status, 0);
  }
  assert_true(last.err.find("the change could not be logged") !=
              std::string::npos);
  log_lines();
  std::filesystem::rename("/dev/log", "/dev/other");
  generate(kId);
  std::filesystem::rename("/dev/other", "/dev/log");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using namespace pbstoken::testing;
  const CMUnitTest tests[] = {
      MEMBER_TEST(each_change_has_a_line),
      MEMBER_TEST(line_names_the_caller),
      MEMBER_TEST(odd_id_hides_no_caller),
      MEMBER_TEST(line_has_the_login_uid),
      MEMBER_TEST(what_was_not_changed_has_no_line),
      MEMBER_TEST(draft_of_the_cluster_leaves_nothing),
      MEMBER_TEST(what_is_no_draft_has_a_line),
      MEMBER_TEST(trail_holds_no_secret),
      MEMBER_TEST(log_that_takes_nothing_stops_no_change),
  };
  return cmocka_run_group_tests_name("audit", tests, replace_dev, restore_dev);
}
