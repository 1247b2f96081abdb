// SPDX-License-Identifier: BSD-3-Clause
// What the helper makes of token.shadow: content, owner, mode, and nothing at
// all where something fails.
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <array>

#include "e2e_pam.h"
#include "helper_support.h"
#include "trace_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// The stored hash of an id, whose name needs no escapes.
std::string stored_hash(const std::string &id) {
  const auto object = parse_json(read_file(kShadow));
  const auto member = object.FindMember(id.c_str());
  return member != object.MemberEnd() ? member->value.GetString() : "(none)";
}

void assert_unchanged(const std::string &text, const struct stat &before) {
  assert_text_equal(read_file(kShadow), text);
  assert_int_equal(status_of(kShadow).st_ino, before.st_ino);
  // And nothing but the lock beside it.
  auto names = names_in(kDirectory);
  names.erase("token.shadow.lock");
  assert_true(names == std::set<std::string>{"token.shadow"});
}

// --- content

void set_writes_what_upstream_writes(void ** /*state*/) {
  helper_output({"set", kId}, kSecret);
  const std::string hash = stored_hash(kId);
  assert_int_equal(hash.size(), 94);
  assert_true(hash.starts_with("$y$j9T$"));
  assert_int_equal(hash.rfind('$'), 50);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, hash}}));
  generate(kOldId);
  assert_text_equal(read_file(kShadow),
                    shadow_of({{kId, hash}, {kOldId, stored_hash(kOldId)}}));
  assert_int_equal(stored_hash(kOldId).size(), 94);
}

void set_escapes_what_json_wants_escaped(void ** /*state*/) {
  for (const auto &[id, written] :
       std::vector<std::pair<std::string, std::string>>{
           {"j\"q@pbs!t1", R"("j\"q@pbs!t1")"},
           {"DOM\\svc@ad!sync", R"("DOM\\svc@ad!sync")"},
           {"jürgen@pbs!t1", "\"jürgen@pbs!t1\""},
           {"😀@pbs!t1", "\"😀@pbs!t1\""}}) {
    std::filesystem::remove(kShadow);
    helper_output({"set", id}, kSecret);
    assert_true(read_file(kShadow).starts_with("{" + written + ":\"$y$j9T$"));
    assert_pam(authenticate(id, kSecret), PAM_SUCCESS);
  }
}

// A member as it stands in the file, and as it is to stay there.
void set_keeps_other_members_byte_for_byte(void ** /*state*/) {
  const std::array<std::string, 9> members = {
      std::string("\"") + kOldId + "\":\"" + kOldHash + "\"",
      R"("not an id":"\u0078\/y")",
      R"("jo\u0068n@pbs!other":"x")",
      R"("x@pam!t":7)",
      R"("x@pam!t":-1.50e+3)",
      R"("nested":{"a":[1,2.0,{}],"b":{"c":null}})",
      R"("list":[ "a" , {"b" : []} ])",
      R"("":null)",
      "\"jürgen@pbs!t\":\"\"",
  };
  // Each alone, before and behind the token, and then all of them.
  std::string all;
  for (const std::string &member : members) {
    all += (all.empty() ? "" : ",") + member;
    write_file(kShadow, "{" + member + "}");
    helper_output({"set", kId}, kSecret);
    std::string own = std::string("\"") + kId + "\":\"" + stored_hash(kId);
    assert_text_equal(read_file(kShadow), "{" + member + "," + own + "\"}");
    write_file(kShadow, "{" + own + "\"," + member + "}");
    helper_output({"delete", kId});
    assert_text_equal(read_file(kShadow), "{" + member + "}");
  }
  write_file(kShadow, "{" + all + "}");
  helper_output({"set", kId}, kSecret);
  helper_output({"delete", kId});
  assert_text_equal(read_file(kShadow), "{" + all + "}");
}

void set_makes_a_spacious_file_compact(void ** /*state*/) {
  write_file(kShadow, "\n{\t\"a@pbs!t\" :\r\n \"x\" ,\n \"b\": [ 1, 2 ] } \n");
  helper_output({"set", kId}, kSecret);
  assert_text_equal(read_file(kShadow),
                    std::string(R"({"a@pbs!t":"x","b":[ 1, 2 ],")") + kId +
                        "\":\"" + stored_hash(kId) + "\"}");
}

