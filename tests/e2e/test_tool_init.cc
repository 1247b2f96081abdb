// SPDX-License-Identifier: BSD-3-Clause
// `pbstoken init`: a store where none is, and none changed where one is.
#include <unistd.h>

#include "exhausted.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

void assert_entry(const std::string &path, mode_t mode, uid_t user, gid_t group,
                  mode_t type = S_IFREG) {
  const struct stat status = status_of(path);
  if (status.st_mode != (type | mode) || status.st_uid != user ||
      status.st_gid != group) {
    fail_msg("%s: mode 0%o of %u:%u", path.c_str(), status.st_mode,
             status.st_uid, status.st_gid);
  }
}

// It works, check finds nothing, and to make it again changes nothing.
void assert_works(const std::string &store,
                  const std::vector<std::string> &again) {
  const std::string second = tool_output(again);
  assert_true(second.find("made ") == std::string::npos);
  const std::string text = helper_output(
      {"--store", store, "--output-format", "json", "generate", "--", kId});
  const std::string secret = parse_json(text)["value"].GetString();
  assert_exit(run_helper({"--store", store, "verify", "--", kId}, secret), 0,
              "verify");
  const RunResult check = run_tool({"--store", store, "check"});
  assert_text_equal(check.out, "");
  assert_int_equal(check.status, 0);
}

int no_proxmox(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  std::filesystem::remove_all(kDirectory);
  return 0;
}

void init_of_the_default_store_is_as_proxmox_has_it(void ** /*state*/) {
  assert_text_equal(tool_output({"init"}),
                    "made /etc/proxmox-backup\n"
                    "made /etc/proxmox-backup/token.shadow.lock\n"
                    "made /etc/proxmox-backup/token.shadow\n"
                    "made /etc/proxmox-backup/user.cfg\n"
                    "next: pbstoken user add 'USER@REALM'\n"
                    "      pbstoken token add 'USER@REALM!TOKEN'\n");
  assert_entry(kDirectory, 0700, kBackup, kBackup, S_IFDIR);
  assert_entry(kShadow, 0640, kBackup, kBackup);
  assert_entry(kLock, 0660, kBackup, kBackup);
  assert_entry(kUserCfg, 0640, 0, kBackup);
  write_file(kUserCfg, "user: john@pbs\n\ntoken: " + std::string(kId) + "\n",
             0640);
  assert_works("pbs", {"init"});
}

void init_without_users_says_so_in_the_configuration(void ** /*state*/) {
  tool_output({"init", "--no-users"});
  assert_true(read_file(kConfiguration).ends_with("\nuser_cfg =\n"));
  assert_false(std::filesystem::exists(kUserCfg));
  assert_works("pbs", {"init", "--no-users"});
  const RunResult other = run_tool({"init", "--users"});
  assert_exit(other, 4, "with users");
  assert_text_equal(other.err,
                    "pbstoken: cannot have --users: the configuration says "
                    "otherwise; change user_cfg there, or make another "
                    "--store\n");
}

// Until then each command that would write says what makes a store, and no
// secret is printed that could not count.
void without_a_directory_every_writer_names_init(void ** /*state*/) {
  std::filesystem::remove_all(kDirectory);
  const std::string no_directory =
      "its directory is not there: 'pbstoken init' makes it\n";
  const std::string shadow = std::string(": cannot write ") + kShadow + ": ";
  for (const char *command : {"generate", "set", "delete"}) {
    const RunResult outcome = run_helper({command, kId}, kSecret);
    assert_exit(outcome, 4, command);
    assert_text_equal(outcome.out, "");
    assert_text_equal(outcome.err, "pbstoken-helper" + shadow + no_directory);
  }
  for (const std::vector<std::string> &words :
       {std::vector<std::string>{"token", "add", kId},
        {"token", "remove", kId},
        {"user", "add", "john@pbs"}}) {
    const RunResult outcome = run_tool(words);
    assert_exit(outcome, 4, words.front());
    assert_text_equal(outcome.out, "");
    assert_text_equal(outcome.err, "pbstoken" + shadow + no_directory);
  }
  assert_true(
      tool_output({"status"}).find("'pbstoken init' makes the directory") !=
      std::string::npos);
}

// What it says to run next works as it stands.
void init_is_followed_by_a_user_and_a_token(void ** /*state*/) {
  const std::string made = tool_output({"--store", "web", "init", "--users"});
  assert_true(made.ends_with(
      "next: pbstoken --store web user add 'USER@REALM'\n"
      "      pbstoken --store web token add 'USER@REALM!TOKEN'\n"));
  tool_output({"--store", "web", "user", "add", "john@pbs"});
  const std::string added = tool_output(
      {"--store", "web", "--output-format", "json", "token", "add", kId});
  const std::string secret = parse_json(added)["value"].GetString();
  for (const char *command : {"verify", "account"}) {
    assert_exit(run_helper({"--store", "web", command, "--", kId}, secret), 0,
                command);
  }
  assert_exit(run_tool({"--store", "web", "check"}), 0, "check");
}

