// SPDX-License-Identifier: BSD-3-Clause
// SIGKILL at every system call of every writing command (I2): token.shadow is
// old or new and whole, every answer is what it says, and the next writer
// works, with nothing mended by hand.
#include "faults_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// A token.shadow.tmp_XXXXXX, or the lock on its way to its name.
bool is_litter(const std::string &name) {
  return name.starts_with("token.shadow.tmp_") ||
         name.starts_with("token.shadow.lock.tmp_");
}

std::size_t litter() {
  const auto names = names_in(kDirectory);
  return static_cast<std::size_t>(
      std::count_if(names.begin(), names.end(), is_litter));
}

std::string check_names() {
  for (const std::string &name : names_in(kDirectory)) {
    if (!is_litter(name) && name != "token.shadow" &&
        name != "token.shadow.lock") {
      return "somebody has left " + name;
    }
  }
  return {};
}

// What is wrong after a run that was killed, or should have been.
std::string check_killed(Host *host, const Work &work, const RunResult &outcome,
                         bool helper_is_first, bool *out_new) {
  if (std::string wrong = check_file(work, out_new); !wrong.empty()) {
    return wrong;
  }
  const bool done = outcome.status == 0 || outcome.status == 7;
  if (outcome.status != 128 + SIGKILL && !done && outcome.status != 4) {
    return "exit status " + std::to_string(outcome.status) + ": " + outcome.err;
  }
  if ((done && !*out_new) || (outcome.status == 4 && *out_new)) {
    return "exit status " + std::to_string(outcome.status) + " is not true";
  }
  return check_answers(host, work, *out_new, outcome.out, helper_is_first);
}

// Kills at one call, and has the next writer put back what was there.  Returns
// false if the process makes fewer calls.
bool kill_once(Host *host, const Work &work, const Moment &moment,
               Sweep *sweep) {
  if (work.is_first) {
    host->make(work);
  }
  const std::size_t litter_before = litter();
  const std::uint64_t word = Host::version_word();
  long call = -1;
  const RunResult outcome = host->run_killed({helper_path(), work.command, kId},
                                             input_of(work), moment, &call);
  bool is_new = false;
  std::string wrong =
      check_killed(host, work, outcome, sweep->runs % 2 == 0, &is_new);
  wrong += check_names();
  if (litter() > litter_before + 1) {
    wrong += "more than one temporary file";
  }
  // Who repairs the cache tells upstream; without one there is nobody.
  if (is_new && !work.is_first && Host::version_word() == word) {
    wrong += "upstream was not told";
  }
  if (!host->write_back()) {
    wrong += "the next writer fails";
  } else {
    wrong += expect(read_file(kShadow), with_token(work, kCheapHash).c_str(),
                    "token.shadow after the next writer");
  }
  sweep->count(call < 0 ? "not killed"
               : is_new ? "killed after it"
                        : "killed before it");
  if (!wrong.empty()) {
    sweep->add(name_of(moment, call) + ": " + wrong);
  }
  return call >= 0;
}

// Each of the two processes at each call, the parent from the fork on: before
// it nothing is changed.
void kill_at_every(const Work &work) {
  const bool all_well = in_workers(
      "kill " + name_of(work), [&](Host *host, int worker, Sweep *sweep) {
        host->make(work);
        for (Moment moment :
             {Moment{.process = 0, .from = SYS_clone, .number = 1},
              Moment{.process = 1, .from = -1, .number = 1}}) {
          moment.number += static_cast<unsigned>(worker);
          while (kill_once(host, work, moment, sweep)) {
            moment.number += kWorkers;
          }
        }
        if (sweep->outcomes["killed after it"] < 10 ||
            sweep->outcomes["killed before it"] < 100 ||
            sweep->outcomes["not killed"] != 2) {
          sweep->add("that is not every call");
        }
      });
  assert_true(all_well);
}

void set_killed_at_any_call_leaves_old_or_new(void ** /*state*/) {
  kill_at_every({"set", false});
}

void delete_killed_at_any_call_leaves_old_or_new(void ** /*state*/) {
  kill_at_every({"delete", false});
}

void generate_killed_at_any_call_leaves_old_or_new(void ** /*state*/) {
  kill_at_every({"generate", false});
}

void rotate_killed_at_any_call_leaves_old_or_new(void ** /*state*/) {
  kill_at_every({"rotate", false});
}

void first_set_killed_at_any_call_leaves_none_or_new(void ** /*state*/) {
  kill_at_every({"set", true});
}

// --- two processes

// The parent hands over the secret, and may be killed by the caller; without
// its answer the child changes nothing.
void generate_whose_parent_is_killed_changes_nothing(void ** /*state*/) {
  const bool all_well =
      in_workers("kill parent", [&](Host *host, int worker, Sweep *sweep) {
        const Work work = kEveryWork[static_cast<std::size_t>(2 + worker)];
        host->make(work);
        const struct stat before = status_of(kShadow);
        const RunResult outcome = host->run_traced(
            work, {"-P", host->path("out"), "-e", "trace=write", "-e",
                   "inject=write:signal=SIGKILL:when=1"});
        sweep->count(std::to_string(outcome.status));
        bool is_new = false;
        if (const std::string wrong =
                check_killed(host, work, outcome, false, &is_new);
            !wrong.empty() || outcome.status != 128 + SIGKILL || is_new ||
            status_of(kShadow).st_ino != before.st_ino || litter() != 0) {
          sweep->add(std::string(work.command) + ": " + wrong + outcome.err);
        }
      });
  assert_true(all_well);
}

// --- what stays behind

void check_names_what_a_killed_writer_left(void ** /*state*/) {
  const bool all_well =
      in_workers("litter", [&](Host *host, int /*worker*/, Sweep *sweep) {
        const Work work = {"set", false};
        host->make(work);
        const RunResult outcome =
            host->run_traced(work, {"-e", "trace=renameat", "-e",
                                    "inject=renameat:signal=SIGKILL:when=1"});
        sweep->count(std::to_string(outcome.status));
        std::string name;
        for (const std::string &each : names_in(kDirectory)) {
          name = is_litter(each) ? each : name;
        }
        const RunResult check = run_tool({"check"});
        if (name.empty() || check.out.find(name) == std::string::npos) {
          sweep->add("check does not name '" + name + "': " + check.out);
        }
        // It is nobody's to read who may not read the file itself.
        if ((status_of(std::string(kDirectory) + "/" + name).st_mode & 0777U) !=
            0640U) {
          sweep->add("others may read it");
        }
      });
  assert_true(all_well);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(set_killed_at_any_call_leaves_old_or_new),
      E2E_TEST(delete_killed_at_any_call_leaves_old_or_new),
      E2E_TEST(generate_killed_at_any_call_leaves_old_or_new),
      E2E_TEST(rotate_killed_at_any_call_leaves_old_or_new),
      E2E_TEST(first_set_killed_at_any_call_leaves_none_or_new),
      E2E_TEST(generate_whose_parent_is_killed_changes_nothing),
      E2E_TEST(check_names_what_a_killed_writer_left),
  };
  return cmocka_run_group_tests_name("helper_faults_kill", tests, nullptr,
                                     nullptr);
}
