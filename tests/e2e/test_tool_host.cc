// SPDX-License-Identifier: BSD-3-Clause
// What `pbstoken check` says of the host around a store: outages that none of
// its files shows alone.
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <regex>

#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kInstalled = "/usr/sbin/pbstoken-helper";

void write_good_store() {
  write_shadow({{kId, kHash}});
  assert_int_equal(chown(kShadow, kBackup, kBackup), 0);
  write_file(kUserCfg, "user: john@pbs\n\ntoken: " + std::string(kId) + "\n",
             0640);
  assert_int_equal(chown(kUserCfg, kBackup, kBackup), 0);
}

void assert_problems(const std::string &expected) {
  const RunResult outcome = run_tool({"check"});
  assert_text_equal(outcome.out, expected);
  assert_int_equal(outcome.status, expected.empty() ? 0 : 1);
}

void good_store_finds_nothing(void ** /*state*/) {
  write_good_store();
  assert_problems("");
}

void user_cfg_that_is_gone(void ** /*state*/) {
  write_good_store();
  std::filesystem::remove(kUserCfg);
  assert_problems(std::string(kUserCfg) +
                  ": is not there, and there are tokens: the account rules let "
                  "none of them in; restore it, or set user_cfg to nothing\n");
  configure("user_cfg =\n");
  assert_problems("");
}

void token_shadow_that_is_gone(void ** /*state*/) {
  write_good_store();
  std::filesystem::remove(kShadow);
  write_file(kUserCfg, "user: john@pbs\n", 0640);
  assert_problems("");
  write_good_store();
  std::filesystem::remove(kShadow);
  assert_problems(std::string(kShadow) +
                  ": is not there, and user.cfg has tokens: none of them has a "
                  "secret; restore it, or make new ones\n");
}

// A /usr/sbin that has the helper alone.
int install_helper(void **state) {
  if (clean_host_with_members(state) != 0 ||
      mount("tmpfs", "/usr/sbin", "tmpfs", 0, "mode=0755") != 0) {
    return -1;
  }
  std::filesystem::copy_file(setuid_helper(), kInstalled);
  return chmod(kInstalled, 04755);
}

int uninstall_helper(void ** /*state*/) {
  std::filesystem::remove_all("/run/pbstoken");
  return umount("/usr/sbin");
}

void helper_that_nobody_can_reach(void ** /*state*/) {
  // Other tests that run now have sockets of this path, in other places.
  assert_int_equal(unshare(CLONE_NEWNET), 0);
  write_good_store();
  assert_problems("");
  chmod(kInstalled, 0755);
  assert_problems(
      std::string(kInstalled) +
      ": is not setuid root, and there is no socket: no service that is not "
      "root can verify; 'systemctl enable --now pbstoken-helper.socket', or "
      "'chmod u+s /usr/sbin/pbstoken-helper'\n");
  assert_int_equal(start_socket(), 0);
  const RunResult outcome = run_tool({"check"});
  stop_socket(nullptr);
  assert_text_equal(outcome.out, "");
  // What is left of it when its process was killed.
  std::filesystem::create_directories("/run/pbstoken");
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = socket_address();
  assert_int_equal(
      bind(dead, reinterpret_cast<const sockaddr *>(&address), sizeof(address)),
      0);
  close(dead);
  assert_problems(
      "/run/pbstoken/helper.sock: no process listens on it, and "
      "the helper is not setuid root: no service that is not root "
      "can verify; 'systemctl restart pbstoken-helper.socket', or "
      "'chmod u+s /usr/sbin/pbstoken-helper'\n");
}

void group_that_is_gone(void ** /*state*/) {
  write_good_store();
  const std::string groups = read_file("/etc/group");
  write_file("/etc/group", groups.substr(0, groups.find("pbstoken:")));
  tool_output({"flush"});
  assert_problems(
      std::string(kConfiguration) +
      ": verify_group: no such group in /etc/group: no service "
      "that is not root can verify; 'addgroup --system pbstoken' makes "
      "it\n");
  configure("verify_group =\n");
  assert_problems("");
}

// --- file systems that take no more

