// SPDX-License-Identifier: BSD-3-Clause
// The helper and those who mean harm: callers who are not root, environments,
// limits, planted files.
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

RunResult run_as_nobody(const std::string &path,
                        const std::vector<std::string> &arguments) {
  return run({.path = path,
              .arguments = arguments,
              .input = kSecret,
              .prepare = become_nobody});
}

const std::array<std::vector<std::string>, 6> kEveryCommand = {{
    {"generate", kId},
    {"set", kId},
    {"delete", kId},
    {"rotate", kId},
    {"verify", kId},
    {"account", kId},
}};

// --- callers

void command_of_a_caller_in_no_group_is_exit_3(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string path = install_helper(0, 04755);
  for (const auto &arguments : kEveryCommand) {
    const RunResult outcome = run_as_nobody(path, arguments);
    assert_int_equal(outcome.status, 3);
    assert_text_equal(outcome.out, "");
    assert_true(outcome.err.starts_with("pbstoken-helper: "));
  }
  // Even with the wrong store, and with --config.
  assert_int_equal(
      run_as_nobody(path, {"--store", "nosuch", "account", kId}).status, 3);
  assert_int_equal(
      run_as_nobody(path, {"--config", "/etc/shadow", "account", kId}).status,
      3);
  assert_int_equal(run_as_nobody(path, {"nosuch"}).status, 2);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
  assert_true(names_in(kDirectory) == std::set<std::string>{"token.shadow"});
  assert_true(status_json()["id"].IsNull());
}

void command_of_a_helper_that_is_not_setuid_root_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const std::string &path :
       {install_helper(0, 0755), install_helper(kBackup, 04755)}) {
    for (const auto &arguments : kEveryCommand) {
      const RunResult outcome = run_as_nobody(path, arguments);
      assert_int_equal(outcome.status, 4);
      assert_text_equal(outcome.out, "");
    }
  }
}

void command_of_real_root_works_setuid_or_not(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const mode_t mode : {0755U, 04755U}) {
    const RunResult outcome = run({.path = install_helper(0, mode),
                                   .arguments = {"verify", kId},
                                   .input = kSecret});
    assert_int_equal(outcome.status, 0);
  }
}

// --- what a caller may hand over

void command_without_argv_is_exit_2(void ** /*state*/) {
  const RunResult outcome = run({.path = helper_path(), .no_argv = true});
  assert_int_equal(outcome.status, 2);
  assert_true(outcome.err.starts_with("pbstoken-helper: "));
  assert_int_equal(
      run({.path = helper_path(), .arguments = {"serve"}, .no_argv = true})
          .status,
      2);
}

// A message must not land in token.shadow, whose descriptor would be 2.
void set_with_closed_descriptors_writes_a_whole_file(void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  const RunResult outcome = run({.path = helper_path(),
                                 .arguments = {"set", kId},
                                 .input = "short",
                                 .prepare = [] {
                                   close(STDOUT_FILENO);
                                   close(STDERR_FILENO);
                                 }});
  assert_int_equal(outcome.status, 0);
  assert_int_equal(parse_json(read_file(kShadow)).MemberCount(), 2);
  assert_pam(authenticate(kId, "short"), PAM_SUCCESS);
}

void command_with_all_descriptors_closed_answers_the_same(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto blind = [](const std::vector<std::string> &arguments) {
    return run({.path = helper_path(),
                .arguments = arguments,
                .prepare = [] { close_range(0, ~0U, 0); }})
        .status;
  };
  // No secret can be read.
  assert_int_equal(blind({"verify", kId}), 4);
  assert_int_equal(blind({"set", kId}), 4);
  assert_int_equal(blind({"delete", kOldId}), 5);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
  assert_int_equal(blind({"account", kId}), 1);
  assert_int_equal(blind({"delete", kId}), 0);
  assert_text_equal(read_file(kShadow), "{}");
}

void set_with_many_inherited_descriptors_works(void ** /*state*/) {
  const RunResult outcome = run({.path = helper_path(),
                                 .arguments = {"set", kId},
                                 .input = kSecret,
                                 .prepare = [] {
                                   for (int i = 0; i < 500; ++i) {
                                     fcntl(STDERR_FILENO, F_DUPFD, 100);
                                   }
                                 }});
  assert_int_equal(outcome.status, 0);
}

