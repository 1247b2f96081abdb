// SPDX-License-Identifier: BSD-3-Clause
// `pbstoken status` for members of verify_group: it shows what the segments
// show to them, by their own rights, and changes nothing.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include <algorithm>

#include "e2e_member.h"
#include "pbstoken/limits/use.h"

namespace pbstoken {
namespace {

using namespace testing;

// Where each user gets to it.
std::string installed_tool(mode_t mode = 0755) {
  const std::string path = scratch("tool");
  std::filesystem::remove(path);
  std::filesystem::copy_file(tool_path(), path);
  assert_int_equal(chmod(path.c_str(), mode), 0);
  return path;
}

RunResult run_as_member(const std::vector<std::string> &arguments,
                        const std::function<void()> &prepare = become_member) {
  return run(
      {.path = installed_tool(), .arguments = arguments, .prepare = prepare});
}

rapidjson::Document member_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--output-format", "json"});
  const RunResult outcome = run_as_member(arguments);
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
  return parse_json(outcome.out);
}

void set_up() {
  configure("cache_ttl = 3600\n");
  write_shadow({{kId, kHash}});
  write_file(kUserCfg, "user: john@pbs\n\ntoken: " + std::string(kId) + "\n",
             0640);
  tool_output({"prepare"});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
}

// All that the segments hold, and what the kernel knows of them.
std::string state_of_segments() {
  const auto status = status_json();
  std::string state;
  for (const char *name : {"", "accounts", "use"}) {
    const auto &object = *name != '\0' ? status[name] : status;
    const int id = object["id"].IsInt() ? object["id"].GetInt() : -1;
    shmid_ds kernel{};
    if (shmctl(id, IPC_STAT, &kernel) != 0) {
      continue;
    }
    void *address = shmat(id, nullptr, SHM_RDONLY);
    state.append(static_cast<const char *>(address), kernel.shm_segsz);
    state += std::to_string(kernel.shm_ctime) +
             std::to_string(kernel.shm_perm.mode & 0777U);
    shmdt(address);
  }
  return state;
}

int segments_in_kernel() {
  shm_info info{};
  assert_true(shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info)) >= 0);
  return info.used_ids;
}

// For a child, before execve(2): what a login may give to a user.
void become_member_who_reads_everything() {
  constexpr std::uint32_t kRead = 1U << CAP_DAC_READ_SEARCH;
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  const std::array<__user_cap_data_struct, 2> sets = {
      {{.effective = kRead, .permitted = kRead, .inheritable = kRead}, {}}};
  prctl(PR_SET_KEEPCAPS, 1);
  become_member();
  if (syscall(SYS_capset, &header, sets.data()) != 0 ||
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) !=
          0) {
    std::abort();
  }
}

void member_sees_what_root_sees(void ** /*state*/) {
  set_up();
  auto root = status_json();
  auto member = member_json({"status"});
  assert_true(member["stamp_age"].IsUint64());
  assert_true(member["accounts"]["stamp_age"].IsUint64());
  for (auto *object : {&root, &member}) {
    (*object)["stamp_age"].SetNull();
    (*object)["accounts"]["stamp_age"].SetNull();
  }
  std::for_each(root.MemberBegin(), root.MemberEnd(), [&](const auto &field) {
    if (member[field.name] != field.value) {
      fail_msg("%s", field.name.GetString());
    }
  });
  assert_text_equal(member["cache_root"].GetString(), "in use");
  assert_text_equal(member["cache_members"].GetString(), "in use");
  assert_int_equal(member["hits"].GetUint64(), 1);
  assert_int_equal(run_as_member({"status"}).status, 0);
}

void member_changes_nothing(void ** /*state*/) {
  set_up();
  const std::string before = state_of_segments();
  for (int i = 0; i < 3; ++i) {
    assert_int_equal(run_as_member({"status"}).status, 0);
    assert_int_equal(run_as_member({"status", "--token", kId}).status, 0);
  }
  assert_true(state_of_segments() == before);
}

