// SPDX-License-Identifier: BSD-3-Clause
// The administrator's tool and the helper are two programs: which commands each
// has, who may run the tool, and that the setuid one holds nothing of it.
#include <sys/prctl.h>

#include <array>

#include <sys/shm.h>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::array<const char *, 9> kToolCommands = {
    "init",    "list",    "status", "reset", "check",
    "explain", "prepare", "flush",  "retire"};
constexpr std::array<const char *, 7> kHelperCommands = {
    "generate", "set", "delete", "rotate", "verify", "account", "serve"};

// With the operand that it needs to be a right one.
std::vector<std::string> line_of(const std::string &command) {
  return command == "explain" || command == "reset"
             ? std::vector<std::string>{command, kId}
             : std::vector<std::string>{command};
}

void assert_other_program(const RunResult &outcome,
                          const std::string &message) {
  assert_exit(outcome, 2, message);
  assert_text_equal(outcome.out, "");
  assert_text_equal(outcome.err, message + "\n");
}

void command_of_the_other_program_is_exit_2_and_names_it(void ** /*state*/) {
  for (const std::string command : kToolCommands) {
    assert_other_program(run_helper({command}), "pbstoken-helper: '" + command +
                                                    "' is a command of "
                                                    "pbstoken(8)");
  }
  for (const std::string command : kHelperCommands) {
    assert_other_program(
        run_tool({command, kId}),
        "pbstoken: '" + command + "' is a command of pbstoken-helper(8)");
  }
}

// Whoever it is, and whatever the bits say that somebody has given the tool.
void tool_is_refused_to_all_but_root(void ** /*state*/) {
  configure_groups();
  write_shadow({{kId, kHash}});
  for (const mode_t mode : {0755U, 04755U, 06755U}) {
    const std::string tool = install_tool(mode);
    for (const Person &person : {kStranger, kMember, kAdmin}) {
      for (const char *command : kToolCommands) {
        const RunResult outcome = run_as(person, tool, line_of(command));
        const bool is_shared =
            mode == 0755 && std::string_view(command) == "status";
        if (is_shared && std::string_view(person.name) == kMember.name) {
          assert_exit(outcome, 0, command);
          continue;
        }
        assert_exit(outcome, 3, command);
        assert_text_equal(outcome.out, "");
        assert_text_equal(outcome.err,
                          std::string("pbstoken: not permitted: only root ") +
                              (is_shared ? "and members of verify_group may\n"
                                         : "may run this program\n"));
      }
    }
    // Nor is one of the two uids enough.
    assert_exit(run({.path = tool,
                     .arguments = {"status"},
                     .prepare = become_nobody_effectively}),
                mode == 0755 ? 3 : 0, "real uid 0");
    assert_exit(run({.path = tool,
                     .arguments = {"status"},
                     .prepare =
                         [] {
                           if (setresuid(kNobody, 0, 0) != 0) {
                             std::abort();
                           }
                         }}),
                3, "effective uid 0");
  }
}

void tool_helps_anybody(void ** /*state*/) {
  const std::string tool = install_tool();
  const RunResult help = run_as(kStranger, tool, {"--help"});
  assert_exit(help, 0, "--help");
  for (const char *command : kToolCommands) {
    assert_true(help.out.find(std::string("  ") + command + " ") !=
                std::string::npos);
  }
  assert_exit(run_as(kStranger, tool, {"--version"}), 0, "--version");
  assert_exit(run_as(kStranger, tool, {"nosuch"}), 2, "nosuch");
}

void tool_usage_error_is_exit_2(void ** /*state*/) {
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{
           {},
           {""},
           {"nosuch"},
           {"Status"},
           {"status", kId},
           {"flush", "now"},
           {"--nosuch", "status"},
           {"--rhost=h", "status"},
           {"--config", "status"},
           {"-x", "status"},
           {"--store"},
           {"--store", "../pbs", "status"},
           {"--config", "c", "status"},
           {"--output-format=yaml", "status"}}) {
    const RunResult outcome = run_tool(arguments);
    assert_exit(outcome, 2, arguments.empty() ? "nothing" : arguments[0]);
    assert_true(outcome.err.starts_with("pbstoken: "));
    assert_text_equal(outcome.out, "");
  }
}

