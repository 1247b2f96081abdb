// SPDX-License-Identifier: BSD-3-Clause
// What was counted survives the segment that counts: save, retire, and what
// list and status make of it.
#include <sched.h>
#include <sys/shm.h>
#include <sys/sysinfo.h>

#include <cstring>
#include <ctime>

#include "helper_support.h"
#include "pbstoken/limits/use.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kSaved = std::string(kState) + "/pbs.use";

void verify(int count = 1) {
  for (int i = 0; i < count; ++i) {
    helper_output({"verify", "--", kId}, kSecret);
  }
}

rapidjson::Document listed() {
  rapidjson::Document array;
  array.Parse(tool_output({"--output-format", "json", "list"}).c_str());
  assert_true(array.IsArray());
  return array;
}

std::uint64_t uses() {
  return listed()[0]["uses"].GetUint64();
}

std::uint64_t use_member(const char *name) {
  return status_json()["use"][name].GetUint64();
}

void use_the_token(int count) {
  write_shadow({{kId, kHash}});
  verify(count);
}

// The kernel has none of its objects any more.  It has had the same id for
// another one, but not since it started.
void restart() {
  remove_segments();
}

// --- what survives

void uses_survive_a_restart(void ** /*state*/) {
  configure("user_cfg =\n");
  use_the_token(3);
  const std::time_t since = std::time(nullptr);
  tool_output({"save"});
  const auto before = listed();
  restart();
  const auto after = listed();
  assert_int_equal(after[0]["uses"].GetUint64(), 3);
  assert_int_equal(after[0]["last_used"].GetUint64(),
                   before[0]["last_used"].GetUint64());
  verify(2);
  assert_int_equal(uses(), 5);
  assert_int_equal(counter("hashes"), 2);
  assert_int_equal(counter("hits"), 3);
  assert_in_range(use_member("since"), since - 60, since);
  assert_in_range(use_member("saved"), since, since + 60);
}

void uses_are_counted_once_however_often_they_are_saved(void ** /*state*/) {
  use_the_token(2);
  for (int life = 1; life <= 3; ++life) {
    for (int i = 0; i < 3; ++i) {
      tool_output({"save"});
      assert_int_equal(uses(), 2 * life);
      assert_int_equal(counter("hits") + counter("hashes"), 2 * life);
    }
    restart();
    verify(2);
  }
  assert_int_equal(uses(), 8);
}

void uses_after_the_last_save_count_until_the_restart(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  verify(4);
  assert_int_equal(uses(), 5);
  restart();
  assert_int_equal(uses(), 1);
}

void retire_saves(void ** /*state*/) {
  use_the_token(3);
  tool_output({"retire"});
  assert_int_equal(uses(), 3);
  verify(1);
  tool_output({"retire"});
  tool_output({"retire"});
  assert_int_equal(uses(), 4);
}

// The timer of a host that uses no token.
void nothing_is_saved_where_nothing_was_counted(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  tool_output({"save"});
  tool_output({"retire"});
  assert_false(std::filesystem::exists(kSaved));
  assert_true(status_json()["use"]["saved"].IsNull());
}

void what_is_saved_is_roots_alone(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  for (const auto &[path, mode] :
       {std::pair(std::string(kState), 0700), std::pair(kSaved, 0600)}) {
    const struct stat status = status_of(path);
    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(status.st_gid, 0);
  }
  assert_int_equal(names_in(kState).size(), 1);
}

// A new one of the same id is another token.
void token_that_is_gone_is_forgotten(void ** /*state*/) {
  use_the_token(2);
  tool_output({"save"});
  restart();
  write_shadow({{kOldId, kOldHash}});
  tool_output({"save"});
  write_shadow({{kId, kHash}});
  assert_int_equal(uses(), 0);
}

// It may be on a file system that is not mounted yet.
void file_that_is_not_there_takes_nothing_along(void ** /*state*/) {
  use_the_token(2);
  tool_output({"save"});
  restart();
  std::filesystem::remove(kShadow);
  tool_output({"save"});
  write_shadow({{kId, kHash}});
  assert_int_equal(uses(), 2);
}

