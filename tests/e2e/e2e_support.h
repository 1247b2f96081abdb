// SPDX-License-Identifier: BSD-3-Clause
// What the end-to-end tests share: a clean host for each test, files,
// children, the helper and its counters.
//
// They run as root under tests/scratch.  A failed assertion longjmps to the
// runner, so a child never asserts: it reports by its exit status.
#ifndef PBSTOKEN_TESTS_E2E_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_SUPPORT_H_

#include <fcntl.h>
#include <grp.h>
#include <rapidjson/document.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support.h"

#define E2E_TEST(name) \
  cmocka_unit_test_setup(name, pbstoken::testing::clean_host)

namespace pbstoken::testing {

// A token of upstream's making, and another's hash by the older method.
constexpr const char *kId = "john@pbs!client1";
constexpr const char *kSecret = "0f1e2d3c-4b5a-4697-8877-665544332211";
constexpr const char *kHash =
    "$y$j9T$.2U.1EE/4Q.07ck0AoU1D.F2GA/3JMl3MYV4PkF5Sw/"
    "$n.wYJhoo2BUy78BysY1dv7H1xJj4PVGU5GYui8NJKFC";
constexpr const char *kOldId = "root@pam!old";
constexpr const char *kOldSecret = "5ec2e700-0000-4000-8000-00000000cafe";
constexpr const char *kOldHash =
    "$5$saltSALT./0$lefDTLH0tD5bgiDELk6yarkzMt1CuqoKl8nH.GWYUc/";
// Nobody's secret, of a length that is remembered as a mismatch.
constexpr const char *kWrongSecret = "ffffffff-ffff-4fff-8fff-ffffffffffff";

constexpr uid_t kBackup = 34;  // Debian's user and group
constexpr uid_t kNobody = 65534;

constexpr const char *kDirectory = "/etc/proxmox-backup";
constexpr const char *kShadow = "/etc/proxmox-backup/token.shadow";
constexpr const char *kLock = "/etc/proxmox-backup/token.shadow.lock";
constexpr const char *kUserCfg = "/etc/proxmox-backup/user.cfg";
constexpr const char *kConfiguration = "/etc/pbstoken/pbs.conf";
constexpr const char *kState = "/var/lib/pbstoken";

// --- where things are

inline std::string scratch(std::string_view name) {
  return std::string(std::getenv("SCRATCH")) + "/" + std::string(name);
}

// What the Makefile has built, beside these tests.
// Asked for at the start: in another mount namespace, below another root, the
// link has the path that the kernel sees.
inline const std::filesystem::path build_directory =
    std::filesystem::read_symlink("/proc/self/exe")
        .parent_path()
        .parent_path()
        .parent_path();

inline std::string built(std::string_view name) {
  return build_directory / name;
}

inline std::string module_path() {
  return built("pam_pbstoken.so");
}

inline std::string helper_path() {
  return built("pbstoken-helper");
}

inline std::string tool_path() {
  return built("pbstoken");
}

// --- files

inline std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string &path, std::string_view content,
                       mode_t mode = 0644) {
  std::ofstream(path, std::ios::binary) << content;
  chmod(path.c_str(), mode);
}

inline struct stat status_of(const std::string &path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    fail_msg("no such file: %s", path.c_str());
  }
  return status;
}

