// SPDX-License-Identifier: BSD-3-Clause
// What the tests of faults share: a command of the helper of which one system
// call fails, by strace(1), or is its last, and what must be true of the host
// afterwards.
//
// Each worker is a process with a host of its own: mount and IPC namespaces,
// an /etc/proxmox-backup, a page of upstream's counters.  None asserts: what is
// wrong is a text, empty where nothing is.
#ifndef PBSTOKEN_TESTS_FAULTS_SUPPORT_H_
#define PBSTOKEN_TESTS_FAULTS_SUPPORT_H_

#include <crypt.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "pbstoken/verify/verifier.h"
#include "trace_support.h"
#include "write/shadow_writer.h"

namespace pbstoken::testing {

constexpr int kWorkers = 2;
constexpr unsigned kMaxRunSeconds = 30;

// The token that is changed, and its secrets before and after.  Its first
// stored hash is of the cheapest method there is.
constexpr const char *kNewSecret = "11111111-2222-4333-8444-555555555555";
constexpr const char *kCheapHash = "$1$saltsalt$Xq7NrbyLj5p0e/xwLqJkK1";

constexpr const char *kVersionPage =
    "/run/proxmox-backup/shmem/config-versions";

// --- what is done

struct Work {
  const char *command;
  bool is_first;  // no token.shadow, lock or segment is there
};

constexpr std::array<Work, 5> kEveryWork = {{{"set", false},
                                             {"delete", false},
                                             {"generate", false},
                                             {"rotate", false},
                                             {"set", true}}};

inline std::string name_of(const Work &work) {
  return std::string(work.is_first ? "first " : "") + work.command;
}

inline bool prints_secret(const Work &work) {
  return std::string_view(work.command) == "generate" ||
         std::string_view(work.command) == "rotate";
}

inline std::string input_of(const Work &work) {
  const std::string_view command = work.command;
  return command == "set" ? kNewSecret : command == "rotate" ? kSecret : "";
}

// token.shadow without the token, and without its end.
inline std::string others(const Work &work) {
  return work.is_first ? "{"
                       : "{\"" + std::string(kOldId) + "\":\"" + kOldHash +
                             R"(","x@pam!t":7)";
}

inline std::string with_token(const Work &work, const std::string &hash) {
  return others(work) + (work.is_first ? "\"" : ",\"") + kId + "\":\"" + hash +
         "\"}";
}

// Empty: there is no file.
inline std::string text_before(const Work &work) {
  return work.is_first ? "" : with_token(work, kCheapHash);
}

// Whether text is what a writer that has done its work leaves.
inline bool is_text_after(const Work &work, const std::string &text) {
  if (std::string_view(work.command) == "delete") {
    return text == others(work) + "}";
  }
  constexpr std::size_t kHashSize = 94;
  const std::size_t start = with_token(work, "").size() - 2;
  const std::string hash =
      text.size() > start ? text.substr(start, kHashSize) : "";
  return hash.size() == kHashSize && hash.starts_with("$y$j9T$") &&
         hash.find_first_of("\"\\") == std::string::npos &&
         text == with_token(work, hash);
}

enum class Traced : std::uint8_t { kParent, kChild };

// --- a host of one's own