void each_store_has_its_own(void ** /*state*/) {
  write_file("/etc/pbstoken/mine.conf",
             "token_shadow = /etc/proxmox-backup/mine.shadow\nuser_cfg =\n");
  use_the_token(2);
  tool_output({"save"});
  tool_output({"--store", "mine", "save"});
  helper_output({"--store", "mine", "generate", kId});
  assert_int_equal(uses(), 2);
  assert_true(names_in(kState) == std::set<std::string>{"pbs.use"});
}

// --- since when it is known

std::string saved_with(std::string_view name, std::uint64_t value) {
  std::string text = read_file(kSaved);
  const std::size_t at = text.find("\n" + std::string(name) + " ") + 1;
  const std::size_t end = text.find('\n', at);
  return text.replace(at, end - at,
                      std::string(name) + " " + std::to_string(value));
}

void set_saved(std::string_view name, std::uint64_t value) {
  write_file(kSaved, saved_with(name, value), 0600);
}

constexpr std::uint64_t kDay = 86400;

void record_goes_on_over_restarts(void ** /*state*/) {
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  use_the_token(1);
  tool_output({"save"});
  set_saved("since", now - 100 * kDay);
  set_saved("saved", now - kDay);
  restart();
  verify(1);
  assert_int_equal(use_member("since"), now - 100 * kDay);
  tool_output({"save"});
  assert_int_equal(use_member("since"), now - 100 * kDay);
}

// What was counted in between may be lost: nobody can say what was not used.
void record_begins_anew_after_days_without_a_save(void ** /*state*/) {
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  use_the_token(1);
  tool_output({"save"});
  set_saved("since", now - 100 * kDay);
  set_saved("saved", now - 3 * kDay);
  // Nothing is lost as long as the segment lives.
  assert_int_equal(use_member("since"), now - 100 * kDay);
  restart();
  assert_in_range(use_member("since"), now, now + 60);
  verify(1);
  assert_in_range(use_member("since"), now, now + 60);
  assert_int_equal(uses(), 2);
}

