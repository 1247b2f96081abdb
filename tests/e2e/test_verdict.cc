// SPDX-License-Identifier: BSD-3-Clause
// Whatever keeps root or the members from the cache, `status` begins with it
// and `check` names it, with what to do.
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

#include <tuple>

#include "e2e_member.h"
#include "exhausted.h"
#include "pbstoken/cache/writable_segment.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kUnusedYet =
    "not used yet: the first process of root that verifies makes it, as "
    "'pbstoken prepare' does";

// A value of the first lines of status, in both formats.
void assert_status(const char *name, const std::string &expected) {
  const auto status = status_json();
  assert_text_equal(status[name].GetString(), expected);
  const std::string text = tool_output({"status"});
  const std::size_t line = text.find("\n" + std::string(name) + ":");
  assert_true(line != std::string::npos);
  const std::size_t end = text.find('\n', line + 1);
  assert_text_equal(text.substr(end - expected.size(), expected.size()),
                    expected);
}

// Which is what check says, and nothing else: it is a problem.
void assert_off(const char *name, const std::string &why) {
  assert_status(name, "off: " + why);
  const RunResult check = run_tool({"check"});
  assert_int_equal(check.status, 1);
  assert_true(("\n" + check.out).find("\n" + why + "\n") != std::string::npos);
}

void assert_no_problem() {
  const RunResult check = run_tool({"check"});
  assert_text_equal(check.out, "");
  assert_int_equal(check.status, 0);
}

std::string key_name() {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "shm:0x%08x",
                status_json()["key"].GetUint());
  return name.data();
}