const std::string kNoChange = ": no token can be changed or revoked; ";
const std::string kFull =
    ": its file system is full" + kNoChange + "remove files from it\n";
const std::string kReadOnly =
    ": is mounted read-only" + kNoChange + "mount it read-write\n";

void remount_read_only(const std::string &path) {
  assert_int_equal(mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr),
                   0);
  assert_int_equal(mount(nullptr, path.c_str(), nullptr,
                         MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
                   0);
}

// Locks that are there are not made.
void write_locks() {
  for (const char *name : {"/token.shadow.lock", "/.user.lck"}) {
    const std::string path = std::string(kDirectory) + name;
    write_file(path, "", 0660);
    assert_int_equal(chown(path.c_str(), kBackup, kBackup), 0);
  }
}

// Without user.cfg: so many that token.shadow has two blocks.
void write_many_tokens() {
  Tokens tokens = {{kId, kHash}};
  for (int i = 0; i < 50; ++i) {
    tokens.emplace_back("john@pbs!" + std::to_string(i), kHash);
  }
  write_shadow(tokens);
  configure("user_cfg =\n");
}

int mount_small(void **state) {
  return clean_host(state) == 0 && mount("tmpfs", kDirectory, "tmpfs", 0,
                                         "size=64k,nr_inodes=8,mode=0700") == 0
             ? chown(kDirectory, kBackup, kBackup)
             : -1;
}

int unmount_small(void ** /*state*/) {
  return umount(kDirectory);
}

void full_file_system_is_named(void ** /*state*/) {
  write_good_store();
  write_locks();
  assert_problems("");
  const std::string filler = std::string(kDirectory) + "/filler";
  // Two of its 16 blocks are the store's: none is left, and then one.
  write_file(filler, std::string(std::size_t{14} * 4096, 'x'));
  assert_int_equal(run_helper({"delete", kId}).status, 4);
  assert_problems(kDirectory + kFull);
  write_file(filler, std::string(std::size_t{13} * 4096, 'x'));
  assert_problems("");
  // That is too little for a file of two.
  write_file(filler, "");
  write_many_tokens();
  write_file(filler, std::string(std::size_t{12} * 4096, 'x'));
  assert_int_equal(run_helper({"delete", kId}).status, 4);
  assert_problems(kDirectory + kFull);
  std::filesystem::remove(filler);
  assert_problems("");
  for (int i = 0; i < 3; ++i) {
    write_file(filler + std::to_string(i), "");
  }
  assert_int_equal(run_helper({"delete", kId}).status, 4);
  assert_problems(kDirectory + kFull);
}

// Such file systems count nothing.
void file_system_without_numbers_is_not_full(void ** /*state*/) {
  assert_int_equal(mount("none", kDirectory, "ramfs", 0, "mode=0700"), 0);
  assert_int_equal(chown(kDirectory, kBackup, kBackup), 0);
  write_good_store();
  write_locks();
  const RunResult outcome = run_tool({"check"});
  umount(kDirectory);
  assert_text_equal(outcome.out, "");
  assert_int_equal(outcome.status, 0);
}

void read_only_mount_is_named(void ** /*state*/) {
  write_good_store();
  write_locks();
  remount_read_only(kDirectory);
  const RunResult deleted = run_helper({"delete", kId});
  const RunResult checked = run_tool({"check"});
  umount(kDirectory);
  assert_int_equal(deleted.status, 4);
  assert_text_equal(checked.out, kDirectory + kReadOnly);
  assert_int_equal(checked.status, 1);
}

// Of the other directories that the tool writes.
void read_only_mounts_of_other_files_are_named(void ** /*state*/) {
  const std::string other = scratch("other");
  const std::string saved = "/var/lib/pbstoken";
  std::filesystem::create_directories(other);
  std::filesystem::create_directories(saved);
  write_good_store();
  write_locks();
  std::filesystem::copy_file(kUserCfg, other + "/user.cfg");
  assert_int_equal(chown((other + "/user.cfg").c_str(), 0, kBackup), 0);
  configure("user_cfg = " + other + "/user.cfg\nuser_lock = " +
            std::string(kDirectory) + "/.user.lck\n");
  assert_problems("");
  remount_read_only(other);
  remount_read_only(saved);
  const RunResult checked = run_tool({"check"});
  umount(other.c_str());
  umount(saved.c_str());
  std::filesystem::remove_all(other);
  std::filesystem::remove_all(saved);
  assert_text_equal(checked.out,
                    other + kReadOnly + saved +
                        ": is mounted read-only: when tokens are used cannot "
                        "be saved; mount it read-write\n");
}

