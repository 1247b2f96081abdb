// SPDX-License-Identifier: BSD-3-Clause
// Who may do what, with the real setuid helper: by the ids and groups of the
// calling process, and only if the helper is installed as it must be.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <array>
#include <cstring>
#include <ctime>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// With an id that is there, so that each of them could do something.
const std::array<std::vector<std::string>, 6> kEveryCommand = {{
    {"generate", kId},
    {"set", kId},
    {"delete", kId},
    {"rotate", kId},
    {"verify", kId},
    {"account", kId},
}};

int fresh_host(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  static const std::string groups = read_file("/etc/group");
  write_file("/etc/group", groups);
  configure_groups();
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  write_user_cfg();
  return 0;
}

void assert_untouched() {
  assert_text_equal(read_file(kShadow),
                    shadow_of({{kId, kHash}, {kOldId, kOldHash}}));
}

void assert_refused(const RunResult &outcome, const std::string &what) {
  assert_exit(outcome, 3, what);
  assert_text_equal(outcome.out, "");
  if (!outcome.err.starts_with("pbstoken-helper: not permitted: ")) {
    fail_msg("%s: %s", what.c_str(), outcome.err.c_str());
  }
}

// Whoever it is may have none of the commands.
void assert_refused_everything(const Person &person) {
  const std::string helper = install_helper();
  for (const auto &arguments : kEveryCommand) {
    assert_refused(run_as(person, helper, arguments),
                   std::string(person.name) + ", " + arguments[0]);
  }
  assert_untouched();
  assert_true(names_in(kDirectory) ==
              std::set<std::string>({"token.shadow", "user.cfg"}));
  assert_true(status_json()["id"].IsNull());
}

// --- strangers

void stranger_is_refused_everything(void ** /*state*/) {
  configure_groups("member_rotate = yes\n");
  for (const Person &person :
       {kStranger, Person{.name = "backup", .uid = kBackup, .gid = kBackup},
        Person{.name = "of group root", .gid = 0, .groups = {0}},
        Person{.name = "of other groups",
               .gid = kVerifyGroup - 1,
               .groups = {kAdminGroup + 1}},
        Person{.name = "whose uid is the group's number",
               .uid = kAdminGroup}}) {
    assert_refused_everything(person);
  }
}

// A program that is setgid to the group, and not a member of it.
void stranger_in_a_setgid_program_is_refused_everything(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const auto &arguments : kEveryCommand) {
    assert_refused(
        run({.path = helper,
             .arguments = arguments,
             .input = kSecret,
             .prepare =
                 [] {
                   if (setgroups(0, nullptr) != 0 ||
                       setresgid(kNobody, kAdminGroup, kVerifyGroup) != 0 ||
                       setresuid(kNobody, kNobody, kNobody) != 0) {
                     std::abort();
                   }
                 }}),
        arguments[0]);
  }
  assert_untouched();
}

// A setuid program of root that did not become root itself.
void stranger_in_a_setuid_program_is_refused_everything(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const auto &arguments : kEveryCommand) {
    assert_refused(run({.path = helper,
                        .arguments = arguments,
                        .input = kSecret,
                        .prepare =
                            [] {
                              if (setgroups(0, nullptr) != 0 ||
                                  setresgid(kNobody, 0, 0) != 0 ||
                                  setresuid(kNobody, 0, 0) != 0) {
                                std::abort();
                              }
                            }}),
                   arguments[0]);
  }
  assert_untouched();
}

void stranger_is_refused_before_input_is_read(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const auto &arguments : kEveryCommand) {
    // Its writing end stays open: whoever reads waits for ever.
    Pipe input;
    assert_int_equal(write(input.writer(), "secret", 6), 6);
    assert_refused(run_as(kStranger, helper, arguments, "",
                          [&] { dup2(input.reader(), STDIN_FILENO); }),
                   arguments[0]);
    assert_text_equal(input.read_all(), "secret");
  }
}

