// SPDX-License-Identifier: BSD-3-Clause
// Every system call of every writing command failing in turn: up to the rename
// exit 4, a message, the old file and no litter; after it exit 7, or 0 where
// nothing is lost, and the new file.  Where the parent fails, which only passes
// on, messages may be lost, and the exit status may be 125.
#include "faults_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// The answer to a failing call must not be that of another one: seccomp lets
// getpid(2) pass, and it changes nothing.
std::string injection(const Call &call, const std::string &error) {
  return "inject=" + call.name + ":error=" + error +
         ":syscall=getpid:when=" + std::to_string(call.number);
}

// What never fails, or is no step of the work: a resource limit, a signal's
// disposition, an identity, libc's place in a list of users.  brk(2) tells a
// failure by the end that it leaves, and libc takes an errno for an address.
bool can_fail(const std::string &name) {
  static const std::set<std::string> kCannot = {
      "brk",          "exit_group",      "getegid",
      "geteuid",      "getgid",          "getpid",
      "getresuid",    "getuid",          "prctl",
      "prlimit64",    "lseek",           "restart_syscall",
      "rt_sigaction", "rt_sigpending",   "rt_sigprocmask",
      "rt_sigreturn", "set_robust_list", "umask"};
  return kCannot.count(name) == 0;
}

// Where a sweep begins: with main(), without the calls of the dynamic linker;
// or where there is something to lose, under the lock.
enum class First : std::uint8_t { kMain, kLock };

std::vector<Call> calls_that_fail(Host *host, const Work &work, Traced traced,
                                  First first) {
  std::vector<Call> calls = calls_of(host, work, traced);
  // Every call of the child is one of main().
  if (first == First::kLock || traced == Traced::kParent) {
    const std::string name = traced == Traced::kChild ? "flock"
                             : first == First::kLock  ? "clone"
                                                      : "close_range";
    calls.erase(calls.begin(),
                std::find_if(calls.begin(), calls.end(), [&](const Call &call) {
                  return call.name == name;
                }));
  }
  std::erase_if(calls, [](const Call &call) { return !can_fail(call.name); });
  return calls;
}

// Of the parent, if it cannot tell how the child has ended.
constexpr int kNobodyKnows = 125;

// What a message has to name: the file that the call was about.
std::string object_of(const Call &call) {
  for (const char *file : {"token.shadow.lock", "token.shadow",
                           "config-versions", "pbs.conf", "uuid"}) {
    if (call.text.find(file) != std::string::npos) {
      return file;
    }
  }
  return {};
}

struct Before {
  std::set<std::string> names;
  ino_t inode = 0;  // 0: no file
  std::uint64_t version_word = 0;
};

ino_t inode_now() {
  struct stat status = {};
  return lstat(kShadow, &status) == 0 ? status.st_ino : 0;
}

std::string check_refused(Traced traced, const RunResult &outcome,
                          const Call &call, const Before &before) {
  std::string wrong;
  if (inode_now() != before.inode) {
    wrong += "token.shadow is another file; ";
  }
  auto names = names_in(kDirectory);
  if (before.inode == 0) {
    names.erase("token.shadow.lock");
  }
  if (names != before.names) {
    wrong += "litter; ";
  }
  // What fails in the child that hands over the secret is told as that.  The
  // parent, which passes the message on, may lose it.
  const bool named = outcome.err.find(object_of(call)) != std::string::npos ||
                     outcome.err.find("standard output") != std::string::npos;
  if ((!outcome.err.starts_with("pbstoken-helper: ") || !named) &&
      traced == Traced::kChild) {
    wrong += "the message does not name " + object_of(call);
  }
  return wrong;
}

// What cannot be told upstream is exit status 7, and what cannot be kept of the
// old file keeps the new one from its place.
std::string check_done(const Call &call, const Before &before) {
  std::string wrong;
  if (Host::version_word() == before.version_word) {
    wrong += "success, and upstream was not told; ";
  }
  const bool is_of_new_file =
      call.text.find("token.shadow.tmp_") != std::string::npos &&
      call.name != "write";  // which is done again
  if (is_of_new_file || call.name == "fgetxattr") {
    wrong += "success, and the new file is not what it should be; ";
  }
  return wrong;
}

