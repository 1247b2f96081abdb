// SPDX-License-Identifier: BSD-3-Clause
// The tool's check command: every kind of problem, and none where there is
// none.
#include <signal.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include <algorithm>

#include "e2e/exhausted.h"
#include "helper_support.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"
#include "trace_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// What is said of a hash that matches nothing, and of one that is old.
constexpr const char *kUnusable =
    ": the stored hash is damaged or of no known method, and matches nothing: "
    "make a new secret with pbstoken-helper generate";
constexpr const char *kOld =
    ": an old hash, cheaper to guess than what Proxmox makes today: replace "
    "the secret with pbstoken-helper rotate or generate";

constexpr const char *kAccounts =
    "user: john@pbs\n\ntoken: john@pbs!client1\n\ntoken: root@pam!old\n";

void give(const std::string &path, uid_t user, gid_t group) {
  if (chown(path.c_str(), user, group) != 0) {
    fail_msg("cannot chown %s", path.c_str());
  }
}

// What is wrong, a line each; exit status 1, or 0 if nothing is.
void assert_problems(const std::vector<std::string> &expected,
                     const std::vector<std::string> &options = {}) {
  std::string lines;
  for (const std::string &line : expected) {
    lines += line + "\n";
  }
  std::vector<std::string> arguments = options;
  arguments.emplace_back("check");
  const RunResult outcome = run_tool(arguments);
  assert_text_equal(outcome.err, "");
  assert_text_equal(outcome.out, lines);
  assert_int_equal(outcome.status, expected.empty() ? 0 : 1);
}

// The same, of token.shadow alone.
void assert_shadow_problems(const std::string &text,
                            const std::vector<std::string> &expected) {
  configure("user_cfg =\n");
  write_file(kShadow, text, 0640);
  give(kShadow, kBackup, kBackup);
  std::vector<std::string> lines;
  for (const std::string &problem : expected) {
    lines.push_back(std::string(kShadow) + problem);
  }
  assert_problems(lines);
}

std::string member(const std::string &name, const std::string &hash) {
  return "\"" + name + "\":\"" + hash + "\"";
}

// As Proxmox Backup Server has it.
void write_good_store() {
  write_shadow({{kId, kHash}, {kOldId, kHash}});
  write_file(kUserCfg, kAccounts, 0640);
  write_file(kLock, "", 0660);
  give(kShadow, kBackup, kBackup);
  give(kUserCfg, 0, kBackup);
  give(kLock, kBackup, kBackup);
}

// --- nothing wrong

void check_good_store_finds_nothing(void ** /*state*/) {
  write_good_store();
  assert_problems({});
  assert_text_equal(tool_output({"--output-format", "json", "check"}), "[]\n");
}

void check_store_without_files_finds_nothing(void ** /*state*/) {
  assert_problems({});
  assert_true(names_in(kDirectory).empty());
  assert_true(status_json()["id"].IsNull());
  configure("user_cfg =\nversion_cache =\n");
  assert_problems({});
}

void check_after_the_helpers_own_writes_finds_nothing(void ** /*state*/) {
  write_file(kUserCfg, "user: john@pbs\n\ntoken: john@pbs!client1\n", 0640);
  give(kUserCfg, 0, kBackup);
  generate(kId);
  generate(kOldId);
  helper_output({"delete", kOldId});
  tool_output({"flush"});
  assert_problems({});
  assert_true(status_json()["id"].IsInt());
}

