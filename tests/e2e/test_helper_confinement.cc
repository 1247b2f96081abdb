// SPDX-License-Identifier: BSD-3-Clause
// What is left to a command that is made to do something else: nearly nothing.
#include "confine/confinement.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "admin/admin.h"
#include "commands.h"
#include "e2e_pam.h"
#include "helper_support.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/use.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kVersions = "/etc/proxmox-backup-versions/versions";
constexpr const char *kNeighbour = "/etc/proxmox-backup/neighbour";

int fresh_host(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  configure_groups(std::string("version_cache = ") + kVersions + "\n");
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  write_file(kUserCfg, "", 0640);
  write_file(kNeighbour, "", 0640);
  std::filesystem::create_directories("/etc/proxmox-backup-versions");
  write_file(kVersions, "", 0640);
  install_helper();
  return 0;
}

Store the_store() {
  const PathText path(kConfiguration);
  auto store = load_store("pbs", path);
  if (!store) {
    std::abort();
  }
  return std::move(*store);
}

constexpr int kNotConfined = 100;

// Confines this process as the program does that has the command.
bool confine_as(Command command) {
  const CommandEntry *entry = find_command(kHelperProgram, command);
  entry = entry != nullptr ? entry : find_command(kAdminProgram, command);
  return entry != nullptr &&
         confine(entry->reach, PathText(kConfiguration), the_store());
}

// What attempt() returns in a child that is confined as this command is.
template <typename Attempt>
int confined(Command command, Attempt attempt) {
  return in_child(
      [&] { return confine_as(command) ? attempt() : kNotConfined; });
}

struct NamedCommand {
  const char *name;
  Command command;
  bool writes_word;    // upstream's
  bool writes_shadow;  // and what is beside it
};

constexpr std::array<NamedCommand, 13> kCommands = {{
    {"generate", Command::kGenerate, true, true},
    {"set", Command::kSet, true, true},
    {"delete", Command::kDelete, true, true},
    {"rotate", Command::kRotate, true, true},
    {"verify", Command::kVerify, true, false},
    {"account", Command::kAccount, true, false},
    {"flush", Command::kFlush, true, false},
    {"retire", Command::kRetire, true, false},
    {"list", Command::kList, false, false},
    {"check", Command::kCheck, false, false},
    {"explain", Command::kExplain, false, false},
    {"status", Command::kStatus, false, false},
    {"reset", Command::kReset, false, false},
}};

// --- system calls

struct Forbidden {
  const char *name;
  void (*call)();
};

const std::array<Forbidden, 23> kForbidden = {{
    {"socket", [] { socket(AF_UNIX, SOCK_STREAM, 0); }},
    {"execve",
     [] {
       std::array<char *, 1> none = {nullptr};
       execve("/bin/true", none.data(), none.data());
     }},
    {"execveat",
     [] { syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); }},
    {"kill", [] { kill(getpid(), 0); }},
    {"tgkill", [] { syscall(SYS_tgkill, getpid(), getpid(), 0); }},
    {"ptrace", [] { ptrace(PTRACE_TRACEME, 0, 0, 0); }},
    {"mount", [] { mount("x", "/", "tmpfs", 0, ""); }},
    {"umount", [] { umount("/proc"); }},
    {"unshare", [] { unshare(CLONE_NEWUSER); }},
    {"setns", [] { setns(0, 0); }},
    {"fork", [] { fork(); }},
    {"clone into a user namespace",
     [] { syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone3", [] { syscall(SYS_clone3, nullptr, 0); }},
    {"setuid", [] { syscall(SYS_setuid, 0); }},
    {"setresuid", [] { syscall(SYS_setresuid, 0, 0, 0); }},
    {"capset", [] { syscall(SYS_capset, nullptr, nullptr); }},
    {"prctl", [] { prctl(PR_SET_DUMPABLE, 1); }},
    {"chdir", [] { syscall(SYS_chdir, "/"); }},
    {"chroot", [] { syscall(SYS_chroot, "/"); }},
    {"ioctl", [] { ioctl(0, TIOCSTI, ""); }},
    {"bpf", [] { syscall(SYS_bpf, 0, nullptr, 0); }},
    {"io_uring_setup", [] { syscall(SYS_io_uring_setup, 1, nullptr); }},
    {"setsid", [] { setsid(); }},
}};

void forbidden_system_call_kills(void ** /*state*/) {
  for (const NamedCommand &command : kCommands) {
    for (const Forbidden &forbidden : kForbidden) {
      const int status = confined(command.command, [&] {
        forbidden.call();
        return 0;
      });
      if (status != 128 + SIGSYS) {
        fail_msg("%s, %s: %d", command.name, forbidden.name, status);
      }
    }
  }
}

// It makes children, and leaves its undo list, by the same two calls.
void service_makes_no_namespace(void ** /*state*/) {
  for (const int flag :
       {CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
        CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS}) {
    for (const bool clones : {false, true}) {
      const int status = in_child([flag, clones] {
        if (!confine_service()) {
          return kNotConfined;
        }
        clones ? syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0) : unshare(flag);
        return 0;
      });
      if (status != 128 + SIGSYS) {
        fail_msg("%x, %d: %d", static_cast<unsigned>(flag), clones, status);
      }
    }
  }
  assert_int_equal(in_child([] {
                     return confine_service() && unshare(CLONE_SYSVSEM) == 0
                                ? 0
                                : kNotConfined;
                   }),
                   0);
}

