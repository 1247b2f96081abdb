// SPDX-License-Identifier: BSD-3-Clause
// Every kind of process that a service may be, on hosts with and without the
// helper's socket and the setuid bit: the right secret lets each of them in, or
// the log says what stands in both ways.
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <array>
#include <cctype>
#include <cstddef>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "e2e_log.h"
#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

// Where the module looks for the program without helper=.
constexpr const char *kPrograms = "/usr/sbin";
constexpr const char *kProgram = "/usr/sbin/pbstoken-helper";

// In a child, whose status then is none of PAM's.
void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// --- ids

void stay_root() {}

// su(1), started by a member.
void become_setuid_program_of_a_member() {
  require(setgroups(1, &kMembers) == 0 &&
          setresgid(kMember, kMember, kMember) == 0 &&
          setresuid(kMember, 0, 0) == 0);
}

// --- capabilities

void bound_capabilities(std::initializer_list<int> numbers) {
  for (const int number : numbers) {
    require(prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0);
  }
}

void bound_all_capabilities() {
  for (int number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    bound_capabilities({number});
  }
}

void stay_root_without_capabilities() {
  bound_all_capabilities();
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  require(syscall(SYS_capset, &header, none) == 0);
}

void become_member_that_gains_no_capability() {
  bound_all_capabilities();
  become_member();
}

void become_member_that_gains_no_right_to_files() {
  bound_capabilities({CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH});
  become_member();
}

// --- filters, which root installs without no_new_privs