std::string names_in_status(const char *member) {
  const auto status = status_json();
  if (status[member].IsNull()) {
    return "null";
  }
  std::string names;
  for (const auto &name : status[member].GetArray()) {
    names += std::string(names.empty() ? "" : " ") + name.GetString();
  }
  return names;
}

std::string line_in_status(const std::string &member) {
  std::smatch found;
  const std::string text = tool_output({"status"});
  return std::regex_search(text, found, std::regex("\n" + member + ": +(.*)\n"))
             ? found.str(1)
             : "";
}

// Those of /etc/group, and those whose own group it is.
void members_of_the_groups_are_shown(void ** /*state*/) {
  write_good_store();
  configure("admin_group = backup\n");
  const std::string groups = read_file("/etc/group");
  const std::string others = groups.substr(0, groups.find("pbstoken:"));
  const std::string users = read_file("/etc/passwd");
  assert_text_equal(names_in_status("verify_group_members"), "www-data");
  assert_text_equal(names_in_status("admin_group_members"), "backup");
  write_file("/etc/passwd", users +
                                "svc:x:7001:4711::/:/bin/false\n"
                                "www-data2:x:7002:4711::/:/bin/false\n");
  write_file(
      "/etc/group",
      others + "pbstoken:x:4711:www-data,dovecot,svc\nalso:x:4711:more\n");
  const std::string all = "www-data dovecot svc more www-data2";
  assert_text_equal(names_in_status("verify_group_members"), all);
  assert_text_equal(line_in_status("verify_group_members"),
                    "www-data, dovecot, svc, more, www-data2");
  // A long line is read again with more room.
  std::string many;
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    many += (i == 0 ? "u" : ",u") + std::to_string(i);
    expected += (i == 0 ? "u" : " u") + std::to_string(i);
  }
  write_file("/etc/passwd", users);
  write_file("/etc/group",
             others + "first:x:4711:u0\npbstoken:x:4711:" + many + "\n");
  assert_text_equal(names_in_status("verify_group_members"), expected);
  write_file("/etc/group", others + "pbstoken:x:4711:\n");
  assert_text_equal(names_in_status("verify_group_members"), "");
  assert_text_equal(line_in_status("verify_group_members"), "");
  configure("verify_group =\n");
  write_file("/etc/group", groups);
  assert_text_equal(names_in_status("verify_group_members"), "null");
  assert_text_equal(line_in_status("verify_group_members"), "-");
  assert_text_equal(names_in_status("admin_group_members"), "null");
}

void stacks_that_lock_out_are_named(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  write_file(
      stack,
      "  # auth [default=die] pam_pbstoken.so store=nowhere\n"
      "auth required pam_pbstoken.so\tstore=nowhere # or another\n"
      "auth [success=2 user_unknown=ignore default=die] pam_pbstoken.so\n"
      "auth [success=2 user_unknown=ignore module_unknown=ignore "
      "default=die] pam_pbstoken.so combined store=pbs\n"
      "auth required pam_pbstoken.so # store=nowhere\n"
      "auth required pam_pbstoken.so store=nowhere config=/etc/x.conf\n"
      "auth [success=2 user_unknown=ignore default=bad] pam_pbstoken.so\n"
      "auth [success=2 user_unknown=ignore default=done] pam_pbstoken.so\n");
  write_file("/etc/x.conf", "");
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(
      outcome.out,
      stack + ":2: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":3: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n" +
          stack +
          ":7: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n" +
          stack +
          ":8: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in "
          "once the package is removed, with a password neither\n");
  assert_int_equal(outcome.status, 1);
}