void init_of_another_store_is_beside_its_configuration(void ** /*state*/) {
  assert_text_equal(
      tool_output({"--store", "web", "init"}),
      "made /etc/pbstoken/web.conf\nmade /etc/pbstoken/web\n"
      "made /etc/pbstoken/web/token.shadow.lock\n"
      "made /etc/pbstoken/web/token.shadow\n"
      "next: pbstoken-helper --store web generate 'USER@REALM!TOKEN'\n");
  assert_entry("/etc/pbstoken/web", 0700, 0, 0, S_IFDIR);
  assert_entry("/etc/pbstoken/web/token.shadow", 0600, 0, 0);
  assert_entry("/etc/pbstoken/web.conf", 0644, 0, 0);
  assert_works("web", {"--store", "web", "init"});
}

void init_with_a_path_and_users(void ** /*state*/) {
  const std::vector<std::string> arguments = {
      "--store", "web", "init", "--token-shadow=/etc/a/b/token.shadow",
      "--users"};
  const std::string made = tool_output(arguments);
  assert_true(made.find("made /etc/a\nmade /etc/a/b\n") != std::string::npos);
  assert_entry("/etc/a", 0755, 0, 0, S_IFDIR);
  assert_entry("/etc/a/b/user.cfg", 0640, 0, 0);
  write_file("/etc/a/b/user.cfg",
             "user: john@pbs\n\ntoken: " + std::string(kId) + "\n", 0640);
  assert_works("web", arguments);
  const RunResult other =
      run_tool({"--store", "web", "init", "--token-shadow", "/etc/c/shadow"});
  assert_exit(other, 4, "another path");
  assert_true(other.err.find("the configuration says another one") !=
              std::string::npos);
  assert_false(std::filesystem::exists("/etc/c"));
  std::filesystem::remove_all("/etc/a");
}

// Else the next run would take the half that was written for what was wanted.
void init_writes_no_configuration_that_says_another_path(void ** /*state*/) {
  for (const std::string path :
       {"/etc/a#b/token.shadow", "/etc/../a/token.shadow", "/etc/a/shadow "}) {
    const RunResult outcome =
        run_tool({"--store", "web", "init", "--token-shadow", path});
    assert_exit(outcome, 4, path.c_str());
    assert_text_equal(outcome.err, "pbstoken: cannot have token_shadow " +
                                       path +
                                       ": a configuration cannot say it\n");
    assert_false(std::filesystem::exists("/etc/pbstoken/web.conf"));
    assert_false(std::filesystem::exists("/etc/a"));
  }
  // The path that follows from that of the configuration.
  const RunResult outcome =
      run_tool({"--config", "/etc/a#b/web.conf", "--store", "web", "init"});
  assert_exit(outcome, 4, "a path that follows");
  assert_text_equal(outcome.err,
                    "pbstoken: cannot have token_shadow "
                    "/etc/a#b/web/token.shadow: a configuration cannot say "
                    "it\n");
  assert_false(std::filesystem::exists("/etc/a#b"));
  assert_false(std::filesystem::exists("/etc/a"));
}

void init_changes_nothing_that_is_there(void ** /*state*/) {
  std::filesystem::create_directory(kDirectory);
  write_shadow({{kId, kHash}});
  write_file(kUserCfg, "user: john@pbs\n", 0604);
  const struct stat shadow = status_of(kShadow);
  assert_text_equal(tool_output({"init"}),
                    "made /etc/proxmox-backup/token.shadow.lock\n"
                    "left as it is: /etc/proxmox-backup/token.shadow\n"
                    "left as it is: /etc/proxmox-backup/user.cfg\n"
                    "next: pbstoken user add 'USER@REALM'\n"
                    "      pbstoken token add 'USER@REALM!TOKEN'\n");
  assert_int_equal(status_of(kShadow).st_ctim.tv_nsec, shadow.st_ctim.tv_nsec);
  assert_entry(kUserCfg, 0604, 0, 0);
  assert_text_equal(read_file(kUserCfg), "user: john@pbs\n");
}

// The owner of a directory leads root nowhere.
void init_follows_no_link(void ** /*state*/) {
  std::filesystem::create_directory(scratch("elsewhere"));
  std::filesystem::create_symlink(scratch("elsewhere"), kDirectory);
  assert_exit(run_tool({"init"}), 4, "a link in the way");
  std::filesystem::remove(kDirectory);
  std::filesystem::create_directory(kDirectory);
  std::filesystem::create_symlink(scratch("elsewhere/file"), kShadow);
  run_tool({"init"});
  assert_true(names_in(scratch("elsewhere")).empty());
  std::filesystem::remove_all(scratch("elsewhere"));
}