// Does this to one system call; with an argument, where its first one is that.
void filter(unsigned number, unsigned action,
            std::optional<unsigned> argument = {}) {
  constexpr auto kNumber =
      static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto kFirst =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args));
  std::array<sock_filter, 6> filter = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument ? kFirst : kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument.value_or(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

// SystemCallFilter=
void become_member_that_dies_of_capset() {
  filter(SYS_capset, SECCOMP_RET_KILL_PROCESS);
  become_member();
}

// And with SystemCallErrorNumber=.
void become_member_that_is_refused_capset() {
  filter(SYS_capset, SECCOMP_RET_ERRNO | EPERM);
  become_member();
}

// To have no groups, which the helper asks for: the member has one.
void become_member_that_is_refused_setgroups() {
  filter(SYS_setgroups, SECCOMP_RET_ERRNO | EPERM, 0);
  become_member();
}

// RestrictAddressFamilies=, which leaves socketpair(2) alone.  The log is such
// a socket, too: this service has opened it before.
void become_member_without_unix_sockets() {
  openlog(nullptr, LOG_NDELAY, LOG_AUTHPRIV);
  filter(SYS_socket, SECCOMP_RET_ERRNO | EAFNOSUPPORT, AF_UNIX);
  become_member();
}

// --- user namespaces

void write_once(const std::string &path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  require(write(fd, text.data(), text.size()) ==
          static_cast<ssize_t>(text.size()));
  close(fd);
}

// The maps come from a process that stays outside, with all of its rights.
void enter_user_namespace(std::string_view users, std::string_view groups) {
  const std::string self = "/proc/" + std::to_string(getpid());
  Pipe entered;
  const pid_t mapper = start_child([&] {
    entered.read_all();
    write_once(self + "/uid_map", users);
    write_once(self + "/gid_map", groups);
    return 0;
  });
  require(unshare(CLONE_NEWUSER) == 0);
  entered.close_writer();
  require(wait_for(mapper) == 0);
}

// PrivateUsers=
void become_member_in_a_user_namespace() {
  enter_user_namespace("0 0 1\n33 33 1\n", "0 0 1\n33 33 1\n4711 4711 1\n");
  become_member();
}

// Every id is itself: the program has all that it needs.
void become_member_in_a_user_namespace_of_all() {
  enter_user_namespace("0 0 4294967295\n", "0 0 4294967295\n");
  become_member();
}

// bwrap(1): nothing in there is root's.
void become_member_in_a_user_namespace_without_root() {
  enter_user_namespace("33 33 1\n", "33 33 1\n4711 4711 1\n");
  become_member();
}

// --- mount namespaces

// Its token.shadow has another secret for the same token.
std::string other_directory() {
  return scratch("other-store");
}

void leave_mounts() {
  require(unshare(CLONE_NEWNS) == 0);
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
}

void see_other_directory() {
  leave_mounts();
  require(mount(other_directory().c_str(), kDirectory, nullptr, MS_BIND,
                nullptr) == 0);
}

void become_member_that_sees_another_directory() {
  see_other_directory();
  become_member();
}

void become_confined_member_that_sees_another_directory() {
  see_other_directory();
  become_member_without_new_privileges();
}

void become_member_that_sees_another_file() {
  leave_mounts();
  require(mount((other_directory() + "/token.shadow").c_str(), kShadow, nullptr,
                MS_BIND, nullptr) == 0);
  become_member();
}

void become_member_with_a_read_only_run() {
  leave_mounts();
  require(mount(nullptr, "/run", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                nullptr) == 0);
  require(open("/run/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) == -1 &&
          errno == EROFS);
  become_member();
}

// --- the table

// What the right secret gets.
struct Expected {
  int code;
  // In the one line of the log: who was let in, or what keeps the program from
  // answering, and at the line's end, what the socket.
  std::string_view program;
  std::string_view socket;
};

constexpr Expected kIn = {
    PAM_SUCCESS, "authenticated; tokenid=john@pbs!client1 ", {}};

constexpr Expected out(std::string_view program, std::string_view socket) {
  return {PAM_AUTHINFO_UNAVAIL, program, socket};
}

// Of the program.
constexpr std::string_view kNotSetuid =
    "cannot use /usr/sbin/pbstoken-helper (cannot run: not installed setuid "
    "root) and ";
constexpr std::string_view kNotPermitted =
    "the helper: not permitted: only root or group pbstoken may do this, not "
    "uid 65534";
constexpr std::string_view kNotRoot =
    "cannot use /usr/sbin/pbstoken-helper (cannot become root: Operation not "
    "permitted: its capabilities are bounded) and ";
constexpr std::string_view kBounded =
    "token.shadow: Permission denied: its capabilities are bounded) and ";
constexpr std::string_view kKilled =
    "cannot use /usr/sbin/pbstoken-helper (killed for a system call that a "
    "filter forbids) and ";
constexpr std::string_view kFiltered =
    "Operation not permitted: a filter judges its system calls) and ";
constexpr std::string_view kInNamespace =
    "token.shadow: Permission denied: it runs in a user namespace) and ";
constexpr std::string_view kNoNewPrivs = "no_new_privs is set and ";
// The module gets to neither.
constexpr std::string_view kNotTrusted =
    "cannot use /etc/pbstoken/pbs.conf: a directory above it is not root's";

// Of the socket.
constexpr std::string_view kNone =
    "/run/pbstoken/helper.sock: No such file or directory";
constexpr std::string_view kDenied =
    "/run/pbstoken/helper.sock: Permission denied";
constexpr std::string_view kNoFamily =
    "/run/pbstoken/helper.sock: Address family not supported by protocol";
constexpr std::string_view kOtherView =
    "/run/pbstoken/helper.sock: the service sees another directory of the "
    "store's files";
constexpr std::string_view kNotAsked =
    "the socket is not asked where something may be mounted over the file";

struct Column {
  const char *name;
  bool has_socket;
  mode_t mode;  // of the program
};

constexpr auto kColumns = std::to_array<Column>({
    {"socket, setuid", true, 04755},
    {"socket, no setuid", true, 0755},
    {"no socket, setuid", false, 04755},
    {"no socket, no setuid", false, 0755},
});

struct Row {
  const char *name;
  void (*become_service)();
  std::array<Expected, kColumns.size()> expected;  // in the columns' order
  const char *secret = kSecret;  // the right one, by the file that it sees
};

// clang-format off
constexpr auto kRows = std::to_array<Row>({
    {"root", stay_root,
     {kIn, kIn, kIn, kIn}},
    {"root without capabilities", stay_root_without_capabilities,
     {kIn, kIn, out(kNotRoot, kNone), out(kNotRoot, kNone)}},
    {"setuid program of a member", become_setuid_program_of_a_member,
     {kIn, kIn, kIn, kIn}},
    {"member", become_member,
     {kIn, kIn, kIn, out(kNotSetuid, kNone)}},
    {"stranger", become_nobody,
     {out(kNotPermitted, {}), out(kNotSetuid, kDenied),
      out(kNotPermitted, {}), out(kNotSetuid, kNone)}},
    {"member, no_new_privs", become_member_without_new_privileges,
     {kIn, kIn, out(kNoNewPrivs, kNone), out(kNoNewPrivs, kNone)}},
    {"member, all capabilities bounded", become_member_that_gains_no_capability,
     {kIn, kIn, out(kNotRoot, kNone), out(kNotSetuid, kNone)}},
    {"member, rights to files bounded",
     become_member_that_gains_no_right_to_files,
     {kIn, kIn, out(kBounded, kNone), out(kNotSetuid, kNone)}},
    {"member, capset kills", become_member_that_dies_of_capset,
     {kIn, kIn, out(kKilled, kNone), out(kNotSetuid, kNone)}},
    {"member, capset is refused", become_member_that_is_refused_capset,
     {kIn, kIn, out(kFiltered, kNone), out(kNotSetuid, kNone)}},
    {"member, setgroups is refused", become_member_that_is_refused_setgroups,
     {kIn, kIn, out(kFiltered, kNone), out(kNotSetuid, kNone)}},
    {"member, no AF_UNIX", become_member_without_unix_sockets,
     {kIn, out(kNotSetuid, kNoFamily), kIn, out(kNotSetuid, kNoFamily)}},
    {"member, user namespace", become_member_in_a_user_namespace,
     {kIn, kIn, out(kInNamespace, kNone), out(kNotSetuid, kNone)}},
    {"member, user namespace of all", become_member_in_a_user_namespace_of_all,
     {kIn, kIn, kIn, out(kNotSetuid, kNone)}},
    {"member, user namespace without root",
     become_member_in_a_user_namespace_without_root,
     {out(kNotTrusted, {}), out(kNotTrusted, {}),
      out(kNotTrusted, {}), out(kNotTrusted, {})}},
    {"member, another directory", become_member_that_sees_another_directory,
     {kIn, out(kNotSetuid, kOtherView), kIn, out(kNotSetuid, kNone)},
     kOldSecret},
    {"member, another directory, no_new_privs",
     become_confined_member_that_sees_another_directory,
     {out(kNoNewPrivs, kOtherView), out(kNoNewPrivs, kOtherView),
      out(kNoNewPrivs, kNone), out(kNoNewPrivs, kNone)},
     kOldSecret},
    {"member, another file", become_member_that_sees_another_file,
     {kIn, out(kNotSetuid, kNotAsked), kIn, out(kNotSetuid, kNotAsked)},
     kOldSecret},
    {"member, read-only /run", become_member_with_a_read_only_run,
     {kIn, kIn, kIn, out(kNotSetuid, kNone)}},
});
// clang-format on

// --- the cells

struct Cell {
  const Row *row;
  const Column *column;
  const Expected *expected;

  [[nodiscard]] std::string name() const {
    return std::string(row->name) + ": " + column->name;
  }
};

std::string first_of(const std::vector<std::string> &lines) {
  return lines.empty() ? "(no line)" : lines.front();
}

// Fails the test unless this secret gets this code; the log.
std::vector<std::string> lines_of(const Cell &cell, const std::string &secret,
                                  int expected) {
  int code = -1;
  auto lines = module_lines_of(
      [&] { code = authenticate_as(cell.row->become_service, kId, secret); });
  if (code != expected) {
    fail_msg("%s: %s and not %s for %s: %s", cell.name().c_str(),
             pam_code_name(code).c_str(), pam_code_name(expected).c_str(),
             secret.c_str(), first_of(lines).c_str());
  }
  return lines;
}

bool is_expected(const std::vector<std::string> &lines,
                 const Expected &expected) {
  const bool is_in = expected.code == PAM_SUCCESS;
  const std::string begin =
      "<" + std::to_string(LOG_AUTHPRIV | (is_in ? LOG_INFO : LOG_ERR)) +
      ">pam_pbstoken(pbs:auth): " + (is_in ? "" : "cannot verify: ");
  return lines.size() == 1 && lines.front().starts_with(begin) &&
         lines.front().find(expected.program) != std::string::npos &&
         lines.front().ends_with(expected.socket);
}

void right_secret_lets_in_or_the_log_says_why_not(void **state) {
  const auto &cell = *static_cast<const Cell *>(*state);
  const Expected &expected = *cell.expected;
  const auto lines = lines_of(cell, cell.row->secret, expected.code);
  if (!is_expected(lines, expected)) {
    fail_msg("%s: the log has %s and not ...%s%s", cell.name().c_str(),
             first_of(lines).c_str(), std::string(expected.program).c_str(),
             std::string(expected.socket).c_str());
  }
  // Nobody's secret, and the one of the file that this service does not see.
  const bool sees_hosts = std::string_view(cell.row->secret) == kSecret;
  const int refusal =
      expected.code == PAM_SUCCESS ? PAM_AUTH_ERR : expected.code;
  for (const char *wrong : {kWrongSecret, sees_hosts ? kOldSecret : kSecret}) {
    lines_of(cell, wrong, refusal);
  }
}

// --- the hosts

// The program is alone there: the tests need no other one.
int replace_programs(void **state) {
  const std::string directory = scratch("sbin");
  if (replace_dev(state) != 0) {
    return -1;
  }
  std::filesystem::create_directory(directory);
  return mount(directory.c_str(), kPrograms, nullptr, MS_BIND, nullptr);
}

int restore_programs(void **state) {
  const int restored = umount(kPrograms);
  return restore_dev(state) == 0 ? restored : -1;
}

bool install_program(mode_t mode) {
  std::filesystem::remove(kProgram);
  std::filesystem::copy_file(helper_path(), kProgram);
  return chown(kProgram, 0, 0) == 0 && chmod(kProgram, mode) == 0;
}

bool make_other_directory() {
  const std::string directory = other_directory();
  const std::string file = directory + "/token.shadow";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  write_file(file, shadow_of({{kId, kOldHash}}), 0640);
  return chown(file.c_str(), 0, kBackup) == 0 &&
         chown(directory.c_str(), kBackup, kBackup) == 0 &&
         chmod(directory.c_str(), 0700) == 0;
}

int host_of_the_column(void **state) {
  const auto &cell = *static_cast<const Cell *>(*state);
  void *none = nullptr;
  if (clean_host_with_members(&none) != 0) {
    return -1;
  }
  // Else the segment would answer.
  write_socket_service("nocache");
  write_shadow({{kId, kHash}});
  if (chown(kShadow, 0, kBackup) != 0 || !make_other_directory() ||
      !install_program(cell.column->mode)) {
    return -1;
  }
  return cell.column->has_socket ? start_socket() : 0;
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  std::deque<Cell> cells;
  std::deque<std::string> names;
  std::vector<CMUnitTest> tests;
  for (const Row &row : kRows) {
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      cells.push_back(
          {.row = &row, .column = &kColumns[i], .expected = &row.expected[i]});
      // tests/run takes a word for a test's name.
      std::string name = cells.back().name();
      for (char &c : name) {
        c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      }
      names.push_back(std::move(name));
      tests.push_back(
          {.name = names.back().c_str(),
           .test_func = right_secret_lets_in_or_the_log_says_why_not,
           .setup_func = host_of_the_column,
           .teardown_func = testing::stop_socket,
           .initial_state = &cells.back()});
    }
  }
  std::printf("%zu cells\n", cells.size());
  return _cmocka_run_group_tests("services_matrix", tests.data(), tests.size(),
                                 replace_programs, restore_programs);
}
