// SPDX-License-Identifier: BSD-3-Clause
// Every allocation of every command of both programs fails once, and from there
// on; and so does every system call of those that write nothing (those that do
// are in test_helper_faults_errors.cc).  Nothing wrong is said to be right,
// nothing half is printed as if it were whole, and what was not done has left
// token.shadow as it was.
//
// The commands run in a child of this program, which has both programs inside
// but for their main().
#include "admin/admin.h"
#include "caller.h"
#include "commands.h"
#include "e2e/e2e_faults.h"
#include "e2e/e2e_support.h"
#include "io/command_line.h"
#include "io/message.h"
#include "wire/request.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kOffId = "root@pam!off";

struct Job {
  const char *what;
  std::vector<const char *> arguments;
  std::string input = {};
  bool writes = false;
  bool varies = false;  // its output, which no two runs have in common
};

std::string request_for(HelperCommand command, const char *id,
                        const char *secret) {
  return std::string(make_request({.command = command,
                                   .store = "pbs",
                                   .host = "",
                                   .token_id = id,
                                   .secret = secret})
                         ->view());
}

const std::vector<Job> kReaders = {
    {"list", {"list"}},
    {"list as JSON", {"--output-format=json", "list"}},
    {"list as pretty JSON", {"--output-format=json-pretty", "list"}},
    {"check", {"check"}},
    {"check as JSON", {"--output-format=json", "check"}},
    {.what = "explain",
     .arguments = {"--service=sshd", "explain", kOldId},
     .varies = true},
    {.what = "status", .arguments = {"status"}, .varies = true},
    {.what = "status as pretty JSON",
     .arguments = {"--output-format=json-pretty", "status"},
     .varies = true},
    {"verify", {"verify", kOldId}, kOldSecret},
    {"verify of a wrong secret", {"verify", kOldId}, kWrongSecret},
    {"account", {"account", kOldId}},
    {"account of a disabled token", {"account", kOffId}},
    {.what = "verify for the module",
     .arguments = {"request"},
     .input = request_for(HelperCommand::kVerify, kOldId, kOldSecret),
     .varies = true},
    {.what = "account for the module",
     .arguments = {"request"},
     .input = request_for(HelperCommand::kAccount, kOffId, ""),
     .varies = true},
    {"flush", {"flush"}},
    {.what = "retire", .arguments = {"retire"}, .varies = true},
};

const std::vector<Job> kWriters = {
    {"set", {"set", kOldId}, kSecret, true},
    {"delete", {"delete", kOldId}, "", true},
    {"generate", {"generate", kId}, "", true, true},
    {"rotate", {"rotate", kOldId}, kOldSecret, true, true},
};

constexpr Fault kNoMemory = {"out of memory once", ENOMEM, true, false};
constexpr Fault kNoMemoryLeft = {"out of memory", ENOMEM, true, true};
constexpr Fault kBroken = {"I/O error once", EIO, false, false};
constexpr Fault kInterrupted = {"interrupted once", EINTR, false, false};

// What main() does, from the arguments on.
int answer(int argc, char **argv) {
  const pbstoken::Program *program = &kHelperProgram;
  auto given = parse_command_line(*program, argc, argv);
  if (!given) {
    program = &kAdminProgram;
    optind = 1;
    given = parse_command_line(*program, argc, argv);
  }
  if (!given) {
    return static_cast<int>(ExitStatus::kUsage);
  }
  CommandLine line = *given;
  const auto give_up = [](const Error &error) {
    complain(error);
    return static_cast<int>(ExitStatus::kUnavailable);
  };
  const auto caller = calling_process();
  if (!caller) {
    return give_up(caller.error());
  }
  const auto store = load_store(line.store.view(), configuration_of(line));
  if (!store) {
    return give_up(store.error());
  }
  const CommandEntry *entry = find_command(*program, line.command);
  const auto permitted = permits(*caller, *store, entry);
  if (!permitted || !*permitted) {
    return give_up(permitted.error());
  }
  const auto input =
      line.replies ? receive_request() : read_secret(entry->secret);
  if (!input) {
    return give_up(input.error());
  }
  std::string_view secret = input->view();
  if (line.replies) {
    const auto request = parse_request_body(input->view());
    if (!request) {
      return give_up(request.error());
    }
    line = request->line;
    secret = request->secret;
    entry = find_command(*program, line.command);
  }
  const Client client = client_of(*caller, 0, line.remote_host.view());
  return static_cast<int>(run_command(*entry, line, *store, client, secret));
}