inline std::set<std::string> names_in(const std::string &directory) {
  std::set<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

using Tokens = std::vector<std::pair<std::string, std::string>>;

// The text of a token.shadow; ids and hashes need no escapes.
inline std::string shadow_of(const Tokens &tokens) {
  std::string text = "{";
  for (const auto &[id, hash] : tokens) {
    text.append(text.size() == 1 ? "\"" : ",\"").append(id);
    text.append("\":\"").append(hash).append("\"");
  }
  return text + "}";
}

// As upstream has it: the daemons', which read it.
inline void write_shadow(const Tokens &tokens) {
  write_file(kShadow, shadow_of(tokens), 0640);
  if (chown(kShadow, kBackup, kBackup) != 0) {
    fail_msg("cannot give %s away", kShadow);
  }
}

inline void configure(std::string_view text) {
  write_file(kConfiguration, text);
}

// For tests that change token.shadow by hand.
inline void look_every_time() {
  configure("cache_ttl = 0\n");
}

// --- a clean host

inline void remove_segments() {
  shm_info info{};
  const int last = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  for (int index = 0; index <= last; ++index) {
    shmid_ds segment{};
    if (const int id = shmctl(index, SHM_STAT, &segment); id >= 0) {
      shmctl(id, IPC_RMID, nullptr);
    }
  }
}

inline void empty_directory(const std::filesystem::path &directory) {
  for (const auto &entry : std::filesystem::directory_iterator(directory)) {
    std::filesystem::remove_all(entry.path());
  }
}

// Setup of every test: no tokens, no configuration, no segment, nothing saved.
// Refuses to
// run where that would be the machine's own.
inline int clean_host(void ** /*state*/) {
  struct stat etc = {};
  struct stat copy = {};
  if (std::getenv("SCRATCH") == nullptr || stat("/etc", &etc) != 0 ||
      stat(scratch(".etc").c_str(), &copy) != 0 || etc.st_dev != copy.st_dev ||
      etc.st_ino != copy.st_ino) {
    std::fputs("to be run by tests/scratch\n", stderr);
    return -1;
  }
  umask(022);
  remove_segments();
  std::filesystem::create_directories(kDirectory);
  empty_directory(kDirectory);
  if (chown(kDirectory, kBackup, kBackup) != 0 ||
      chmod(kDirectory, 0700) != 0 || chmod("/etc/pbstoken", 0755) != 0) {
    return -1;
  }
  empty_directory("/etc/pbstoken");
  std::filesystem::remove_all(kState);
  return 0;
}

// A setup of all tests: puts the module where libpam looks for one without a
// path, beside the host's.
inline int install_module(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  const std::filesystem::path place = scratch("modules");
  std::filesystem::copy(PBSTOKEN_MODULES, place);
  std::filesystem::copy_file(module_path(), place / "pam_pbstoken.so",
                             std::filesystem::copy_options::overwrite_existing);
  return mount(place.c_str(), PBSTOKEN_MODULES, "", MS_BIND, nullptr);
}

// --- children

// A hanging program is to fail its test, not to stop the run.
constexpr unsigned kHangs = 300;

inline int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

template <typename Body>
pid_t start_child(Body body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHangs);
    _exit(body());
  }
  return child;
}

// What body returns in a child, or 128 and the signal that killed it.
template <typename Body>
int in_child(Body body) {
  return wait_for(start_child(body));
}

// A line of /proc/PID/status, without its name and white space around it;
// empty if the process is gone.
inline std::string proc_status(pid_t pid, const std::string &name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name + ":")) {
      const std::size_t start = line.find_first_not_of(" \t", name.size() + 1);
      const std::size_t end = line.find_last_not_of(" \t");
      return start == std::string::npos ? ""
                                        : line.substr(start, end + 1 - start);
    }
  }
  return {};
}

// For a child: a service that keeps its real uid 0.
inline void become_nobody_effectively() {
  if (setgroups(0, nullptr) != 0 || setegid(kNobody) != 0 ||
      seteuid(kNobody) != 0) {
    std::abort();
  }
}

// For a child: a local user.
inline void become_nobody() {
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0) {
    std::abort();
  }
}

struct Program {
  std::string path;
  std::vector<std::string> arguments = {};  // without argv[0]
  std::string input = {};
  std::function<void()> prepare = {};  // in the child, before it executes
  bool no_argv = false;                // not even argv[0]
  // Waits for the child, and returns what wait_for() does.
  std::function<int(pid_t child)> wait = wait_for;
};