// As libpam takes a line apart: in any case, over several lines, in brackets.
void stacks_are_read_as_libpam_reads_them(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  write_file(stack,
             "# \\\n"
             "-AUTH [user_unknown=ignore \\ \n"
             "\tdefault=die]\\\n"
             "\t\t" PBSTOKEN_MODULES
             "/pam_pbstoken.so [store=nowhere]\n"
             "auth required pam_echo.so pam_pbstoken.so store=nowhere\n"
             "auth required pam_pbstoken.so\\\n"
             "store=nowhere # \\\n"
             "auth required pam_pbstoken.so store=no\\where");
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(
      outcome.out,
      stack + ":2: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":2: has default=die, bad or done without module_unknown=ignore: "
          "nobody "
          "gets in once the package is removed, with a password neither\n" +
          stack +
          ":6: store=nowhere: there is no /etc/pbstoken/nowhere.conf\n" +
          stack +
          ":8: store=no\\x5cwhere: not a store name: the module refuses every "
          "request\n");
}

// --- lines that libpam does not understand

struct PamLine {
  std::string text;
  bool lets_in;          // libpam: a user of whom the other lines think well
  bool differs = false;  // one release of libpam from another
};

// Lines that stand below the module's own.
const std::vector<PamLine> kPamLines = {
    {"auth required pam_permit.so", true},
    {"-AUTH Required pam_permit.so", true},
    {"auth [success=ok default=die] pam_permit.so", true},
    {"auth [success=ok defalt=die] pam_permit.so", false},
    {"auth [sucess=ok default=die] pam_permit.so", false},
    {"auth [success=ok default=dye] pam_permit.so", false},
    {"auth [success=ok,default=die] pam_permit.so", false},
    {"auth [success=done default] pam_permit.so", false},
    {"auth [success=done default=] pam_permit.so", false},
    {"auth [success] pam_permit.so", false},
    {"auth [success ok] pam_permit.so", false},
    {"auth [=ok] pam_permit.so", false},
    {"auth [] pam_permit.so", false},
    {"auth [ ] pam_permit.so", false},
    {"auth [ success = ok\tdefault =die ] pam_permit.so", true},
    {"auth [success=okdefault=die] pam_permit.so", true},
    {"auth [success=okay] pam_permit.so", false},
    {"auth [success=1default=bad] pam_permit.so", true},
    {"auth [Success=ok] pam_permit.so", false},
    {"auth [success=OK] pam_permit.so", false},
    {"auth [success=1 default=bad] pam_permit.so", true},
    {"auth [success=01 default=bad] pam_permit.so", true},
    {"auth [success=0 default=bad] pam_permit.so", false},
    {"auth [success=00 default=bad] pam_permit.so", false},
    {"auth [success=-1 default=bad] pam_permit.so", false},
    {"auth [success=+1 default=bad] pam_permit.so", false},
    {"auth [success=end default=ignore] pam_permit.so", false},
    {"auth [success=1x default=bad] pam_permit.so", false},
    {"auth [default=ok] pam_permit.so", true},
    {"auth [default=ignore] pam_permit.so", true},
    {"auth [success=reset default=bad] pam_permit.so", true},
    {"auth [success=ok success=ok default=bad] pam_permit.so", true},
    {"auth [success=ok] [pam_permit.so]", true},
    {"auth [success=ok \\] pam_permit.so", false},
    {"auth [success=ok \\]] pam_permit.so", false},
    {"auth [success=ok pam_permit.so", false},
    {"auth [success=ok", false},
    {"auth [success=ok open_err=ok symbol_err=ok service_err=ok system_err=ok "
     "buf_err=ok perm_denied=ok auth_err=ok cred_insufficient=ok "
     "authinfo_unavail=ok user_unknown=ok maxtries=ok new_authtok_reqd=ok "
     "acct_expired=ok session_err=ok cred_unavail=ok cred_expired=ok "
     "cred_err=ok no_module_data=ok conv_err=ok authtok_err=ok "
     "authtok_recover_err=ok authtok_lock_busy=ok authtok_disable_aging=ok "
     "try_again=ok ignore=ok abort=ok authtok_expired=ok module_unknown=ok "
     "bad_item=ok conv_again=ok incomplete=ok default=ok] pam_permit.so",
     true},
    {"auth [success=ok authtok_recovery_err=ok] pam_permit.so", false},
    {"auth success=ok pam_permit.so", true},
    {"auth success=okx pam_permit.so", false},
    {"auth requird pam_permit.so", false},
    {"auth required", false},
    {"auth", false},
    {"auht required pam_permit.so", false},
    {"[auth] required pam_permit.so", true},
    {"auht optional pam_permit.so", true},
    {"auht Sufficient pam_permit.so", true},
    {"auth optional", true},
    {"auth [success=ok optional", false},
    {"auth include", false},
    {"@include", false},
    {"account requird pam_permit.so", false},
    {"account optional", true},
    {"password requird pam_permit.so", true},
    {"password [success=k] pam_permit.so", true},
    {"auth include part-of-pbstoken", true},
    {"account include part-of-pbstoken", false},
    {"@include part-of-pbstoken", false},
    // Modules that are not there.
    {"auth required pam_not_there.so", false},
    {"-auth required pam_not_there.so", false},
    {"auth requisite /not_there/pam_permit.so", false},
    {"auth required " PBSTOKEN_MODULES "/pam_permit.so", true},
    {"auth required ../security/pam_permit.so", true},
    {"auth required " PBSTOKEN_MODULES, false},
    {"auth required /etc/passwd/pam_permit.so", false},
    {"auth optional pam_not_there.so", true},
    {"-auth Sufficient pam_not_there.so", true},
    {"auth [success=ok] pam_not_there.so", false},
    {"auth [default=die] pam_not_there.so", false},
    {"auth [default=ok] pam_not_there.so", false},
    {"auth [default=done] pam_not_there.so", false},
    {"auth [default=ignore] pam_not_there.so", true},
    {"auth [default=ignore default=die] pam_not_there.so", true},
    {"auth [default=1] pam_not_there.so", true},
    {"auth [default=reset] pam_not_there.so", true},
    {"auth [default=die module_unknown=ignore] pam_not_there.so", true},
    {"auth [default=ignore module_unknown=bad] pam_not_there.so", false},
    {"account required pam_not_there.so", false},
    {"password required pam_not_there.so", true},
    {"session required pam_not_there.so", false},
    {"session optional pam_not_there.so", true},
    {"session required pam_pbstoken.so", false},
    {"session optional pam_pbstoken.so", true},
    {"auht [default=ignore] pam_permit.so", true},
    {"auht [perm_denied=ignore default=die] pam_permit.so", true},
    {"auht [default=done] pam_permit.so", false},
    // Line ends of Windows.
    {"auth required pam_permit.so\r", false},
    {"auth optional pam_permit.so\r", true},
    {"auth required pam_permit.so x\r", true},
    {"auth required \\\r\n pam_permit.so", false},
    {"auth include part-of-pbstoken\r", false},
    {"@include part-of-pbstoken\r", false},
    {"\r", false},
    {"# x\r", true},
    // Where a line ends.
    {"auth required \\\n pam_permit.so", true},
    {"auth required \\\n\tpam_permit.so \\ \t\n # not the end", false, true},
    {"auth required \\\n\n pam_permit.so", false, true},
    {"auth required \\\n# a comment\n pam_permit.so", false, true},
    {"password optional \\\n \t\n pam_permit.so", false, true},
    {"auth required pam_permit.so x # \\\n", true},
    {"# \\\n", true},
    {"auth required pam_permit.so " + std::string(995, 'x'), true},
    {"auth required pam_permit.so " + std::string(996, 'x'), false, true},
    {"# " + std::string(1021, 'x'), true},
    {"# " + std::string(1022, 'x'), false, true},
    {"auth required pam_permit.so " + std::string(500, 'x') + "\\\n" +
         std::string(600, 'x'),
     false, true},
};

