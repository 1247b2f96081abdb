// SPDX-License-Identifier: BSD-3-Clause
// What `pbstoken check` says of the host around a store: outages that none of
// its files shows alone.
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <regex>

#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kInstalled = "/usr/sbin/pbstoken-helper";

void write_good_store() {
  write_shadow({{kId, kHash}});
  assert_int_equal(chown(kShadow, kBackup, kBackup), 0);
  write_file(kUserCfg, "user: john@pbs\n\ntoken: " + std::string(kId) + "\n",
             0640);
  assert_int_equal(chown(kUserCfg, kBackup, kBackup), 0);
}

void assert_problems(const std::string &expected) {
  const RunResult outcome = run_tool({"check"});
  assert_text_equal(outcome.out, expected);
  assert_int_equal(outcome.status, expected.empty() ? 0 : 1);
}

void good_store_finds_nothing(void ** /*state*/) {
  write_good_store();
  assert_problems("");
}

void user_cfg_that_is_gone(void ** /*state*/) {
  write_good_store();
  std::filesystem::remove(kUserCfg);
  assert_problems(std::string(kUserCfg) +
                  ": is not there, and there are tokens: the account rules let "
                  "none of them in; restore it, or set user_cfg to nothing\n");
  configure("user_cfg =\n");
  assert_problems("");
}

void token_shadow_that_is_gone(void ** /*state*/) {
  write_good_store();
  std::filesystem::remove(kShadow);
  write_file(kUserCfg, "user: john@pbs\n", 0640);
  assert_problems("");
  write_good_store();
  std::filesystem::remove(kShadow);
  assert_problems(std::string(kShadow) +
                  ": is not there, and user.cfg has tokens: none of them has a "
                  "secret; restore it, or make new ones\n");
}

// A /usr/sbin that has the helper alone.
int install_helper(void **state) {
  if (clean_host_with_members(state) != 0 ||
      mount("tmpfs", "/usr/sbin", "tmpfs", 0, "mode=0755") != 0) {
    return -1;
  }
  std::filesystem::copy_file(setuid_helper(), kInstalled);
  return chmod(kInstalled, 04755);
}

int uninstall_helper(void ** /*state*/) {
  std::filesystem::remove_all("/run/pbstoken");
  return umount("/usr/sbin");
}

void helper_that_nobody_can_reach(void ** /*state*/) {
  // Other tests that run now have sockets of this path, in other places.
  assert_int_equal(unshare(CLONE_NEWNET), 0);
  write_good_store();
  assert_problems("");
  chmod(kInstalled, 0755);
  assert_problems(
      std::string(kInstalled) +
      ": is not setuid root, and there is no socket: no service that is not "
      "root can verify; 'systemctl enable --now pbstoken-helper.socket', or "
      "'chmod u+s'\n");
  assert_int_equal(start_socket(), 0);
  const RunResult outcome = run_tool({"check"});
  stop_socket(nullptr);
  assert_text_equal(outcome.out, "");
  // What is left of it when its process was killed.
  std::filesystem::create_directories("/run/pbstoken");
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = socket_address();
  assert_int_equal(
      bind(dead, reinterpret_cast<const sockaddr *>(&address), sizeof(address)),
      0);
  close(dead);
  assert_problems(
      "/run/pbstoken/helper.sock: no process listens on it, and "
      "the helper is not setuid root: no service that is not root "
      "can verify; 'systemctl restart pbstoken-helper.socket', or "
      "'chmod u+s' for the helper\n");
}

void group_that_is_gone(void ** /*state*/) {
  write_good_store();
  const std::string groups = read_file("/etc/group");
  write_file("/etc/group", groups.substr(0, groups.find("pbstoken:")));
  tool_output({"flush"});
  assert_problems(std::string(kConfiguration) +
                  ": verify_group: no such group in /etc/group: no service "
                  "that is not root can verify; 'addgroup --system' makes "
                  "it\n");
  configure("verify_group =\n");
  assert_problems("");
}

std::string names_in_status(const char *member) {
  const auto status = status_json();
  if (status[member].IsNull()) {
    return "null";
  }
  std::string names;
  for (const auto &name : status[member].GetArray()) {
    names += std::string(names.empty() ? "" : " ") + name.GetString();
  }
  return names;
}

std::string line_in_status(const std::string &member) {
  std::smatch found;
  const std::string text = tool_output({"status"});
  return std::regex_search(text, found, std::regex("\n" + member + ": +(.*)\n"))
             ? found.str(1)
             : "";
}