void assert_nulls(const rapidjson::Value &object,
                  const std::vector<const char *> &names) {
  for (const char *name : names) {
    if (!object[name].IsNull()) {
      fail_msg("%s", name);
    }
  }
}

void member_without_segments_knows_nothing_and_makes_none(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  tool_output({"retire"});
  const int before = segments_in_kernel();
  const auto member = member_json({"status"});
  assert_nulls(member, {"cache_root", "cache_members", "id", "size", "mode",
                        "generation", "stamp_age", "slots", "slots_used",
                        "hits", "hashes", "hit_share"});
  assert_nulls(member["use"], {"id", "since"});
  assert_nulls(member["use"]["members"], {"hits", "throttled"});
  assert_true(member["key"].IsUint());
  assert_int_equal(segments_in_kernel(), before);
}

// A configuration of root's says it.
void member_knows_of_a_cache_that_is_switched_off(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  configure("cache = no\n");
  const auto member = member_json({"status"});
  assert_text_equal(
      member["cache_root"].GetString(),
      std::string("off: ") + kConfiguration + ": cache = no; remove that line");
}

// They are root's alone.
void member_cannot_tell_the_windows(void ** /*state*/) {
  set_up();
  const auto member = member_json({"status", "--token", kId});
  assert_int_equal(member["fail_limit"].GetUint64(), 10);
  assert_nulls(member, {"clients", "throttled", "mismatches", "ends_in"});
}

void others_are_refused(void ** /*state*/) {
  set_up();
  const std::string refusal =
      "pbstoken: not permitted: only root and members of verify_group may\n";
  for (const std::vector<gid_t> &groups :
       std::vector<std::vector<gid_t>>{{}, {4712}, {kBackup}}) {
    const RunResult outcome =
        run_as_member({"status"}, [&] { become(kMember, groups); });
    assert_text_equal(outcome.err, refusal);
    assert_int_equal(outcome.status, 3);
    assert_text_equal(outcome.out, "");
  }
  configure("verify_group =\n");
  assert_int_equal(run_as_member({"status"}).status, 3);
}

void member_has_no_other_command(void ** /*state*/) {
  set_up();
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{{"list"},
                                             {"check"},
                                             {"prepare"},
                                             {"flush"},
                                             {"retire"},
                                             {"init"},
                                             {"reset", kId}}) {
    const RunResult outcome = run_as_member(arguments);
    assert_int_equal(outcome.status, 3);
    assert_text_equal(outcome.err,
                      "pbstoken: not permitted: only root may run this "
                      "program\n");
  }
}

// Of a bit or a capability that somebody has given the program no use is made.
void program_with_more_rights_than_its_user_is_refused_or_drops_them(
    void ** /*state*/) {
  set_up();
  for (const mode_t mode : {04755U, 02755U, 06755U}) {
    const RunResult outcome = run({.path = installed_tool(mode),
                                   .arguments = {"status"},
                                   .prepare = become_member});
    assert_int_equal(outcome.status, 3);
  }
  // The configuration is such that only a capability could read it.
  assert_int_equal(chmod(kConfiguration, 0600), 0);
  const RunResult outcome =
      run_as_member({"status"}, become_member_who_reads_everything);
  assert_int_equal(outcome.status, 4);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      MEMBER_TEST(member_sees_what_root_sees),
      MEMBER_TEST(member_changes_nothing),
      MEMBER_TEST(member_without_segments_knows_nothing_and_makes_none),
      MEMBER_TEST(member_knows_of_a_cache_that_is_switched_off),
      MEMBER_TEST(member_cannot_tell_the_windows),
      MEMBER_TEST(others_are_refused),
      MEMBER_TEST(member_has_no_other_command),
      MEMBER_TEST(
          program_with_more_rights_than_its_user_is_refused_or_drops_them),
  };
  return cmocka_run_group_tests_name("tool_member", tests, nullptr, nullptr);
}