// A line that goes on where the file ends: libpam reads nothing of it.
const std::vector<PamLine> kLastPamLines = {
    {"session optional pam_permit.so \\", false},
    {"session optional pam_permit.so \\ \n", false},
    {"\\", false},
    {"session optional pam_permit.so \\ # not the end", true},
};

void assert_read_as_libpam_reads_it(const PamLine &line,
                                    const std::string &text) {
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  const std::string refuses = "libpam refuses the stack for this line: ";
  write_file(stack, text);
  const RunResult login =
      run({.path = "/usr/bin/pamtester",
           .arguments = {"test-of-pbstoken", kId, "authenticate", "acct_mgmt",
                         "open_session"},
           .input = std::string(kSecret) + "\n"});
  const RunResult explained =
      run_tool({"explain", "--service", "test-of-pbstoken", kId});
  const RunResult checked = run_tool({"check"});
  std::filesystem::remove(stack);
  const bool is_named = checked.out.find(refuses) != std::string::npos;
  const bool is_part = line.text.ends_with("part-of-pbstoken");
  if ((!line.differs && (login.status == 0) != line.lets_in) ||
      (explained.status == 0) != line.lets_in ||
      (explained.out.find(refuses) == std::string::npos) != line.lets_in ||
      (!is_part && is_named == line.lets_in)) {
    fail_msg("%s: libpam %d, explain %d: %s, check: %s", line.text.c_str(),
             login.status, explained.status, explained.out.c_str(),
             checked.out.c_str());
  }
}