void check_changes_nothing(void ** /*state*/) {
  write_good_store();
  write_file(kShadow, "{\"x\":7,", 0666);
  write_file(std::string(kDirectory) + "/token.shadow.tmp_abcDE1", "");
  const auto before = status_of(kShadow);
  const auto names = names_in(kDirectory);
  assert_int_equal(run_tool({"check"}).status, 1);
  const auto after = status_of(kShadow);
  assert_int_equal(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  assert_int_equal(after.st_ino, before.st_ino);
  assert_true(names_in(kDirectory) == names);
}

// --- token.shadow: content

void check_no_tokens_is_no_problem(void ** /*state*/) {
  for (const char *text : {"null", "{}", " {\n} "}) {
    assert_shadow_problems(text, {});
  }
}

void check_malformed_shadow_is_named_with_its_place(void ** /*state*/) {
  assert_shadow_problems(
      "{\n\"a@pbs!t\": \"x\n",
      {":2:14: malformed JSON: Invalid escape character in string."});
  assert_shadow_problems("[]",
                         {":1:1: malformed JSON: the root is not an object"});
  assert_shadow_problems("", {":1:1: malformed JSON: The document is empty."});
}

void check_foreign_members_are_named_with_their_place(void ** /*state*/) {
  const std::string good = member(kId, kHash);
  assert_shadow_problems(
      "{" + good + ",\n  \"no id\": \"x\", \"john@pbs\":\"x\",\n\t" +
          "\"a@pbs!t\" : 7,\"b@pbs!t\":\n{\"x\":[1]},\"\": "
          "null,\"c@pbs!\\n\":" +
          "\"x\"}",
      {":2:3: a name that is no token id: upstream refuses the file; remove it",
       ":2:17: john@pbs: a user's id and no token's: it is never used; remove "
       "it",
       ":3:14: a value that is no string: upstream refuses the file; remove it",
       ":4:1: a value that is no string: upstream refuses the file; remove it",
       ":4:11: a name that is no token id: upstream refuses the file; remove "
       "it",
       ":4:15: a value that is no string: upstream refuses the file; remove it",
       ":4:20: a name that is no token id: upstream refuses the file; remove "
       "it"});
}

// Strings are decoded in place; an escaped newline is none of the text's.
void check_places_are_those_of_the_original(void ** /*state*/) {
  assert_shadow_problems(
      "{\"\\n\\n\\u0041\":\"\\n\\n\\n\",\n \"\\u0061@pbs!t\":\"*\"}",
      {":1:2: a name that is no token id: upstream refuses the file; remove it",
       std::string(":2:17: a@pbs!t") + kUnusable});
}

void check_duplicates_name_the_earlier_one(void ** /*state*/) {
  const std::string entry = member(kId, kHash);
  assert_shadow_problems("{" + entry + ",\n" +
                             member("john\\u0040pbs!client1", kHash) + ",\n\n" +
                             entry + "," + member(kOldId, kHash) + "}",
                         {":2:1: john@pbs!client1: also given in line 1: the "
                          "last one counts; remove the other",
                          ":4:1: john@pbs!client1: also given in line 2: the "
                          "last one counts; remove the other"});
}

void check_hashes_are_judged_by_method(void ** /*state*/) {
  const auto problems = [](const std::string &hash,
                           const std::vector<std::string> &expected) {
    assert_shadow_problems("{" + member("a@pbs!t", hash) + "}", expected);
  };
  const std::string unknown = std::string(":1:12: a@pbs!t") + kUnusable;
  const std::string old = std::string(":1:12: a@pbs!t") + kOld;
  const auto weak = [](const std::string &method) {
    return std::vector<std::string>{
        ":1:12: a@pbs!t: hashed by a weak method, " + method +
        ": replace the secret with pbstoken-helper rotate or generate"};
  };
  problems(kHash, {});
  problems(kOldHash, {old});
  problems("$y$j75$salt$" + std::string(43, 'x'), {old});
  problems("$y$jAT$salt$" + std::string(43, 'x'), {});
  problems("$y$j9T$sal#$" + std::string(43, 'x'), {unknown});
  problems("$6$salt$" + std::string(86, 'x'), {});
  problems("$2b$05$" + std::string(53, 'x'), {});
  problems("", {unknown});
  problems("*", {unknown});
  problems("$y$", {unknown});
  problems(std::string(kHash).substr(0, 80), {unknown});
  problems("$9$salt$" + std::string(43, 'x'), {unknown});
  problems(std::string(13, 'x'), weak("descrypt"));
  problems(std::string(24, 'x'), weak("bigcrypt"));
  problems("_" + std::string(19, 'x'), weak("bsdicrypt"));
  problems("$1$salt$" + std::string(22, 'x'), weak("md5crypt"));
  problems("$md5$salt$$" + std::string(22, 'x'), weak("sunmd5"));
  problems("$sha1$1$salt$" + std::string(28, 'x'), weak("sha1crypt"));
  problems("$3$$" + std::string(32, 'a'), weak("nt"));
  problems("$2x$05$" + std::string(53, 'x'), weak("bcrypt-x"));
}

void check_ids_that_cannot_be_written_are_named_in_part(void ** /*state*/) {
  const std::string sixty_four = std::string(58, 'u') + "@pbs!t";
  assert_shadow_problems("{" + member(sixty_four, kHash) + "}", {});
  const std::string long_id = std::string(100000, 'u') + "@pbs!t";
  assert_shadow_problems("{" + member(long_id, kHash) + "}",
                         {":1:2: " + std::string(64, 'u') +
                          "...: longer than 64 characters: it cannot be "
                          "written again; make one with a shorter name"});
}

void check_ids_are_escaped(void ** /*state*/) {
  assert_shadow_problems(
      "{" + member("a" + utf8(0x9b) + "\\\\@pbs!t", "*") + "}",
      {std::string(":1:16: a\\xc2\\x9b\\x5c@pbs!t") + kUnusable});
}

// A secret in the place of an id, a hash in the wrong place, a member too much.
void check_prints_no_content(void ** /*state*/) {
  write_file(kShadow,
             "{\"topsecret\":\"topsecret\",\"a@pbs!t\":\"topsecret\"," +
                 member(kHash, kHash) +
                 ",\"b@pbs!t\":[\"topsecret\"],topsecret",
             0640);
  write_file(kUserCfg, "user: john@pbs\n\ttopsecret topsecret\n", 0640);
  for (const char *format : {"text", "json", "json-pretty"}) {
    const RunResult outcome = run_tool({"--output-format", format, "check"});
    assert_int_equal(outcome.status, 1);
    for (const std::string &text : {outcome.out, outcome.err}) {
      assert_true(text.find("topsecret") == std::string::npos);
      assert_true(text.find("$y$") == std::string::npos);
    }
  }
}

void check_many_problems_are_shown_in_part(void ** /*state*/) {
  std::string text = "{\"\":\"\"";
  for (int i = 0; i < 1499; ++i) {
    text += ",\"\":\"\"";
  }
  write_file(kShadow, text + "}", 0640);
  give(kShadow, kBackup, kBackup);
  // More than a pipe takes.
  const std::string file = scratch("problems");
  const RunResult outcome =
      run({.path = "/bin/sh",
           .arguments = {"-c", "\"$0\" check > \"$1\"", tool_path(), file}});
  assert_int_equal(outcome.status, 1);
  const std::string lines = read_file(file);
  assert_int_equal(std::count(lines.begin(), lines.end(), '\n'), 1000);
  assert_text_equal(outcome.err,
                    "pbstoken: more problems than are shown: 500\n");
}

// --- user.cfg: content

void check_bad_user_cfg_is_named_with_its_place(void ** /*state*/) {
  write_good_store();
  write_file(kUserCfg, "user: john@pbs\n\tenable maybe\n", 0640);
  assert_problems({std::string(kUserCfg) +
                   ":2:9: john@pbs: enable is neither true nor false"});
  write_file(kUserCfg, "user: john@pbs\nuser: a@pbs\n", 0640);
  assert_problems({std::string(kUserCfg) +
                   ":2:1: john@pbs: no blank line before a header, or no "
                   "indent"});
  // Not asked.
  configure("user_cfg =\n");
  assert_problems({});
}

void check_token_without_its_user_is_named(void ** /*state*/) {
  write_good_store();
  write_shadow({{kId, kHash}, {kOldId, kHash}, {"ghost@pbs!t1", kHash}});
  give(kShadow, kBackup, kBackup);
  write_file(kUserCfg,
             "\ntoken: ghost@pbs!t1\n\nuser: john@pbs\n\n"
             "token: john@pbs!client1\n\ntoken: root@pam!old\n",
             0640);
  assert_problems({std::string(kUserCfg) +
                   ":2: ghost@pbs!t1: there is no section of its "
                   "user: 'pbstoken user add' makes it"});
}

// As a change of both files leaves them that was cut short.
void check_half_a_token_is_named(void ** /*state*/) {
  write_good_store();
  write_shadow({{kId, kHash}, {"left@pbs!over", kHash}, {kOldId, kHash}});
  give(kShadow, kBackup, kBackup);
  write_file(kUserCfg, std::string(kAccounts) + "\ntoken: john@pbs!nosecret\n",
             0640);
  assert_problems(
      {std::string(kUserCfg) +
           ":7: john@pbs!nosecret: a section and no secret: it lets nothing "
           "in; make one with pbstoken-helper generate, or run pbstoken token "
           "remove",
       std::string(kShadow) +
           ": left@pbs!over: a secret and no section in user.cfg: Proxmox and "
           "account rules refuse it; run pbstoken token add, or token remove"});
}

// Of a store that has the same user.cfg.
void check_of_a_shared_user_cfg_misses_no_secrets(void ** /*state*/) {
  write_good_store();
  write_file("/etc/pbstoken/web.conf",
             "token_shadow = /etc/pbstoken/web/token.shadow\n"
             "user_cfg = /etc/proxmox-backup/user.cfg\nfile_owner = root\n"
             "file_group = root\n",
             0644);
  std::filesystem::create_directory("/etc/pbstoken/web");
  write_file("/etc/pbstoken/web/token.shadow",
             "{" + member("web@pbs!t", kHash) + "}", 0600);
  write_file(kUserCfg,
             std::string(kAccounts) + "\nuser: web@pbs\n\ntoken: web@pbs!t\n",
             0640);
  assert_problems({});
  std::filesystem::remove_all("/etc/pbstoken/web");
  std::filesystem::remove("/etc/pbstoken/web.conf");
}

void check_names_one_lock_for_both_files(void ** /*state*/) {
  write_good_store();
  configure(std::string("user_lock = ") + kLock + "\n");
  assert_problems({std::string(kLock) +
                   ": user_lock and lock_file are the same file: no token can "
                   "be added or removed; name two"});
}

// The file counts here, but not, or not all of it, for the daemons.
void check_user_cfg_that_counts_in_part_is_named(void ** /*state*/) {
  write_good_store();
  write_file(kUserCfg,
             std::string(kAccounts) + "\nuser: x@y\n\nuser: a@pbs\n\tcomment " +
                 std::string(129, 'x') + "\n\nuser: b@pbs\n\tfirstname J\n",
             0640);
  const std::string path(kUserCfg);
  assert_problems(
      {path + ":7: x@y: a realm must have 2 to 32 characters: the section "
              "never counts; remove it",
       path + ":10: a@pbs: a comment of more than 128 characters: the Proxmox "
              "daemons refuse the file; shorten it"});
}

// --- access

// Runs the command at the end of each line.
void follow(const std::vector<std::string> &lines) {
  for (const std::string &line : lines) {
    const std::string command = line.substr(line.rfind(": ") + 2);
    const RunResult outcome =
        run({.path = "/bin/sh", .arguments = {"-c", command}});
    assert_int_equal(outcome.status, 0);
  }
}

void check_modes_that_let_others_in_are_named(void ** /*state*/) {
  struct Case {
    const char *path;
    mode_t mode;
    std::vector<std::string> problems;
  };
  const std::vector<Case> all = {
      {kShadow, 0600, {}},
      {kShadow, 0644, {"others may read it (mode 0644): chmod o-rwx"}},
      {kShadow, 0642, {"others may write it (mode 0642): chmod o-w"}},
      {kShadow, 0660, {"its group may write it (mode 0660): chmod g-w"}},
      {kShadow,
       0666,
       {"others may read it (mode 0666): chmod o-rwx",
        "others may write it (mode 0666): chmod o-w",
        "its group may write it (mode 0666): chmod g-w"}},
      {kUserCfg, 0644, {"others may read it (mode 0644): chmod o-rwx"}},
      {kUserCfg, 0642, {"others may write it (mode 0642): chmod o-w"}},
      {kUserCfg, 0660, {"its group may write it (mode 0660): chmod g-w"}},
      {kLock, 0600, {}},
      {kLock,
       0664,
       {"others may open it, and hold the lock (mode 0664): chmod o-rwx"}},
      {kLock, 0662, {"others may write it (mode 0662): chmod o-w"}},
  };
  for (const Case &c : all) {
    write_good_store();
    chmod(c.path, c.mode);
    std::vector<std::string> lines;
    for (const std::string &problem : c.problems) {
      lines.push_back(std::string(c.path) + ": " + problem + " " + c.path);
    }
    assert_problems(lines);
    follow(lines);
    assert_problems({});
  }
}

void check_owners_that_are_others_are_named(void ** /*state*/) {
  for (const char *path : {kShadow, kUserCfg, kLock}) {
    write_good_store();
    give(path, kNobody, kNobody);
    const std::string start = std::string(path) + ": ";
    const bool is_lock = path == kLock;
    assert_problems(
        {start +
             "belongs to uid 65534, neither root nor file_owner: chown "
             "backup " +
             path,
         start +
             "gid 65534, neither root's nor file_group, may open it: chgrp "
             "backup " +
             path,
         start + "file_owner, as whom the Proxmox daemons run, cannot " +
             (is_lock ? "write it (uid 65534, gid 65534, mode 0660): chgrp "
                        "backup and chmod g+rw"
                      : "read it (uid 65534, gid 65534, mode 0640): chgrp "
                        "backup and chmod g+r")});
    follow({": chown backup " + std::string(path),
            ": chgrp backup " + std::string(path)});
    assert_problems({});
    // A group that may do nothing does not matter.
    give(path, kBackup, kNobody);
    chmod(path, 0600);
    assert_problems({});
    // The store says who they are.
    give(path, kNobody, kNobody);
    chmod(path, 0640);
    give(kDirectory, kNobody, kNobody);
    give(kShadow, kNobody, kNobody);
    give(kLock, kNobody, kNobody);
    give(kUserCfg, 0, kNobody);
    configure("file_owner = 65534\nfile_group = 65534\n");
    assert_problems({});
    configure("");
    give(kDirectory, kBackup, kBackup);
  }
}

// What an edit as root, or a restore, leaves behind.
void check_files_that_the_daemons_cannot_use_are_named(void ** /*state*/) {
  const std::string who =
      ": file_owner, as whom the Proxmox daemons run, cannot ";
  struct Case {
    const char *path;
    uid_t user;
    gid_t group;
    mode_t mode;
    const char *problem;
  };
  const std::vector<Case> all = {
      {kShadow, 0, 0, 0600,
       "read it (uid 0, gid 0, mode 0600): chgrp backup and chmod g+r"},
      {kShadow, 0, kBackup, 0600,
       "read it (uid 0, gid 34, mode 0600): chgrp backup and chmod g+r"},
      {kShadow, kBackup, kBackup, 0040,
       "read it (uid 34, gid 34, mode 0040): chmod u+r"},
      {kShadow, 0, kBackup, 0640, nullptr},
      {kUserCfg, 0, 0, 0640,
       "read it (uid 0, gid 0, mode 0640): chgrp backup and chmod g+r"},
      {kLock, 0, 0, 0660,
       "write it (uid 0, gid 0, mode 0660): chgrp backup and chmod g+rw"},
      {kLock, 0, kBackup, 0640,
       "write it (uid 0, gid 34, mode 0640): chgrp backup and chmod g+rw"},
      {kLock, 0, kBackup, 0660, nullptr},
      {kDirectory, 0, 0, 0700,
       "enter it (uid 0, gid 0, mode 0700): chgrp backup and chmod g+x"},
      {kDirectory, 0, kBackup, 0750, nullptr},
      {kDirectory, 0, 0, 0711, nullptr},
  };
  for (const Case &c : all) {
    write_good_store();
    give(kDirectory, kBackup, kBackup);
    give(c.path, c.user, c.group);
    chmod(c.path, c.mode);
    assert_problems(c.problem == nullptr
                        ? std::vector<std::string>()
                        : std::vector{c.path + who + c.problem});
  }
  // A store whose files are root's has nobody else who must read them.
  configure("file_owner = root\nfile_group = root\n");
  for (const char *path : {kDirectory, kShadow, kUserCfg, kLock}) {
    give(path, 0, 0);
    chmod(path, path == kDirectory ? 0700 : 0600);
  }
  assert_problems({});
}

// user::rw- user:34:r-- group::--- mask::r-- other::---, as acl(5) is stored.
void check_access_control_list_may_let_the_daemons_in(void ** /*state*/) {
  write_good_store();
  give(kShadow, 0, 0);
  chmod(kShadow, 0600);
  constexpr std::array<std::uint32_t, 11> kDaemonReads = {
      2,
      6U << 16U | 1U,
      0xffffffff,  // the owner
      4U << 16U | 2U,
      kBackup,  // the user
      0U << 16U | 4U,
      0xffffffff,  // the group
      4U << 16U | 16U,
      0xffffffff,  // the mask
      0U << 16U | 32U,
      0xffffffff,  // others
  };
  assert_int_equal(setxattr(kShadow, "system.posix_acl_access",
                            kDaemonReads.data(), sizeof(kDaemonReads), 0),
                   0);
  assert_problems({});
}

void check_directories_that_others_may_change_are_named_once(
    void ** /*state*/) {
  write_good_store();
  const std::string start = std::string(kDirectory) + ": ";
  chmod(kDirectory, 0707);
  assert_problems({start +
                   "others may write this directory (mode 0707): chmod o-w " +
                   kDirectory});
  chmod(kDirectory, 01777);
  assert_problems({});
  chmod(kDirectory, 0770);
  assert_problems({});
  give(kDirectory, kBackup, kNobody);
  assert_problems({start +
                   "gid 65534, neither root's nor file_group, may write this "
                   "directory: chmod g-w " +
                   kDirectory});
  chmod(kDirectory, 0700);
  give(kDirectory, kNobody, 0);
  assert_problems(
      {start +
           "belongs to uid 65534, neither root nor file_owner: chown backup " +
           kDirectory,
       start + "file_owner, as whom the Proxmox daemons run, cannot enter it "
               "(uid 65534, gid 0, mode 0700): chgrp backup and chmod g+x"});
}

void check_directories_further_up_are_seen(void ** /*state*/) {
  const std::string top = scratch("top");
  std::filesystem::create_directories(top + "/store");
  configure("token_shadow = " + top + "/store/token.shadow\n");
  assert_problems({});
  chmod(top.c_str(), 0757);
  assert_problems({top +
                   ": others may write this directory (mode 0757): chmod o-w " +
                   top});
  std::filesystem::remove_all(top);
}

void check_missing_directory_is_named(void ** /*state*/) {
  configure("token_shadow = /etc/nosuch/token.shadow\n");
  assert_problems(
      {"/etc/nosuch/token.shadow: its directory is not there: 'pbstoken init' "
       "makes it"});
}

void check_what_is_no_file_is_named(void ** /*state*/) {
  configure("version_cache = " + scratch("versions") + "\n");
  for (const std::string &path : {std::string(kShadow), std::string(kUserCfg),
                                  std::string(kLock), scratch("versions")}) {
    const std::string problem = path +
                                ": cannot use: not a regular file; put a file "
                                "there, by a path without symbolic links";
    assert_int_equal(mkfifo(path.c_str(), 0600), 0);
    assert_problems({problem});
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/etc/shadow", path);
    assert_problems({problem});
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    assert_problems({problem});
    std::filesystem::remove(path);
  }
  std::filesystem::create_directory_symlink(kDirectory, scratch("link"));
  configure("token_shadow = " + scratch("link/token.shadow") + "\n");
  const std::string component =
      ": cannot use: a component is a symbolic link or no directory; put a "
      "file there, by a path without symbolic links";
  assert_problems({scratch("link/token.shadow") + component,
                   scratch("link/token.shadow.lock") + component});
  std::filesystem::remove(scratch("link"));
}

// --- the configuration

void check_bad_configuration_is_exit_4(void ** /*state*/) {
  configure("cache_tll = 5\n");
  const RunResult outcome = run_tool({"check"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.out, "");
  assert_text_equal(outcome.err,
                    "pbstoken: /etc/pbstoken/pbs.conf:1: cache_tll: "
                    "unknown key\n");
  configure("");
  chmod(kConfiguration, 0666);
  assert_int_equal(run_tool({"check"}).status, 4);
}

void check_defaults_that_etc_does_not_know_are_named(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_file(kUserCfg, "user: john@pbs\n\ntoken: john@pbs!client1\n", 0640);
  const std::string users = read_file("/etc/passwd");
  const std::string groups = read_file("/etc/group");
  const auto without_backup = [](std::string text) {
    text.replace(text.find("\nbackup:"), 8, "\nnobackup:");
    return text;
  };
  write_file("/etc/passwd", without_backup(users));
  write_file("/etc/group", without_backup(groups));
  const RunResult outcome = run_tool({"check"});
  write_file("/etc/passwd", users);
  write_file("/etc/group", groups);
  assert_int_equal(outcome.status, 1);
  assert_text_equal(outcome.out,
                    "/etc/pbstoken/pbs.conf: file_owner: no such user in "
                    "/etc/passwd: make it, or name another\n"
                    "/etc/pbstoken/pbs.conf: file_group: no such group in "
                    "/etc/group: make it, or name another\n");
}

// What cannot be read says nothing of the names in it.
void check_names_the_file_of_names_that_it_cannot_read(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  configure("verify_group = nogroup\n");
  std::filesystem::rename("/etc/group", "/etc/group.away");
  const RunResult outcome = run_tool({"check"});
  std::filesystem::rename("/etc/group.away", "/etc/group");
  assert_int_equal(outcome.status, 4);
  assert_text_equal(
      outcome.err,
      "pbstoken: cannot open /etc/group: No such file or directory\n");
}

// --- the locks, and what died with their holders

const std::string kUserLock = std::string(kDirectory) + "/.user.lck";

pid_t hold_lock(int operation, const std::string &path = kLock) {
  write_file(path, "", 0660);
  give(path.c_str(), kBackup, kBackup);
  Pipe ready;
  const pid_t child = start_child([&] {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (flock(fd, operation) != 0 || write(ready.writer(), "x", 1) != 1) {
      return 1;
    }
    pause();
    return 0;
  });
  char byte = 0;
  assert_int_equal(read(ready.reader(), &byte, 1), 1);
  return child;
}

void end(pid_t child) {
  kill(child, SIGKILL);
  wait_for(child);
}

void check_held_lock_names_the_holder(void ** /*state*/) {
  const pid_t holder = hold_lock(LOCK_EX);
  const RunResult outcome = run_tool({"check"});
  end(holder);
  assert_text_equal(outcome.out,
                    std::string(kLock) +
                        ": held for more than a second by "
                        "process " +
                        std::to_string(holder) +
                        ": nobody can write meanwhile; if it hangs: kill " +
                        std::to_string(holder) + "\n");
  assert_int_equal(outcome.status, 1);
  assert_problems({});
}

void check_looks_at_the_lock_of_user_cfg(void ** /*state*/) {
  write_good_store();
  const pid_t holder = hold_lock(LOCK_EX, kUserLock);
  const RunResult outcome = run_tool({"check"});
  end(holder);
  assert_text_equal(outcome.out,
                    kUserLock +
                        ": held for more than a second by "
                        "process " +
                        std::to_string(holder) +
                        ": nobody can write meanwhile; if it hangs: kill " +
                        std::to_string(holder) + "\n");
  assert_int_equal(outcome.status, 1);
  chmod(kUserLock.c_str(), 0664);
  assert_problems(
      {kUserLock +
       ": others may open it, and hold the lock (mode 0664): chmod o-rwx " +
       kUserLock});
  configure("user_cfg =\n");
  assert_problems({});
}

// A process outside the process namespace of the tool has no number there.
void check_held_lock_of_an_unseen_holder_is_named(void ** /*state*/) {
  const pid_t holder = hold_lock(LOCK_EX);
  const RunResult outcome = run(
      {.path = "/usr/bin/unshare",
       .arguments = {"--pid", "--fork", "--mount-proc", tool_path(), "check"}});
  end(holder);
  assert_text_equal(outcome.out,
                    std::string(kLock) +
                        ": held for more than a second by "
                        "somebody: nobody can write meanwhile; lslocks(8) "
                        "outside of this container may show the process\n");
  assert_int_equal(outcome.status, 1);
}

void check_lock_of_a_reader_is_no_problem(void ** /*state*/) {
  const pid_t holder = hold_lock(LOCK_SH);
  const RunResult outcome = run_tool({"check"});
  end(holder);
  assert_text_equal(outcome.out, "");
  assert_int_equal(outcome.status, 0);
}

// A writer that is at work for a moment.
void check_lock_that_comes_free_is_no_problem(void ** /*state*/) {
  const pid_t holder = hold_lock(LOCK_EX);
  const pid_t killer = start_child([&] {
    usleep(200000);
    return kill(holder, SIGKILL);
  });
  const RunResult outcome = run_tool({"check"});
  wait_for(killer);
  wait_for(holder);
  assert_text_equal(outcome.out, "");
  assert_int_equal(outcome.status, 0);
}

void check_stale_temporary_files_are_named(void ** /*state*/) {
  const std::string start = std::string(kDirectory) + "/";
  for (const char *name :
       {"token.tmp_abcdE", "token.tmp_abcdE12", "token.tmp_abcd-1",
        "token.shadow.tmp_abcdE", "user.tmp_abcdE", "xtoken.tmp_abcdE1",
        "token.shadow.lock.tmp_12x", "token.tmp", "token.shadow.lock.tmp_",
        "user.cfg.tmp_abcdE"}) {
    write_file(start + name, "");
  }
  assert_problems({});
  // Ours and upstream's of today, upstream's of before 4.2.3, and locks of
  // both; and of user.cfg.
  for (const char *name :
       {"user.cfg.tmp_abcdE1", "user.tmp_abcdE1", "token.shadow.tmp_abcdE1",
        "token.tmp_abcdE1", "token.shadow.lock.tmp_12",
        "token.shadow.lock.tmp_abcdE1"}) {
    write_file(start + name, "");
    assert_problems({start + name +
                     ": a temporary file that a dead writer has left: the next "
                     "writer removes it"});
    std::filesystem::remove(start + name);
  }
}

// Of a writer that was really killed, before the rename.
void check_names_what_a_killed_writer_left(void ** /*state*/) {
  const pid_t writer = start_child([&] {
    be_traced();
    execl(helper_path().c_str(), "pbstoken-helper", "generate", kId, nullptr);
    return 126;
  });
  kill(stop_at(writer, SYS_fsync), SIGKILL);
  wait_for(writer);
  const RunResult outcome = run_tool({"check"});
  assert_int_equal(outcome.status, 1);
  assert_true(
      outcome.out.starts_with(std::string(kDirectory) + "/token.shadow.tmp_"));
  assert_true(outcome.out.ends_with(
      ": a temporary file that a dead writer has left: the next writer removes "
      "it\n"));
}

void check_temporary_file_of_the_holder_is_none(void ** /*state*/) {
  write_file(std::string(kDirectory) + "/token.shadow.tmp_abcdE1", "");
  const pid_t holder = hold_lock(LOCK_EX);
  const RunResult outcome = run_tool({"check"});
  end(holder);
  assert_true(outcome.out.starts_with(std::string(kLock) + ": held"));
  assert_true(outcome.out.find("tmp_") == std::string::npos);
}

// --- the segment

key_t store_key() {
  return static_cast<key_t>(status_json()["key"].GetUint());
}

std::string key_name() {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "shm:0x%08x",
                static_cast<unsigned>(store_key()));
  return name.data();
}

// Made by the helper.
int make_segment() {
  tool_output({"flush"});
  return shmget(store_key(), 0, 0);
}

void set_segment(int id, uid_t user, gid_t group, mode_t mode) {
  shmid_ds status{};
  assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
  status.shm_perm.uid = user;
  status.shm_perm.gid = group;
  status.shm_perm.mode = static_cast<decltype(status.shm_perm.mode)>(mode);
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
}

const std::string kReplaced =
    "; the next process of root that verifies makes another";

void assert_segment_problems(const std::vector<std::string> &problems) {
  std::vector<std::string> lines;
  const std::string name = key_name();
  for (const std::string &problem : problems) {
    lines.push_back(name + ": " + problem);
  }
  assert_problems(lines);
}

void check_segment_access_is_judged(void ** /*state*/) {
  const int id = make_segment();
  set_segment(id, 0, 0, 0640);
  assert_segment_problems({});
  set_segment(id, kNobody, 0, 0600);
  assert_segment_problems(
      {"cannot use the shared-memory segment: it is not root's" + kReplaced});
  set_segment(id, 0, 0, 0602);
  assert_segment_problems(
      {"cannot use the shared-memory segment: others than root may write it" +
       kReplaced});
  set_segment(id, 0, 0, 0604);
  assert_segment_problems(
      {"others may read it: 'pbstoken flush' makes another"});
  set_segment(id, 0, kNobody, 0640);
  assert_segment_problems(
      {"gid 65534, which is not verify_group, may read it: 'pbstoken flush' "
       "makes another"});
  configure("verify_group = 65534\n");
  assert_segment_problems({});
  configure("verify_group =\n");
  assert_segment_problems(
      {"gid 65534, which is not verify_group, may read it: 'pbstoken flush' "
       "makes another"});
  tool_output({"flush"});
  assert_segment_problems({});
}

void check_segment_that_is_somebody_elses_is_named(void ** /*state*/) {
  const key_t key = store_key();
  for (const std::size_t size : {std::size_t{1}, std::size_t{65536}}) {
    const int id = shmget(key, size, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(id >= 0);
    assert_segment_problems(
        {"not a whole segment of ours: unfinished, damaged or an older "
         "version's" +
         kReplaced});
    shmctl(id, IPC_RMID, nullptr);
  }
}

void check_segment_of_a_newer_version_is_named(void ** /*state*/) {
  const int id = make_segment();
  auto *prefix = static_cast<SegmentPrefix *>(shmat(id, nullptr, 0));
  prefix->layout_version = kLayoutVersion + 1;
  assert_segment_problems(
      {"a newer version's; end what is left of that version; the next change "
       "of a token removes it, as 'pbstoken flush' does"});
  prefix->layout_version = kLayoutVersion;
  assert_segment_problems({});
  prefix->size += 1;
  assert_segment_problems(
      {"not a whole segment of ours: unfinished, damaged or an older "
       "version's" +
       kReplaced});
  shmdt(prefix);
}

void check_segment_of_another_file_is_named(void ** /*state*/) {
  const int id = make_segment();
  auto *prefix = static_cast<SegmentPrefix *>(shmat(id, nullptr, 0));
  prefix->name += 1;
  assert_segment_problems({"made for another file" + kReplaced});
  prefix->name -= 1;
  shmdt(prefix);
}

// That of a directory which was replaced is nobody's any more.
void check_segment_of_another_directory_is_no_problem(void ** /*state*/) {
  make_segment();
  std::filesystem::rename(kDirectory, "/etc/old-store");
  std::filesystem::create_directory(kDirectory);
  assert_segment_problems({});
  std::filesystem::remove_all("/etc/old-store");
}

// The segment outlives it, and nobody can tell whether it is the store's.
void check_segment_without_the_directory_is_no_other_problem(
    void ** /*state*/) {
  make_segment();
  std::filesystem::remove_all(kDirectory);
  assert_problems({std::string(kShadow) +
                   ": its directory is not there: 'pbstoken init' makes it"});
}

// --- upstream's counters

void check_version_cache_without_magic_is_named(void ** /*state*/) {
  const std::string path = scratch("config-versions");
  configure("version_cache = " + path + "\n");
  assert_problems({});
  std::string page = "\x19\xc6\xa8\xe6\x9a\x84\x8f\x83";
  page.resize(4096);
  write_file(path, page, 0660);
  give(path, kBackup, kBackup);
  assert_problems({});
  chmod(path.c_str(), 0666);
  assert_problems(
      {path + ": others may write it (mode 0666): chmod o-w " + path});
  const std::string problem =
      path +
      ": no page of counters: too short, or without its magic; remove it and "
      "restart the Proxmox daemons";
  write_file(path, page.substr(0, 4095), 0660);
  assert_problems({problem});
  page[0] = 'x';
  write_file(path, page, 0660);
  assert_problems({problem});
  write_file(path, "", 0660);
  assert_problems({problem});
  configure("version_cache =\n");
  assert_problems({});
  std::filesystem::remove(path);
}

// --- output, failures, callers

// --- the limits

const Store &the_store() {
  static const Store store =
      *load_store(kDefaultStore, configuration_path(kDefaultStore));
  return store;
}

template <typename Object>
std::string name_in_kernel(const char *kind, const Object &object) {
  char name[16];
  std::snprintf(name, sizeof(name), "%s:0x%08x", kind,
                static_cast<unsigned>(object.key));
  return name;
}

// As every other test has left what it needed.
void remove_limits() {
  static_cast<void>(remove_named(gate_set(the_store(), GateShare::kRoots)));
  static_cast<void>(remove_named(gate_set(the_store(), GateShare::kUsers)));
  static_cast<void>(remove_named(turns_set(the_store())));
}

void check_gate_of_another_size_is_named(void ** /*state*/) {
  write_good_store();
  configure("max_hashes = 4\n");
  remove_limits();
  helper_output({"verify", kId}, kSecret);
  assert_problems({});
  configure("max_hashes = 8\n");
  assert_problems(
      {name_in_kernel("sem", gate_set(the_store(), GateShare::kRoots)) +
       ": the gate has 2 places and is to have 4: the next hash "
       "changes it"});
  helper_output({"set", kOldId}, kSecret);
  assert_problems({});
}

void check_gate_that_others_made_is_named(void ** /*state*/) {
  write_good_store();
  remove_limits();
  const NamedSet gate = gate_set(the_store(), GateShare::kUsers);
  assert_int_equal(in_child([&gate] {
                     become_nobody();
                     return semget(gate.key, 1, IPC_CREAT | 0600) >= 0 ? 0 : 1;
                   }),
                   0);
  assert_problems({name_in_kernel("sem", gate) +
                   ": the gate of max_hashes: uid 65534 has made its key's, "
                   "which the next helper replaces"});
  remove_limits();
}

// Else a host where only short-lived processes use the cache would have none,
// and nothing would say so.
void check_names_a_kernel_that_removes_segments(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string path = "/proc/sys/kernel/shm_rmid_forced";
  const auto is_named = [&] {
    return run_tool({"check"}).out.find(path + ": is not 0: ") !=
           std::string::npos;
  };
  const auto is_told = [&] {
    return tool_output({"status"}).find("off: " + path + ": is not 0: ") !=
           std::string::npos;
  };
  assert_false(is_named() || is_told());
  write_file(path, "1\n");
  const bool named = is_named();
  const bool told = is_told();
  write_file(path, "0\n");
  assert_true(named);
  assert_true(told);
}

// A limit that is lowered would also be full; here it is what a user has made.
void check_full_host_names_who_fills_it(void ** /*state*/) {
  write_good_store();
  remove_limits();
  remove_segments();
  assert_int_equal(in_child([] {
                     become_nobody();
                     return semget(IPC_PRIVATE, 1, 0600) >= 0 &&
                                    shmget(IPC_PRIVATE, 1, 0600) >= 0
                                ? 0
                                : 1;
                   }),
                   0);
  const NoMoreObjects no_sets(kSemaphoreLimit);
  const NoMoreObjects no_segments(kSegmentLimit);
  const RunResult outcome = run_tool({"check"});
  assert_int_equal(outcome.status, 1);
  const auto has = [&outcome](const std::string &line) {
    return outcome.out.find(line + "\n") != std::string::npos;
  };
  assert_true(
      has(name_in_kernel("sem", gate_set(the_store(), GateShare::kRoots)) +
          ": the gate of max_hashes is not there and cannot be made"));
  assert_true(
      has(name_in_kernel("shm", failures_segment(the_store())) +
          ": the windows of fail_limit is not there and cannot be made"));
  assert_true(
      has("/proc/sys/kernel/shmmni: all 1 shared-memory segments are "
          "taken, 1 objects are of uid 65534; raise it, or remove some with "
          "ipcrm(1)"));
  assert_true(outcome.out.find(" sets of semaphores are taken, ") !=
              std::string::npos);
}

// What is left of a failed attempt is nobody else's.
void check_names_a_kernel_with_too_few_operations(void ** /*state*/) {
  write_good_store();
  remove_limits();
  const std::string path = "/proc/sys/kernel/sem";
  const std::string before = read_file(path);
  write_file(path, "32000 1024000000 4 32000\n");
  const RunResult prepared = run_tool({"prepare"});
  const RunResult checked = run_tool({"check"});
  write_file(path, before);
  assert_int_equal(prepared.status, 4);
  for (const NamedSet &set :
       {gate_set(the_store(), GateShare::kRoots),
        gate_set(the_store(), GateShare::kUsers), turns_set(the_store())}) {
    assert_true(checked.out.find(name_in_kernel("sem", set) + ": the ") !=
                std::string::npos);
  }
  assert_true(checked.out.find(path +
                               ": 4 operations of one semop(2) are allowed, 9 "
                               "are wanted; raise it\n") != std::string::npos);
  assert_true(checked.out.find("another program") == std::string::npos);
  tool_output({"prepare"});
  assert_problems({});
}

void check_json_has_every_member(void ** /*state*/) {
  configure("user_cfg =\n");
  write_file(kShadow, "{\"a@pbs!t\":7}", 0644);
  for (const char *format : {"json", "json-pretty"}) {
    const RunResult outcome = run_tool({"--output-format", format, "check"});
    assert_int_equal(outcome.status, 1);
    rapidjson::Document array;
    array.Parse(outcome.out.c_str());
    assert_true(array.IsArray());
    assert_int_equal(array.Size(), 2);
    for (const auto &problem : array.GetArray()) {
      assert_int_equal(problem.MemberCount(), 4);
      assert_text_equal(problem["path"].GetString(), kShadow);
    }
    assert_true(array[0]["line"].IsNull());
    assert_true(array[0]["column"].IsNull());
    assert_text_equal(
        array[0]["problem"].GetString(),
        ("others may read it (mode 0644): chmod o-rwx " + std::string(kShadow))
            .c_str());
    assert_int_equal(array[1]["line"].GetUint(), 1);
    assert_int_equal(array[1]["column"].GetUint(), 12);
    assert_text_equal(
        array[1]["problem"].GetString(),
        "a value that is no string: upstream refuses the file; remove it");
  }
}

// What else there is to say is said all the same.
void check_that_cannot_look_is_exit_4(void ** /*state*/) {
  const std::string path = "/etc/" + std::string(256, 'x') + "/user.cfg";
  configure("user_cfg = " + path + "\n");
  write_file(kShadow, "{\"a@pbs!t\":7}", 0640);
  give(kShadow, kBackup, kBackup);
  const RunResult outcome = run_tool({"check"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.out,
                    std::string(kShadow) +
                        ":1:12: a value that is no string: upstream refuses "
                        "the file; remove it\n");
  assert_true(outcome.err.starts_with("pbstoken: cannot open /etc/xx"));
  // Somebody closed standard output.
  configure("");
  const RunResult mute =
      run({.path = "/bin/sh",
           .arguments = {"-c", "\"$0\" check >/dev/full", tool_path()}});
  assert_int_equal(mute.status, 4);
}

void check_by_nobody_is_exit_3(void ** /*state*/) {
  const std::string path = install_tool();
  write_file(kShadow, "{", 0640);
  const RunResult outcome =
      run({.path = path, .arguments = {"check"}, .prepare = become_nobody});
  assert_int_equal(outcome.status, 3);
  assert_text_equal(outcome.out, "");
}

// A user.cfg without sections: without the file no token would be let in.
int make_host(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  write_file(kUserCfg, "", 0640);
  return chown(kUserCfg, kBackup, kBackup);
}

}  // namespace
}  // namespace pbstoken

#define CHECK_TEST(name) cmocka_unit_test_setup(name, pbstoken::make_host)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      CHECK_TEST(check_good_store_finds_nothing),
      E2E_TEST(check_store_without_files_finds_nothing),
      CHECK_TEST(check_after_the_helpers_own_writes_finds_nothing),
      CHECK_TEST(check_changes_nothing),
      CHECK_TEST(check_no_tokens_is_no_problem),
      CHECK_TEST(check_malformed_shadow_is_named_with_its_place),
      CHECK_TEST(check_foreign_members_are_named_with_their_place),
      CHECK_TEST(check_places_are_those_of_the_original),
      CHECK_TEST(check_duplicates_name_the_earlier_one),
      CHECK_TEST(check_hashes_are_judged_by_method),
      CHECK_TEST(check_ids_that_cannot_be_written_are_named_in_part),
      CHECK_TEST(check_ids_are_escaped),
      CHECK_TEST(check_prints_no_content),
      CHECK_TEST(check_many_problems_are_shown_in_part),
      CHECK_TEST(check_bad_user_cfg_is_named_with_its_place),
      CHECK_TEST(check_token_without_its_user_is_named),
      CHECK_TEST(check_half_a_token_is_named),
      CHECK_TEST(check_of_a_shared_user_cfg_misses_no_secrets),
      CHECK_TEST(check_names_one_lock_for_both_files),
      CHECK_TEST(check_user_cfg_that_counts_in_part_is_named),
      CHECK_TEST(check_modes_that_let_others_in_are_named),
      CHECK_TEST(check_owners_that_are_others_are_named),
      CHECK_TEST(check_files_that_the_daemons_cannot_use_are_named),
      CHECK_TEST(check_access_control_list_may_let_the_daemons_in),
      CHECK_TEST(check_directories_that_others_may_change_are_named_once),
      CHECK_TEST(check_directories_further_up_are_seen),
      CHECK_TEST(check_missing_directory_is_named),
      E2E_TEST(check_what_is_no_file_is_named),
      CHECK_TEST(check_bad_configuration_is_exit_4),
      CHECK_TEST(check_defaults_that_etc_does_not_know_are_named),
      CHECK_TEST(check_names_the_file_of_names_that_it_cannot_read),
      CHECK_TEST(check_held_lock_names_the_holder),
      CHECK_TEST(check_looks_at_the_lock_of_user_cfg),
      CHECK_TEST(check_held_lock_of_an_unseen_holder_is_named),
      CHECK_TEST(check_lock_of_a_reader_is_no_problem),
      CHECK_TEST(check_lock_that_comes_free_is_no_problem),
      CHECK_TEST(check_stale_temporary_files_are_named),
      CHECK_TEST(check_names_what_a_killed_writer_left),
      CHECK_TEST(check_temporary_file_of_the_holder_is_none),
      CHECK_TEST(check_segment_access_is_judged),
      CHECK_TEST(check_segment_that_is_somebody_elses_is_named),
      CHECK_TEST(check_segment_of_a_newer_version_is_named),
      CHECK_TEST(check_segment_of_another_file_is_named),
      CHECK_TEST(check_segment_of_another_directory_is_no_problem),
      CHECK_TEST(check_segment_without_the_directory_is_no_other_problem),
      CHECK_TEST(check_version_cache_without_magic_is_named),
      CHECK_TEST(check_gate_of_another_size_is_named),
      CHECK_TEST(check_gate_that_others_made_is_named),
      CHECK_TEST(check_names_a_kernel_that_removes_segments),
      CHECK_TEST(check_full_host_names_who_fills_it),
      CHECK_TEST(check_names_a_kernel_with_too_few_operations),
      CHECK_TEST(check_json_has_every_member),
      CHECK_TEST(check_that_cannot_look_is_exit_4),
      CHECK_TEST(check_by_nobody_is_exit_3),
  };
  return cmocka_run_group_tests_name("tool_check", tests, nullptr, nullptr);
}
