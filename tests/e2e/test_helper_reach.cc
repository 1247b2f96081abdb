// SPDX-License-Identifier: BSD-3-Clause
// Once it holds the store's lock the helper is out of its caller's reach, and
// whatever the caller does with its input, output and terminal, others get the
// lock in time.
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "e2e_pam.h"
#include "helper_support.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/turn.h"
#include "pbstoken/os/sched_slice.h"
#include "slice_support.h"
#include "trace_support.h"

namespace pbstoken {
namespace {

// IOPRIO_WHO_PROCESS, and level 7 of IOPRIO_CLASS_IDLE, see ioprio_set(2):
// linux/ioprio.h of newer kernels is no C++.
constexpr int kProcessPriority = 1;
constexpr int kIdle7 = 3 << 13 | 7;

using namespace testing;
using std::chrono_literals::operator""ms;

int fresh_host(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  configure_groups("member_rotate = yes\n");
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  install_helper();
  return 0;
}

std::string helper() {
  return scratch("installed-helper");
}

// A failed assertion longjmps past destructors: whoever holds the lock, frozen
// perhaps, must not outlive its test.
int leave_nobody(void ** /*state*/) {
  while (const pid_t holder = lock_holder()) {
    if (holder == getpid()) {
      return 0;
    }
    kill(holder, SIGKILL);
  }
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return 0;
}

// Looks again and again, for longer than anything here takes.
template <typename Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 30000; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

// A pipe that takes nothing more.
class FullPipe {
 public:
  FullPipe() {
    fcntl(pipe_.writer(), F_SETFL, O_NONBLOCK);
    const std::string filler(4096, 'x');
    while (write(pipe_.writer(), filler.data(), filler.size()) > 0) {
    }
    fcntl(pipe_.writer(), F_SETFL, 0);
  }

  [[nodiscard]] int writer() const { return pipe_.writer(); }
  // All that comes, until nobody else has its writing end.
  std::string drain() { return pipe_.read_all(); }

 private:
  Pipe pipe_;
};

// A helper that has been started and goes on.
struct Start {
  Person person;
  std::vector<std::string> arguments;
  int in = -1;  // descriptors; -1: the test's own
  int out = -1;
  int err = -1;
  std::function<void()> prepare = {};
  bool traced = false;
};

pid_t start(const Start &what) {
  const std::string path = helper();
  std::vector<char *> argv = {const_cast<char *>(path.c_str())};
  for (const std::string &argument : what.arguments) {
    argv.push_back(const_cast<char *>(argument.c_str()));
  }
  argv.push_back(nullptr);
  return start_child([&] {
    for (const auto &[from, to] :
         {std::pair(what.in, STDIN_FILENO), std::pair(what.out, STDOUT_FILENO),
          std::pair(what.err, STDERR_FILENO)}) {
      if (from >= 0) {
        dup2(from, to);
      }
    }
    if (what.traced) {
      be_traced();
    }
    become(what.person);
    if (what.prepare) {
      what.prepare();
    }
    execv(path.c_str(), argv.data());
    return 126;
  });
}

// A pipe that holds this text, and then ends.
class FilledPipe {
 public:
  explicit FilledPipe(std::string_view text) {
    if (write(pipe_.writer(), text.data(), text.size()) !=
        static_cast<ssize_t>(text.size())) {
      std::abort();
    }
    pipe_.close_writer();
  }

  [[nodiscard]] int reader() const { return pipe_.reader(); }

 private:
  Pipe pipe_;
};

// A writer that is stopped while it holds the lock, as the owner of its cgroup
// may stop it: it has written the new file, and has yet to rename it.
class StoppedWriter {
 public:
  explicit StoppedWriter(const Start &what)
      : pid_(start({.person = what.person,
                    .arguments = what.arguments,
                    .in = input_.reader(),
                    .out = output_.writer(),
                    .prepare = what.prepare,
                    .traced = true})),
        holder_(stop_at(pid_, SYS_fsync)) {
    output_.close_writer();
    assert_int_not_equal(holder_, 0);
    assert_int_equal(lock_holder(), holder_);
  }
  StoppedWriter(const StoppedWriter &) = delete;
  StoppedWriter &operator=(const StoppedWriter &) = delete;
  ~StoppedWriter() {
    if (pid_ > 0) {
      kill(holder_, SIGKILL);
      wait_for(pid_);
    }
  }

  [[nodiscard]] pid_t holder() const { return holder_; }
  // Lets it go on.  Returns its exit status.
  int finish() {
    kill(holder_, SIGCONT);
    return wait_for(std::exchange(pid_, -1));
  }
  // The new secret, which it has printed; after finish().
  std::string new_secret() {
    const std::string printed = output_.read_all();
    return printed.size() < 37 ? "" : printed.substr(printed.size() - 37, 36);
  }