void set_up() {
  write_shadow({{kId, kHash}});
  write_file(kUserCfg, "user: john@pbs\n\ntoken: " + std::string(kId) + "\n",
             0640);
  for (const char *file : {kShadow, kUserCfg}) {
    assert_int_equal(chown(file, kBackup, kBackup), 0);
  }
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

SegmentHeader *attach_header() {
  void *address = shmat(status_json()["id"].GetInt(), nullptr, 0);
  assert_true(reinterpret_cast<std::intptr_t>(address) != -1);
  return static_cast<SegmentHeader *>(address);
}

void cache_in_use(void ** /*state*/) {
  set_up();
  assert_status("cache_root", "in use");
  assert_status("cache_members", "in use");
  assert_no_problem();
}

void cache_that_nobody_has_used_yet_is_no_problem(void ** /*state*/) {
  tool_output({"retire"});
  assert_status("cache_root", kUnusedYet);
  assert_status("cache_members", kUnusedYet);
  assert_no_problem();
}

void without_verify_group_there_are_no_members(void ** /*state*/) {
  tool_output({"retire"});
  configure("verify_group =\n");
  set_up();
  assert_status("cache_root", "in use");
  assert_true(status_json()["cache_members"].IsNull());
  assert_no_problem();
}

// As the configuration says: no problem of the store.
void cache_that_is_switched_off(void ** /*state*/) {
  configure("cache = no\n");
  set_up();
  const std::string why =
      std::string("off: ") + kConfiguration + ": cache = no; remove that line";
  assert_status("cache_root", why);
  assert_status("cache_members", why);
  assert_no_problem();
}

void file_that_is_mounted_over(void ** /*state*/) {
  set_up();
  const std::string other = scratch("other.shadow");
  write_file(other, "{}", 0640);
  assert_int_equal(mount(other.c_str(), kShadow, nullptr, MS_BIND, nullptr), 0);
  const std::string text = tool_output({"status"});
  umount(kShadow);
  assert_true(text.find("cache_root:                   off: " +
                        std::string(kShadow) + ": ") != std::string::npos);
}

void segment_ids_that_are_all_taken(void ** /*state*/) {
  tool_output({"retire"});
  const NoMoreObjects none(kSegmentLimit);
  for (const char *name : {"cache_root", "cache_members"}) {
    const std::string text = status_json()[name].GetString();
    assert_true(text.find("off: /proc/sys/kernel/shmmni: all ") == 0);
    assert_true(text.find("raise it, or remove some with ipcrm(1)") !=
                std::string::npos);
  }
  assert_int_equal(run_tool({"check"}).status, 1);
}

// What status and check say while a limit of the kernel is as given.
struct Said {
  std::string status;
  std::string check;
};
Said said_under(const char *limit, const std::string &value) {
  const std::string before = read_file(limit);
  std::ofstream(limit) << value;
  const Said said = {run_tool({"status"}).out, run_tool({"check"}).out};
  std::ofstream(limit) << before;
  return said;
}

void assert_shortage(const Said &said, const std::string &limit,
                     const std::string &wanted) {
  for (const std::string &text : {said.status, said.check}) {
    const std::size_t begin = text.find(limit);
    assert_true(begin != std::string::npos);
    const std::string line = text.substr(begin, text.find('\n', begin) - begin);
    assert_true(line.find(wanted) != std::string::npos);
    assert_true(line.find("; raise it") != std::string::npos);
  }
}

void segments_that_may_not_be_so_large(void ** /*state*/) {
  tool_output({"retire"});
  assert_shortage(said_under("/proc/sys/kernel/shmmax", "100000"),
                  "/proc/sys/kernel/shmmax: 100000 bytes of one shared-memory "
                  "segment are allowed, ",
                  " 888832 are wanted");
}

void memory_of_segments_that_is_all_taken(void ** /*state*/) {
  tool_output({"retire"});
  assert_shortage(said_under("/proc/sys/kernel/shmall", "100"),
                  "/proc/sys/kernel/shmall: 100 pages of shared memory are "
                  "allowed, ",
                  " 217 are wanted");
}

void lock_that_cannot_be_made(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  tool_output({"retire"});
  std::filesystem::remove(kLock);
  assert_int_equal(mount(kDirectory, kDirectory, nullptr, MS_BIND, nullptr), 0);
  assert_int_equal(mount(nullptr, kDirectory, nullptr,
                         MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
                   0);
  const std::string text = status_json()["cache_root"].GetString();
  const RunResult check = run_tool({"check"});
  umount(kDirectory);
  const std::string why =
      std::string(kLock) +
      ": is not there, and its directory is mounted read-only; making the "
      "segment takes this lock: make it before the directory is mounted, or "
      "name another one";
  assert_text_equal(text, "off: " + why);
  assert_true(check.out.find(why + "\n") != std::string::npos);
}

void members_that_may_not_search_a_directory_above(void ** /*state*/) {
  const std::string above = "/etc/above";
  std::filesystem::create_directories(above + "/store");
  configure("token_shadow = " + above +
            "/store/token.shadow\nuser_cfg =\n"
            "file_owner = 0\nfile_group = 0\n");
  write_file(above + "/store/token.shadow", shadow_of({{kId, kHash}}), 0640);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_status("cache_members", "in use");
  chmod(above.c_str(), 0700);
  assert_status("cache_root", "in use");
  assert_off("cache_members",
             above +
                 ": members of verify_group cannot search it (mode 0700); "
                 "let them, or each of their requests starts the helper");
  std::filesystem::remove_all(above);
}

void segment_for_other_readers(void ** /*state*/) {
  set_up();
  shmid_ds status{};
  const int id = status_json()["id"].GetInt();
  for (const auto &[mode, gid, text] :
       {std::tuple(0600U, kMembers, "(mode 0600, gid 4711)"),
        std::tuple(0640U, kMembers + 1, "(mode 0640, gid 4712)")}) {
    assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
    status.shm_perm.mode = static_cast<decltype(status.shm_perm.mode)>(mode);
    status.shm_perm.gid = gid;
    assert_int_equal(shmctl(id, IPC_SET, &status), 0);
    assert_status("cache_root", "in use");
    assert_off("cache_members",
               key_name() + ": made for other readers " + text +
                   "; 'pbstoken flush' makes another, as the next request does "
                   "that it cannot answer");
  }
}

void segment_of_a_newer_version(void ** /*state*/) {
  set_up();
  SegmentHeader *header = attach_header();
  header->prefix.layout_version = kLayoutVersion + 1;
  const std::string why =
      key_name() +
      ": a newer version's; end what is left of that version; the "
      "next change of a token removes it, as 'pbstoken flush' does";
  assert_off("cache_root", why);
  assert_status("cache_members", "off: " + why);
  header->prefix.layout_version = kLayoutVersion;
  shmdt(header);
}

void segment_that_is_damaged(void ** /*state*/) {
  set_up();
  SegmentHeader *header = attach_header();
  header->prefix.magic = 0;
  assert_off("cache_root",
             key_name() +
                 ": not a whole segment of ours: unfinished, damaged or an "
                 "older version's; the next process of root that verifies "
                 "makes another");
  // As it says.
  assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
  assert_status("cache_root", "in use");
  shmdt(header);
}

// Whoever looks at the file at each hit needs no clock.
void segment_of_another_time_namespace(void ** /*state*/) {
  set_up();
  SegmentHeader *header = attach_header();
  header->origin.time_namespace += 1;
  assert_status("cache_root", "in use");
  configure("look = no\n");
  assert_off("cache_root",
             std::string(kShadow) +
                 ": its segment was made in another time namespace; 'pbstoken "
                 "flush' makes another");
  shmdt(header);
}

// Without a key nobody finds it by that.
void keyless_segment_of_a_newer_version(void ** /*state*/) {
  tool_output({"retire"});
  const auto key = static_cast<key_t>(status_json()["key"].GetUint());
  const int others = shmget(key, 100, IPC_CREAT | 0600);
  set_up();
  shmctl(others, IPC_RMID, nullptr);
  SegmentHeader *header = attach_header();
  header->prefix.layout_version = kLayoutVersion + 1;
  const std::string verdict = status_json()["cache_root"].GetString();
  shmctl(status_json()["id"].IsNull() ? -1 : status_json()["id"].GetInt(),
         IPC_RMID, nullptr);
  if (verdict.find(": a newer version's; ") == std::string::npos) {
    fail_msg("%s", verdict.c_str());
  }
  header->prefix.layout_version = kLayoutVersion;
  shmdt(header);
}

// As long as it changes the file no binding is in force.
void writer_that_has_stopped(void ** /*state*/) {
  set_up();
  SegmentHeader *header = attach_header();
  const std::uint64_t generation = header->prefix.generation;
  header->prefix.generation = generation + 1;
  assert_status("cache_root",
                "being renewed: the next process of root that verifies ends "
                "it");
  const int lock = open(kLock, O_RDWR | O_CLOEXEC);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  const std::string verdict = status_json()["cache_root"].GetString();
  close(lock);
  assert_text_equal(verdict, std::string("off: ") + kLock +
                                 ": held by process " +
                                 std::to_string(getpid()) +
                                 ", which changes the file; let it go on, or "
                                 "end it");
  header->prefix.generation = generation;
  shmdt(header);
}

void lock_that_is_no_file(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  tool_output({"retire"});
  std::filesystem::remove(kLock);
  std::filesystem::create_directory(kLock);
  const std::string verdict = status_json()["cache_root"].GetString();
  std::filesystem::remove(kLock);
  assert_true(verdict.starts_with(std::string("off: ") + kLock + ": "));
  configure("lock_file = /etc/not-there/lock\n");
  remove_segments();
  assert_off("cache_root",
             "/etc/not-there/lock: " +
                 std::string("cannot open /etc/not-there/lock: No such file or "
                             "directory; making the segment takes this lock: "
                             "make it, or name another one"));
}

// Neither root nor a member has verified for a while.
void cache_that_nobody_uses_any_more(void ** /*state*/) {
  configure("cache_ttl = 1\n");
  set_up();
  sleep(2);
  assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
  SegmentHeader *header = attach_header();
  const Subject subject = {Kind::kSecrets, *view_of(PathText(kShadow))};
  auto segment =
      *WritableSegment::open(reinterpret_cast<std::byte *>(header),
                             status_json()["size"].GetUint64(), subject);
  Stamp stamp = *segment.stamp();
  constexpr std::uint64_t kTwoMinutes = 120 * kNanosecondsPerSecond;
  stamp.time -= kTwoMinutes;
  segment.set_stamp(stamp);
  // A token was let in a moment ago.
  assert_status("cache_root", "in use");
  tool_output({"prepare"});
  const auto record = static_cast<key_t>(status_json()["use"]["key"].GetUint());
  shmctl(shmget(record, 0, 0), IPC_RMID, nullptr);
  assert_true(std::string_view(status_json()["cache_root"].GetString())
                  .starts_with("unused since 20"));
  assert_no_problem();
  shmdt(header);
}

// One store's files are another's, too.
void twin_with_another_lock(void ** /*state*/) {
  write_file("/etc/pbstoken/twin.conf",
             "token_shadow = " + std::string(kShadow) +
                 "\nlock_file = /run/twin.lock\nuser_cfg =\n");
  const RunResult check = run_tool({"check"});
  assert_int_equal(check.status, 1);
  assert_text_equal(
      check.out,
      "/etc/pbstoken/twin.conf: is about " + std::string(kShadow) + " as " +
          kConfiguration +
          " is, but names another lock: each retires the other's cache; name "
          "one lock in both\n");
  assert_int_equal(run_tool({"--store", "twin", "check"}).status, 1);
}

void twin_with_other_readers(void ** /*state*/) {
  write_file("/etc/pbstoken/twin.conf",
             "token_shadow = " + std::string(kShadow) +
                 "\nuser_cfg =\nverify_group = 4712\n");
  const RunResult check = run_tool({"check"});
  assert_int_equal(check.status, 1);
  assert_true(check.out.find("another verify_group or cache_slots") !=
              std::string::npos);
}

// What each party has asked is counted, and its share.
void shares_are_of_root_and_of_members(void ** /*state*/) {
  set_up();
  for (int i = 0; i < 9; ++i) {
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  }
  const auto member = [] {
    return authenticate_as([] { become(kMember, {kMembers}); }, kId, kSecret);
  };
  for (int i = 0; i < 7; ++i) {
    assert_pam(member(), PAM_SUCCESS);
  }
  const auto status = status_json();
  const auto &root = status["use"]["root"];
  const auto &members = status["use"]["members"];
  assert_int_equal(root["hits"].GetUint64(), 9);
  assert_int_equal(root["hashes"].GetUint64(), 1);
  assert_int_equal(root["hit_share"].GetUint64(), 90);
  assert_int_equal(members["hits"].GetUint64(), 7);
  assert_int_equal(members["hit_share"].GetUint64(), 100);
  assert_int_equal(status["hits"].GetUint64(), 16);
  // The helper counts for whom it runs.
  tool_output({"flush"});
  assert_pam(member(), PAM_SUCCESS);
  assert_int_equal(status_json()["use"]["members"]["hashes"].GetUint64(), 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      MEMBER_TEST(cache_in_use),
      MEMBER_TEST(cache_that_nobody_has_used_yet_is_no_problem),
      MEMBER_TEST(without_verify_group_there_are_no_members),
      MEMBER_TEST(cache_that_is_switched_off),
      MEMBER_TEST(file_that_is_mounted_over),
      MEMBER_TEST(segment_ids_that_are_all_taken),
      MEMBER_TEST(segments_that_may_not_be_so_large),
      MEMBER_TEST(memory_of_segments_that_is_all_taken),
      MEMBER_TEST(lock_that_cannot_be_made),
      MEMBER_TEST(members_that_may_not_search_a_directory_above),
      MEMBER_TEST(segment_for_other_readers),
      MEMBER_TEST(segment_of_a_newer_version),
      MEMBER_TEST(segment_that_is_damaged),
      MEMBER_TEST(segment_of_another_time_namespace),
      MEMBER_TEST(keyless_segment_of_a_newer_version),
      MEMBER_TEST(writer_that_has_stopped),
      MEMBER_TEST(lock_that_is_no_file),
      MEMBER_TEST(cache_that_nobody_uses_any_more),
      MEMBER_TEST(twin_with_another_lock),
      MEMBER_TEST(twin_with_other_readers),
      MEMBER_TEST(shares_are_of_root_and_of_members),
  };
  return cmocka_run_group_tests_name("verdict", tests, nullptr, nullptr);
}
