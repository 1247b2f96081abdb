// SPDX-License-Identifier: BSD-3-Clause
// What generate and set say of a token that user.cfg keeps out.
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kNowhere =
    ": it will work neither at Proxmox nor where account rules are asked; ";

// What set, and generate, print on standard error.
void assert_warning(const std::string &id, const std::string &expected) {
  const std::string line =
      expected.empty() ? "" : "pbstoken-helper: warning: " + expected + "\n";
  const RunResult set = run_helper({"set", "--", id}, kSecret);
  assert_int_equal(set.status, 0);
  assert_text_equal(set.err, line);
  const RunResult generated = run_helper({"generate", "--", id});
  assert_int_equal(generated.status, 0);
  assert_text_equal(generated.err, line);
  assert_true(generated.out.starts_with("tokenid: "));
}

void write_accounts(std::string_view text) {
  write_file(kUserCfg, text, 0640);
}

void change_of_an_active_token_warns_of_nothing(void ** /*state*/) {
  write_accounts(
      "user: john@pbs\n\ntoken: john@pbs!client1\n\n"
      "token: root@pam!old\n\texpire 4102444800\n");
  assert_warning(kId, "");
  assert_warning(kOldId, "");
  configure("user_cfg =\n");
  write_accounts("");
  assert_warning(kId, "");
}

void change_of_a_token_without_a_section_says_so(void ** /*state*/) {
  write_accounts("user: john@pbs\n");
  assert_warning(
      kId, std::string("/etc/proxmox-backup/user.cfg has no section of the "
                       "token john@pbs!client1") +
               kNowhere +
               "run pbstoken token add -- 'john@pbs!client1', which makes "
               "another secret");
}

void change_of_a_token_without_a_user_says_so(void ** /*state*/) {
  const std::string start =
      std::string(
          "/etc/proxmox-backup/user.cfg has no section of the user "
          "john@pbs") +
      kNowhere + "run pbstoken user add -- 'john@pbs'";
  write_accounts("token: john@pbs!client1\n");
  assert_warning(kId, start);
  std::filesystem::remove(kUserCfg);
  assert_warning(kId, start +
                          ", then run pbstoken token add -- "
                          "'john@pbs!client1', which makes another secret");
}

void change_of_a_disabled_token_says_so(void ** /*state*/) {
  write_accounts("user: john@pbs\n\tenable 0\n\ntoken: john@pbs!client1\n");
  assert_warning(kId, std::string("the user john@pbs is disabled") + kNowhere +
                          "run pbstoken user enable -- 'john@pbs'");
  write_accounts("user: john@pbs\n\ntoken: john@pbs!client1\n\tenable 0\n");
  assert_warning(kId, std::string("the token john@pbs!client1 is disabled") +
                          kNowhere +
                          "run pbstoken token enable -- 'john@pbs!client1'");
}

void change_of_an_expired_token_says_so(void ** /*state*/) {
  write_accounts("user: john@pbs\n\ntoken: john@pbs!client1\n\texpire 1\n");
  assert_warning(kId, std::string("the token john@pbs!client1 or its user has "
                                  "expired") +
                          kNowhere +
                          "run pbstoken token expire -- 'john@pbs!client1' "
                          "never, or the same with user expire");
}

void change_in_another_store_names_it(void ** /*state*/) {
  const std::string path = scratch("user.cfg");
  std::filesystem::create_directories("/etc/pbstoken");
  write_file("/etc/pbstoken/web.conf",
             "token_shadow = /etc/proxmox-backup/token.shadow\nuser_cfg = " +
                 path + "\n",
             0644);
  write_file(path, "user: john@pbs\n", 0640);
  const RunResult set = run_helper({"--store=web", "set", "--", kId}, kSecret);
  assert_text_equal(
      set.err, "pbstoken-helper: warning: " + path +
                   " has no section of the token john@pbs!client1" + kNowhere +
                   "run pbstoken --store web token add -- 'john@pbs!client1', "
                   "which makes another secret\n");
  std::filesystem::remove(path);
  std::filesystem::remove("/etc/pbstoken/web.conf");
}

// It would be shown as another user's name.
void warning_of_a_name_that_is_escaped_names_no_command(void ** /*state*/) {
  write_accounts("");
  assert_warning("DOM\\svc@ad!t",
                 std::string("/etc/proxmox-backup/user.cfg has no section of "
                             "the user DOM\\x5csvc@ad") +
                     kNowhere + "see pbstoken(8)");
}

// It is no name that a person should paste.
void warning_of_a_name_with_a_quote_names_no_command(void ** /*state*/) {
  write_accounts("");
  assert_warning("o'neil@pbs!t", std::string("/etc/proxmox-backup/user.cfg has "
                                             "no section of the user "
                                             "o'neil@pbs") +
                                     kNowhere + "see pbstoken(8)");
}

void change_with_a_bad_user_cfg_says_so(void ** /*state*/) {
  write_accounts("user: john@pbs\n\tpassword topsecret\n");
  assert_warning(kId,
                 "cannot tell whether the token will work at Proxmox: "
                 "/etc/proxmox-backup/user.cfg:2:2: john@pbs: unknown "
                 "property; run pbstoken check");
}

void change_that_fails_warns_of_nothing(void ** /*state*/) {
  write_file(kShadow, "{", 0640);
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  assert_int_equal(outcome.status, 4);
  assert_true(outcome.err.find("warning") == std::string::npos);
}

// Which replace what is there, and what was there has been warned of.
void rotate_and_delete_warn_of_nothing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunResult rotated = run_helper({"rotate", kId}, kSecret);
  assert_int_equal(rotated.status, 0);
  assert_text_equal(rotated.err, "");
  assert_text_equal(run_helper({"delete", kId}).err, "");
}

void warning_escapes_the_id(void ** /*state*/) {
  write_accounts("");
  const RunResult outcome =
      run_helper({"set", "--", "a" + utf8(0x9b) + "@pbs!t"}, kSecret);
  assert_int_equal(outcome.status, 0);
  assert_true(outcome.err.find("the user a\\xc2\\x9b@pbs: ") !=
              std::string::npos);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(change_of_an_active_token_warns_of_nothing),
      E2E_TEST(change_of_a_token_without_a_section_says_so),
      E2E_TEST(change_of_a_token_without_a_user_says_so),
      E2E_TEST(change_of_a_disabled_token_says_so),
      E2E_TEST(change_of_an_expired_token_says_so),
      E2E_TEST(change_in_another_store_names_it),
      E2E_TEST(warning_of_a_name_with_a_quote_names_no_command),
      E2E_TEST(warning_of_a_name_that_is_escaped_names_no_command),
      E2E_TEST(change_with_a_bad_user_cfg_says_so),
      E2E_TEST(change_that_fails_warns_of_nothing),
      E2E_TEST(rotate_and_delete_warn_of_nothing),
      E2E_TEST(warning_escapes_the_id),
  };
  return cmocka_run_group_tests_name("helper_warning", tests, nullptr, nullptr);
}