// A line in /etc/group makes nobody a member who is not one yet.
void stranger_whom_the_group_file_lists_is_refused(void ** /*state*/) {
  std::ofstream("/etc/group", std::ios::app)
      << "pbstoken:x:" << kVerifyGroup << ":nobody\n";
  configure("");
  const std::string helper = install_helper();
  assert_refused(run_as(kStranger, helper, {"verify", kId}), "nobody");
  assert_exit(run_as(kMember, helper, {"verify", kId}), 0, "member");
}

// --- the command line and the configuration of others

void stranger_usage_error_is_exit_2(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{
           {}, {"nosuch"}, {"verify"}, {"verify", "john@pbs"}, {"--x"}}) {
    assert_exit(run_as(kStranger, helper, arguments), 2, "usage");
  }
  assert_exit(run_as(kStranger, helper, {"--help"}), 0, "--help");
}

void config_option_is_refused_to_all_but_root(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const Person &person : {kStranger, kMember, kAdmin}) {
    // Whether it is there or not, good or bad.
    for (const char *path : {kConfiguration, "/nowhere", "/etc/shadow"}) {
      for (const auto &arguments : kEveryCommand) {
        std::vector<std::string> with_config = {"--config", path};
        with_config.insert(with_config.end(), arguments.begin(),
                           arguments.end());
        const RunResult outcome = run_as(person, helper, with_config);
        assert_refused(outcome, person.name);
        assert_text_equal(outcome.err,
                          "pbstoken-helper: not permitted: --config is for "
                          "root\n");
      }
    }
  }
  assert_untouched();
  assert_exit(
      run_as(kRoot, helper, {"--config", kConfiguration, "verify", kId}), 0,
      "root");
}

void store_that_is_not_there_is_refused(void ** /*state*/) {
  const std::string helper = install_helper();
  for (const Person &person : {kStranger, kMember, kAdmin}) {
    assert_refused(
        run_as(person, helper, {"--store", "nosuch", "account", kId}),
        person.name);
  }
}

// What a file says that the caller may not read is not quoted.
void bad_configuration_is_quoted_to_root_alone(void ** /*state*/) {
  const std::string helper = install_helper();
  write_file(kConfiguration, "cache_ttl = 5\nhunter2\n", 0600);
  for (const Person &person : {kStranger, kMember, kAdmin}) {
    const RunResult outcome = run_as(person, helper, {"verify", kId});
    assert_exit(outcome, 4, person.name);
    assert_true(outcome.err.starts_with("pbstoken-helper: cannot use "));
    assert_true(outcome.err.find("hunter2") == std::string::npos);
    assert_true(outcome.err.find(":2") == std::string::npos);
  }
  const RunResult outcome = run_as(kRoot, helper, {"verify", kId});
  assert_exit(outcome, 4, "root");
  assert_true(outcome.err.find(":2: hunter2: ") != std::string::npos);
}

// --- members

struct Answer {
  std::vector<std::string> arguments;
  std::string input;
  int status;
};

void assert_answers(const Person &person, const std::vector<Answer> &answers) {
  const std::string helper = install_helper();
  for (const Answer &answer : answers) {
    const RunResult outcome =
        run_as(person, helper, answer.arguments, answer.input);
    assert_exit(outcome, answer.status,
                std::string(person.name) + ", " + answer.arguments[0]);
    if (answer.status == 3) {
      assert_refused(outcome, answer.arguments[0]);
    }
  }
}

// By its own group or any other, with root's group or without.
const std::array<Person, 4> kMembers = {{
    {.name = "gid", .gid = kVerifyGroup},
    {.name = "only group", .groups = {kVerifyGroup}},
    {.name = "last group", .groups = {1, 2, 3, kVerifyGroup}},
    {.name = "service", .uid = 33, .gid = 33, .groups = {0, kVerifyGroup}},
}};

void member_may_verify_and_ask_for_accounts_and_nothing_else(
    void ** /*state*/) {
  for (const Person &person : kMembers) {
    assert_answers(person, {{{"verify", kId}, kSecret, 0},
                            {{"verify", kId}, kWrongSecret, 1},
                            {{"verify", "no@pbs!t"}, kSecret, 5},
                            {{"account", kId}, "", 0},
                            {{"rotate", kId}, kSecret, 3},
                            {{"rotate", kId}, kWrongSecret, 3},
                            {{"generate", kId}, "", 3},
                            {{"set", kId}, kSecret, 3},
                            {{"delete", kId}, "", 3}});
    assert_untouched();
  }
}