class Host {
 public:
  // Leaves the host of the process for good.
  explicit Host(std::string name) : name_(std::move(name)) {
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0 ||
        mount("tmpfs", kDirectory, "tmpfs", 0, "mode=0700,uid=34,gid=34") !=
            0 ||
        mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") != 0) {
      std::abort();
    }
    std::filesystem::create_directories(
        std::filesystem::path(kVersionPage).parent_path());
    std::string page("\x19\xc6\xa8\xe6\x9a\x84\x8f\x83", 8);
    page.resize(4096);
    write_file(kVersionPage, page, 0660);
    auto store = load_store("pbs", PathText(kConfiguration));
    if (!store) {
      std::abort();
    }
    store_ = *store;
  }
  Host(const Host &) = delete;
  Host &operator=(const Host &) = delete;

  [[nodiscard]] std::string path(const std::string &what) const {
    return scratch(name_ + "." + what);
  }

  // Before the first run, and where a file has to go again.
  void make(const Work &work) {
    // As a new service: nobody else has to ask after each change by hand.
    verifier_.reset();
    empty_directory(kDirectory);
    // The kernel's tables of another one keep places of objects that went, and
    // who walks them makes another number of calls each time.
    if (unshare(CLONE_NEWIPC) != 0) {
      std::abort();
    }
    if (!work.is_first) {
      write_file(kShadow, text_before(work), 0640);
      if (chown(kShadow, kBackup, kBackup) != 0) {
        std::abort();
      }
      // The cache is in force, and knows the secret.
      verdict(kSecret);
      verdict(kOldSecret, kOldId);
    }
  }

  // As `set` does it, with no more repair than it does.
  bool write_back() {
    Cache cache(store_, Kind::kSecrets);
    const auto written = write_token(store_, &cache,
                                     {.token_id = *parse_token_id(kId),
                                      .stored_hash = kCheapHash,
                                      .secret = kSecret,
                                      .expected_hash = {}});
    return written && *written == Outcome::kDone;
  }

  // As a service of root's gets it that has been there all the time.
  std::string verdict(std::string_view secret, const char *id = kId) {
    const auto verified = verifier().verify(*parse_token_id(id), secret);
    if (!verified) {
      return std::string("error: ") + describe(verified.error()).c_str();
    }
    switch (verified->outcome) {
      case Outcome::kMatch:
        return "match";
      case Outcome::kWrongSecret:
      case Outcome::kKnownMismatch:
        return "mismatch";
      case Outcome::kUnknownToken:
        return "unknown";
      default:
        return "another";
    }
  }

  // Of token.shadow, or of what has its word at another place.
  [[nodiscard]] static std::uint64_t version_word(std::size_t place = 32) {
    std::uint64_t word = 0;
    const std::string page = read_file(kVersionPage);
    std::memcpy(&word, page.data() + place, sizeof(word));
    return word;
  }

  // The helper under strace, whose report goes to path("trace").
  RunResult run_traced(const Work &work, std::vector<std::string> options) {
    options.insert(options.end(), {helper_path(), work.command, kId});
    return run_traced(std::move(options), input_of(work));
  }

  // A program with its arguments, of which a process is killed at a moment, see
  // kill_at().
  RunResult run_killed(std::vector<std::string> command,
                       const std::string &input, const Moment &moment,
                       long *out_call) {
    const std::string program = command.front();
    command.erase(command.begin());
    return with_output(run(
        {.path = program,
         .arguments = std::move(command),
         .input = input,
         .prepare =
             [&] {
               redirect_output();
               be_traced();
             },
         .wait =
             [&](pid_t child) { return kill_at(child, moment, out_call); }}));
  }

  // strace with these options and the program behind them.  Its output goes to
  // files: a program that hangs must not hang the test.
  RunResult run_traced(std::vector<std::string> arguments,
                       const std::string &input) {
    arguments.insert(arguments.begin(), "-f");
    RunResult outcome = run_strace(std::move(arguments), input);
    if (outcome.status == 128 + SIGALRM) {
      kill(std::stoi("0" + trace()), SIGKILL);
    }
    return outcome;
  }

  // The helper, of which strace looks on at one of the two processes alone: at
  // the parent from its beginning, at the child from the fork.
  RunResult run_traced(const Work &work, Traced traced,
                       std::vector<std::string> options) {
    if (traced == Traced::kParent) {
      options.insert(options.end(), {helper_path(), work.command, kId});
      return run_strace(std::move(options), input_of(work));
    }
    return with_output(run({.path = helper_path(),
                            .arguments = {work.command, kId},
                            .input = input_of(work),
                            .prepare =
                                [&] {
                                  redirect_output();
                                  be_traced();
                                },
                            .wait =
                                [&](pid_t parent) {
                                  trace_stopped(stop_at_birth(parent), options);
                                  return wait_for(parent);
                                }}));
  }

  [[nodiscard]] std::string trace() const { return read_file(path("trace")); }

 private:
  void redirect_output() const {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    dup2(open(path("out").c_str(), flags, 0600), STDOUT_FILENO);
    dup2(open(path("err").c_str(), flags, 0600), STDERR_FILENO);
  }
  RunResult run_strace(std::vector<std::string> arguments,
                       const std::string &input) {
    arguments.insert(arguments.begin(), {"-qq", "-o", path("trace")});
    return with_output(run({.path = "/usr/bin/strace",
                            .arguments = std::move(arguments),
                            .input = input,
                            .prepare = [&] {
                              redirect_output();
                              alarm(kMaxRunSeconds);
                            }}));
  }
  // Has strace look on at a process that is stopped, and lets it go on.
  void trace_stopped(pid_t stopped, std::vector<std::string> options) const {
    options.insert(options.end(),
                   {"-qq", "-o", path("trace"), "-p", std::to_string(stopped)});
    const pid_t tracer = start_child([&] {
      return run({.path = "/usr/bin/strace",
                  .arguments = options,
                  .prepare = [] { alarm(kMaxRunSeconds); }})
          .status;
    });
    while (proc_status(stopped, "TracerPid") == "0") {
      usleep(1000);
    }
    kill(stopped, SIGCONT);
    if (wait_for(tracer) != 0) {
      kill(stopped, SIGKILL);
    }
  }
  [[nodiscard]] RunResult with_output(RunResult outcome) const {
    outcome.out = read_file(path("out"));
    outcome.err = read_file(path("err"));
    return outcome;
  }

  Verifier &verifier() {
    if (!verifier_) {
      verifier_.emplace(store_, []() -> CryptFunction { return crypt_rn; });
    }
    return *verifier_;
  }

  std::string name_;
  Store store_;
  std::optional<Verifier> verifier_;
};

