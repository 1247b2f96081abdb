// SPDX-License-Identifier: BSD-3-Clause
// Files that cannot grow, disks without room, what somebody plants in place of
// a file, and those who write at the same time: nothing is lost, and nothing is
// said to be done that is not.
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include <atomic>

#include "faults_support.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr Work kSet = {"set", false};
constexpr std::array<const char *, 4> kWriters = {"set", "delete", "generate",
                                                  "rotate"};

void make_shadow(const std::string &text) {
  write_file(kShadow, text, 0640);
  assert_int_equal(chown(kShadow, kBackup, kBackup), 0);
  write_file(kLock, "", 0660);
}

void assert_refused(const RunResult &outcome, const std::string &text,
                    const std::string &named) {
  if (outcome.status != 4 || outcome.err.find(named) == std::string::npos) {
    fail_msg("exit status %d: %s", outcome.status, outcome.err.c_str());
  }
  assert_true(read_file(kShadow) == text);
  for (const std::string &name : names_in(kDirectory)) {
    assert_false(name.starts_with("token.shadow.tmp_"));
  }
}

// --- files that cannot grow

// A limit that root cannot raise: write(2) takes what there is room for, and
// then nothing.
void set_under_a_size_limit_writes_all_or_nothing(void ** /*state*/) {
  const std::string before = text_before(kSet);
  const std::size_t needed = with_token(kSet, std::string(94, 'x')).size();
  for (const rlim_t limit : {rlim_t{0}, rlim_t{1}, rlim_t{100},
                             rlim_t{needed - 1}, rlim_t{needed}}) {
    make_shadow(before);
    const RunResult outcome =
        run({.path = helper_path(),
             .arguments = {"set", kId},
             .input = kNewSecret,
             .prepare = [limit] {
               const rlimit both = {limit, limit};
               prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
               setrlimit(RLIMIT_FSIZE, &both);
             }});
    if (limit < needed) {
      assert_refused(outcome, before, kShadow);
    } else {
      assert_int_equal(outcome.status, 0);
      assert_true(is_text_after(kSet, read_file(kShadow)));
    }
  }
}

int mount_small(void **state) {
  return clean_host(state) == 0 ? mount("tmpfs", kDirectory, "tmpfs", 0,
                                        "size=64k,nr_inodes=8,mode=0700")
                                : -1;
}

int unmount_small(void ** /*state*/) {
  return umount(kDirectory);
}

// Of the pages that the new file takes none, some and all but one are free.
void change_on_a_full_disk_writes_all_or_nothing(void ** /*state*/) {
  constexpr std::size_t kPage = 4096;
  Tokens tokens;
  for (int i = 0; i < 200; ++i) {
    tokens.emplace_back("u" + std::to_string(i) + "@pbs!t", kOldHash);
  }
  tokens.emplace_back(kId, kCheapHash);
  const std::string before = shadow_of(tokens);
  const std::size_t pages = (before.size() + 200) / kPage + 1;
  assert_true(2 * pages < 16);
  const std::string filler = std::string(kDirectory) + "/filler";
  for (std::size_t free = 0; free <= pages; ++free) {
    for (const char *command : kWriters) {
      make_shadow(before);
      write_file(filler, std::string((16 - pages - free) * kPage, 'x'));
      const RunResult outcome = run_helper({command, kId}, kSecret);
      if (free < pages) {
        assert_refused(outcome, before, kShadow);
      } else {
        assert_int_equal(outcome.status, 0);
        assert_true(read_file(kShadow).starts_with(
            before.substr(0, before.find(kId) - 2)));
      }
      std::filesystem::remove(filler);
    }
  }
}

void change_without_an_inode_left_changes_nothing(void ** /*state*/) {
  const std::string before = text_before(kSet);
  make_shadow(before);
  int files = 0;
  std::string name;
  do {
    name = std::string(kDirectory) + "/filler" + std::to_string(files++);
  } while (close(open(name.c_str(), O_WRONLY | O_CREAT, 0600)) == 0);
  for (const char *command : kWriters) {
    assert_refused(run_helper({command, kId}, kSecret), before, kShadow);
  }
  assert_true(files > 1);
}