// What a caller without privileges can do to limits: lower both values.
void lower_limits(bool hard_ones_too) {
  const std::array<std::pair<int, rlim_t>, 9> limits = {{
      {RLIMIT_FSIZE, 0},
      {RLIMIT_NOFILE, 4},  // with 3 the dynamic linker finds no library
      {RLIMIT_CORE, 0},
      {RLIMIT_NPROC, 0},
      {RLIMIT_MEMLOCK, 0},
      {RLIMIT_CPU, 1},
      {RLIMIT_SIGPENDING, 0},
      {RLIMIT_STACK, 128 * 1024},
      {RLIMIT_AS, 16U << 20U},  // enough to start, too little to hash
  }};
  for (const auto &[number, value] : limits) {
    const auto resource = static_cast<__rlimit_resource>(number);
    rlimit both{};
    getrlimit(resource, &both);
    both.rlim_cur = value;
    both.rlim_max = hard_ones_too ? value : both.rlim_max;
    setrlimit(resource, &both);
  }
}

void set_under_lowered_limits_works(void ** /*state*/) {
  const RunResult outcome = run({.path = helper_path(),
                                 .arguments = {"set", kId},
                                 .input = kSecret,
                                 .prepare = [] { lower_limits(false); }});
  if (outcome.status != 0) {
    fail_msg("exit status %d: %s", outcome.status, outcome.err.c_str());
  }
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// Where root itself may not raise a hard limit, as in many containers, the
// helper refuses to run under it.
void set_under_lowered_hard_limits_works_if_root_may_raise_them(
    void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  const bool may_raise = prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1;
  const RunResult outcome = run({.path = helper_path(),
                                 .arguments = {"set", kId},
                                 .input = kSecret,
                                 .prepare = [] { lower_limits(true); }});
  if (outcome.status != (may_raise ? 0 : 4)) {
    fail_msg("exit status %d: %s", outcome.status, outcome.err.c_str());
  }
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret),
             may_raise ? PAM_SUCCESS : PAM_USER_UNKNOWN);
}

