// SPDX-License-Identifier: BSD-3-Clause
// Every command in every odd environment, as root, as a member and as nobody:
// the exit status is the one that it has without, or says what is missing, and
// token.shadow is whole and only changed where that status says so.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <cctype>
#include <cstring>
#include <deque>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// --- the three axes

struct Task {
  std::vector<std::string> arguments;
  bool takes_secret;
  bool prints;
  bool changes;        // token.shadow
  bool for_members;    // with member_rotate
  bool tools = false;  // a command of the administrator's tool
};

const std::array<Task, 12> kTasks = {{
    {{"generate", kId}, false, true, true, false},
    {{"set", kId}, true, false, true, false},
    {{"delete", kId}, false, false, true, false},
    {{"rotate", kId}, true, true, true, true},
    {{"verify", kId}, true, false, false, true},
    {{"account", kId}, false, false, false, true},
    {{"list"}, false, true, false, false, true},
    {{"check"}, false, false, false, false, true},
    {{"explain", kId}, false, true, false, false, true},
    {{"retire"}, false, true, false, false, true},
    {{"status"}, false, true, false, true, true},
    {{"flush"}, false, false, false, false, true},
}};

const std::array<const Person *, 3> kPersons = {&kRoot, &kMember, &kStranger};

struct Environment {
  std::string name;
  std::function<void()> prepare = {};  // as the person, before it executes
  bool no_argv = false;
  std::vector<std::string> arguments = {};  // before the command's
  std::vector<std::string> operands = {};   // after it
  bool no_input = false;
  bool no_output = false;
  // The program cannot even be loaded, or need not get far: any failure will
  // do, if it is one.
  bool may_fail = false;
};

// --- environments

Environment closed(const char *name, std::vector<int> descriptors) {
  Environment environment = {.name = name};
  for (const int fd : descriptors) {
    environment.no_input = environment.no_input || fd == STDIN_FILENO;
    environment.no_output = environment.no_output || fd == STDOUT_FILENO;
  }
  environment.prepare = [descriptors] {
    for (const int fd : descriptors) {
      close(fd);
    }
  };
  return environment;
}

Environment variable(const std::string &name, const std::string &value) {
  return {.name = name + "=" + value.substr(0, 40),
          .prepare = [name, value] { setenv(name.c_str(), value.c_str(), 1); }};
}

struct Limit {
  const char *name;
  __rlimit_resource resource;
  rlim_t starts;  // the least with which the dynamic linker gets through
};

constexpr std::array<Limit, 16> kLimits = {{
    {"AS", RLIMIT_AS, 16 << 20},
    {"CORE", RLIMIT_CORE, 0},
    {"CPU", RLIMIT_CPU, 1},
    {"DATA", RLIMIT_DATA, 4 << 20},
    {"FSIZE", RLIMIT_FSIZE, 0},
    {"LOCKS", RLIMIT_LOCKS, 0},
    {"MEMLOCK", RLIMIT_MEMLOCK, 0},
    {"MSGQUEUE", RLIMIT_MSGQUEUE, 0},
    {"NICE", RLIMIT_NICE, 0},
    {"NOFILE", RLIMIT_NOFILE, 4},
    {"NPROC", RLIMIT_NPROC, 0},
    {"RSS", RLIMIT_RSS, 0},
    {"RTPRIO", RLIMIT_RTPRIO, 0},
    {"RTTIME", RLIMIT_RTTIME, 0},
    {"SIGPENDING", RLIMIT_SIGPENDING, 0},
    {"STACK", RLIMIT_STACK, 128 << 10},
}};

void lower(const Limit &limit, rlim_t value, bool hard) {
  rlimit both{};
  getrlimit(limit.resource, &both);
  both.rlim_cur = value;
  both.rlim_max = hard ? value : both.rlim_max;
  if (setrlimit(limit.resource, &both) != 0) {
    std::abort();
  }
}

void add_limits(std::deque<Environment> *all) {
  for (const Limit &limit : kLimits) {
    const std::string name = limit.name;
    all->push_back({.name = "soft limit " + name, .prepare = [&limit] {
                      lower(limit, limit.starts, false);
                    }});
    // Where root itself may not raise a hard limit the helper may have to give
    // up.
    all->push_back({.name = "hard limit " + name,
                    .prepare = [&limit] { lower(limit, limit.starts, true); },
                    .may_fail = true});
    if (limit.starts != 0) {
      all->push_back({.name = "no " + name,
                      .prepare = [&limit] { lower(limit, 0, true); },
                      .may_fail = true});
    }
  }
  all->push_back({.name = "all soft limits", .prepare = [] {
                    for (const Limit &limit : kLimits) {
                      lower(limit, limit.starts, false);
                    }
                  }});
}

void ignore_all_signals() {
  for (int number = 1; number < NSIG; ++number) {
    signal(number, SIG_IGN);
  }
}

void block_all_signals() {
  sigset_t all{};
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
}