 private:
  FilledPipe input_{kSecret};
  Pipe output_;
  pid_t pid_;
  pid_t holder_;
};

// A member who rotates.
class StoppedRotation : public StoppedWriter {
 public:
  explicit StoppedRotation(const std::function<void()> &prepare = {},
                           const Person &person = kMember)
      : StoppedWriter({.person = person,
                       .arguments = {"rotate", kId},
                       .prepare = prepare}) {}
};

void assert_nothing_rotated() {
  assert_text_equal(read_file(kShadow),
                    shadow_of({{kId, kHash}, {kOldId, kOldHash}}));
  assert_true(names_in(kDirectory) ==
              std::set<std::string>({"token.shadow", "token.shadow.lock"}));
}

// --- what the holder of the lock is

void holder_is_root_with_little_left(void ** /*state*/) {
  const StoppedRotation rotation;
  const pid_t pid = rotation.holder();
  assert_text_equal(proc_status(pid, "Uid"), "0\t0\t0\t0");
  assert_text_equal(proc_status(pid, "Gid"), "0\t0\t0\t0");
  assert_text_equal(proc_status(pid, "Groups"), "");
  // CHOWN, DAC_OVERRIDE, FOWNER, IPC_LOCK, IPC_OWNER
  const std::string rest = capabilities_within(0xc00b);
  assert_text_equal(proc_status(pid, "CapEff"), rest);
  assert_text_equal(proc_status(pid, "CapPrm"), rest);
  for (const char *set : {"CapInh", "CapBnd", "CapAmb"}) {
    assert_text_equal(proc_status(pid, set), "0000000000000000");
  }
  assert_text_equal(proc_status(pid, "NoNewPrivs"), "1");
  assert_text_equal(proc_status(pid, "Seccomp"), "2");
  assert_text_equal(proc_status(pid, "Umask"), "0077");
  // Of everything that a signal could do, SIGKILL and SIGSTOP are left.
  assert_text_equal(proc_status(pid, "SigBlk"), "fffffffe7ffbfeff");
  const std::string proc = "/proc/" + std::to_string(pid);
  assert_text_equal(std::filesystem::read_symlink(proc + "/cwd").string(), "/");
  // A session of its own, and so neither terminal nor job control.
  assert_int_equal(getsid(pid), pid);
  assert_int_equal(getpgid(pid), pid);
}

void holder_has_no_descriptor_of_the_caller(void ** /*state*/) {
  const StoppedRotation rotation([] {
    for (int i = 0; i < 100; ++i) {
      fcntl(open("/dev/zero", O_RDONLY), F_DUPFD, 100);
    }
  });
  const std::string fds = "/proc/" + std::to_string(rotation.holder()) + "/fd";
  for (const auto &entry : std::filesystem::directory_iterator(fds)) {
    assert_true(std::filesystem::read_symlink(entry) != "/dev/zero");
  }
}

// Whatever the caller has as those: they lead to the parent.
void holder_has_standard_descriptors_of_its_own(void ** /*state*/) {
  const StoppedRotation rotation([] { close(STDERR_FILENO); });
  const std::string fds = "/proc/" + std::to_string(rotation.holder()) + "/fd/";
  for (const char *fd : {"0", "1", "2"}) {
    const std::string file = std::filesystem::read_symlink(fds + fd).string();
    assert_true(file.starts_with(*fd == '2' ? "pipe:" : "socket:"));
  }
}

// What slows a process down, and outlives execve(2).
void be_slow() {
  const sched_param normal = {};
  cpu_set_t first{};
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  prctl(PR_SET_DUMPABLE, 1);  // else /proc/self is root's
  std::ofstream("/proc/self/oom_score_adj") << 1000;
  exchange_slice(kLongSlice);
  if (setpriority(PRIO_PROCESS, 0, 19) != 0 ||
      sched_setscheduler(0, SCHED_IDLE, &normal) != 0 ||
      sched_setaffinity(0, sizeof(first), &first) != 0 ||
      syscall(SYS_ioprio_set, kProcessPriority, 0, kIdle7) != 0 ||
      prctl(PR_SET_TIMERSLACK, 3'600'000'000'000UL) != 0) {
    std::abort();
  }
}

void holder_is_not_slowed_down(void ** /*state*/) {
  const StoppedRotation rotation(be_slow);
  const pid_t pid = rotation.holder();
  const std::string proc = "/proc/" + std::to_string(pid);
  assert_int_equal(sched_getscheduler(pid), SCHED_OTHER);
  assert_int_equal(getpriority(PRIO_PROCESS, static_cast<id_t>(pid)), 0);
  assert_true(slice_of(pid) == slice_of(0));
  assert_int_equal(syscall(SYS_ioprio_get, kProcessPriority, pid), 0);
  assert_text_equal(read_file(proc + "/oom_score_adj"), "0\n");
  assert_text_equal(read_file(proc + "/timerslack_ns"), "50000\n");
  cpu_set_t ours{};
  cpu_set_t its{};
  assert_int_equal(sched_getaffinity(0, sizeof(ours), &ours), 0);
  assert_int_equal(sched_getaffinity(pid, sizeof(its), &its), 0);
  assert_true(CPU_EQUAL(&ours, &its));
}

void holder_has_limits_of_its_own(void ** /*state*/) {
  const StoppedRotation rotation([] {
    for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
      rlimit limit{};
      prlimit(0, static_cast<__rlimit_resource>(resource), nullptr, &limit);
      // The least with which a program starts.
      limit.rlim_cur = resource == RLIMIT_NOFILE  ? 4
                       : resource == RLIMIT_CPU   ? 1
                       : resource == RLIMIT_STACK ? 128 * 1024
                       : resource == RLIMIT_AS || resource == RLIMIT_DATA
                           ? 16 << 20
                       : resource == RLIMIT_CPU ? 1
                                                : 0;
      prlimit(0, static_cast<__rlimit_resource>(resource), &limit, nullptr);
    }
  });
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit{};
    assert_int_equal(
        prlimit(rotation.holder(), static_cast<__rlimit_resource>(resource),
                nullptr, &limit),
        0);
    const bool none = resource == RLIMIT_CORE || resource == RLIMIT_NICE ||
                      resource == RLIMIT_RTPRIO;
    const bool least = limit.rlim_cur == limit.rlim_max;
    if (none ? limit.rlim_cur != 0 || limit.rlim_max != 0 : !least) {
      fail_msg("limit %d: %ju, %ju", resource,
               static_cast<std::uintmax_t>(limit.rlim_cur),
               static_cast<std::uintmax_t>(limit.rlim_max));
    }
  }
}