// explain and check say of each line what libpam makes of it.
void lines_that_libpam_refuses_are_named(void ** /*state*/) {
  write_good_store();
  write_file("/etc/pam.d/part-of-pbstoken",
             "auth required pam_permit.so\naccount requird pam_permit.so\n");
  const std::string ours = "auth required " + module_path() + "\n";
  const std::string others =
      "auth required pam_permit.so\nauth required pam_permit.so\n"
      "account required pam_permit.so\nsession required pam_permit.so\n";
  for (const PamLine &line : kPamLines) {
    assert_read_as_libpam_reads_it(line, ours + line.text + "\n" + others);
  }
  for (const PamLine &line : kLastPamLines) {
    assert_read_as_libpam_reads_it(line, ours + others + line.text);
  }
  std::filesystem::remove("/etc/pam.d/part-of-pbstoken");
}

void faults_of_lines_are_told_apart(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  const auto assert_fault = [&](const std::string &text,
                                const std::string &problem) {
    write_file(stack, text);
    const RunResult outcome = run_tool({"check"});
    std::filesystem::remove(stack);
    assert_text_equal(outcome.out,
                      problem.empty() ? "" : stack + ":1: libpam " + problem);
    assert_int_equal(outcome.status, problem.empty() ? 0 : 1);
  };
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"auht required ", "its type is not one of libpam's"},
      {"auth required\n# ", "it names no module and no file"},
      {"auth\n# ", "it has no control"},
      {"auth [success=ok ", "its control has a '[' without its ']'"},
      {"auth requird ", "its control is not one of libpam's"},
      {"auth [success=ok defalt=die] ",
       "its control has a return value that is not one of libpam's"},
      {"auth [success=done default] ",
       "its control has a return value without '='"},
      {"auth required pam_permit.so\r\n# ",
       "a carriage return: the file has line ends of Windows"},
      {"@include common-auth\r\n# ",
       "a carriage return: the file has line ends of Windows"},
      {"\r\n# ", "a carriage return: the file has line ends of Windows"},
      {"auth required pam_not_there.so # ",
       "the file of its module is not there"},
      {"auth [success=dun default=die] ",
       "its control has an action that is not one of libpam's"},
  };
  const std::string ours = "auth required pam_pbstoken.so\n";
  for (const auto &[start, why] : lines) {
    const std::string problem = "refuses the stack for this line: " + why +
                                "; correct it: one such line keeps all users "
                                "out\n";
    // Of another module, too, if ours is in the file.
    assert_fault(start + "pam_pbstoken.so no_such_option\n" +
                     (start.ends_with("# ") ? ours : ""),
                 problem);
    assert_fault(start + "pam_permit.so\n" + ours, problem);
    assert_fault(start + "pam_permit.so\n#" + ours, "");
  }
  const std::string none = "its module has nothing for sessions; correct it";
  assert_fault("session required pam_pbstoken.so\n",
               "refuses the stack for this line: " + none +
                   ": one such line keeps all users out\n");
  assert_fault("session optional pam_pbstoken.so\n",
               "fails this line: " + none + "\n");
  for (const char *start : {"auht sufficient ", "password requird "}) {
    assert_fault(std::string(start) + "pam_pbstoken.so\n",
                 std::string("fails this line: ") +
                     (*start == 'a' ? "its type" : "its control") +
                     " is not one of libpam's; correct it\n");
  }
}