// --- system calls

// The so-manieth of its name in its process, which is how strace counts.
struct Call {
  std::string name;
  int number;
  std::string text;
};

inline std::string name_of(const Call &call) {
  return call.name + "#" + std::to_string(call.number);
}

inline std::string name_of(const Moment &moment, long call) {
  return "process " + std::to_string(moment.process) + ", call " +
         std::to_string(moment.number) + ", of number " + std::to_string(call);
}

// Those of a process, from the report of strace.
inline std::vector<Call> calls_in(const std::string &trace) {
  std::vector<Call> calls;
  std::map<std::string, int> counts;
  std::istringstream lines(trace);
  std::string line;
  while (std::getline(lines, line)) {
    const std::size_t end = line.find('(');
    if (end == std::string::npos || line[0] == '<' || line[0] == '+' ||
        line[0] == '-') {
      continue;
    }
    const std::string name = line.substr(0, end);
    calls.push_back({.name = name, .number = ++counts[name], .text = line});
  }
  return calls;
}

// The calls of one of the processes in a good run.
inline std::vector<Call> calls_of(Host *host, const Work &work, Traced traced) {
  host->make(work);
  const RunResult outcome = host->run_traced(work, traced, {"-y"});
  if (outcome.status != 0) {
    std::fprintf(stderr, "%s: exit status %d: %s\n", work.command,
                 outcome.status, outcome.err.c_str());
    return {};
  }
  return calls_in(host->trace());
}

// --- what must be true

// The value that generate and rotate print; empty if they have not.
inline std::string printed_secret(const std::string &output) {
  const std::size_t start = output.find("value:");
  const std::size_t value = output.find_first_not_of(
      ' ', start == std::string::npos ? start : start + 6);
  return value == std::string::npos || !output.ends_with('\n')
             ? ""
             : output.substr(value, output.size() - value - 1);
}