// The clock was set back, or the file is from another host.
void times_in_the_future_are_now(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  std::string text = saved_with("since", UINT64_MAX);
  write_file(kSaved, text, 0600);
  set_saved("saved", UINT64_MAX);
  text = read_file(kSaved);
  const std::size_t line = text.find("\ntokens 1\n") + 10;
  const std::size_t end = text.find(' ', text.find(' ', line) + 1);
  write_file(kSaved,
             text.replace(line, end - line,
                          "18446744073709551615 18446744073709551615"),
             0600);
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  assert_in_range(use_member("since"), now, now + 60);
  assert_in_range(use_member("saved"), now, now + 60);
  assert_in_range(listed()[0]["last_used"].GetUint64(), now, now + 60);
  // To save them so would lose them for good: the clock may be wrong.
  text = read_file(kSaved);
  const RunResult outcome = run_tool({"save"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err,
                    "pbstoken: cannot replace " + kSaved +
                        ": it is of a later time than now: set the clock, or "
                        "move it away\n");
  assert_text_equal(read_file(kSaved), text);
}

// In a container ids repeat after a restart, and the boot goes on.
void segment_of_the_same_id_is_another_one(void ** /*state*/) {
  use_the_token(2);
  tool_output({"save"});
  const auto store = load_store("pbs", PathText(kConfiguration));
  const SharedSegment record = use_segment(*store);
  const int id = record.get(record.key, 0);
  const bool all_well =
      wait_for(start_child([&] {
        sleep(1);
        // Empty, so that the ids begin anew.
        if (unshare(CLONE_NEWIPC) != 0) {
          return 1;
        }
        for (int i = 0; i < 10 && record.get(record.key, 0) != id; ++i) {
          remove_segments();
          if (i < id) {
            const int other = shmget(IPC_PRIVATE, 1, 0600);
            shmctl(other, IPC_RMID, nullptr);
          }
          run_helper({"verify", "--", kId}, kSecret);
        }
        return uses() > 2 ? 0 : 2;
      })) == 0;
  assert_true(all_well);
}

// The kernel notes that as a change of the segment, which it is not.
void mode_that_was_changed_counts_nothing_twice(void ** /*state*/) {
  use_the_token(2);
  tool_output({"save"});
  const auto store = load_store("pbs", PathText(kConfiguration));
  const SharedSegment record = use_segment(*store);
  shmid_ds status{};
  const int id = record.get(record.key, 0);
  sleep(1);
  shmctl(id, IPC_STAT, &status);
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
  verify(1);
  tool_output({"save"});
  assert_int_equal(uses(), 3);
}

// Else what is not known would pass for what was not used.
void record_that_cannot_be_had_is_not_saved(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  const std::string text = read_file(kSaved);
  restart();
  const auto store = load_store("pbs", PathText(kConfiguration));
  const SharedSegment record = use_segment(*store);
  // Another program of root's has the key.
  const int other = shmget(record.key, 4096, IPC_CREAT | IPC_EXCL | 0600);
  assert_true(other >= 0);
  sleep(2);
  const RunResult saved = run_tool({"save"});
  const RunResult listed = run_tool({"list", "--unused", "1s"});
  shmctl(other, IPC_RMID, nullptr);
  assert_int_equal(saved.status, 4);
  assert_text_equal(saved.err,
                    "pbstoken: cannot save the use: the segment that counts "
                    "cannot be had; run pbstoken check\n");
  assert_text_equal(read_file(kSaved), text);
  assert_int_equal(listed.status, 4);
  assert_text_equal(listed.err,
                    "pbstoken: the segment that counts uses cannot be had, run "
                    "pbstoken check; tokens that are not listed: 1\n");
}

// The segment was made anew, hours after the last save.
void time_without_a_save_is_named(void ** /*state*/) {
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  configure("user_cfg =\n");
  use_the_token(1);
  tool_output({"save"});
  set_saved("since", now - 100 * kDay);
  set_saved("saved", now - kDay / 2);
  restart();
  verify(1);
  for (int i = 0; i < 2; ++i) {
    const RunResult listed = run_tool({"list", "--unused", "90d"});
    assert_int_equal(listed.status, 0);
    assert_true(
        listed.err.starts_with("pbstoken: uses may have been lost between 20"));
    assert_true(listed.err.ends_with(
        "Z: nothing was saved before the segment was made anew\n"));
    tool_output({"save"});  // and it stays so
  }
}

// --- what members may write

void fill_record(int byte) {
  const auto store = load_store("pbs", PathText(kConfiguration));
  const SharedSegment record = use_segment(*store);
  shmid_ds status{};
  const int id = record.get(record.key, 0);
  void *address = shmat(id, nullptr, 0);
  if (shmctl(id, IPC_STAT, &status) != 0 ||
      address == reinterpret_cast<void *>(-1)) {
    fail_msg("no record");
  }
  if (byte >= 0) {
    std::memset(address, byte, status.shm_segsz);
  } else {
    std::ifstream("/dev/urandom", std::ios::binary)
        .read(static_cast<char *>(address),
              static_cast<std::streamsize>(status.shm_segsz));
  }
  shmdt(address);
}

void member_that_writes_over_the_record_breaks_nothing(void ** /*state*/) {
  use_the_token(1);
  for (const int byte : {0xff, 0x80, 1, 0, -1, 0xff, 0}) {
    fill_record(byte);
    for (int i = 0; i < 2; ++i) {
      const auto now = static_cast<std::uint64_t>(std::time(nullptr));
      const auto array = listed();
      assert_int_equal(array.Size(), 1);
      assert_true(array[0]["last_used"].IsNull() ||
                  array[0]["last_used"].GetUint64() <= now + 60);
      assert_in_range(array[0]["uses"].GetUint64(), 0, 1ULL << 53U);
      const auto status = status_json();
      assert_in_range(status["hits"].GetUint64(), 0, 1ULL << 54U);
      struct sysinfo host = {};
      sysinfo(&host);
      if (!status["use"]["since"].IsNull()) {
        assert_in_range(status["use"]["since"].GetUint64(),
                        now - static_cast<std::uint64_t>(host.uptime) - 2,
                        now + 60);
      }
      tool_output({"save"});
      assert_in_range(read_file(kSaved).size(), 1, 1000);
    }
  }
  verify(1);
}

// They see what the segment shows, and cannot read the file.
void status_of_members_has_what_the_segment_has(void ** /*state*/) {
  configure_groups();
  std::filesystem::permissions(kDirectory, std::filesystem::perms(0711));
  use_the_token(2);
  tool_output({"save"});
  restart();
  verify(1);
  const RunResult outcome =
      run_as(kMember, install_tool(), {"--output-format", "json", "status"});
  assert_int_equal(outcome.status, 0);
  assert_text_equal(outcome.err, "");
  const auto status = parse_json(outcome.out);
  assert_int_equal(status["hashes"].GetUint64(), 1);
  assert_true(status["use"]["saved"].IsNull());
  assert_int_equal(counter("hashes"), 2);
}

// --- what cannot be saved

void assert_unsaved(const std::string &why) {
  const RunResult outcome = run_tool({"save"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err, "pbstoken: " + why + "\n");
}

// It stays: an administrator, or a later version, may read it.
void damaged_file_is_neither_used_nor_replaced(void ** /*state*/) {
  use_the_token(2);
  tool_output({"save"});
  const std::string text = saved_with("life", 1);
  const struct {
    std::string text;
    std::string why;
  } cases[] = {
      {text.substr(0, text.size() - 9),
       kSaved + ":10: not what 'pbstoken save' writes"},
      {"", kSaved + ":1: not what 'pbstoken save' writes"},
      {"pbstoken use 2\nelse\n",
       "cannot use " + kSaved + ": another version of pbstoken has saved it"},
      {"pbstoken use 1\ntoken_shadow /x\n",
       "cannot use " + kSaved +
           ": it was saved of another token_shadow: move it away"},
  };
  for (const auto &c : cases) {
    write_file(kSaved, c.text, 0600);
    assert_unsaved(c.why);
    assert_text_equal(read_file(kSaved), c.text);
    const RunResult outcome = run_tool({"list"});
    assert_int_equal(outcome.status, 0);
    assert_text_equal(outcome.err, "pbstoken: " + c.why + "\n");
    assert_int_equal(run_tool({"status"}).status, 0);
  }
  std::filesystem::remove(kSaved);
  tool_output({"save"});
  assert_int_equal(uses(), 2);
}

// What is saved goes by the store's name, and --config has another store.
void store_of_config_saves_nothing_by_another_name(void ** /*state*/) {
  const std::string other = "/etc/other.conf";
  write_file(other, std::string("token_shadow = ") + kDirectory +
                        "/other.shadow\nuser_cfg =\nverify_group =\n");
  write_file(std::string(kDirectory) + "/other.shadow", "{}", 0640);
  use_the_token(2);
  tool_output({"save"});
  const std::string text = read_file(kSaved);
  for (const char *command : {"list", "check", "status", "retire"}) {
    const RunResult outcome = run_tool({"--config", other, command});
    assert_text_equal(outcome.err, "");
    assert_true(outcome.out.find(kSaved) == std::string::npos);
  }
  const RunResult outcome = run_tool({"--config", other, "save"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err,
                    "pbstoken: cannot save the use: it goes by the name of a "
                    "store: --store in place of --config\n");
  assert_text_equal(read_file(kSaved), text);
}

void check_names_what_cannot_be_used(void ** /*state*/) {
  configure("user_cfg =\nverify_group =\n");
  use_the_token(1);
  tool_output({"save"});
  assert_text_equal(tool_output({"check"}), "");
  write_file(kSaved, "x\n", 0600);
  const RunResult outcome = run_tool({"check"});
  assert_int_equal(outcome.status, 1);
  assert_text_equal(outcome.out,
                    kSaved + ":1: not what 'pbstoken save' writes\n");
}

void file_that_others_may_change_is_not_used(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  assert_int_equal(chmod(kSaved.c_str(), 0666), 0);
  assert_unsaved("cannot use " + kSaved + ": others than root may change it");
  assert_int_equal(chmod(kSaved.c_str(), 0600), 0);
  assert_int_equal(chown(kState, kNobody, 0), 0);
  assert_unsaved("cannot use " + kSaved +
                 ": a directory above it is not root's alone");
}

void save_without_a_directory_is_exit_4(void ** /*state*/) {
  use_the_token(1);
  write_file(kState, "");
  assert_int_equal(run_tool({"save"}).status, 4);
  // What retire is for happens all the same.
  assert_int_equal(run_tool({"retire"}).status, 4);
  std::filesystem::remove(kState);
  assert_int_equal(uses(), 0);
}

void save_of_a_malformed_token_shadow_is_exit_4(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  const std::string before = read_file(kSaved);
  write_file(kShadow, "{", 0640);
  assert_int_equal(run_tool({"save"}).status, 4);
  assert_text_equal(read_file(kSaved), before);
}

// --- at once, and cut short

void saves_at_the_same_time_all_succeed(void ** /*state*/) {
  use_the_token(2);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(start_child([] { return run_tool({"save"}).status; }));
  }
  for (const pid_t child : children) {
    assert_int_equal(wait_for(child), 0);
  }
  restart();
  assert_int_equal(uses(), 2);
  assert_true(names_in(kState) == std::set<std::string>{"pbs.use"});
}

// Returns false once there is no such call.
bool kill_at(const std::string &name, int number) {
  const RunResult outcome =
      run({.path = "/usr/bin/strace",
           .arguments = {"-f", "-o", "/dev/null", "-e", "trace=" + name, "-e",
                         "inject=" + name +
                             ":signal=SIGKILL:when=" + std::to_string(number),
                         tool_path(), "save"}});
  if (outcome.status != 128 + SIGKILL) {
    assert_int_equal(outcome.status, 0);
    return false;
  }
  return true;
}

void killed_save_leaves_the_old_file_or_the_new(void ** /*state*/) {
  use_the_token(1);
  tool_output({"save"});
  std::uint64_t all = 1;
  int kills = 0;
  for (const char *name : {"openat", "flock", "write", "fsync", "close",
                           "renameat", "unlinkat", "fstat"}) {
    for (int number = 1; kill_at(name, number); ++number) {
      ++kills;
      assert_int_equal(uses(), all);
      restart();
      assert_in_range(uses(), all - 1, all);
      tool_output({"save"});
      assert_true(names_in(kState) == std::set<std::string>{"pbs.use"});
      verify(1);
      all = uses();
    }
  }
  assert_in_range(kills, 40, 1000);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(uses_survive_a_restart),
      E2E_TEST(uses_are_counted_once_however_often_they_are_saved),
      E2E_TEST(uses_after_the_last_save_count_until_the_restart),
      E2E_TEST(retire_saves),
      E2E_TEST(nothing_is_saved_where_nothing_was_counted),
      E2E_TEST(what_is_saved_is_roots_alone),
      E2E_TEST(token_that_is_gone_is_forgotten),
      E2E_TEST(file_that_is_not_there_takes_nothing_along),
      E2E_TEST(each_store_has_its_own),
      E2E_TEST(record_goes_on_over_restarts),
      E2E_TEST(record_begins_anew_after_days_without_a_save),
      E2E_TEST(times_in_the_future_are_now),
      E2E_TEST(segment_of_the_same_id_is_another_one),
      E2E_TEST(mode_that_was_changed_counts_nothing_twice),
      E2E_TEST(record_that_cannot_be_had_is_not_saved),
      E2E_TEST(time_without_a_save_is_named),
      E2E_TEST(member_that_writes_over_the_record_breaks_nothing),
      E2E_TEST(status_of_members_has_what_the_segment_has),
      E2E_TEST(damaged_file_is_neither_used_nor_replaced),
      E2E_TEST(store_of_config_saves_nothing_by_another_name),
      E2E_TEST(check_names_what_cannot_be_used),
      E2E_TEST(file_that_others_may_change_is_not_used),
      E2E_TEST(save_without_a_directory_is_exit_4),
      E2E_TEST(save_of_a_malformed_token_shadow_is_exit_4),
      E2E_TEST(saves_at_the_same_time_all_succeed),
      E2E_TEST(killed_save_leaves_the_old_file_or_the_new),
  };
  return cmocka_run_group_tests_name("saved_use", tests, nullptr, nullptr);
}