void member_may_rotate_where_the_store_says_so(void ** /*state*/) {
  configure_groups("member_rotate = yes\n");
  const std::string helper = install_helper();
  std::string secret = kSecret;
  for (const Person &person : kMembers) {
    assert_answers(person, {{{"rotate", kId}, kWrongSecret, 1},
                            {{"rotate", "no@pbs!t"}, secret, 5},
                            {{"generate", kId}, "", 3},
                            {{"set", kId}, secret, 3},
                            {{"delete", kId}, "", 3}});
    const RunResult outcome =
        run_as(person, helper, {"rotate", "--output-format=json", kId}, secret);
    assert_exit(outcome, 0, person.name);
    secret = parse_json(outcome.out)["value"].GetString();
    assert_answers(person, {{{"verify", kId}, secret, 0}});
    assert_pam(authenticate(kId, secret), PAM_SUCCESS);
  }
  assert_text_equal(parse_json(read_file(kShadow))[kOldId].GetString(),
                    kOldHash);
  const struct stat shadow = status_of(kShadow);
  assert_int_equal(shadow.st_mode, S_IFREG | 0640);
}

// What a member has verified is in the segment that it may only read.
void member_fills_the_cache(void ** /*state*/) {
  const std::string helper = install_helper();
  tool_output({"prepare"});
  assert_exit(run_as(kMember, helper, {"verify", kId}), 0, "member");
  assert_int_equal(counter("hashes"), 1);
  assert_exit(run_as(kMember, helper, {"verify", kId}), 0, "member");
  assert_int_equal(counter("hashes"), 1);
  assert_int_equal(counter("hits"), 1);
  const auto status = status_json();
  assert_text_equal(status["mode"].GetString(), "0640");
  assert_int_equal(status["slots_used"].GetUint64(), 1);
}

void admin_may_do_everything(void ** /*state*/) {
  for (const Person &person :
       {Person{.name = "gid", .gid = kAdminGroup},
        Person{.name = "group", .groups = {5, kAdminGroup}}}) {
    write_shadow({{kId, kHash}, {kOldId, kOldHash}});
    assert_answers(person, {{{"verify", kId}, kSecret, 0},
                            {{"rotate", kId}, kSecret, 0},
                            {{"set", kId}, kWrongSecret, 0},
                            {{"verify", kId}, kWrongSecret, 0},
                            {{"generate", kId}, "", 0},
                            {{"account", kId}, "", 0},
                            {{"delete", kId}, "", 0},
                            {{"delete", kId}, "", 5}});
    assert_text_equal(read_file(kShadow), shadow_of({{kOldId, kOldHash}}));
  }
}

void admin_group_by_default_is_empty(void ** /*state*/) {
  configure("");
  for (const Person &person :
       {kAdmin, Person{.name = "of group root", .gid = 0}}) {
    assert_refused_everything(person);
  }
}

void refusal_names_who_may(void ** /*state*/) {
  const std::string helper = install_helper();
  const auto refused = [&](const std::string &configuration,
                           const std::string &command) {
    configure(configuration);
    return run_as(kStranger, helper, {command, kId}).err;
  };
  const std::string start = "pbstoken-helper: not permitted: only root";
  const std::string end =
      " may do this, not uid " + std::to_string(kStranger.uid) + "\n";
  const std::string nobody = "verify_group =\n";
  const std::string both = "verify_group = 54321\nadmin_group = 54322\n";
  assert_text_equal(refused(nobody, "verify"), start + end);
  assert_text_equal(refused(nobody, "set"), start + end);
  assert_text_equal(refused("", "verify"), start + " or group pbstoken" + end);
  assert_text_equal(refused("", "rotate"), start + end);
  assert_text_equal(refused(both, "set"), start + " or group 54322" + end);
  assert_text_equal(refused(both, "account"),
                    start + " or group 54322 or group 54321" + end);
  assert_text_equal(refused(both + "member_rotate = yes\n", "rotate"),
                    start + " or group 54322 or group 54321" + end);
}