// --- what its caller can do to it

pid_t child_of(pid_t pid) {
  const std::string name = std::to_string(pid);
  std::ifstream children("/proc/" + name + "/task/" + name + "/children");
  pid_t child = 0;
  return children >> child ? child : 0;
}

// Still with the real uid of its caller, and in its last step with it.
bool is_waiting_for_input(pid_t pid) {
  return proc_status(pid, "Uid") == "65534\t0\t0\t0" &&
         proc_status(pid, "State").starts_with("S") &&
         read_file("/proc/" + std::to_string(pid) + "/wchan").find("poll") !=
             std::string::npos;
}

// In a process of the caller's; what it got done, or an empty string.
std::string what_the_caller_can_do(pid_t pid) {
  for (const int number : {0, SIGKILL, SIGSTOP, SIGCONT, SIGTERM, SIGINT,
                           SIGTSTP, SIGALRM, SIGSEGV}) {
    if (kill(pid, number) == 0 || errno != EPERM) {
      return "signal " + std::to_string(number);
    }
  }
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 || errno != EPERM) {
    return "trace";
  }
  std::array<char, 8> bytes{};
  const iovec here = {.iov_base = bytes.data(), .iov_len = bytes.size()};
  if (process_vm_readv(pid, &here, 1, &here, 1, 0) >= 0 || errno != EPERM) {
    return "read its memory";
  }
  const std::string proc = "/proc/" + std::to_string(pid);
  for (const char *name :
       {"/mem", "/environ", "/maps", "/fd/0", "/stack", "/syscall"}) {
    if (open((proc + name).c_str(), O_RDONLY | O_CLOEXEC) >= 0) {
      return name;
    }
  }
  const sched_param normal = {};
  const rlimit none = {};
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(pid), 19) == 0 ||
      sched_setscheduler(pid, SCHED_IDLE, &normal) == 0 ||
      prlimit(pid, RLIMIT_CPU, &none, nullptr) == 0) {
    return "slow it down";
  }
  return {};
}

void caller_cannot_touch_the_holder(void ** /*state*/) {
  StoppedRotation rotation;
  const int status = in_child([&] {
    become(kMember);
    const std::string done = what_the_caller_can_do(rotation.holder());
    if (!done.empty()) {
      std::fprintf(stderr, "the caller can: %s\n", done.c_str());
    }
    return done.empty() ? 0 : 1;
  });
  assert_int_equal(status, 0);
  assert_int_equal(rotation.finish(), 0);
  assert_pam(authenticate(kId, rotation.new_secret()), PAM_SUCCESS);
}

// A process that holds nothing may be ended by its caller, and neither ignores
// nor blocks that because its caller does.
void waiting_for_input_can_be_ended(void ** /*state*/) {
  const auto ignore = [] {
    // By the kernel's own call, which libc's leaves two signals out of.
    const std::array<std::uintptr_t, 4> ignored = {1};  // SIG_IGN
    for (int number = 1; number <= SIGRTMAX; ++number) {
      syscall(SYS_rt_sigaction, number, ignored.data(), nullptr, 8);
    }
  };
  const auto block = [] {
    sigset_t all{};
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
  };
  for (const std::function<void()> &prepare :
       {std::function<void()>(ignore), std::function<void()>(block)}) {
    Pipe input;
    const pid_t pid = start({.person = kMember,
                             .arguments = {"verify", kId},
                             .in = input.reader(),
                             .prepare = prepare});
    assert_true(comes_true([&] {
      return proc_status(pid, "Uid") == "65534\t0\t0\t0" &&
             proc_status(pid, "Umask") == "0077" &&
             proc_status(pid, "SigIgn") == "0000000001801000";
    }));
    assert_int_equal(in_child([&] {
                       become(kMember);
                       return kill(pid, SIGTERM) == 0 ? 0 : errno;
                     }),
                     0);
    input.close_writer();  // too late to matter, unless the signal does not
    assert_int_equal(wait_for(pid), 128 + SIGTERM);
  }
}