// A token that is allowed, one that is not, and every kind of neighbour.
const std::string &shadow_before() {
  static const std::string text = shadow_of({{kOldId, kOldHash},
                                             {kOffId, kOldHash},
                                             {"no token id", "x"},
                                             {"ghost@pbs!t", "*"}});
  return text;
}

void make_host() {
  static_cast<void>(clean_host(nullptr));
  write_file(kShadow, shadow_before(), 0640);
  write_file(kUserCfg,
             std::string("user: root@pam\n\tcomment \"none\"\n\ntoken: ") +
                 kOldId + "\n\ntoken: " + kOffId + "\n\tenable 0\n",
             0640);
  for (const char *path : {kShadow, kUserCfg}) {
    assert_int_equal(chown(path, kBackup, kBackup), 0);
  }
}

struct Ran {
  int status;
  std::string out;
  std::string err;
  bool hit;
};

bool is_check(const Job &job) {
  return std::string_view(job.arguments.back()) == "check";
}

Ran run_job(const Job &job, const Fault &fault, int at) {
  make_host();
  if (is_check(job)) {
    write_file(kLock, "", 0600);  // which others make for themselves
  }
  std::vector<char *> argv = {const_cast<char *>("pbstoken-helper")};
  for (const char *argument : job.arguments) {
    argv.push_back(const_cast<char *>(argument));
  }
  argv.push_back(nullptr);
  arm(fault, 0);  // the children share what it counts with
  disarm();
  Pipe in;
  Pipe out;
  Pipe err;
  const pid_t child = start_child([&] {
    dup2(in.reader(), STDIN_FILENO);
    dup2(out.writer(), STDOUT_FILENO);
    dup2(err.writer(), STDERR_FILENO);
    in.close_writer();
    arm(fault, at);
    const int status = answer(static_cast<int>(argv.size()) - 1, argv.data());
    disarm();
    return status;
  });
  const std::string_view input = job.input;
  assert_int_equal(write(in.writer(), input.data(), input.size()),
                   input.size());
  in.close_reader();
  in.close_writer();
  Ran ran;
  ran.out = out.read_all();
  ran.err = err.read_all();
  ran.status = wait_for(child);
  ran.hit = *faults.hit != 0;
  return ran;
}

void assert_harmless(const Job &job, const Ran &good, const Ran &ran) {
  const bool done = ran.status == 0 || ran.status == 7;
  if (job.writes) {
    assert_true(done || ran.status == 4);
    assert_true(done == (read_file(kShadow) != shadow_before()));
    assert_true(!done || !job.varies || !ran.out.empty());
    for (const std::string &name : names_in(kDirectory)) {
      assert_false(name.starts_with("token.shadow.tmp_"));
    }
    return;
  }
  assert_text_equal(read_file(kShadow), shadow_before());
  // A check may name what it could not look at.
  assert_true(ran.status == good.status || ran.status == 4 ||
              (is_check(job) && ran.status == 1 && !ran.out.empty()));
  if (ran.status == good.status && !job.varies && ran.status == 0) {
    assert_text_equal(ran.out, good.out);
  }
  if (ran.status == 4 && !job.varies) {
    assert_false(ran.err.empty());
  }
}

void sweep(const std::vector<Job> &jobs, const Fault &fault) {
  for (const Job &job : jobs) {
    const Ran good = run_job(job, kNoMemory, 0);  // none fails
    int at = 1;
    for (Ran ran = run_job(job, fault, at); ran.hit;
         ran = run_job(job, fault, ++at)) {
      if (ran.status > 7) {
        fail_msg("%s, %s at %d: %d", job.what, fault.name, at, ran.status);
      }
      assert_harmless(job, good, ran);
    }
    std::printf("%s: %s at each of %d\n", job.what, fault.name, at - 1);
    assert_true(at > 5);
  }
}

void no_memory_in_a_command_that_reads(void ** /*state*/) {
  sweep(kReaders, kNoMemory);
  sweep(kReaders, kNoMemoryLeft);
}

void no_memory_in_a_command_that_writes(void ** /*state*/) {
  sweep(kWriters, kNoMemory);
}

void system_calls_of_a_command_that_reads(void ** /*state*/) {
  sweep(kReaders, kBroken);
}

void interruptions_of_a_command_that_reads(void ** /*state*/) {
  sweep(kReaders, kInterrupted);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(no_memory_in_a_command_that_reads),
      E2E_TEST(no_memory_in_a_command_that_writes),
      E2E_TEST(system_calls_of_a_command_that_reads),
      E2E_TEST(interruptions_of_a_command_that_reads),
  };
  return cmocka_run_group_tests_name("helper_sweep", tests, nullptr, nullptr);
}