// Those of /etc/group, and those whose own group it is.
void members_of_the_groups_are_shown(void ** /*state*/) {
  write_good_store();
  configure("admin_group = backup\n");
  const std::string groups = read_file("/etc/group");
  const std::string others = groups.substr(0, groups.find("pbstoken:"));
  const std::string users = read_file("/etc/passwd");
  assert_text_equal(names_in_status("verify_group_members"), "www-data");
  assert_text_equal(names_in_status("admin_group_members"), "backup");
  write_file("/etc/passwd", users +
                                "svc:x:7001:4711::/:/bin/false\n"
                                "www-data2:x:7002:4711::/:/bin/false\n");
  write_file(
      "/etc/group",
      others + "pbstoken:x:4711:www-data,dovecot,svc\nalso:x:4711:more\n");
  const std::string all = "www-data dovecot svc more www-data2";
  assert_text_equal(names_in_status("verify_group_members"), all);
  assert_text_equal(line_in_status("verify_group_members"),
                    "www-data, dovecot, svc, more, www-data2");
  // A long line is read again with more room.
  std::string many;
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    many += (i == 0 ? "u" : ",u") + std::to_string(i);
    expected += (i == 0 ? "u" : " u") + std::to_string(i);
  }
  write_file("/etc/passwd", users);
  write_file("/etc/group",
             others + "first:x:4711:u0\npbstoken:x:4711:" + many + "\n");
  assert_text_equal(names_in_status("verify_group_members"), expected);
  write_file("/etc/group", others + "pbstoken:x:4711:\n");
  assert_text_equal(names_in_status("verify_group_members"), "");
  assert_text_equal(line_in_status("verify_group_members"), "");
  configure("verify_group =\n");
  write_file("/etc/group", groups);
  assert_text_equal(names_in_status("verify_group_members"), "null");
  assert_text_equal(line_in_status("verify_group_members"), "-");
  assert_text_equal(names_in_status("admin_group_members"), "null");
}

void stacks_that_lock_out_are_named(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  write_file(
      stack,
      "  # auth [default=die] pam_pbstoken.so store=nowhere\n"
      "auth required pam_pbstoken.so\tstore=nowhere # or another\n"
      "auth [success=2 user_unknown=ignore default=die] pam_pbstoken.so\n"
      "auth [success=2 user_unknown=ignore module_unknown=ignore "
      "default=die] pam_pbstoken.so combined store=pbs\n"
      "auth required pam_pbstoken.so # store=nowhere\n"
      "auth required pam_pbstoken.so store=nowhere config=/etc/x.conf\n"
      "auth [success=2 user_unknown=ignore default=bad] pam_pbstoken.so\n"
      "auth [success=2 user_unknown=ignore default=done] pam_pbstoken.so\n");
  write_file("/etc/x.conf", "");
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(
      outcome.out,
      stack + ":2: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":3: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n" +
          stack +
          ":7: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n" +
          stack +
          ":8: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n");
  assert_int_equal(outcome.status, 1);
}

// As libpam takes a line apart: in any case, over several lines, in brackets.
void stacks_are_read_as_libpam_reads_them(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  write_file(stack,
             "# \\\n"
             "-AUTH [user_unknown=ignore \\ \n"
             "\tdefault=die]\\\n"
             "\t\t/lib/security/pam_pbstoken.so [store=nowhere]\n"
             "auth required pam_echo.so pam_pbstoken.so store=nowhere\n"
             "auth required pam_pbstoken.so\\\n"
             "store=nowhere # \\\n"
             "auth required pam_pbstoken.so store=no\\where");
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(
      outcome.out,
      stack + ":2: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":2: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in once the package is removed, with a password neither\n" +
          stack +
          ":6: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":8: store=no\\x5cwhere: not a store name: the module refuses every "
          "request\n");
}

// What the module itself says of them, before the first login fails.
void options_that_the_module_refuses_are_named(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"no_cache", "no_cache: unknown option"},
      {"Quiet", "Quiet: unknown option"},
      {"debug nocache combined realm=pam", ""},
      {"realm=pam", "realm=: needs combined or map_user="},
      {"map_user=user", "map_user=user: needs realm="},
      {"store=../pbs", "store=../pbs: not a store name"},
      {"helper=pbstoken-helper",
       "helper=pbstoken-helper: must be an absolute path"},
      {"config=/etc/nowhere.conf",
       "config=/etc/nowhere.conf: there is no such file"},
  };
  std::string expected;
  std::string text;
  std::size_t number = 0;
  for (const auto &[options, problem] : lines) {
    text += "password required pam_pbstoken.so " + options + "\n";
    ++number;
    if (!problem.empty()) {
      expected += stack + ":" + std::to_string(number) + ": " + problem +
                  ": the module refuses every request\n";
    }
  }
  text += "password required pam_pbstoken.so helper=/nowhere\n";
  expected += stack + ":" + std::to_string(number + 1) +
              ": helper=/nowhere: there is no such file: a service that is not "
              "root cannot verify\n";
  write_file(stack, text);
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(outcome.out, expected);
  assert_int_equal(outcome.status, 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(good_store_finds_nothing),
      E2E_TEST(user_cfg_that_is_gone),
      E2E_TEST(token_shadow_that_is_gone),
      cmocka_unit_test_setup_teardown(helper_that_nobody_can_reach,
                                      install_helper, uninstall_helper),
      cmocka_unit_test_setup_teardown(group_that_is_gone, install_helper,
                                      uninstall_helper),
      MEMBER_TEST(members_of_the_groups_are_shown),
      E2E_TEST(stacks_that_lock_out_are_named),
      E2E_TEST(stacks_are_read_as_libpam_reads_them),
      E2E_TEST(options_that_the_module_refuses_are_named),
  };
  return cmocka_run_group_tests_name("tool_host", tests, nullptr, nullptr);
}