void change_on_a_read_only_mount_changes_nothing(void ** /*state*/) {
  const std::string before = text_before(kSet);
  make_shadow(before);
  assert_int_equal(
      mount(nullptr, kDirectory, nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  for (const char *command : kWriters) {
    const RunResult outcome = run_helper({command, kId}, kSecret);
    assert_refused(outcome, before, kShadow);
    assert_told_what_counts(outcome);
  }
  // And where there is no lock to open.
  assert_int_equal(mount(nullptr, kDirectory, nullptr, MS_REMOUNT, nullptr), 0);
  std::filesystem::remove(kLock);
  assert_int_equal(
      mount(nullptr, kDirectory, nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  for (const char *command : kWriters) {
    assert_refused(run_helper({command, kId}, kSecret), before, kLock);
  }
}

// --- others who write

void change_under_a_foreign_lock_names_its_holder(void ** /*state*/) {
  const std::string before = text_before(kSet);
  make_shadow(before);
  Pipe held;
  const pid_t holder = start_child([&] {
    const int lock = open(kLock, O_RDWR | O_CLOEXEC);
    if (flock(lock, LOCK_EX) != 0 || write(held.writer(), "x", 1) != 1) {
      return 1;
    }
    held.close_writer();
    return pause();
  });
  assert_int_equal(held.read_all().size(), 1);
  // All at once, since each waits for ten seconds.
  std::vector<pid_t> writers;
  for (const char *command : kWriters) {
    writers.push_back(start_child([&] {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      return outcome.status == 4 && is_told_what_counts(outcome) &&
                     outcome.err.find("process " + std::to_string(holder) +
                                      " holds it") != std::string::npos
                 ? 0
                 : 1;
    }));
  }
  int wrong = 0;
  for (const pid_t writer : writers) {
    wrong += wait_for(writer);
  }
  kill(holder, SIGKILL);
  wait_for(holder);
  assert_int_equal(wrong, 0);
  assert_text_equal(read_file(kShadow), before);
  assert_int_equal(run_helper({"set", kId}, kSecret).status, 0);
}

// The first command's outcome where somebody edits the file by hand after it
// was read and before the new one takes its place.
RunResult run_while_edited(const Work &work, const std::string &edited) {
  const pid_t editor = start_child([&] {
    const auto is_temporary = [](const std::string &name) {
      return name.starts_with("token.shadow.tmp_");
    };
    while (true) {
      const auto names = names_in(kDirectory);
      if (std::any_of(names.begin(), names.end(), is_temporary)) {
        break;
      }
      usleep(1000);
    }
    const std::string path = std::string(kDirectory) + "/edited";
    write_file(path, edited, 0640);
    return chown(path.c_str(), kBackup, kBackup) == 0 &&
                   rename(path.c_str(), kShadow) == 0
               ? 0
               : 1;
  });
  RunResult outcome = run(
      {.path = "/usr/bin/strace",
       .arguments = {"-f", "-qq", "-o", scratch("trace"), "-e", "trace=fsync",
                     "-e", "inject=fsync:delay_enter=2s:when=1", helper_path(),
                     work.command, kId},
       .input = input_of(work)});
  assert_int_equal(wait_for(editor), 0);
  return outcome;
}

void change_while_edited_keeps_both_changes(void ** /*state*/) {
  for (const Work &work : kEveryWork) {
    if (work.is_first) {
      continue;
    }
    make_shadow(text_before(work));
    const RunResult outcome = run_while_edited(
        work, "{\"new@pbs!t\":\"$5$x\"," + text_before(work).substr(1));
    assert_int_equal(outcome.status, 0);
    // Without the other's member it is what it would have been.
    const std::string text = read_file(kShadow);
    const std::string start = "{\"new@pbs!t\":\"$5$x\",";
    assert_true(text.starts_with(start));
    assert_true(is_text_after(work, "{" + text.substr(start.size())));
    assert_true(names_in(kDirectory) ==
                std::set<std::string>({"token.shadow", "token.shadow.lock"}));
  }
}

void change_while_edited_to_garbage_leaves_the_garbage(void ** /*state*/) {
  const Work work = {"generate", false};
  make_shadow(text_before(work));
  assert_refused(run_while_edited(work, "{\"half"), "{\"half", kShadow);
}

// The hash that the secret was checked against is no longer there.
void rotate_while_the_entry_is_changed_is_refused(void ** /*state*/) {
  const Work work = {"rotate", false};
  make_shadow(text_before(work));
  const std::string edited = with_token(work, kOldHash);
  const RunResult outcome = run_while_edited(work, edited);
  assert_int_equal(outcome.status, 1);
  assert_text_equal(read_file(kShadow), edited);
}

void set_200_at_once_loses_none(void ** /*state*/) {
  constexpr int kSets = 200;
  const auto id = [](int i) { return "u" + std::to_string(i) + "@pbs!t"; };
  std::vector<pid_t> sets;
  for (int i = 0; i < kSets; ++i) {
    sets.push_back(start_child(
        [&] { return run_helper({"set", id(i)}, kNewSecret).status; }));
  }
  std::vector<int> statuses;
  for (const pid_t set : sets) {
    statuses.push_back(wait_for(set));
  }
  const auto object = parse_json(read_file(kShadow));
  int done = 0;
  for (int i = 0; i < kSets; ++i) {
    // On a slow machine one of them may give up waiting for the lock.
    const int status = statuses[static_cast<std::size_t>(i)];
    if (status != 0 && status != 4) {
      fail_msg("exit status %d", status);
    }
    assert_int_equal(object.HasMember(id(i).c_str()), status == 0);
    done += status == 0 ? 1 : 0;
  }
  std::fprintf(stderr, "%d of %d sets done\n", done, kSets);
  assert_true(done > 0);
  assert_int_equal(object.MemberCount(), done);
}

// --- what is planted in place of a file

struct Planted {
  const char *what;
  std::function<int(const char *path)> plant;
};

const std::array<Planted, 7> kPlanted = {{
    {"link",
     [](const char *path) { return symlink(scratch("victim").c_str(), path); }},
    {"dangling link",
     [](const char *path) {
       return symlink(scratch("nowhere").c_str(), path);
     }},
    {"FIFO", [](const char *path) { return mkfifo(path, 0660); }},
    {"directory", [](const char *path) { return mkdir(path, 0700); }},
    {"socket",
     [](const char *path) { return mknod(path, S_IFSOCK | 0660, 0); }},
    {"null device",
     [](const char *path) {
       return mknod(path, S_IFCHR | 0666, makedev(1, 3));
     }},
    // A disk, if the host has one of that number.
    {"block device",
     [](const char *path) {
       return mknod(path, S_IFBLK | 0666, makedev(7, 0));
     }},
}};

// Plants each kind in place of path, and lets check run.
void with_each_planted(const std::string &path, const char *victim_is,
                       const std::function<void(const char *what)> &check) {
  for (const Planted &planted : kPlanted) {
    std::filesystem::remove_all(path);
    std::filesystem::remove_all(scratch("victim"));
    if (std::string_view(victim_is) == "directory") {
      std::filesystem::create_directory(scratch("victim"));
    } else {
      write_file(scratch("victim"), "{}", 0600);
    }
    const struct stat victim = status_of(scratch("victim"));
    assert_int_equal(planted.plant(path.c_str()), 0);
    const struct stat before = status_of(path);
    check(planted.what);
    assert_int_equal(status_of(path).st_ino, before.st_ino);
    assert_int_equal(status_of(path).st_mode, before.st_mode);
    const struct stat now = status_of(scratch("victim"));
    assert_int_equal(now.st_ino, victim.st_ino);
    assert_int_equal(now.st_mode, victim.st_mode);
    assert_int_equal(now.st_uid, victim.st_uid);
    assert_int_equal(now.st_mtim.tv_nsec, victim.st_mtim.tv_nsec);
    assert_false(std::filesystem::exists(scratch("nowhere")));
  }
  std::filesystem::remove_all(path);
}

void assert_status(const RunResult &outcome, int status, const char *what) {
  if (outcome.status != status) {
    fail_msg("%s: exit status %d, not %d: %s", what, outcome.status, status,
             outcome.err.c_str());
  }
}

void change_planted_file_or_lock_is_exit_4(void ** /*state*/) {
  with_each_planted(kShadow, "file", [](const char *what) {
    for (const char *command : kWriters) {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      assert_status(outcome, 4, what);
      assert_told_what_counts(outcome);
    }
  });
  make_shadow(text_before(kSet));
  with_each_planted(kLock, "file", [](const char *what) {
    for (const char *command : kWriters) {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      assert_status(outcome, 4, what);
      assert_told_what_counts(outcome);
    }
    assert_status(run_helper({"verify", kId}, kSecret), 0, what);
  });
  assert_text_equal(read_file(kShadow), text_before(kSet));
}

void change_planted_directory_is_exit_4(void ** /*state*/) {
  with_each_planted(kDirectory, "directory", [](const char *what) {
    // A directory is no fault, but where a store begins.
    const bool is_fault = std::string_view(what) != "directory";
    for (const char *command : {"set", "generate"}) {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      assert_status(outcome, is_fault ? 4 : 0, what);
      assert_true(!is_fault || is_told_what_counts(outcome));
    }
    assert_true(names_in(scratch("victim")).empty());
  });
}

// Neither is asked for when a token is changed, or must not stop it.
void change_beside_other_planted_files_works(void ** /*state*/) {
  std::filesystem::create_directories(
      std::filesystem::path(kVersionPage).parent_path());
  const std::string user_cfg = std::string(kDirectory) + "/user.cfg";
  for (const std::string &path : {std::string(kVersionPage), user_cfg}) {
    with_each_planted(path, "file", [&](const char *what) {
      make_shadow(text_before(kSet));
      assert_status(run_helper({"rotate", kId}, kSecret), 0, what);
      assert_status(run_helper({"set", kId}, kNewSecret), 0, what);
      assert_status(run_helper({"verify", kId}, kNewSecret), 0, what);
      assert_status(run_helper({"verify", kId}, kSecret), 1, what);
      if (path == user_cfg) {
        assert_status(run_helper({"account", kId}), 4, what);
      }
    });
  }
}

// --- what somebody moves about meanwhile

// Of the user who owns the directory: everything there is something else all
// the time, and names that were in use are taken.
[[noreturn]] void swap_places(std::atomic<int> *swaps) {
  become({.name = "backup", .uid = kBackup, .gid = kBackup});
  const std::string victim = scratch("victim");
  const auto swap_for_link = [&victim](const std::string &path) {
    unlink(path.c_str());
    static_cast<void>(symlink(victim.c_str(), path.c_str()));
  };
  std::string used = std::string(kDirectory) + "/token.shadow.tmp_";
  while (true) {
    for (const char *path : {kShadow, kLock}) {
      for (const std::string &name : names_in(kDirectory)) {
        if (name.starts_with("token.shadow.tmp_")) {
          used = std::string(kDirectory) + "/" + name;
        }
      }
      swap_for_link(used);
      swap_for_link(path);
      usleep(200);
      unlink(path);
      const UniqueFd file(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
      static_cast<void>(write(file.get(), "{}", 2));
      usleep(2000);
    }
    ++*swaps;
  }
}

void change_while_places_are_swapped_reaches_no_other_file(void ** /*state*/) {
  constexpr const char *kContent = R"({"victim@pbs!t":"x"})";
  const std::string victim = scratch("victim");
  write_file(victim, kContent, 0666);
  assert_int_equal(chmod(victim.c_str(), 0666), 0);
  const struct stat before = status_of(victim);
  auto *swaps = static_cast<std::atomic<int> *>(
      mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t swapping = start_child([&]() -> int { swap_places(swaps); });
  int done = 0;
  int refused = 0;
  for (int i = 0; i < 400 && (done == 0 || refused < 20); ++i) {
    for (const char *command : {"set", "delete"}) {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      if (outcome.status == 4) {
        ++refused;
      } else {
        assert_true(outcome.status == 0 || outcome.status == 5);
        ++done;
      }
    }
  }
  kill(swapping, SIGKILL);
  wait_for(swapping);
  assert_true(done > 0 && refused > 0 && *swaps > 0);
  munmap(swaps, sizeof(std::atomic<int>));
  const struct stat now = status_of(victim);
  assert_text_equal(read_file(victim), kContent);
  assert_true(now.st_ino == before.st_ino && now.st_mode == before.st_mode &&
              now.st_uid == before.st_uid && now.st_gid == before.st_gid);
  assert_int_equal(now.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

// --- what somebody locks who may only read

void locks_of_a_stranger_hold_up_nobody(void ** /*state*/) {
  make_shadow(text_before(kSet));
  std::filesystem::remove(kLock);
  assert_int_equal(run_helper({"set", kId}, kSecret).status, 0);
  // As somebody may have set them who wants others to read.
  assert_int_equal(chmod(kDirectory, 0755), 0);
  assert_int_equal(chmod(kShadow, 0644), 0);
  Pipe held;
  const pid_t holder = start_child([&] {
    become(kStranger);
    std::string locked;
    for (const std::string &path :
         {std::string(kShadow), std::string(kLock), std::string(kDirectory),
          helper_path(), std::string("/etc/pbstoken"),
          std::string("/etc/group"), std::string("/etc/passwd")}) {
      const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      struct flock all = {};
      all.l_type = F_RDLCK;
      if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 &&
          fcntl(file, F_SETLK, &all) == 0) {
        locked += path + "\n";
      }
    }
    if (write(held.writer(), locked.data(), locked.size()) < 0) {
      return 1;
    }
    held.close_writer();
    return pause();
  });
  const std::string locked = held.read_all();
  assert_true(locked.starts_with(std::string(kShadow) + "\n"));
  assert_true(locked.find(kLock) == std::string::npos);
  for (const auto &[command, secret] : {std::pair{"verify", kSecret},
                                        {"set", kNewSecret},
                                        {"verify", kNewSecret},
                                        {"rotate", kNewSecret},
                                        {"flush", ""}}) {
    const RunResult outcome = std::string_view(command) == "flush"
                                  ? run_tool({command})
                                  : run_helper({command, kId}, secret);
    assert_status(outcome, 0, command);
  }
  kill(holder, SIGKILL);
  wait_for(holder);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const auto on_a_small_disk = [](const char *name, CMUnitTestFunction test) {
    return CMUnitTest{name, test, mount_small, unmount_small, nullptr};
  };
  const CMUnitTest tests[] = {
      E2E_TEST(set_under_a_size_limit_writes_all_or_nothing),
      on_a_small_disk("change_on_a_full_disk_writes_all_or_nothing",
                      change_on_a_full_disk_writes_all_or_nothing),
      on_a_small_disk("change_without_an_inode_left_changes_nothing",
                      change_without_an_inode_left_changes_nothing),
      on_a_small_disk("change_on_a_read_only_mount_changes_nothing",
                      change_on_a_read_only_mount_changes_nothing),
      E2E_TEST(change_under_a_foreign_lock_names_its_holder),
      E2E_TEST(change_while_edited_keeps_both_changes),
      E2E_TEST(change_while_edited_to_garbage_leaves_the_garbage),
      E2E_TEST(rotate_while_the_entry_is_changed_is_refused),
      E2E_TEST(set_200_at_once_loses_none),
      E2E_TEST(change_planted_file_or_lock_is_exit_4),
      E2E_TEST(change_planted_directory_is_exit_4),
      E2E_TEST(change_beside_other_planted_files_works),
      E2E_TEST(change_while_places_are_swapped_reaches_no_other_file),
      E2E_TEST(locks_of_a_stranger_hold_up_nobody),
  };
  return cmocka_run_group_tests_name("helper_faults_places", tests, nullptr,
                                     nullptr);
}