void set_leaves_one_member_of_the_name(void ** /*state*/) {
  const std::string duplicates =
      std::string(R"({"john@pbs!client1":7,"a@pbs!t":"x",)") +
      R"("\u006aohn@pbs!client1":"y","john@pbs!client1":")" + kHash +
      R"(","b@pbs!t":"z"})";
  write_file(kShadow, duplicates);
  helper_output({"set", kId}, kSecret);
  assert_text_equal(
      read_file(kShadow),
      shadow_of({{"a@pbs!t", "x"}, {"b@pbs!t", "z"}, {kId, stored_hash(kId)}}));
  write_file(kShadow, duplicates);
  helper_output({"delete", kId});
  assert_text_equal(read_file(kShadow), R"({"a@pbs!t":"x","b@pbs!t":"z"})");
}

void set_no_tokens_begins_an_object(void ** /*state*/) {
  for (const char *text : {"null", " null\n", "{}", "{ }"}) {
    write_file(kShadow, text);
    helper_output({"set", kId}, kSecret);
    assert_text_equal(read_file(kShadow), shadow_of({{kId, stored_hash(kId)}}));
  }
}

void set_one_of_20000_keeps_the_others(void ** /*state*/) {
  Tokens tokens;
  for (int i = 0; i < 20000; ++i) {
    tokens.emplace_back("u" + std::to_string(i) + "@pbs!t", kOldHash);
  }
  write_shadow(tokens);
  helper_output({"set", "u777@pbs!t"}, kSecret);
  const std::string hash = stored_hash("u777@pbs!t");
  tokens.erase(tokens.begin() + 777);
  tokens.emplace_back("u777@pbs!t", hash);
  assert_true(read_file(kShadow) == shadow_of(tokens));
}

// --- malformed files

struct Malformed {
  std::string text;
  const char *place;  // line and column
};

void change_malformed_file_is_exit_4_and_untouched(void ** /*state*/) {
  const std::array<Malformed, 9> all = {{
      {"", ":1:1: "},
      {"\n", ":2:1: "},
      {"[]", ":1:1: "},
      {"{\"a\":\"b\",}", ":1:10: "},
      {"{\"a\":\"b\"}}", ":1:10: "},
      {"{\n\"a\":\"b\",\n\"c\" \"d\"}", ":3:5: "},
      {"{\"a\":\"b\"", ":1:9: "},
      {"\xef\xbb\xbf{}", ":1:1: "},
      {"{\"a\":\"\xff\"}", ":1:7: "},
  }};
  for (const Malformed &malformed : all) {
    write_file(kShadow, malformed.text, 0640);
    const struct stat before = status_of(kShadow);
    for (const char *command :
         {"generate", "set", "delete", "rotate", "verify"}) {
      const RunResult outcome = run_helper({command, kId}, kSecret);
      assert_int_equal(outcome.status, 4);
      assert_told_what_counts(outcome);
      const std::string begin =
          std::string("pbstoken-helper: ") + kShadow + malformed.place;
      if (!outcome.err.starts_with(begin)) {
        fail_msg("%s, not %s", outcome.err.c_str(), begin.c_str());
      }
      assert_unchanged(malformed.text, before);
    }
  }
}

// --- owner, mode, access control list

struct Access {
  uid_t owner;
  gid_t group;
  mode_t mode;
};

void set_keeps_owner_and_mode(void ** /*state*/) {
  for (const Access &access :
       {Access{kBackup, kBackup, 0640}, Access{1234, 5678, 0664},
        Access{kBackup, 0, 0400}, Access{1234, kBackup, 0}}) {
    std::filesystem::remove(kShadow);
    write_file(kShadow, shadow_of({{kOldId, kOldHash}}));
    assert_int_equal(chown(kShadow, access.owner, access.group), 0);
    assert_int_equal(chmod(kShadow, access.mode), 0);
    const ino_t old = status_of(kShadow).st_ino;
    for (const char *command : {"set", "delete"}) {
      helper_output({command, kId}, kSecret);
      const struct stat now = status_of(kShadow);
      assert_int_equal(now.st_uid, access.owner);
      assert_int_equal(now.st_gid, access.group);
      assert_int_equal(now.st_mode, S_IFREG | access.mode);
    }
    assert_int_not_equal(status_of(kShadow).st_ino, old);
  }
}