void set_in_a_hostile_environment_works(void ** /*state*/) {
  const std::string gone = scratch("gone");
  std::filesystem::create_directory(gone);
  const RunResult outcome =
      run({.path = helper_path(),
           .arguments = {"set", kId, "--output-format", "json"},
           .input = kSecret,
           .prepare = [&] {
             for (const auto &[name, value] :
                  std::vector<std::pair<const char *, const char *>>{
                      {"POSIXLY_CORRECT", "1"},
                      {"LC_ALL", "../../../../tmp/evil"},
                      {"LANGUAGE", "/tmp/evil"},
                      {"PATH", ""},
                      {"TZ", "/etc/shadow"},
                      {"TMPDIR", "/nowhere"},
                      {"HOME", "/nowhere"},
                      {"GCONV_PATH", "/tmp"},
                      {"MALLOC_PERTURB_", "255"}}) {
               setenv(name, value, 1);
             }
             setenv("LONG", std::string(100000, 'x').c_str(), 1);
             if (chdir(gone.c_str()) != 0 || rmdir(gone.c_str()) != 0) {
               std::abort();
             }
             umask(0777);
             sigset_t every{};
             sigfillset(&every);
             sigprocmask(SIG_SETMASK, &every, nullptr);
             for (int number = 1; number < NSIG; ++number) {
               signal(number, SIG_IGN);
             }
           }});
  assert_int_equal(outcome.status, 0);
  assert_int_equal(status_of(kShadow).st_mode, S_IFREG | 0640);
  assert_int_equal(status_of(kLock).st_mode, S_IFREG | 0660);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// --- planted files: the owner of the directory may plant what it likes

struct Planted {
  const char *what;
  std::function<void(const std::string &path)> plant;
};

const std::array<Planted, 5> kPlanted = {{
    {"link",
     [](const std::string &path) {
       std::filesystem::create_symlink(scratch("victim"), path);
     }},
    {"dangling link",
     [](const std::string &path) {
       std::filesystem::create_symlink(scratch("nowhere"), path);
     }},
    {"FIFO", [](const std::string &path) { mkfifo(path.c_str(), 0660); }},
    {"directory",
     [](const std::string &path) { std::filesystem::create_directory(path); }},
    {"socket",
     [](const std::string &path) { mknod(path.c_str(), S_IFSOCK | 0660, 0); }},
}};

void assert_writers_refuse(const Planted &planted, const std::string &path) {
  write_file(scratch("victim"), "{}", 0600);
  const struct stat victim = status_of(scratch("victim"));
  planted.plant(path);
  const struct stat before = status_of(path);
  for (const char *command : {"generate", "set", "delete"}) {
    const RunResult outcome = run_helper({command, kId}, kSecret);
    if (outcome.status != 4) {
      fail_msg("%s, %s: exit status %d", planted.what, command, outcome.status);
    }
    assert_told_what_counts(outcome);
    assert_int_equal(status_of(path).st_ino, before.st_ino);
    assert_int_equal(status_of(path).st_mode, before.st_mode);
  }
  const struct stat now = status_of(scratch("victim"));
  assert_int_equal(now.st_ino, victim.st_ino);
  assert_int_equal(now.st_mode, victim.st_mode);
  assert_int_equal(now.st_uid, victim.st_uid);
  assert_text_equal(read_file(scratch("victim")), "{}");
  assert_false(std::filesystem::exists(scratch("nowhere")));
}

void change_planted_token_shadow_is_exit_4(void ** /*state*/) {
  for (const Planted &planted : kPlanted) {
    std::filesystem::remove(kShadow);
    assert_writers_refuse(planted, kShadow);
    assert_int_equal(run_helper({"verify", kId}, kSecret).status, 4);
    assert_int_equal(run_helper({"rotate", kId}, kSecret).status, 4);
    // And nothing is left beside it.
    assert_true(names_in(kDirectory) ==
                std::set<std::string>({"token.shadow", "token.shadow.lock"}));
  }
}

void change_planted_lock_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const Planted &planted : kPlanted) {
    std::filesystem::remove(kLock);
    assert_writers_refuse(planted, kLock);
    assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
    // Readers need no lock, and go on without the cache at worst.
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_pam(authenticate(kId, kWrongSecret), PAM_AUTH_ERR);
  }
}

// A lock that is there is locked as it is, and not given to anybody.
void set_hard_link_as_lock_changes_no_other_file(void ** /*state*/) {
  write_file(std::string(kDirectory) + "/victim", "content", 0600);
  std::filesystem::create_hard_link(std::string(kDirectory) + "/victim", kLock);
  helper_output({"set", kId}, kSecret);
  const struct stat victim = status_of(std::string(kDirectory) + "/victim");
  assert_int_equal(victim.st_uid, 0);
  assert_int_equal(victim.st_mode, S_IFREG | 0600);
  assert_text_equal(read_file(std::string(kDirectory) + "/victim"), "content");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(command_of_a_caller_in_no_group_is_exit_3),
      PAM_TEST(command_of_a_helper_that_is_not_setuid_root_is_exit_4),
      PAM_TEST(command_of_real_root_works_setuid_or_not),
      PAM_TEST(command_without_argv_is_exit_2),
      PAM_TEST(set_with_closed_descriptors_writes_a_whole_file),
      PAM_TEST(command_with_all_descriptors_closed_answers_the_same),
      PAM_TEST(set_with_many_inherited_descriptors_works),
      PAM_TEST(set_under_lowered_limits_works),
      PAM_TEST(set_under_lowered_hard_limits_works_if_root_may_raise_them),
      PAM_TEST(set_in_a_hostile_environment_works),
      PAM_TEST(change_planted_token_shadow_is_exit_4),
      PAM_TEST(change_planted_lock_is_exit_4),
      PAM_TEST(set_hard_link_as_lock_changes_no_other_file),
  };
  return cmocka_run_group_tests_name("helper_hostile", tests, nullptr, nullptr);
}