struct RunResult {
  int status = -1;  // of the exit, or 128 and the signal
  std::string out;
  std::string err;
};

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) {
      std::abort();
    }
  }
  Pipe(const Pipe &) = delete;
  Pipe &operator=(const Pipe &) = delete;
  ~Pipe() {
    close_reader();
    close_writer();
  }

  [[nodiscard]] int reader() const { return ends_[0]; }
  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_reader() { close_end(0); }
  void close_writer() { close_end(1); }

  std::string read_all() {
    close_writer();
    std::string text;
    std::array<char, 4096> part{};
    ssize_t count = 0;
    while ((count = read(reader(), part.data(), part.size())) > 0) {
      text.append(part.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  void close_end(std::size_t which) {
    if (ends_[which] >= 0) {
      close(ends_[which]);
    }
    ends_[which] = -1;
  }

  std::array<int, 2> ends_{};
};

// Runs it to its end.  Input and each output must fit into a pipe, 64 KiB.
inline RunResult run(const Program &program) {
  Pipe in;
  Pipe out;
  Pipe err;
  std::vector<char *> argv;
  if (!program.no_argv) {
    argv.push_back(const_cast<char *>(program.path.c_str()));
  }
  for (const std::string &argument : program.arguments) {
    argv.push_back(const_cast<char *>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t child = start_child([&] {
    dup2(in.reader(), STDIN_FILENO);
    dup2(out.writer(), STDOUT_FILENO);
    dup2(err.writer(), STDERR_FILENO);
    if (program.prepare) {
      program.prepare();
    }
    execv(program.path.c_str(), argv.data());
    return 126;
  });
  // The reading end is still open here: no SIGPIPE if the program never reads.
  if (write(in.writer(), program.input.data(), program.input.size()) !=
      static_cast<ssize_t>(program.input.size())) {
    std::abort();
  }
  in.close_reader();
  in.close_writer();
  RunResult outcome;
  outcome.out = out.read_all();
  outcome.err = err.read_all();
  outcome.status = program.wait(child);
  return outcome;
}

// --- the helper, and the administrator's tool

inline RunResult run_helper(const std::vector<std::string> &arguments,
                            const std::string &input = {}) {
  return run({.path = helper_path(), .arguments = arguments, .input = input});
}

inline RunResult run_tool(const std::vector<std::string> &arguments) {
  return run({.path = tool_path(), .arguments = arguments});
}

// A new secret is shown before the file is locked.  If it is not written then,
// a message says so.
inline bool is_told_what_counts(const RunResult &failure) {
  return failure.out.empty() ||
         failure.err.find("the secret that was printed does not count\n") !=
             std::string::npos;
}

inline void assert_told_what_counts(const RunResult &failure) {
  assert_true(is_told_what_counts(failure));
}

// What it printed; fails the test unless it succeeded.
inline std::string output_of(const RunResult &outcome,
                             const std::string &what) {
  if (outcome.status != 0) {
    fail_msg("%s: exit status %d: %s", what.c_str(), outcome.status,
             outcome.err.c_str());
  }
  return outcome.out;
}

inline std::string helper_output(const std::vector<std::string> &arguments,
                                 const std::string &input = {}) {
  return output_of(run_helper(arguments, input), arguments.back());
}

inline std::string tool_output(const std::vector<std::string> &arguments) {
  return output_of(run_tool(arguments), arguments.back());
}

inline rapidjson::Document parse_json(const std::string &text) {
  rapidjson::Document document;
  document.Parse(text.c_str());
  if (document.HasParseError() || !document.IsObject()) {
    fail_msg("not a JSON object: %s", text.c_str());
  }
  return document;
}

inline rapidjson::Document status_json() {
  return parse_json(tool_output({"status", "--output-format", "json"}));
}

// A counter of `status`: hits, hashes, ...
inline std::uint64_t counter(const char *name) {
  return status_json()[name].GetUint64();
}

// A new token; its secret.
inline std::string generate(const std::string &id) {
  const std::string text =
      helper_output({"--output-format", "json", "generate", "--", id});
  return parse_json(text)["value"].GetString();
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_SUPPORT_H_