// Permissions are kept, and nothing else: a program of its owner it never was.
void set_drops_setuid_setgid_and_sticky(void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  assert_int_equal(chown(kShadow, kBackup, kBackup), 0);
  assert_int_equal(chmod(kShadow, 07750), 0);
  helper_output({"set", kId}, kSecret);
  assert_int_equal(status_of(kShadow).st_mode, S_IFREG | 0750);
}

constexpr const char *kGivenBack =
    "pbstoken-helper: /etc/proxmox-backup/token.shadow was root's: it has "
    "owner, "
    "group and mode by file_owner, file_group and file_mode again\n";

void assert_access(const Access &wanted) {
  const struct stat now = status_of(kShadow);
  assert_int_equal(now.st_uid, wanted.owner);
  assert_int_equal(now.st_gid, wanted.group);
  assert_int_equal(now.st_mode, S_IFREG | wanted.mode);
}

// As an edit or a restore leaves it, and the daemons cannot read it.  What is
// not changed is not given back.
void set_gives_a_file_of_roots_back(void ** /*state*/) {
  write_user_cfg();
  for (const Access &access :
       {Access{0, 0, 0600}, Access{0, 0, 0644}, Access{0, kBackup, 0640}}) {
    std::filesystem::remove(kShadow);
    write_file(kShadow, shadow_of({{kOldId, kOldHash}}));
    assert_int_equal(chown(kShadow, access.owner, access.group), 0);
    assert_int_equal(chmod(kShadow, access.mode), 0);
    assert_int_equal(run_helper({"delete", kId}).status, 5);
    assert_access(access);
    const RunResult outcome = run_helper({"set", kId}, kSecret);
    assert_int_equal(outcome.status, 0);
    assert_text_equal(outcome.err, kGivenBack);
    assert_access({kBackup, kBackup, 0640});
    assert_text_equal(run_helper({"set", kId}, kSecret).err, "");
  }
}

void set_gives_back_by_the_settings(void ** /*state*/) {
  write_user_cfg();
  configure("file_owner = 1234\nfile_group = 5678\nfile_mode = 0600\n");
  assert_int_equal(chown(kDirectory, 1234, 5678), 0);
  write_file(kShadow, "{}", 0640);
  assert_text_equal(run_helper({"set", kId}, kSecret).err, kGivenBack);
  assert_access({1234, 5678, 0600});
  // A store of root's own, whose files may be so: its group or mode alone.
  configure("file_owner = root\nfile_group = root\nfile_mode = 0600\n");
  assert_int_equal(chown(kDirectory, 0, 0), 0);
  for (const auto &[group, mode] :
       {std::pair<gid_t, mode_t>{5678, 0600}, {0, 0640}}) {
    assert_int_equal(chown(kShadow, 0, group), 0);
    assert_int_equal(chmod(kShadow, mode), 0);
    assert_text_equal(run_helper({"set", kId}, kSecret).err, kGivenBack);
    assert_access({0, 0, 0600});
  }
  assert_int_equal(chown(kShadow, 0, 0), 0);
  assert_text_equal(run_helper({"set", kId}, kSecret).err, "");
  assert_access({0, 0, 0600});
}

// The owner of the directory can rename what is there: no file of root's that
// is none of tokens becomes readable for him, and none that has another name.
void set_gives_back_no_other_file_of_roots(void ** /*state*/) {
  write_user_cfg();
  const std::string link = std::string(kDirectory) + "/other-name";
  for (const auto &[text, is_linked] :
       std::vector<std::pair<std::string, bool>>{
           {"{\"john@pbs\":\"$5$a$b\"}", false},
           {"{\"john@pbs!t\":\"$5$a$b\",\"password\":\"x\"}", false},
           {"{\"john@pbs!t\":\"$5$a$b\"}", true}}) {
    std::filesystem::remove(kShadow);
    write_file(kShadow, text, 0600);
    if (is_linked) {
      std::filesystem::create_hard_link(kShadow, link);
    }
    const RunResult outcome = run_helper({"set", kId}, kSecret);
    assert_int_equal(outcome.status, 0);
    assert_text_equal(outcome.err, "");
    assert_access({0, 0, 0600});
  }
  std::filesystem::remove(link);
}

// Where no daemon of that owner is, its directory is not his either.
void set_gives_back_nothing_in_a_directory_of_roots(void ** /*state*/) {
  write_user_cfg();
  assert_int_equal(chown(kDirectory, 0, 0), 0);
  write_file(kShadow, "{}", 0600);
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  assert_int_equal(outcome.status, 0);
  assert_text_equal(outcome.err, "");
  assert_access({0, 0, 0600});
}