std::string check_failed(Host *host, const Work &work, Traced traced,
                         const Call &call, const RunResult &outcome,
                         const Before &before, bool *out_new) {
  std::string wrong = check_file(work, out_new);
  switch (outcome.status) {
    case 0:
      wrong += *out_new ? "" : "success, and the old file; ";
      wrong += check_done(call, before);
      break;
    case 4:
      wrong += *out_new ? "exit status 4, and the new file; "
                        : check_refused(traced, outcome, call, before);
      break;
    case 7:
      wrong += *out_new ? "" : "exit status 7, and the old file; ";
      wrong += outcome.err.empty() ? "no message; " : "";
      break;
    case kNobodyKnows:
      if (traced == Traced::kChild) {
        wrong += "exit status 125, and the child's is known; ";
      }
      break;
    default:
      return wrong + "exit status " + std::to_string(outcome.status) + "; ";
  }
  return wrong + check_answers(host, work, *out_new, outcome.out, false);
}

void fail_at(Host *host, const Work &work, Traced traced, const Call &call,
             const std::string &error, Sweep *sweep) {
  if (work.is_first) {
    host->make(work);
  }
  const Before before = {.names = names_in(kDirectory),
                         .inode = inode_now(),
                         .version_word = Host::version_word()};
  const RunResult outcome = host->run_traced(
      work, traced, {"-e", "trace=" + call.name, "-e", injection(call, error)});
  bool is_new = false;
  const std::string wrong =
      check_failed(host, work, traced, call, outcome, before, &is_new);
  const bool injected = host->trace().find("INJECTED") != std::string::npos;
  sweep->count(injected ? "exit " + std::to_string(outcome.status)
                        : "not reached");
  if (!wrong.empty()) {
    sweep->add((traced == Traced::kChild ? "child, " : "parent, ") +
               name_of(call) + " " + error + ": " + wrong + " [" + call.text +
               "] " + outcome.err);
    host->make(work);
  }
  if (is_new && !host->write_back()) {
    sweep->add(name_of(call) + " " + error + ": the next writer fails");
    host->make(work);
  }
}

void fail_at_every(const Work &work, const std::vector<std::string> &errors,
                   First first) {
  const bool all_well = in_workers(
      errors.front() + " " + name_of(work),
      [&](Host *host, int worker, Sweep *sweep) {
        for (const Traced traced : {Traced::kParent, Traced::kChild}) {
          const auto calls = calls_that_fail(host, work, traced, first);
          host->make(work);
          for (std::size_t i = static_cast<std::size_t>(worker);
               i < calls.size(); i += kWorkers) {
            for (const std::string &error : errors) {
              fail_at(host, work, traced, calls[i], error, sweep);
            }
          }
        }
        if (sweep->outcomes["exit 4"] < 10 || sweep->outcomes["exit 7"] < 3 ||
            sweep->outcomes["not reached"] > 2) {
          sweep->add("that is not every call");
        }
      });
  assert_true(all_well);
}

// Up to the lock all commands make the same calls as rotate does.
void set_any_call_fails_is_exit_4_or_done(void ** /*state*/) {
  fail_at_every({"set", false}, {"EIO"}, First::kLock);
}

void delete_any_call_fails_is_exit_4_or_done(void ** /*state*/) {
  fail_at_every({"delete", false}, {"EIO"}, First::kLock);
}

void generate_any_call_fails_is_exit_4_or_done(void ** /*state*/) {
  fail_at_every({"generate", false}, {"EIO"}, First::kLock);
}

void rotate_any_call_fails_is_exit_4_or_done(void ** /*state*/) {
  fail_at_every({"rotate", false}, {"EIO"}, First::kMain);
}

void first_set_any_call_fails_is_exit_4_or_done(void ** /*state*/) {
  fail_at_every({"set", true}, {"EIO"}, First::kMain);
}

// Between them they make every call of the others.  A quota that is exhausted
// (EDQUOT) is a disk without space to all of our code.
void change_without_space_or_interrupted_is_exit_4_or_done(void ** /*state*/) {
  for (const Work &work : {Work{"rotate", false}, Work{"set", true}}) {
    fail_at_every(work, {"ENOSPC", "EINTR"}, First::kLock);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(set_any_call_fails_is_exit_4_or_done),
      E2E_TEST(delete_any_call_fails_is_exit_4_or_done),
      E2E_TEST(generate_any_call_fails_is_exit_4_or_done),
      E2E_TEST(rotate_any_call_fails_is_exit_4_or_done),
      E2E_TEST(first_set_any_call_fails_is_exit_4_or_done),
      E2E_TEST(change_without_space_or_interrupted_is_exit_4_or_done),
  };
  return cmocka_run_group_tests_name("helper_faults_errors", tests, nullptr,
                                     nullptr);
}