// --- files

bool can_open(const char *path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) {
    // Not because of anything else.
    return errno != EACCES;
  }
  close(fd);
  return true;
}

enum class Done : std::uint8_t { kRead, kWritten, kMade, kRemoved, kListed };

struct Access {
  const char *path;
  Done done;
};

bool can(const Access &access) {
  switch (access.done) {
    case Done::kRead:
      return can_open(access.path, O_RDONLY);
    case Done::kWritten:
      return can_open(access.path, O_WRONLY);
    case Done::kMade:
      return can_open(access.path, O_WRONLY | O_CREAT | O_EXCL);
    case Done::kRemoved:
      return unlinkat(AT_FDCWD, access.path, 0) == 0;
    case Done::kListed:
      return can_open(access.path, O_RDONLY | O_DIRECTORY);
  }
  return true;
}

void assert_access(const NamedCommand &command, const Access &access,
                   bool expected) {
  const int status =
      confined(command.command, [&] { return can(access) ? 1 : 0; });
  if (status != (expected ? 1 : 0)) {
    fail_msg("%s: %s (%d): %d", command.name, access.path,
             static_cast<int>(access.done), status);
  }
}

// A kernel without Landlock goes without: then there is nothing to be seen
// here.
bool has_landlock() {
  return syscall(SYS_landlock_create_ruleset, nullptr, 0,
                 LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

void files_of_the_store_can_be_read(void ** /*state*/) {
  for (const NamedCommand &command : kCommands) {
    for (const char *path : {kShadow, kUserCfg, kVersions, kConfiguration,
                             "/etc/passwd", "/etc/group", "/proc/locks"}) {
      assert_access(command, {path, Done::kRead}, true);
    }
    // What makes new secrets is for those that write them.
    assert_access(command, {"/proc/sys/kernel/random/uuid", Done::kRead},
                  command.writes_shadow || !has_landlock());
    assert_access(command, {kDirectory, Done::kListed}, true);
  }
}

void other_files_cannot_be_opened(void ** /*state*/) {
  if (!has_landlock()) {
    return;
  }
  // One that no other test runs at the same time: that is another error.
  const std::string program = module_path();
  for (const NamedCommand &command : kCommands) {
    for (const Access &access :
         std::initializer_list<Access>{{"/etc/shadow", Done::kRead},
                                       {"/etc/shadow", Done::kWritten},
                                       {"/etc/passwd", Done::kWritten},
                                       {"/etc/group", Done::kWritten},
                                       {"/etc", Done::kListed},
                                       {"/etc/new", Done::kMade},
                                       {"/etc/pbstoken/new.conf", Done::kMade},
                                       {"/tmp/new", Done::kMade},
                                       {"/root", Done::kListed},
                                       {"/proc/self/mem", Done::kWritten},
                                       {"/proc/self/maps", Done::kRead},
                                       {"/proc/1/environ", Done::kRead},
                                       {"/dev/null", Done::kWritten},
                                       {"/dev/zero", Done::kRead},
                                       {kConfiguration, Done::kWritten},
                                       {kConfiguration, Done::kRemoved},
                                       {program.c_str(), Done::kWritten}}) {
      assert_access(command, access, false);
    }
  }
}

void files_of_the_store_are_changed_by_writers_alone(void ** /*state*/) {
  if (!has_landlock()) {
    return;
  }
  for (const NamedCommand &command : kCommands) {
    // The last command first, which may nothing of this.
    write_file(kNeighbour, "", 0640);
    std::filesystem::remove("/etc/proxmox-backup/new");
    for (const Access &access :
         std::initializer_list<Access>{{kShadow, Done::kWritten},
                                       {"/etc/proxmox-backup/new", Done::kMade},
                                       {kNeighbour, Done::kRemoved}}) {
      assert_access(command, access, command.writes_shadow);
    }
    assert_access(command, {kVersions, Done::kWritten}, command.writes_word);
    assert_access(command, {"/etc/proxmox-backup-versions/new", Done::kMade},
                  false);
    assert_access(command, {kVersions, Done::kRemoved}, false);
  }
}

// --- capabilities

void capabilities_are_those_that_are_needed(void ** /*state*/) {
  // DAC_OVERRIDE, IPC_LOCK, IPC_OWNER; and CHOWN, FOWNER for writers;
  // DAC_READ_SEARCH and IPC_OWNER for who only looks.
  for (const NamedCommand &command : kCommands) {
    const std::string expected =
        capabilities_within(command.writes_shadow ? 0xc00b
                            : command.writes_word ? 0xc002
                                                  : 0x8004);
    Pipe go;
    Pipe ready;
    const pid_t child = start_child([&] {
      if (!confine_as(command.command)) {
        return kNotConfined;
      }
      char byte = 'x';
      return write(ready.writer(), &byte, 1) == 1 &&
                     read(go.reader(), &byte, 1) == 1
                 ? 0
                 : 1;
    });
    char byte = 'x';
    assert_int_equal(read(ready.reader(), &byte, 1), 1);
    const std::string effective = proc_status(child, "CapEff");
    const std::string permitted = proc_status(child, "CapPrm");
    const std::string bounding = proc_status(child, "CapBnd");
    const std::string privileges = proc_status(child, "NoNewPrivs");
    assert_int_equal(write(go.writer(), &byte, 1), 1);
    assert_int_equal(wait_for(child), 0);
    assert_text_equal(effective, expected);
    assert_text_equal(permitted, expected);
    assert_text_equal(bounding, "0000000000000000");
    assert_text_equal(privileges, "1");
  }
}

// --- kernels that have less

// Answers these calls as a kernel that does not have them.
void be_an_older_kernel() {
  constexpr auto kNumber =
      static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto kFirst =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args));
  std::array<sock_filter, 8> filter = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFirst),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 2, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
  }};
  const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::abort();
  }
}