// What a package brings, unless /etc has a file of that name.
void stacks_of_packages_are_read(void ** /*state*/) {
  write_good_store();
  const std::string place = scratch("pam.d");
  std::filesystem::create_directory(place);
  assert_int_equal(mount(place.c_str(), "/usr/lib/pam.d", "", MS_BIND, nullptr),
                   0);
  const std::string stack = "/usr/lib/pam.d/test-of-pbstoken";
  write_file(stack, "auth required pam_pbstoken.so cobmined\n");
  assert_problems(stack +
                  ":1: cobmined: unknown option: the module refuses every "
                  "request\n");
  const std::string own = "/etc/pam.d/test-of-pbstoken";
  write_file(own, "auth required pam_pbstoken.so\n");
  assert_problems("");
  std::filesystem::remove(own);
  assert_int_equal(umount("/usr/lib/pam.d"), 0);
}

// What the module itself says of them, before the first login fails.
void options_that_the_module_refuses_are_named(void ** /*state*/) {
  write_good_store();
  const std::string stack = "/etc/pam.d/test-of-pbstoken";
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"no_cache", "no_cache: unknown option"},
      {"Quiet", "Quiet: unknown option"},
      {"debug nocache combined realm=pam", ""},
      {"[debug] [quiet#]", ""},
      {"quiet\r",
       "quiet\\x0d: a carriage return: the file has line ends of Windows"},
      {"[debug", "debug\\x0a: unknown option"},
      {"realm=pam", "realm=: needs combined or map_user="},
      {"map_user=user", "map_user=user: needs realm="},
      {"store=../pbs", "store=../pbs: not a store name"},
      {"helper=pbstoken-helper",
       "helper=pbstoken-helper: must be an absolute path"},
      {"config=/etc/nowhere.conf",
       "config=/etc/nowhere.conf: there is no such file"},
  };
  std::string expected;
  std::string text;
  std::size_t number = 0;
  for (const auto &[options, problem] : lines) {
    text += "password required pam_pbstoken.so " + options + "\n";
    ++number;
    if (!problem.empty()) {
      expected += stack + ":" + std::to_string(number) + ": " + problem +
                  ": the module refuses every request\n";
    }
  }
  text += "password required pam_pbstoken.so helper=/nowhere\n";
  expected += stack + ":" + std::to_string(number + 1) +
              ": helper=/nowhere: there is no such file: a service that is not "
              "root cannot verify\n";
  write_file(stack, text);
  const RunResult outcome = run_tool({"check"});
  std::filesystem::remove(stack);
  assert_text_equal(outcome.out, expected);
  assert_int_equal(outcome.status, 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(good_store_finds_nothing),
      E2E_TEST(user_cfg_that_is_gone),
      E2E_TEST(token_shadow_that_is_gone),
      cmocka_unit_test_setup_teardown(helper_that_nobody_can_reach,
                                      install_helper, uninstall_helper),
      cmocka_unit_test_setup_teardown(group_that_is_gone, install_helper,
                                      uninstall_helper),
      cmocka_unit_test_setup_teardown(full_file_system_is_named, mount_small,
                                      unmount_small),
      E2E_TEST(file_system_without_numbers_is_not_full),
      E2E_TEST(read_only_mount_is_named),
      E2E_TEST(read_only_mounts_of_other_files_are_named),
      MEMBER_TEST(members_of_the_groups_are_shown),
      E2E_TEST(stacks_that_lock_out_are_named),
      E2E_TEST(stacks_are_read_as_libpam_reads_them),
      E2E_TEST(lines_that_libpam_refuses_are_named),
      E2E_TEST(faults_of_lines_are_told_apart),
      E2E_TEST(stacks_of_packages_are_read),
      E2E_TEST(options_that_the_module_refuses_are_named),
  };
  return cmocka_run_group_tests_name("tool_host", tests,
                                     testing::install_module, nullptr);
}