void add_process_states(std::deque<Environment> *all) {
  all->push_back({.name = "as usual"});
  all->push_back({.name = "signals ignored", .prepare = ignore_all_signals});
  all->push_back({.name = "signals blocked", .prepare = block_all_signals});
  all->push_back({.name = "umask 0", .prepare = [] { umask(0); }});
  all->push_back({.name = "umask 0777", .prepare = [] { umask(0777); }});
  all->push_back({.name = "directory gone", .prepare = [] {
                    std::string gone = scratch("open/gone-XXXXXX");
                    if (mkdtemp(gone.data()) == nullptr ||
                        chdir(gone.c_str()) != 0 || rmdir(gone.c_str()) != 0) {
                      std::abort();
                    }
                  }});
  all->push_back({.name = "many descriptors", .prepare = [] {
                    for (int i = 0; i < 300; ++i) {
                      fcntl(STDERR_FILENO, F_DUPFD, 3);
                    }
                  }});
  all->push_back({.name = "slow", .prepare = [] {
                    const sched_param normal = {};
                    if (setpriority(PRIO_PROCESS, 0, 19) != 0 ||
                        sched_setscheduler(0, SCHED_IDLE, &normal) != 0 ||
                        prctl(PR_SET_TIMERSLACK, 1'000'000'000'000UL) != 0) {
                      std::abort();
                    }
                  }});
  all->push_back(closed("no standard input", {0}));
  all->push_back(closed("no standard output", {1}));
  all->push_back(closed("no standard error", {2}));
  all->push_back(closed("no output at all", {1, 2}));
  all->push_back(closed("no descriptors", {0, 1, 2}));
}

void add_arguments(std::deque<Environment> *all) {
  all->push_back({.name = "no argv", .no_argv = true});
  // 1 MiB that means nothing, and 1 MiB that is too much.
  all->push_back(
      {.name = "1 MiB of options",
       .arguments = std::vector<std::string>(45000, "--output-format=json")});
  all->push_back(
      {.name = "1 MiB of operands",
       .operands = std::vector<std::string>(9, std::string(120000, 'x'))});
}

void add_variables(std::deque<Environment> *all) {
  const std::string overflow =
      "glibc.malloc.mxfast=glibc.malloc.mxfast=" + std::string(4000, 'A');
  for (const auto &[name, value] :
       std::vector<std::pair<std::string, std::string>>{
           {"LD_PRELOAD", "/nowhere/evil.so"},
           {"LD_LIBRARY_PATH", "/nowhere:."},
           {"LD_AUDIT", "/nowhere/evil.so"},
           {"LD_BIND_NOT", "1"},
           {"LD_DYNAMIC_WEAK", "1"},
           {"LD_ORIGIN_PATH", "/nowhere"},
           {"LD_PROFILE", "libc.so.6"},
           {"LD_USE_LOAD_BIAS", "1"},
           {"GLIBC_TUNABLES", "glibc.malloc.check=3:glibc.malloc.perturb=255"},
           {"GLIBC_TUNABLES", "glibc.rtld.nns=16"},
           {"GLIBC_TUNABLES", overflow},
           {"OPENSSL_CONF", "/nowhere/evil.cnf"},
           {"OPENSSL_MODULES", "/nowhere"},
           {"OPENSSL_ia32cap", "0"},
           {"OPENSSL_ia32cap", "0xffffffffffffffff:0xffffffffffffffff"},
           {"MALLOC_CHECK_", "3"},
           {"MALLOC_PERTURB_", "255"},
           {"MALLOC_ARENA_MAX", "0"},
           {"MALLOC_TRACE", "/etc/proxmox-backup/trace"},
           {"TMPDIR", "/nowhere"},
           {"LC_ALL", "../../../../tmp/evil"},
           {"LC_ALL", "tr_TR.UTF-8"},
           {"LC_MESSAGES", "xx"},
           {"LANGUAGE", "/tmp/evil"},
           {"LOCPATH", "/tmp"},
           {"NLSPATH", "/tmp/%N"},
           {"GCONV_PATH", "/tmp"},
           {"CHARSET", "UTF-7"},
           {"POSIXLY_CORRECT", "1"},
           {"PATH", ""},
           {"TZ", "/etc/shadow"},
           {"TZDIR", "/tmp"},
           {"HOSTALIASES", "/etc/shadow"},
           {"RESOLV_HOST_CONF", "/etc/shadow"},
           {"LONG", std::string(100000, 'x')}}) {
    all->push_back(variable(name, value));
  }
  all->push_back({.name = "no environment", .prepare = [] { clearenv(); }});
}

// --- the cells

struct Cell {
  const Environment &environment;
  const Task &task;
  const Person &person;

  [[nodiscard]] std::string name() const {
    return environment.name + ", " + person.name + ", " + task.arguments[0];
  }

  [[nodiscard]] bool is_permitted() const {
    return person.uid == 0 || (&person == &kMember && task.for_members);
  }