// Nobody knows then to whom.
void set_keeps_roots_file_where_etc_does_not_know_the_owner(void ** /*state*/) {
  write_user_cfg();
  write_file(kShadow, "{}", 0600);
  write_file(kLock, "", 0660);
  const std::string users = read_file("/etc/passwd");
  std::string without = users;
  without.replace(without.find("\nbackup:"), 8, "\nnobackup:");
  write_file("/etc/passwd", without);
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  write_file("/etc/passwd", users);
  assert_int_equal(outcome.status, 0);
  assert_text_equal(outcome.err, "");
  assert_access({0, 0, 0600});
}

// As acl(5) is stored: version 2, then tag, permissions and id of each entry.
struct AclEntry {
  std::uint16_t tag;
  std::uint16_t permissions;
  std::uint32_t id;
};
struct Acl {
  std::uint32_t version;
  std::array<AclEntry, 5> entries;
};
constexpr std::uint32_t kNoId = 0xffffffff;
// user::rw- user:33:r-- group::r-- mask::r-- other::---
constexpr Acl kWebServerReads = {2,
                                 {{{1, 6, kNoId},
                                   {2, 4, 33},
                                   {4, 4, kNoId},
                                   {16, 4, kNoId},
                                   {32, 0, kNoId}}}};
constexpr const char *kAccessAcl = "system.posix_acl_access";

std::string acl_of(const char *path) {
  std::array<char, 256> value{};
  const ssize_t size = getxattr(path, kAccessAcl, value.data(), value.size());
  return size < 0 ? "(none)"
                  : std::string(value.data(), static_cast<std::size_t>(size));
}

void set_keeps_the_access_control_list(void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  assert_int_equal(setxattr(kShadow, kAccessAcl, &kWebServerReads,
                            sizeof(kWebServerReads), 0),
                   0);
  const std::string before = acl_of(kShadow);
  assert_int_equal(before.size(), sizeof(kWebServerReads));
  helper_output({"set", kId}, kSecret);
  assert_true(acl_of(kShadow) == before);
  assert_int_equal(status_of(kShadow).st_mode, S_IFREG | 0640);
}

// Within the mode that it gets.
void set_keeps_the_access_control_list_of_what_it_gives_back(
    void ** /*state*/) {
  write_file(kShadow, "{}", 0600);
  assert_int_equal(setxattr(kShadow, kAccessAcl, &kWebServerReads,
                            sizeof(kWebServerReads), 0),
                   0);
  const std::string before = acl_of(kShadow);
  helper_output({"set", kId}, kSecret);
  assert_true(acl_of(kShadow) == before);
  assert_access({kBackup, kBackup, 0640});
}

// A default list of the directory must not open the new file.
void set_takes_no_access_control_list_from_the_directory(void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  assert_int_equal(setxattr(kDirectory, "system.posix_acl_default",
                            &kWebServerReads, sizeof(kWebServerReads), 0),
                   0);
  helper_output({"set", kId}, kSecret);
  assert_text_equal(acl_of(kShadow), "(none)");
  assert_int_equal(status_of(kShadow).st_mode, S_IFREG | 0640);
  removexattr(kDirectory, "system.posix_acl_default");
}

void set_missing_file_is_made_for_upstream(void ** /*state*/) {
  helper_output({"set", kId}, kSecret);
  const struct stat made = status_of(kShadow);
  assert_int_equal(made.st_uid, kBackup);
  assert_int_equal(made.st_gid, kBackup);
  assert_int_equal(made.st_mode, S_IFREG | 0640);
  const struct stat lock = status_of(kLock);
  assert_int_equal(lock.st_uid, kBackup);
  assert_int_equal(lock.st_gid, kBackup);
  assert_int_equal(lock.st_mode, S_IFREG | 0660);
  assert_true(names_in(kDirectory) ==
              std::set<std::string>({"token.shadow", "token.shadow.lock"}));
}

void set_missing_directory_is_exit_4(void ** /*state*/) {
  std::filesystem::remove_all(kDirectory);
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  assert_int_equal(outcome.status, 4);
  assert_false(std::filesystem::exists(kDirectory));
}

// --- what cannot be delivered, or written, changes nothing