// The owner of the directory around a new one puts something of root's in its
// place, between two calls of the program: here with a second to do it in.
void init_gives_away_nothing_that_it_has_not_made(void ** /*state*/) {
  const std::string secret = scratch("root-secret");
  const std::string keys = std::string(kDirectory) + "/keys";
  for (const bool is_link : {true, false}) {
    std::filesystem::create_directory(kDirectory);
    chmod(kDirectory, 0777);
    write_file(secret, "s", 0600);
    std::filesystem::create_directory(keys);
    write_file(keys + "/key", "k", 0600);
    chmod(keys.c_str(), 0700);
    const std::string made = std::string(kDirectory) + "/a";
    const pid_t owner = start_child([&] {
      while (!std::filesystem::exists(made)) {
        usleep(1000);
      }
      std::filesystem::rename(made, std::string(kDirectory) + "/b");
      if (is_link) {
        std::filesystem::create_symlink(secret, made);
      } else {
        std::filesystem::rename(keys, made);
      }
      return 0;
    });
    // The third component of the path is the first that is not there.
    const RunResult outcome =
        run({.path = "/usr/bin/strace",
             .arguments = {"-o", "/dev/null", "-e",
                           "inject=mkdirat:delay_exit=1000000", tool_path(),
                           "--store", "web", "init", "--token-shadow",
                           made + "/token.shadow"}});
    assert_int_equal(wait_for(owner), 0);
    assert_int_equal(outcome.status, 4);
    assert_true(outcome.err.ends_with(
        "cannot make /etc/proxmox-backup/a: another process has put something "
        "in its place\n"));
    assert_entry(secret, 0600, 0, 0);
    assert_entry(is_link ? keys : made, 0700, 0, 0, S_IFDIR);
    std::filesystem::remove_all(kDirectory);
    std::filesystem::remove("/etc/pbstoken/web.conf");
  }
}

// As 'pbstoken prepare' does: a user who fills the kernel's table before the
// first login would leave the store without limits.
void init_makes_the_limits(void ** /*state*/) {
  tool_output({"--store", "mine", "init"});
  const NoMoreObjects no_sets(kSemaphoreLimit);
  const NoMoreObjects no_segments(kSegmentLimit);
  tool_output({"--store", "mine", "prepare"});
}

void init_without_room_for_the_limits_says_so(void ** /*state*/) {
  const NoMoreObjects no_segments(kSegmentLimit);
  const RunResult outcome = run_tool({"--store", "mine", "init"});
  assert_exit(outcome, 4, "init");
  assert_true(outcome.out.find("made /etc/pbstoken/mine/token.shadow\n") !=
              std::string::npos);
  assert_true(outcome.err.starts_with(
      "pbstoken: cannot make the shared memory: No space left on device\n"));
  assert_true(outcome.err.ends_with(
      "pbstoken: the store is made, without all of its segments and limits: "
      "'pbstoken check' says why; then run 'pbstoken prepare'\n"));
}

void init_as_json(void ** /*state*/) {
  rapidjson::Document made;
  made.Parse(tool_output({"--output-format", "json", "init"}).c_str());
  assert_true(made.IsArray());
  assert_int_equal(made.Size(), 4);
  assert_text_equal(made[0]["path"].GetString(), kDirectory);
  assert_true(made[0]["made"].GetBool());
}

void options_of_init_are_its_own(void ** /*state*/) {
  for (const char *option : {"--users", "--no-users", "--token-shadow=/a"}) {
    assert_exit(run_tool({option, "list"}), 2, option);
    assert_exit(run_helper({option, "verify", kId}), 2, option);
  }
  assert_exit(run_tool({"init", "--token-shadow", "relative"}), 2, "relative");
}

}  // namespace
}  // namespace pbstoken

#define INIT_TEST(name) cmocka_unit_test_setup(name, pbstoken::no_proxmox)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      INIT_TEST(init_of_the_default_store_is_as_proxmox_has_it),
      INIT_TEST(init_without_users_says_so_in_the_configuration),
      INIT_TEST(without_a_directory_every_writer_names_init),
      INIT_TEST(init_is_followed_by_a_user_and_a_token),
      INIT_TEST(init_of_another_store_is_beside_its_configuration),
      INIT_TEST(init_with_a_path_and_users),
      INIT_TEST(init_writes_no_configuration_that_says_another_path),
      INIT_TEST(init_changes_nothing_that_is_there),
      INIT_TEST(init_follows_no_link),
      INIT_TEST(init_gives_away_nothing_that_it_has_not_made),
      INIT_TEST(init_makes_the_limits),
      INIT_TEST(init_without_room_for_the_limits_says_so),
      INIT_TEST(init_as_json),
      INIT_TEST(options_of_init_are_its_own),
  };
  return cmocka_run_group_tests_name("tool_init", tests, nullptr, nullptr);
}