// debian/changelog is the one place that has it.
void version_is_the_packages(void ** /*state*/) {
  const std::string changelog = read_file("debian/changelog");
  const std::size_t start = changelog.find('(') + 1;
  const std::string version =
      changelog.substr(start, changelog.find(')') - start);
  assert_false(version.empty());
  assert_text_equal(tool_output({"--version"}), "pbstoken " + version + "\n");
  assert_text_equal(helper_output({"--version"}),
                    "pbstoken-helper " + version + "\n");
}

// --- what is in the setuid program

// Texts, and names of functions, but no debug information.
std::string without_debug_information(const std::string &path) {
  const std::string copy = scratch("stripped");
  const RunResult outcome =
      run({.path = "/usr/bin/strip",
           .arguments = {"--strip-debug", "-o", copy, path}});
  assert_exit(outcome, 0, "strip");
  return read_file(copy);
}

constexpr std::array<const char *, 17> kWordsOfTheTool = {
    "stamp_age",    "slots_used",   "known_mismatches", "bypassed",
    "no-section",   "dead writer",  "user-disabled",    "after 9999",
    "list_tokens",  "show_status",  "check_store",      "flush_cache",
    "iso_date",     "retire_store", "JsonArray",        "prepare_store",
    "explain_token"};

void helper_holds_nothing_of_the_tool(void ** /*state*/) {
  const std::string helper = without_debug_information(helper_path());
  const std::string tool = without_debug_information(tool_path());
  for (const char *word : kWordsOfTheTool) {
    if (helper.find(word) != std::string::npos ||
        tool.find(word) == std::string::npos) {
      fail_msg("%s", word);
    }
  }
}

void tool_needs_libc_and_libcrypt_alone(void ** /*state*/) {
  const RunResult outcome =
      run({.path = "/usr/bin/readelf", .arguments = {"-d", "-W", tool_path()}});
  assert_exit(outcome, 0, "readelf");
  std::size_t needed = 0;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    assert_true(line.find("(RPATH)") == std::string::npos &&
                line.find("(RUNPATH)") == std::string::npos);
    if (line.find("(NEEDED)") != std::string::npos) {
      assert_true(line.find("[libc.so.6]") != std::string::npos ||
                  line.find("[libcrypt.so.1]") != std::string::npos);
      ++needed;
    }
  }
  assert_int_equal(needed, 2);
}

// What only looks makes nothing in the kernel.
void commands_that_look_make_no_segment(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_user_cfg();
  assert_int_equal(run_helper({"verify", "--", kId}, kSecret).status, 0);
  for (const std::vector<std::string> &command :
       {std::vector<std::string>{"status"},
        {"status", "--token", kId},
        {"list"},
        {"list", "--unused", "1d"},
        {"check"},
        {"explain", kId},
        {"metrics"}}) {
    remove_segments();
    run_tool(command);
    shm_info info{};
    shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
    if (info.used_ids != 0) {
      fail_msg("%s made a segment", command[0].c_str());
    }
  }
}

// --- what it inherits

// Of which nothing is to be said.
void write_two_tokens() {
  write_shadow({{kId, kHash}, {kOldId, kHash}});
  write_user_cfg();
}

void tool_on_other_uses_of_the_descriptors_prints_nothing_into_files(
    void ** /*state*/) {
  write_two_tokens();
  const std::string before = read_file(kShadow);
  for (const char *command : kToolCommands) {
    const RunResult outcome =
        run({.path = tool_path(), .arguments = line_of(command), .prepare = [] {
               close_range(0, ~0U, 0);
             }});
    assert_true(outcome.status == 0 || outcome.status == 4);
    assert_text_equal(read_file(kShadow), before);
  }
}

void tool_works_under_no_new_privs(void ** /*state*/) {
  write_two_tokens();
  configure("verify_group =\n");
  for (const char *command : kToolCommands) {
    assert_exit(run_as(kRoot, tool_path(), line_of(command), "",
                       [] { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }),
                0, command);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(command_of_the_other_program_is_exit_2_and_names_it),
      PAM_TEST(tool_is_refused_to_all_but_root),
      PAM_TEST(tool_helps_anybody),
      PAM_TEST(tool_usage_error_is_exit_2),
      PAM_TEST(version_is_the_packages),
      PAM_TEST(helper_holds_nothing_of_the_tool),
      PAM_TEST(commands_that_look_make_no_segment),
      PAM_TEST(tool_needs_libc_and_libcrypt_alone),
      PAM_TEST(tool_on_other_uses_of_the_descriptors_prints_nothing_into_files),
      PAM_TEST(tool_works_under_no_new_privs),
  };
  return cmocka_run_group_tests_name("tool", tests, nullptr, nullptr);
}
