// SPDX-License-Identifier: BSD-3-Clause
// The helper on hosts that lack what it counts on, or have something else in
// its place: it does without, or refuses and has changed nothing.
#include <sys/mount.h>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kUuid = "/proc/sys/kernel/random/uuid";

// What run() gives in a mount namespace of its own, as change() has made it.
RunResult run_on_host(const std::function<int()> &change, const Person &person,
                      const std::vector<std::string> &arguments,
                      const std::string &input = kSecret,
                      const std::function<void()> &prepare = {}) {
  const std::string path = install_helper();
  return run(
      {.path = path, .arguments = arguments, .input = input, .prepare = [&] {
         if (unshare(CLONE_NEWNS) != 0 || change() != 0) {
           std::abort();
         }
         become(person);
         if (prepare) {
           prepare();
         }
       }});
}

void assert_refused(const RunResult &outcome, const std::string &message) {
  assert_text_equal(outcome.err, "pbstoken-helper: " + message + "\n");
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.out, "");
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
  auto names = names_in(kDirectory);
  names.erase("token.shadow.lock");
  assert_true(names == std::set<std::string>{"token.shadow"});
}

int fresh_host(void **state) {
  const int made = clean_host_with_service(state);
  configure_groups();
  write_shadow({{kId, kHash}});
  return made;
}

// --- where new secrets come from

RunResult generate_from(const std::string &file) {
  return run_on_host(
      [&] { return mount(file.c_str(), kUuid, nullptr, MS_BIND, nullptr); },
      kRoot, {"generate", kId});
}

void generate_without_the_kernels_uuid_changes_nothing(void ** /*state*/) {
  const std::string file = scratch("uuid");
  write_file(file, std::string(kSecret) + "\n");
  const std::string name = kUuid;
  // A file of anybody's with a good UUID in it; one of the kernel's without.
  assert_refused(generate_from(file),
                 "cannot use " + name + ": it is not the kernel's");
  assert_refused(generate_from("/proc/version"),
                 "cannot use " + name + ": it holds no random UUID");
  const RunResult brief = generate_from("/proc/sys/kernel/ostype");
  assert_int_equal(brief.status, 4);
  assert_true(brief.err.starts_with("pbstoken-helper: cannot read " + name));
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

// --- without /dev and /proc

void closed_descriptor_without_dev_null_is_exit_4(void ** /*state*/) {
  assert_refused(
      run_on_host([] { return mount("tmpfs", "/dev", "tmpfs", 0, nullptr); },
                  kRoot, {"set", kId}, kWrongSecret,
                  [] { close(STDOUT_FILENO); }),
      "cannot open /dev/null: No such file or directory");
}

// Without it a caller who is not root could be given a program of his own.
void program_without_proc_runs_for_root_alone(void ** /*state*/) {
  const auto without_proc = [] {
    return mount("tmpfs", "/proc", "tmpfs", 0, nullptr);
  };
  assert_refused(run_on_host(without_proc, kAdmin, {"set", kId}, kWrongSecret),
                 "cannot stat /proc/self/exe: No such file or directory");
}

// --- a file system without attributes and access control lists

void set_on_a_file_system_without_attributes_works(void ** /*state*/) {
  assert_int_equal(mount("ramfs", kDirectory, "ramfs", 0, nullptr), 0);
  write_shadow({{kId, kHash}});
  write_user_cfg();
  assert_int_equal(chown(kShadow, 1234, 5678), 0);
  const RunResult outcome = run_helper({"set", kId}, kWrongSecret);
  const struct stat status = status_of(kShadow);
  const int code = authenticate(kId, kWrongSecret);
  umount(kDirectory);
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
  assert_int_equal(status.st_uid, 1234);
  assert_int_equal(status.st_gid, 5678);
  assert_int_equal(status.st_mode, S_IFREG | 0640);
  assert_pam(code, PAM_SUCCESS);
}

// --- a token.shadow that is as large as it may be

void change_beyond_the_largest_file_changes_nothing(void ** /*state*/) {
  // Sparse, and blanks where it is not: they do not stay, so a file of them
  // only becomes small.
  constexpr std::size_t kLargest = std::size_t{64} << 20U;
  const std::string member = "\"x\":\"" + std::string(kLargest - 8, 'x') + "\"";
  write_file(kShadow, "{" + member + "}", 0640);
  assert_int_equal(status_of(kShadow).st_size, kLargest);
  const struct stat before = status_of(kShadow);
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err, "pbstoken-helper: cannot write " +
                                     std::string(kShadow) + ": too large\n");
  assert_int_equal(status_of(kShadow).st_ino, before.st_ino);
  assert_int_equal(status_of(kShadow).st_size, before.st_size);
  assert_true(names_in(kDirectory) ==
              std::set<std::string>({"token.shadow", "token.shadow.lock"}));
}

#define HOST_TEST(name) cmocka_unit_test_setup(name, fresh_host)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      HOST_TEST(generate_without_the_kernels_uuid_changes_nothing),
      HOST_TEST(closed_descriptor_without_dev_null_is_exit_4),
      HOST_TEST(program_without_proc_runs_for_root_alone),
      HOST_TEST(set_on_a_file_system_without_attributes_works),
      HOST_TEST(change_beyond_the_largest_file_changes_nothing),
  };
  return cmocka_run_group_tests_name("helper_host", tests, nullptr, nullptr);
}