// --- what its caller can let it wait for

// A right that is taken away while the input is awaited is gone.
void right_that_is_taken_meanwhile_does_not_count(void ** /*state*/) {
  Pipe input;
  const pid_t rotation = start(
      {.person = kMember, .arguments = {"rotate", kId}, .in = input.reader()});
  assert_true(comes_true([&] { return is_waiting_for_input(rotation); }));
  configure_groups("member_rotate = no\n");
  assert_int_equal(write(input.writer(), kSecret, std::strlen(kSecret)),
                   std::strlen(kSecret));
  input.close_writer();
  assert_int_equal(wait_for(rotation), 3);
  assert_text_equal(read_file(kShadow),
                    shadow_of({{kId, kHash}, {kOldId, kOldHash}}));
}

// What a refused caller makes it write is written with the caller's rights, by
// which a file of another user loses its setuid bit.
void refusal_is_written_with_the_rights_of_the_caller(void ** /*state*/) {
  const std::string file = scratch("file");
  write_file(file, "");
  assert_int_equal(chmod(file.c_str(), 04777), 0);
  const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
  assert_int_equal(
      wait_for(
          start({.person = kStranger, .arguments = {"--bogus"}, .err = fd})),
      2);
  close(fd);
  assert_false(read_file(file).empty());
  assert_int_equal(status_of(file).st_mode & 07777U, 0777);
}

// A secret that was given up is not shown any more.
void secret_that_comes_too_late_is_not_shown(void ** /*state*/) {
  Pipe output;
  Pipe messages;
  const pid_t parent = start({.person = kAdmin,
                              .arguments = {"generate", "new@pbs!t"},
                              .out = output.writer(),
                              .err = messages.writer()});
  assert_true(comes_true([&] {
    return proc_status(parent, "Uid") == "65534\t65534\t65534\t65534";
  }));
  kill(parent, SIGSTOP);
  const pid_t child = child_of(parent);
  assert_true(comes_true([&] {
    return child == 0 || proc_status(child, "State").starts_with("Z");
  }));
  kill(parent, SIGCONT);
  const int status = wait_for(parent);
  // Unless it had been shown before the stop.
  if (status != 0) {
    assert_int_equal(status, 4);
    assert_text_equal(output.read_all(), "");
    assert_true(messages.read_all().ends_with(
        "the secret that was printed does not count\n"));
    assert_pam(authenticate("new@pbs!t", kSecret), PAM_USER_UNKNOWN);
  }
}

std::uint64_t generation() {
  return status_json()["generation"].GetUint64();
}

// A verification that its caller could freeze takes no lock: what a dead writer
// has left it leaves to the next process of root.
void verification_for_a_member_repairs_nothing(void ** /*state*/) {
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const pid_t writer =
      start({.person = kRoot, .arguments = {"delete", kOldId}, .traced = true});
  kill(stop_at(writer, SYS_renameat), SIGKILL);
  wait_for(writer);
  const std::uint64_t claimed = generation();
  assert_int_equal(claimed % 4, 1);
  assert_exit(run_as(kMember, helper(), {"verify", kId}), 0, "verify");
  assert_exit(run_as(kMember, helper(), {"verify", kOldId}, kOldSecret), 5,
              "verify");
  assert_int_equal(generation(), claimed);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(generation() % 4, 0);
}

// Nor does it make a segment, which takes the lock, too.  Root makes it before.
void verification_for_a_member_makes_no_segment(void ** /*state*/) {
  const std::vector<std::string> verify = {"verify", kId};
  assert_exit(run_as(kMember, helper(), verify), 0, "verify");
  assert_true(status_json()["id"].IsNull());
  tool_output({"prepare"});
  assert_exit(run_as(kMember, helper(), verify), 0, "verify");
  assert_int_equal(status_json()["slots_used"].GetUint64(), 1);
}

// A caller that ends its process leaves no process of root that waits.
void child_without_a_parent_does_not_wait_for_its_turn(void ** /*state*/) {
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const auto store =
      load_store(kDefaultStore, configuration_path(kDefaultStore));
  const auto turns = open_named(turns_set(*store));
  sembuf take = {.sem_num = kNobody % kTurns, .sem_op = 1, .sem_flg = 0};
  assert_int_equal(semop(*turns, &take, 1), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 5; ++i) {
    const FilledPipe input(kWrongSecret);
    const pid_t parent = start({.person = kMember,
                                .arguments = {"verify", kId},
                                .in = input.reader()});
    assert_true(comes_true([&] { return child_of(parent) != 0; }));
    children.push_back(child_of(parent));
    kill(parent, SIGKILL);
    wait_for(parent);
  }
  for (const pid_t child : children) {
    assert_true(comes_true([&] {
      const std::string state = proc_status(child, "State");
      return state.empty() || state.starts_with("Z");
    }));
  }
  // And for no other reason: the turn is still another's.
  assert_int_equal(semctl(*turns, take.sem_num, GETVAL), 1);
  assert_int_equal(semctl(*turns, take.sem_num, SETVAL, 0), 0);
}