// Runs generate and rotate with a standard output that prepare has made
// useless.
void assert_undelivered_changes_nothing(void (*prepare)()) {
  write_shadow({{kId, kHash}});
  const std::string before = read_file(kShadow);
  const struct stat status = status_of(kShadow);
  for (const char *command : {"generate", "rotate"}) {
    const RunResult outcome = run({.path = helper_path(),
                                   .arguments = {command, kId},
                                   .input = kSecret,
                                   .prepare = prepare});
    if (outcome.status != 4) {
      fail_msg("%s: exit status %d", command, outcome.status);
    }
    assert_true(outcome.err.starts_with("pbstoken-helper: "));
    assert_unchanged(before, status);
  }
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

void generate_to_a_full_device_changes_nothing(void ** /*state*/) {
  assert_undelivered_changes_nothing(
      [] { dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO); });
}

void generate_to_a_pipe_without_reader_changes_nothing(void ** /*state*/) {
  assert_undelivered_changes_nothing([] {
    Pipe pipe;
    pipe.close_reader();
    dup2(pipe.writer(), STDOUT_FILENO);
  });
}

void generate_to_a_closed_output_changes_nothing(void ** /*state*/) {
  assert_undelivered_changes_nothing([] { close(STDOUT_FILENO); });
}

void generate_to_an_input_changes_nothing(void ** /*state*/) {
  assert_undelivered_changes_nothing(
      [] { dup2(open("/dev/zero", O_RDONLY | O_CLOEXEC), STDOUT_FILENO); });
}

int mount_small(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  return mount("tmpfs", kDirectory, "tmpfs", 0, "size=16k,mode=0700");
}

int unmount_small(void ** /*state*/) {
  return umount(kDirectory);
}

void set_removes_what_dead_writers_left(void ** /*state*/) {
  const std::string start = std::string(kDirectory) + "/";
  // Ours and upstream's of today, upstream's of before 4.2.3, and locks of
  // both.
  for (const char *name :
       {"token.shadow.tmp_abcdE1", "token.shadow.tmp_ABCDEF",
        "token.tmp_abcdE1", "token.tmp_ABCDEF", "token.shadow.lock.tmp_1234",
        "token.shadow.lock.tmp_abcdE1"}) {
    write_file(start + name, kHash);
  }
  const std::set<std::string> others = {
      "token.shadow.tmp_abcde", "token.tmp_abcdE1.old",
      "token.shadow.lock.tmp_abc", "user.tmp_abcdE1"};
  for (const std::string &name : others) {
    write_file(start + name, kHash);
  }
  helper_output({"set", kId}, kSecret);
  std::set<std::string> left = others;
  left.insert({"token.shadow", "token.shadow.lock"});
  assert_true(names_in(kDirectory) == left);
}

// As upstream from 4.2.3 on: some file systems, such as those that make a file
// immutable, take no rename of one that is open for writing.
void set_closes_the_new_file_before_the_rename(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const pid_t writer = start_child([&] {
    be_traced();
    execl(helper_path().c_str(), "pbstoken-helper", "delete", kId, nullptr);
    return 126;
  });
  const pid_t renamer = stop_at(writer, SYS_renameat);
  bool is_open = false;
  for (const auto &file : std::filesystem::directory_iterator(
           "/proc/" + std::to_string(renamer) + "/fd")) {
    is_open = is_open || std::filesystem::read_symlink(file) == kShadow;
  }
  kill(renamer, SIGCONT);
  kill(writer, SIGCONT);
  assert_int_equal(wait_for(writer), 0);
  assert_false(is_open);
  assert_text_equal(read_file(kShadow), "{}");
}

void set_full_disk_changes_nothing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  helper_output({"set", kOldId}, kSecret);  // makes the lock file
  const std::string before = read_file(kShadow);
  const struct stat status = status_of(kShadow);
  const std::string filler = std::string(kDirectory) + "/filler";
  write_file(filler, std::string(65536, 'x'));
  assert_int_equal(run_helper({"set", kId}, kWrongSecret).status, 4);
  const RunResult generated = run_helper({"generate", kId});
  assert_int_equal(generated.status, 4);
  assert_told_what_counts(generated);
  std::filesystem::remove(filler);
  assert_unchanged(before, status);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