void older_kernel_is_no_failure(void ** /*state*/) {
  assert_int_equal(in_child([] {
                     be_an_older_kernel();
                     return confine_as(Command::kSet) &&
                                    can_open("/etc/shadow", O_RDONLY)
                                ? 0
                                : 1;
                   }),
                   0);
  const RunResult outcome =
      run_as(kRoot, helper_path(), {"set", kId}, kSecret, be_an_older_kernel);
  assert_exit(outcome, 0, "set");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// A ruleset that cannot be had is no older kernel.
void landlock_that_fails_is_exit_4(void ** /*state*/) {
  const RunResult outcome =
      run({.path = "/usr/bin/strace",
           .arguments = {"-f", "-qq", "-o", "/dev/null", "-e",
                         "inject=landlock_create_ruleset:error=ENOMEM:when=2",
                         helper_path(), "set", kId},
           .input = kWrongSecret});
  assert_exit(outcome, 4, "set");
  assert_text_equal(outcome.err,
                    "pbstoken-helper: cannot confine file access: Cannot "
                    "allocate memory\n");
}

// Where the bounding set cannot be reduced, nor limits be raised, nor nice
// values be lowered.
void container_with_fewer_capabilities_is_no_failure(void ** /*state*/) {
  const RunResult outcome =
      run({.path = "/usr/bin/setpriv",
           .arguments = {"--bounding-set=-setpcap,-sys_admin,-sys_nice,"
                         "-sys_resource",
                         "--", helper_path(), "set", kId},
           .input = kWrongSecret});
  assert_exit(outcome, 0, "set");
  assert_pam(authenticate(kId, kWrongSecret), PAM_SUCCESS);
}

// --- what strangers have made under the store's keys

key_t segment_key(const Store &store) {
  return key_of({Kind::kSecrets, *view_of(store.token_shadow)});
}

// given_to_root: as far as somebody can who has made it.
void plant_under(const Store &store, bool given_to_root) {
  for (const key_t key : {segment_key(store), use_segment(store).key}) {
    const int id = shmget(key, 1 << 20, IPC_CREAT | IPC_EXCL | 0600);
    shmid_ds status{};
    if (id < 0 || shmctl(id, IPC_STAT, &status) != 0) {
      std::abort();
    }
    status.shm_perm.uid = given_to_root ? 0 : status.shm_perm.uid;
    if (shmctl(id, IPC_SET, &status) != 0) {
      std::abort();
    }
  }
  if (semget(gate_set(store, GateShare::kRoots).key, 1,
             IPC_CREAT | IPC_EXCL | 0600) < 0) {
    std::abort();
  }
}

void strangers_segments_are_not_in_roots_way(void ** /*state*/) {
  const Store store = the_store();
  const std::string helper = scratch("installed-helper");
  // What was given to root goes with the first that would use it, and these use
  // all of it.
  for (const auto &[command, given_to_root] : {std::pair{"prepare", false},
                                               {"prepare", true},
                                               {"rotate", false},
                                               {"rotate", true},
                                               {"set", false},
                                               {"flush", false}}) {
    remove_segments();
    semctl(semget(gate_set(store, GateShare::kRoots).key, 0, 0), 0, IPC_RMID);
    write_shadow({{kId, kHash}});
    assert_int_equal(in_child([&, for_root = given_to_root] {
                       become(kStranger);
                       plant_under(store, for_root);
                       return 0;
                     }),
                     0);
    const bool is_tools = *command == 'p' || *command == 'f';
    assert_exit(
        is_tools ? run_tool({command}) : run_as(kAdmin, helper, {command, kId}),
        0, command);
    shmid_ds status{};
    // Theirs has the key; root's is found without one.
    const auto segment =
        find_segment({Kind::kSecrets, *view_of(store.token_shadow)});
    assert_true(segment.has_value());
    assert_int_equal(shmctl(segment->identity.id, IPC_STAT, &status), 0);
    assert_int_equal(status.shm_perm.cuid, 0);
    assert_int_equal(status.shm_perm.mode & 0777, 0640);
    const int counters = shmget(use_segment(store).key, 0, 0);
    if (counters >= 0) {
      assert_int_equal(shmctl(counters, IPC_STAT, &status), 0);
      assert_int_equal(status.shm_perm.cuid, 0);
    }
    semid_ds gate{};
    const int places = semget(gate_set(store, GateShare::kRoots).key, 0, 0);
    if (places >= 0) {
      assert_int_equal(semctl(places, 0, IPC_STAT, &gate), 0);
      assert_int_equal(gate.sem_perm.cuid, 0);
    }
  }
}

#define FRESH_TEST(name) cmocka_unit_test_setup(name, fresh_host)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      FRESH_TEST(forbidden_system_call_kills),
      FRESH_TEST(service_makes_no_namespace),
      FRESH_TEST(files_of_the_store_can_be_read),
      FRESH_TEST(other_files_cannot_be_opened),
      FRESH_TEST(files_of_the_store_are_changed_by_writers_alone),
      FRESH_TEST(capabilities_are_those_that_are_needed),
      FRESH_TEST(older_kernel_is_no_failure),
      FRESH_TEST(landlock_that_fails_is_exit_4),
      FRESH_TEST(container_with_fewer_capabilities_is_no_failure),
      FRESH_TEST(strangers_segments_are_not_in_roots_way),
  };
  return cmocka_run_group_tests_name("helper_confinement", tests, nullptr,
                                     nullptr);
}