// The default's group need not be there: then nobody is in it.
void verify_group_by_default_may_be_missing(void ** /*state*/) {
  configure("");
  assert_refused_everything(kMember);
  assert_exit(run_as(kRoot, install_helper(), {"verify", kId}), 0, "root");
}

void groups_by_name_are_looked_up(void ** /*state*/) {
  std::ofstream("/etc/group", std::ios::app)
      << "verifiers:x:" << kVerifyGroup << ":\n"
      << "admins:x:" << kAdminGroup << ":\n";
  configure("verify_group = verifiers\nadmin_group = admins\n");
  const std::string helper = install_helper();
  assert_exit(run_as(kMember, helper, {"verify", kId}), 0, "member");
  assert_exit(run_as(kAdmin, helper, {"delete", kOldId}), 0, "admin");
  const RunResult outcome = run_as(kMember, helper, {"delete", kId});
  assert_text_equal(outcome.err,
                    std::string("pbstoken-helper: not permitted: only root or "
                                "group ") +
                        "admins may do this, not uid " +
                        std::to_string(kMember.uid) + "\n");
}

// What cannot be told is no permission.
void group_file_that_cannot_be_read_is_exit_4(void ** /*state*/) {
  configure("");
  const std::string helper = install_helper();
  std::filesystem::rename("/etc/group", "/etc/group.away");
  std::filesystem::create_directory("/etc/group");
  const RunResult member = run_as(kMember, helper, {"verify", kId});
  const RunResult root = run_as(kRoot, helper, {"verify", kId});
  std::filesystem::remove("/etc/group");
  std::filesystem::rename("/etc/group.away", "/etc/group");
  assert_exit(member, 4, "member");
  assert_exit(root, 0, "root");
}

void root_by_its_real_uid_may_do_everything(void ** /*state*/) {
  const RunResult outcome = run({.path = install_helper(),
                                 .arguments = {"delete", kOldId},
                                 .prepare = become_nobody_effectively});
  assert_exit(outcome, 0, "real uid 0");
}

// --- installed as it must be

void helper_for_a_group_alone_works(void ** /*state*/) {
  const std::string helper = install_helper(0, 04750, kVerifyGroup);
  assert_exit(run_as(kMember, helper, {"verify", kId}), 0, "member");
  assert_exit(run_as(kStranger, helper, {"verify", kId}), 126, "nobody");
}

void helper_that_others_may_change_is_exit_4(void ** /*state*/) {
  for (const mode_t mode : {04775U, 04757U, 04777U}) {
    assert_exit(run_as(kMember, install_helper(0, mode), {"verify", kId}), 4,
                "writable");
  }
}

void helper_without_the_setuid_bit_is_exit_4(void ** /*state*/) {
  const std::string helper = install_helper(0, 0755);
  for (const Person &person : {kStranger, kMember, kAdmin}) {
    for (const std::vector<std::string> &arguments :
         {std::vector<std::string>{"verify", kId}, {"nosuch"}, {"--help"}}) {
      const RunResult outcome = run_as(person, helper, arguments);
      assert_exit(outcome, 4, person.name);
      assert_text_equal(
          outcome.err,
          "pbstoken-helper: cannot run: not installed setuid root\n");
      assert_text_equal(outcome.out, "");
    }
  }
  // Nor does a setuid program lend its own, whosever the file is.
  for (const uid_t owner : {uid_t{0}, kBackup}) {
    assert_exit(run({.path = install_helper(owner, 0755),
                     .arguments = {"verify", kId},
                     .input = kSecret,
                     .prepare =
                         [] {
                           if (setresuid(kNobody, 0, 0) != 0) {
                             std::abort();
                           }
                         }}),
                4, "another's");
  }
}