// What is wrong with token.shadow itself; else *out_new says which it is.
inline std::string check_file(const Work &work, bool *out_new) {
  struct stat now = {};
  const bool exists = lstat(kShadow, &now) == 0;
  const std::string text = exists ? read_file(kShadow) : "";
  *out_new = text != text_before(work);
  if (*out_new && !is_text_after(work, text)) {
    return "token.shadow is neither old nor new: " + text;
  }
  if (exists && (now.st_uid != kBackup || now.st_gid != kBackup ||
                 now.st_mode != (S_IFREG | 0640))) {
    return "owner or mode of token.shadow is wrong";
  }
  return {};
}

inline std::string expect(const std::string &actual, const char *expected,
                          const char *what) {
  return actual == expected
             ? ""
             : std::string(what) + ": " + actual + ", not " + expected + "; ";
}

// What is wrong with the answers, which must be what the file says.
inline std::string check_answers(Host *host, const Work &work, bool is_new,
                                 const std::string &output,
                                 bool helper_is_first) {
  const bool deleted = is_new && std::string_view(work.command) == "delete";
  const bool unknown = deleted || (!is_new && work.is_first);
  std::string wrong;
  const auto ask_helper = [&] {
    // Whoever comes first repairs the cache, if need be.
    const int status = run_helper({"verify", kId}, kSecret).status;
    const int expected = unknown ? 5 : is_new ? 1 : 0;
    if (status != expected) {
      wrong += "the old secret, by the helper: " + std::to_string(status);
    }
  };
  if (is_new && helper_is_first) {
    ask_helper();
  }
  wrong += expect(host->verdict(kSecret),
                  unknown  ? "unknown"
                  : is_new ? "mismatch"
                           : "match",
                  "the old secret");
  const std::string secret =
      prints_secret(work) ? printed_secret(output) : kNewSecret;
  if (!secret.empty()) {
    wrong += expect(host->verdict(secret),
                    unknown  ? "unknown"
                    : is_new ? "match"
                             : "mismatch",
                    "the new secret");
  } else if (is_new) {
    wrong += "nobody was told the new secret: " + output;
  }
  wrong += expect(host->verdict(kOldSecret, kOldId),
                  work.is_first ? "unknown" : "match", "another token");
  if (is_new && !helper_is_first) {
    ask_helper();
  }
  return wrong;
}

// --- workers

struct Sweep {
  int runs = 0;
  std::map<std::string, int> outcomes;
  std::vector<std::string> failures;

  void count(const std::string &outcome) {
    ++runs;
    ++outcomes[outcome];
  }
  void add(const std::string &failure) { failures.push_back(failure); }
  void print(const std::string &name) const {
    std::string text = name + ": " + std::to_string(runs) + " runs";
    for (const auto &[outcome, count] : outcomes) {
      text += ", " + std::to_string(count) + " " + outcome;
    }
    for (const std::string &failure : failures) {
      text += "\n  " + failure;
    }
    std::fprintf(stderr, "%s\n", text.c_str());
  }
};

// Sweeps with all workers at once; true if none found anything wrong.  Each
// does with its own host what is every kWorkers-th.
inline bool in_workers(
    const std::string &name,
    const std::function<void(Host *host, int worker, Sweep *sweep)> &body) {
  // So that nothing but the protocol puts an end to what was known.
  configure("cache_ttl = 3600\n");
  std::vector<pid_t> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.push_back(start_child([&] {
      const std::string own = name + "." + std::to_string(worker);
      Host host(own);
      Sweep sweep;
      body(&host, worker, &sweep);
      sweep.print(own);
      return sweep.failures.empty() && sweep.runs > 0 ? 0 : 1;
    }));
  }
  bool all_well = true;
  for (const pid_t worker : workers) {
    all_well = wait_for(worker) == 0 && all_well;
  }
  return all_well;
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_FAULTS_SUPPORT_H_