  [[nodiscard]] int expected_status() const {
    if (environment.no_argv || !environment.operands.empty()) {
      return 2;
    }
    if (!is_permitted()) {
      return 3;
    }
    const bool blind = environment.no_input && task.takes_secret;
    const bool mute = environment.no_output && task.prints;
    return blind || mute ? 4 : 0;
  }

  [[nodiscard]] bool is_expected(int status) const {
    return status == expected_status() ||
           (environment.may_fail && status != 0 && status != 7);
  }

  [[nodiscard]] RunResult run() const {
    std::vector<std::string> arguments = environment.arguments;
    arguments.insert(arguments.end(), task.arguments.begin(),
                     task.arguments.end());
    arguments.insert(arguments.end(), environment.operands.begin(),
                     environment.operands.end());
    return testing::run(
        {.path = scratch(task.tools ? "installed-tool" : "installed-helper"),
         .arguments = arguments,
         .input = kSecret,
         .prepare =
             [this] {
               become(person);
               if (environment.prepare) {
                 environment.prepare();
               }
             },
         .no_argv = environment.no_argv});
  }
};

const Tokens kTokens = {{kOldId, kHash}, {kId, kHash}};

// The members in their order, the changed one last.
void assert_file(const Cell &cell, bool is_changed) {
  const std::string text = read_file(kShadow);
  const struct stat status = status_of(kShadow);
  const bool is_whole =
      !is_changed ? text == shadow_of(kTokens)
      : cell.task.arguments[0] == "delete"
          ? text == shadow_of({{kOldId, kHash}})
          : text != shadow_of(kTokens) && parse_json(text).MemberCount() == 2 &&
                text.starts_with(shadow_of({{kOldId, kHash}})
                                     .substr(0, std::strlen(kOldId) +
                                                    std::strlen(kHash) + 6)) &&
                std::string(parse_json(text)[kId].GetString())
                    .starts_with("$y$j9T$");
  if (!is_whole || status.st_mode != (S_IFREG | 0640) ||
      status.st_uid != kBackup || status.st_gid != kBackup) {
    fail_msg("%s: mode 0%o of %u:%u, %s", cell.name().c_str(), status.st_mode,
             status.st_uid, status.st_gid, text.c_str());
  }
  auto names = names_in(kDirectory);
  names.erase("token.shadow.lock");
  names.erase(".user.lck");
  if (names != std::set<std::string>({"token.shadow", "user.cfg"})) {
    fail_msg("%s: litter", cell.name().c_str());
  }
}

void assert_cell(const Cell &cell) {
  std::filesystem::remove(kShadow);
  write_shadow(kTokens);
  assert_int_equal(chown(kShadow, kBackup, kBackup), 0);
  const RunResult outcome = cell.run();
  if (!cell.is_expected(outcome.status)) {
    fail_msg("%s: exit status %d, not %d: %.300s", cell.name().c_str(),
             outcome.status, cell.expected_status(), outcome.err.c_str());
  }
  // A limit may end the parent, which tells nothing then, when the child has
  // made its change.
  const bool is_killed = outcome.status > 128;
  // What retire prints before a limit ends it are keys.
  if (outcome.status != 0 && !is_killed && cell.task.changes &&
      !is_told_what_counts(outcome)) {
    fail_msg("%s: prints %.300s", cell.name().c_str(), outcome.out.c_str());
  }
  const bool is_changed = is_killed ? read_file(kShadow) != shadow_of(kTokens)
                                    : outcome.status == 0;
  assert_file(cell, is_changed && cell.task.changes);
}

void environment_changes_no_answer(void **state) {
  const auto *environment = static_cast<const Environment *>(*state);
  for (const Task &task : kTasks) {
    for (const Person *person : kPersons) {
      assert_cell(
          {.environment = *environment, .task = task, .person = *person});
    }
  }
}

int fresh_host(void ** /*state*/) {
  void *none = nullptr;
  if (clean_host(&none) != 0) {
    return -1;
  }
  configure_groups("member_rotate = yes\ncache_ttl = 0\n");
  write_user_cfg();
  install_helper();
  install_tool();
  std::filesystem::create_directories(scratch("open"));
  chmod(scratch("open").c_str(), 01777);
  return 0;
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  std::deque<Environment> environments;
  add_process_states(&environments);
  add_arguments(&environments);
  add_limits(&environments);
  add_variables(&environments);
  std::vector<CMUnitTest> tests;
  std::deque<std::string> names;
  for (Environment &environment : environments) {
    // tests/run takes a word for a test's name.
    std::string name = "answer_is_the_same_" + environment.name;
    for (char &c : name) {
      c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    }
    names.push_back(std::move(name));
    tests.push_back({.name = names.back().c_str(),
                     .test_func = environment_changes_no_answer,
                     .setup_func = fresh_host,
                     .teardown_func = nullptr,
                     .initial_state = &environment});
  }
  std::printf("%zu cells\n",
              environments.size() * kTasks.size() * kPersons.size());
  return _cmocka_run_group_tests("helper_matrix", tests.data(), tests.size(),
                                 nullptr, nullptr);
}