void helper_under_no_new_privs_is_exit_4(void ** /*state*/) {
  const std::string helper = install_helper();
  const auto no_new_privs = [] { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); };
  assert_exit(run_as(kMember, helper, {"verify", kId}, kSecret, no_new_privs),
              4, "member");
  assert_exit(run_as(kRoot, helper, {"verify", kId}, kSecret, no_new_privs), 0,
              "root");
}

void give_file_capabilities(const std::string &path) {
  constexpr std::uint32_t kRights =
      (1U << CAP_DAC_OVERRIDE) | (1U << CAP_SETUID) | (1U << CAP_SETGID);
  const vfs_cap_data value = {
      .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
      .data = {{.permitted = kRights, .inheritable = 0}, {}}};
  assert_int_equal(
      setxattr(path.c_str(), "security.capability", &value, sizeof(value), 0),
      0);
}

void helper_with_file_capabilities_is_exit_4(void ** /*state*/) {
  for (const mode_t mode : {0755U, 04755U}) {
    const std::string helper = install_helper(0, mode);
    give_file_capabilities(helper);
    for (const Person &person : {kStranger, kMember, kAdmin, kRoot}) {
      for (const auto &arguments : kEveryCommand) {
        assert_exit(run_as(person, helper, arguments), 4, person.name);
      }
    }
  }
  assert_untouched();
}

// What waits for it would start the next one at once, and so on.
void service_that_cannot_begin_ends_what_waits(void ** /*state*/) {
  const std::string helper = install_helper();
  give_file_capabilities(helper);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, scratch("serve.sock").c_str());
  const auto *where = reinterpret_cast<const sockaddr *>(&address);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  const int waits = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, where, sizeof(address)), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(connect(waits, where, sizeof(address)), 0);
  const std::time_t before = std::time(nullptr);
  const RunResult outcome =
      run({.path = helper, .arguments = {"serve"}, .prepare = [listener] {
             dup2(listener, STDIN_FILENO);
           }});
  assert_int_equal(outcome.status, 4);
  assert_true(std::time(nullptr) > before);  // it has let a second pass
  char byte = 0;
  assert_int_equal(recv(waits, &byte, 1, 0), 0);
  close(waits);
  close(listener);
  std::filesystem::remove(scratch("serve.sock"));
}

#define FRESH_TEST(name) cmocka_unit_test_setup(name, fresh_host)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      FRESH_TEST(stranger_is_refused_everything),
      FRESH_TEST(stranger_in_a_setgid_program_is_refused_everything),
      FRESH_TEST(stranger_in_a_setuid_program_is_refused_everything),
      FRESH_TEST(stranger_is_refused_before_input_is_read),
      FRESH_TEST(stranger_whom_the_group_file_lists_is_refused),
      FRESH_TEST(stranger_usage_error_is_exit_2),
      FRESH_TEST(config_option_is_refused_to_all_but_root),
      FRESH_TEST(store_that_is_not_there_is_refused),
      FRESH_TEST(bad_configuration_is_quoted_to_root_alone),
      FRESH_TEST(member_may_verify_and_ask_for_accounts_and_nothing_else),
      FRESH_TEST(member_may_rotate_where_the_store_says_so),
      FRESH_TEST(member_fills_the_cache),
      FRESH_TEST(admin_may_do_everything),
      FRESH_TEST(admin_group_by_default_is_empty),
      FRESH_TEST(refusal_names_who_may),
      FRESH_TEST(verify_group_by_default_may_be_missing),
      FRESH_TEST(groups_by_name_are_looked_up),
      FRESH_TEST(group_file_that_cannot_be_read_is_exit_4),
      FRESH_TEST(root_by_its_real_uid_may_do_everything),
      FRESH_TEST(helper_for_a_group_alone_works),
      FRESH_TEST(helper_that_others_may_change_is_exit_4),
      FRESH_TEST(helper_without_the_setuid_bit_is_exit_4),
      FRESH_TEST(helper_under_no_new_privs_is_exit_4),
      FRESH_TEST(helper_with_file_capabilities_is_exit_4),
      FRESH_TEST(service_that_cannot_begin_ends_what_waits),
  };
  return cmocka_run_group_tests_name("helper_permissions", tests, nullptr,
                                     nullptr);
}