// --- what its caller can make it wait for

// Another writer gets the lock before it gives up.
void assert_others_can_write() {
  helper_output({"set", "other@pbs!t"}, kSecret);
  helper_output({"delete", "other@pbs!t"});
}

// It shows a new secret before it takes the lock.
void writer_waits_for_a_full_pipe_in_vain_but_not_for_ever(void ** /*state*/) {
  const FilledPipe input(kSecret);
  const FullPipe output;
  const pid_t writer = start({.person = kMember,
                              .arguments = {"rotate", kId},
                              .in = input.reader(),
                              .out = output.writer()});
  int status = 0;
  while (waitpid(writer, &status, WNOHANG) == 0) {
    assert_int_equal(lock_holder(), 0);
    std::this_thread::sleep_for(1ms);
  }
  assert_int_equal(WEXITSTATUS(status), 4);
  assert_others_can_write();
  assert_nothing_rotated();
}

// Sixty of them keep root's revocation from nothing.
void writers_behind_full_pipes_hold_up_nobody(void ** /*state*/) {
  const FullPipe output;
  std::vector<pid_t> writers;
  for (int i = 0; i < 60; ++i) {
    const FilledPipe input(kSecret);
    writers.push_back(start({.person = kMember,
                             .arguments = {"rotate", kId},
                             .in = input.reader(),
                             .out = output.writer()}));
  }
  assert_int_equal(run_as(kRoot, helper(), {"delete", kOldId}).status, 0);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_USER_UNKNOWN);
  for (const pid_t writer : writers) {
    kill(writer, SIGKILL);
    wait_for(writer);
  }
}

// A message that is not taken is dropped, and parks no process.
void refusal_does_not_wait_for_its_reader(void ** /*state*/) {
  const FullPipe full;
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{{"--bogus"}, {"verify", kId}}) {
    const pid_t refused = start(
        {.person = kStranger, .arguments = arguments, .err = full.writer()});
    assert_int_equal(wait_for(refused), arguments.size() == 1 ? 2 : 3);
  }
}

// Between poll(2), which said that the pipe takes something, and write(2)
// somebody else fills it.  strace makes the time for that.
void writer_waits_for_a_raced_pipe_in_vain_but_not_for_ever(void ** /*state*/) {
  Pipe output;
  const std::string trace = scratch("trace");
  write_file(trace, "");
  const pid_t tracer = start_child([&] {
    dup2(output.writer(), STDOUT_FILENO);
    execl("/usr/bin/strace", "strace", "-f", "-o", trace.c_str(), "-e",
          "trace=poll,ppoll,write", "-e", "inject=write:delay_enter=1000000",
          helper().c_str(), "generate", kId, nullptr);
    return 126;
  });
  assert_true(comes_true([&] {
    return read_file(trace).find("fd=1, revents=POLLOUT") != std::string::npos;
  }));
  fcntl(output.writer(), F_SETFL, O_NONBLOCK);
  const std::string filler(4096, 'x');
  while (write(output.writer(), filler.data(), filler.size()) > 0) {
  }
  fcntl(output.writer(), F_SETFL, 0);
  assert_others_can_write();
  assert_int_equal(wait_for(tracer), 4);
  assert_true(read_file(trace).find("write(1") != std::string::npos);
  assert_nothing_rotated();
}

// Standard error is written to when the lock is no longer held, and standard
// input is read before it is.
void writer_waits_for_no_input_and_no_message(void ** /*state*/) {
  Pipe input;
  FullPipe full;
  const pid_t silent = start(
      {.person = kMember, .arguments = {"rotate", kId}, .in = input.reader()});
  const pid_t mute = start({.person = kAdmin,
                            .arguments = {"delete", "no@pbs!t"},
                            .err = full.writer()});
  assert_others_can_write();
  assert_int_equal(lock_holder(), 0);
  kill(mute, SIGKILL);
  wait_for(mute);
  input.close_writer();
  assert_int_equal(wait_for(silent), 1);
  assert_nothing_rotated();
}

// --- what happens to the file while a writer waits

// An administrator who makes a token, stopped between the moment at which the
// helper has read token.shadow and the one at which it looks again.
class StoppedGeneration : public StoppedWriter {
 public:
  StoppedGeneration()
      : StoppedWriter(
            {.person = kAdmin, .arguments = {"generate", "new@pbs!t"}}) {}
};

void assert_no_temporary_file() {
  for (const std::string &name : names_in(kDirectory)) {
    assert_false(name.starts_with("token.shadow.tmp_"));
  }
}