void set_read_only_directory_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_int_equal(
      mount(nullptr, kDirectory, nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const RunResult outcome = run_helper({"set", kId}, kWrongSecret);
  assert_int_equal(mount(nullptr, kDirectory, nullptr, MS_REMOUNT, nullptr), 0);
  assert_int_equal(outcome.status, 4);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

// --- parallel writers

void set_50_at_once_loses_none(void ** /*state*/) {
  constexpr int kWriters = 50;
  std::array<pid_t, kWriters> writers{};
  const auto id = [](int i) { return "u" + std::to_string(i) + "@pbs!t"; };
  for (int i = 0; i < kWriters; ++i) {
    writers[static_cast<std::size_t>(i)] = start_child([&] {
      return run_helper({"set", id(i)}, kSecret + std::to_string(i)).status;
    });
  }
  int written = 0;
  std::array<bool, kWriters> done{};
  for (std::size_t i = 0; i < done.size(); ++i) {
    const int status = wait_for(writers[i]);
    // On a slow machine one of them may give up waiting for the lock.
    assert_true(status == 0 || status == 4);
    done[i] = status == 0;
    written += done[i] ? 1 : 0;
  }
  assert_true(written > 0);
  assert_int_equal(parse_json(read_file(kShadow)).MemberCount(), written);
  for (int i = 0; i < kWriters; ++i) {
    assert_pam(
        authenticate(id(i), kSecret + std::to_string(i)),
        done[static_cast<std::size_t>(i)] ? PAM_SUCCESS : PAM_USER_UNKNOWN);
  }
}

void set_while_somebody_holds_the_lock_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const struct stat before = status_of(kShadow);
  const int lock = open(kLock, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  const RunResult outcome = run_helper({"set", kId}, kWrongSecret);
  // Readers take no lock.
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  close(lock);
  assert_int_equal(outcome.status, 4);
  // It is this process, and the administrator is told so.
  assert_text_equal(outcome.err, std::string("pbstoken-helper: cannot lock ") +
                                     kLock + ": process " +
                                     std::to_string(getpid()) + " holds it\n");
  assert_unchanged(shadow_of({{kId, kHash}}), before);
  helper_output({"set", kId}, kWrongSecret);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(set_writes_what_upstream_writes),
      PAM_TEST(set_escapes_what_json_wants_escaped),
      PAM_TEST(set_keeps_other_members_byte_for_byte),
      PAM_TEST(set_makes_a_spacious_file_compact),
      PAM_TEST(set_leaves_one_member_of_the_name),
      PAM_TEST(set_no_tokens_begins_an_object),
      PAM_TEST(set_one_of_20000_keeps_the_others),
      PAM_TEST(change_malformed_file_is_exit_4_and_untouched),
      PAM_TEST(set_keeps_owner_and_mode),
      PAM_TEST(set_drops_setuid_setgid_and_sticky),
      PAM_TEST(set_gives_a_file_of_roots_back),
      PAM_TEST(set_gives_back_by_the_settings),
      PAM_TEST(set_gives_back_no_other_file_of_roots),
      PAM_TEST(set_gives_back_nothing_in_a_directory_of_roots),
      PAM_TEST(set_keeps_roots_file_where_etc_does_not_know_the_owner),
      PAM_TEST(set_removes_what_dead_writers_left),
      PAM_TEST(set_closes_the_new_file_before_the_rename),
      PAM_TEST(set_keeps_the_access_control_list),
      PAM_TEST(set_keeps_the_access_control_list_of_what_it_gives_back),
      PAM_TEST(set_takes_no_access_control_list_from_the_directory),
      PAM_TEST(set_missing_file_is_made_for_upstream),
      PAM_TEST(set_missing_directory_is_exit_4),
      PAM_TEST(generate_to_a_full_device_changes_nothing),
      PAM_TEST(generate_to_a_pipe_without_reader_changes_nothing),
      PAM_TEST(generate_to_a_closed_output_changes_nothing),
      PAM_TEST(generate_to_an_input_changes_nothing),
      cmocka_unit_test_setup_teardown(set_full_disk_changes_nothing,
                                      mount_small, unmount_small),
      cmocka_unit_test_setup_teardown(set_read_only_directory_is_exit_4,
                                      mount_small, unmount_small),
      PAM_TEST(set_50_at_once_loses_none),
      PAM_TEST(set_while_somebody_holds_the_lock_is_exit_4),
  };
  return cmocka_run_group_tests_name("helper_write", tests, nullptr, nullptr);
}