void writer_whose_file_goes_meanwhile_makes_a_new_one(void ** /*state*/) {
  StoppedGeneration generation;
  std::filesystem::remove(kShadow);
  assert_int_equal(generation.finish(), 0);
  assert_no_temporary_file();
  assert_pam(authenticate("new@pbs!t", generation.new_secret()), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
}

void writer_whose_file_comes_meanwhile_keeps_it(void ** /*state*/) {
  std::filesystem::remove(kShadow);
  StoppedGeneration generation;
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  assert_int_equal(generation.finish(), 0);
  assert_no_temporary_file();
  assert_pam(authenticate("new@pbs!t", generation.new_secret()), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// Whoever has ended it takes what it has shown for nothing.
void writer_that_is_ended_before_the_change_makes_none(void ** /*state*/) {
  StoppedGeneration generation;
  kill(generation.holder(), SIGTERM);
  assert_int_equal(generation.finish(), 128 + SIGTERM);
  assert_nothing_rotated();
}

// --- terminals

// The helper as a shell starts it: the leader of its process group, on a
// terminal.
class OnTerminal {
 public:
  OnTerminal(const Person &person, const std::vector<std::string> &arguments,
             bool traced = false) {
    const std::string path = helper();
    std::vector<char *> argv = {const_cast<char *>(path.c_str())};
    for (const std::string &argument : arguments) {
      argv.push_back(const_cast<char *>(argument.c_str()));
    }
    argv.push_back(nullptr);
    std::fflush(nullptr);
    pid_ = forkpty(&master_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      alarm(kHangs);
      if (traced) {
        be_traced();
      }
      become(person);
      execv(path.c_str(), argv.data());
      _exit(126);
    }
    fcntl(master_, F_SETFD, FD_CLOEXEC);
  }
  OnTerminal(const OnTerminal &) = delete;
  OnTerminal &operator=(const OnTerminal &) = delete;
  ~OnTerminal() { close(master_); }

  [[nodiscard]] pid_t pid() const { return pid_; }

  void type(std::string_view text) const {
    assert_int_equal(write(master_, text.data(), text.size()), text.size());
  }

  // What it has shown until then, if it does.
  std::string wait_for_text(std::string_view text) {
    std::array<char, 256> part{};
    while (shown_.find(text) == std::string::npos) {
      const ssize_t count = read(master_, part.data(), part.size());
      if (count <= 0) {
        break;  // EIO: everybody on the other side is gone
      }
      shown_.append(part.data(), static_cast<std::size_t>(count));
    }
    return shown_;
  }

  [[nodiscard]] bool echoes() const {
    termios settings{};
    tcgetattr(master_, &settings);
    return (settings.c_lflag & ECHO) != 0;
  }

  int wait() {
    const int status = wait_for(pid_);
    wait_for_text("\x01");  // never comes
    return status;
  }
  [[nodiscard]] const std::string &shown() const { return shown_; }

 private:
  int master_ = -1;
  pid_t pid_ = -1;
  std::string shown_;
};

void terminal_asks_for_a_secret_without_echo(void ** /*state*/) {
  for (const auto &[secret, status] : std::vector<std::pair<std::string, int>>{
           {kSecret, 0}, {kWrongSecret, 1}}) {
    OnTerminal helper(kMember, {"verify", kId});
    helper.wait_for_text("Current secret: ");
    assert_true(comes_true([&] { return !helper.echoes(); }));
    helper.type(secret + "\n");
    assert_int_equal(helper.wait(), status);
    assert_true(helper.shown().find(secret) == std::string::npos);
  }
}

void terminal_asks_twice_for_a_new_secret(void ** /*state*/) {
  OnTerminal helper(kAdmin, {"set", kId});
  helper.wait_for_text("New secret: ");
  helper.type(std::string(kWrongSecret) + "\n");
  helper.wait_for_text("Again: ");
  helper.type(std::string(kWrongSecret) + "\n");
  assert_int_equal(helper.wait(), 0);
  assert_true(helper.shown().find(kWrongSecret) == std::string::npos);
  assert_pam(authenticate(kId, kWrongSecret), PAM_SUCCESS);

  OnTerminal mistyped(kAdmin, {"set", kId});
  mistyped.wait_for_text("New secret: ");
  mistyped.type(std::string(kSecret) + "\n");
  mistyped.wait_for_text("Again: ");
  mistyped.type(std::string(kSecret) + "x\n");
  assert_int_equal(mistyped.wait(), 2);
  assert_pam(authenticate(kId, kWrongSecret), PAM_SUCCESS);
}

void terminal_ctrl_c_at_the_question_ends_it(void ** /*state*/) {
  OnTerminal helper(kMember, {"rotate", kId});
  helper.wait_for_text("Current secret: ");
  assert_true(comes_true([&] { return !helper.echoes(); }));
  helper.type("\x03");
  assert_int_equal(helper.wait(), 128 + SIGINT);
  assert_false(std::filesystem::exists(kLock));
}

void terminal_ctrl_c_at_either_question_sets_nothing(void ** /*state*/) {
  for (const bool at_first : {true, false}) {
    OnTerminal helper(kAdmin, {"set", kId});
    helper.wait_for_text("New secret: ");
    if (!at_first) {
      helper.type(std::string(kWrongSecret) + "\n");
      helper.wait_for_text("Again: ");
    }
    assert_true(comes_true([&] { return !helper.echoes(); }));
    helper.type("\x03");
    assert_int_equal(helper.wait(), 128 + SIGINT);
    assert_false(std::filesystem::exists(kLock));
  }
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// Ctrl-D ends what is typed, without a newline: once after it, to hand it over,
// and once more.
void terminal_ctrl_d_ends_the_secret(void ** /*state*/) {
  for (const auto &[secret, status] : std::vector<std::pair<std::string, int>>{
           {kSecret, 0}, {kWrongSecret, 1}, {"", 1}}) {
    OnTerminal helper(kMember, {"verify", kId});
    helper.wait_for_text("Current secret: ");
    assert_true(comes_true([&] { return !helper.echoes(); }));
    helper.type(secret + (secret.empty() ? "\x04" : "\x04\x04"));
    assert_int_equal(helper.wait(), status);
  }
}

// A question that nobody can see is not asked.
void terminal_without_messages_is_exit_4(void ** /*state*/) {
  int master = -1;
  int slave = -1;
  assert_int_equal(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  assert_int_equal(wait_for(start({.person = kMember,
                                   .arguments = {"verify", kId},
                                   .in = slave,
                                   .err = full})),
                   4);
  termios settings{};
  tcgetattr(master, &settings);
  assert_true((settings.c_lflag & ECHO) != 0);
  for (const int fd : {full, slave, master}) {
    close(fd);
  }
}

// No end of a session, only of the terminal: what was typed so far does not
// count.
void terminal_that_goes_away_sets_nothing(void ** /*state*/) {
  int master = -1;
  int slave = -1;
  assert_int_equal(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  fcntl(master, F_SETFD, FD_CLOEXEC);
  Pipe messages;
  const pid_t helper = start({.person = kAdmin,
                              .arguments = {"set", kId},
                              .in = slave,
                              .err = messages.writer()});
  close(slave);
  std::array<char, 64> question{};
  assert_true(read(messages.reader(), question.data(), question.size()) > 0);
  assert_text_equal(question.data(), "New secret: ");
  assert_int_equal(write(master, kWrongSecret, 36), 36);
  close(master);
  assert_int_equal(wait_for(helper), 4);
  assert_true(messages.read_all().ends_with(
      "pbstoken-helper: cannot read the secret from standard input: "
      "Input/output error\n"));
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// The parent is the caller's again, and its end tells the child.
void terminal_ctrl_c_ends_the_wait_for_the_lock(void ** /*state*/) {
  const int lock = open(kLock, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  OnTerminal helper(kAdmin, {"delete", kId});
  const std::string children = "/proc/" + std::to_string(helper.pid()) +
                               "/task/" + std::to_string(helper.pid()) +
                               "/children";
  assert_true(comes_true([&] { return !read_file(children).empty(); }));
  const pid_t child = std::stoi(read_file(children));
  // Confined, so it has left the session, and is about to wait or waits.
  assert_true(comes_true([&] { return proc_status(child, "Seccomp") == "2"; }));
  assert_text_equal(proc_status(helper.pid(), "CapPrm"), "0000000000000000");
  assert_text_equal(proc_status(helper.pid(), "Uid"),
                    "65534\t65534\t65534\t65534");
  helper.type("\x03");
  assert_int_equal(helper.wait(), 128 + SIGINT);
  assert_true(comes_true([&] {
    const std::string state = proc_status(child, "State");
    return state.empty() || state.starts_with("Z");
  }));
  close(lock);
  assert_nothing_rotated();
}

// As Ctrl-Z does under a shell.
void caller_that_stops_it_stops_the_parent_alone(void ** /*state*/) {
  const pid_t parent =
      start({.person = kAdmin, .arguments = {"delete", kId}, .traced = true});
  const pid_t holder = stop_at(parent, SYS_fsync);
  assert_int_equal(lock_holder(), holder);
  assert_int_not_equal(holder, parent);
  assert_int_equal(getsid(holder), holder);
  assert_int_equal(in_child([&] {
                     become(kAdmin);
                     return kill(parent, SIGSTOP) == 0 ? 0 : errno;
                   }),
                   0);
  kill(holder, SIGCONT);
  assert_true(comes_true([] { return lock_holder() == 0; }));
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  kill(parent, SIGCONT);
  assert_int_equal(wait_for(parent), 0);
}

void terminal_exit_status_is_the_childs(void ** /*state*/) {
  for (const auto &[arguments, status] :
       std::vector<std::pair<std::vector<std::string>, int>>{
           {{"delete", kOldId}, 0},
           {{"delete", kOldId}, 5},
           {{"account", kId}, 1}}) {
    OnTerminal helper(kAdmin, arguments);
    assert_int_equal(helper.wait(), status);
  }
  // A death is one of both.
  OnTerminal helper(kAdmin, {"delete", kId}, /*traced=*/true);
  kill(stop_at(helper.pid(), SYS_fsync), SIGKILL);
  assert_int_equal(helper.wait(), 128 + SIGKILL);
}

// In the background it neither asks nor touches the terminal's settings.
void terminal_of_others_is_left_alone(void ** /*state*/) {
  int master = -1;
  int slave = -1;
  assert_int_equal(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const int status = in_child([&] {
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    const pid_t background = start({.person = kMember,
                                    .arguments = {"verify", kId},
                                    .in = slave,
                                    .prepare = [] { setpgid(0, 0); }});
    int stopped = 0;
    waitpid(background, &stopped, WUNTRACED);
    kill(background, SIGKILL);
    wait_for(background);
    return WIFSTOPPED(stopped) ? WSTOPSIG(stopped) : 0;
  });
  termios settings{};
  tcgetattr(master, &settings);
  close(slave);
  close(master);
  assert_int_equal(status, SIGTTOU);
  assert_true((settings.c_lflag & ECHO) != 0);
}

// As a shell leaves it behind that has ended: in the background, where nobody
// can bring it to the front.
RunResult run_as_orphan(const Person &person, const std::string &command) {
  int master = -1;
  int slave = -1;
  assert_int_equal(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  Pipe messages;
  const pid_t leader = start_child([&] {
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    wait_for(start_child([&] {
      start({.person = person,
             .arguments = {command, kId},
             .in = slave,
             .err = messages.writer(),
             .prepare = [shell = getpid()] {
               setpgid(0, 0);
               // Before its parent is another process, its group is no
               // orphan: SIGTTOU would stop it, and the end of the shell
               // would end it by SIGHUP.
               while (getppid() == shell) {
                 usleep(1000);
               }
             }});
      return 0;
    }));
    pause();
    return 0;
  });
  // It is our child now, and we are of another session.
  int status = -1;
  assert_int_not_equal(waitpid(-1, &status, WUNTRACED), leader);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  kill(leader, SIGKILL);
  wait_for(leader);
  close(slave);
  close(master);
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .out = {},
          .err = messages.read_all()};
}

// It is not stopped, for ever.
void terminal_of_an_orphan_is_exit_4(void ** /*state*/) {
  for (const auto &[person, command] :
       {std::pair{kMember, "verify"}, {kAdmin, "set"}}) {
    const RunResult outcome = run_as_orphan(person, command);
    assert_int_equal(outcome.status, 4);
    assert_text_equal(outcome.err,
                      "pbstoken-helper: cannot read the secret from standard "
                      "input: Input/output error\n");
  }
}

#define FRESH_TEST(name) \
  cmocka_unit_test_setup_teardown(name, fresh_host, leave_nobody)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      FRESH_TEST(holder_is_root_with_little_left),
      FRESH_TEST(holder_has_no_descriptor_of_the_caller),
      FRESH_TEST(holder_has_standard_descriptors_of_its_own),
      FRESH_TEST(holder_is_not_slowed_down),
      FRESH_TEST(holder_has_limits_of_its_own),
      FRESH_TEST(caller_cannot_touch_the_holder),
      FRESH_TEST(waiting_for_input_can_be_ended),
      FRESH_TEST(right_that_is_taken_meanwhile_does_not_count),
      FRESH_TEST(refusal_is_written_with_the_rights_of_the_caller),
      FRESH_TEST(secret_that_comes_too_late_is_not_shown),
      FRESH_TEST(verification_for_a_member_repairs_nothing),
      FRESH_TEST(verification_for_a_member_makes_no_segment),
      FRESH_TEST(child_without_a_parent_does_not_wait_for_its_turn),
      FRESH_TEST(writer_waits_for_a_full_pipe_in_vain_but_not_for_ever),
      FRESH_TEST(writer_waits_for_a_raced_pipe_in_vain_but_not_for_ever),
      FRESH_TEST(writers_behind_full_pipes_hold_up_nobody),
      FRESH_TEST(refusal_does_not_wait_for_its_reader),
      FRESH_TEST(writer_waits_for_no_input_and_no_message),
      FRESH_TEST(writer_whose_file_goes_meanwhile_makes_a_new_one),
      FRESH_TEST(writer_whose_file_comes_meanwhile_keeps_it),
      FRESH_TEST(writer_that_is_ended_before_the_change_makes_none),
      FRESH_TEST(terminal_asks_for_a_secret_without_echo),
      FRESH_TEST(terminal_asks_twice_for_a_new_secret),
      FRESH_TEST(terminal_ctrl_c_at_the_question_ends_it),
      FRESH_TEST(terminal_ctrl_c_at_either_question_sets_nothing),
      FRESH_TEST(terminal_ctrl_d_ends_the_secret),
      FRESH_TEST(terminal_without_messages_is_exit_4),
      FRESH_TEST(terminal_that_goes_away_sets_nothing),
      FRESH_TEST(terminal_ctrl_c_ends_the_wait_for_the_lock),
      FRESH_TEST(caller_that_stops_it_stops_the_parent_alone),
      FRESH_TEST(terminal_exit_status_is_the_childs),
      FRESH_TEST(terminal_of_others_is_left_alone),
      FRESH_TEST(terminal_of_an_orphan_is_exit_4),
  };
  return cmocka_run_group_tests_name("helper_reach", tests, nullptr, nullptr);
}
