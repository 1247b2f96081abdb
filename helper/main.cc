// SPDX-License-Identifier: BSD-3-Clause
// pbstoken-helper: it is installed setuid root, so every user may start it,
// with any input.  main() is a checklist.
#include <unistd.h>

#include <initializer_list>
#include <optional>

#include "caller.h"
#include "commands.h"
#include "confine/confinement.h"
#include "confine/inherited.h"
#include "confine/privileges.h"
#include "confine/split.h"
#include "io/audit.h"
#include "io/command_line.h"
#include "io/message.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/sched_slice.h"
#include "wire/answer.h"
#include "wire/ready_stores.h"
#include "wire/request.h"
#include "wire/service.h"

namespace pbstoken {
namespace {

// What is asked for, and the caller that asks.
struct Job {
  Caller caller;
  CommandLine line;
  const CommandEntry *entry = nullptr;
  Store store;
  // What came over standard input: the secret, or a request, where the line's
  // token id stands, too.
  Buffer input;
  std::string_view secret;             // a part of that
  std::uint64_t directory_device = 0;  // of a request, see helper_protocol.h
  std::uint64_t directory_inode = 0;
  uid_t real_uid = 0;
};

// --- how it ends early: the module is told by an answer, a person by a message

// What is written then is written with the rights of the caller.  Only the
// child has real uid 0 unless the caller has it, and its descriptors are its
// own.
void write_as_caller() {
  if (getuid() != 0 && !become_caller()) {
    _exit(static_cast<int>(ExitStatus::kUnavailable));
  }
}

ExitStatus refuse(const CommandLine &line, const Error &error,
                  ExitStatus status = ExitStatus::kUnavailable) {
  write_as_caller();
  if (line.replies) {
    return send_answer(error);
  }
  complain(error);
  return status;
}

ExitStatus refuse(const CommandLine &line, Outcome outcome,
                  std::string_view text) {
  write_as_caller();
  complain(text);
  return line.replies ? send_answer(outcome, text)
                      : info_of(outcome).exit_status;
}

// What is wrong with a configuration is told to root alone: the message may
// quote a file that others may not read.
ExitStatus refuse_store(const Job &job, const Error &error) {
  if (job.caller.uid == 0) {
    return refuse(job.line, error);
  }
  return error.saved_errno == ENOENT
             ? refuse(job.line, Outcome::kNotPermitted,
                      "not permitted: there is no such store")
             : refuse(job.line, Outcome::kUnavailable,
                      "cannot use the store's configuration: 'pbstoken check' "
                      "says why");
}

// --- what main() does

// The caller is the process that is connected to standard input and output.
std::optional<ExitStatus> take_peer(Job *job) {
  auto peer = connected_peer(STDIN_FILENO);
  if (!peer) {
    return refuse(job->line, peer.error());
  }
  job->caller = std::move(*peer);
  return std::nullopt;
}

// The module's request stands in for a command line.
std::optional<ExitStatus> take_request(Job *job) {
  auto body = receive_request();
  if (!body) {
    return refuse(job->line, body.error());
  }
  job->input = std::move(*body);
  const auto request = parse_request_body(job->input.view());
  if (!request) {
    return refuse(job->line, request.error());
  }
  const PathText config = job->line.config;
  job->line = request->line;
  job->line.config = config;
  job->secret = request->secret;
  job->directory_device = request->directory_device;
  job->directory_inode = request->directory_inode;
  job->real_uid = request->real_uid;
  return std::nullopt;
}

// What a client has sent is read and parsed without any.
std::optional<ExitStatus> take_capabilities(Job *job) {
  if (use_capabilities()) {
    return std::nullopt;
  }
  return refuse(job->line, system_error("cannot use capabilities", {}));
}

// A service in another mount namespace would be told of another file.
std::optional<ExitStatus> compare_views(Job *job) {
  const auto view =
      view_of(job->line.command == Command::kAccount ? job->store.user_cfg
                                                     : job->store.token_shadow);
  if (job->directory_inode == 0 ||
      (view && view->directory_device == job->directory_device &&
       view->directory_inode == job->directory_inode)) {
    return std::nullopt;
  }
  return refuse(job->line, Outcome::kOtherView,
                "the service sees another directory of the store's files");
}

// Judges the caller.  Nothing of its input is read before that, but a request,
// which has the command and the store.
std::optional<ExitStatus> judge(Job *job) {
  const CommandLine &line = job->line;
  if (!line.config.empty() && !may_name_configuration(job->caller)) {
    return refuse(line, Outcome::kNotPermitted,
                  "not permitted: --config is for root");
  }
  const Store *ready =
      line.config.empty() ? ready_store(line.store.view()) : nullptr;
  const auto store =
      ready != nullptr ? Result<Store>(*ready)
                       : load_store(line.store.view(), configuration_of(line));
  if (!store) {
    return refuse_store(*job, store.error());
  }
  job->store = *store;
  job->store.cache = store->cache && !line.nocache;
  job->entry = find_command(kHelperProgram, line.command);
  const auto permitted = permits(job->caller, job->store, job->entry);
  if (!permitted) {
    return refuse(line, permitted.error());
  }
  if (!*permitted && inherits_user_namespace() &&
      has_unknown_groups(job->caller)) {
    return refuse(line, Outcome::kConfined,
                  "not permitted: it runs in a user namespace that does not "
                  "have its groups");
  }
  if (!*permitted) {
    return refuse(line, Outcome::kNotPermitted,
                  refusal(job->caller, job->store, job->entry).view());
  }
  return std::nullopt;
}

// The process is still in the caller's session: a terminal stops one that asks
// from the background, and holds up no other process by it.
std::optional<ExitStatus> read_input(Job *job) {
  auto secret = read_secret(job->entry->secret);
  if (!secret) {
    return refuse(job->line, secret.error(),
                  secret.error().code == Errc::kMalformed
                      ? ExitStatus::kUsage
                      : ExitStatus::kUnavailable);
  }
  job->input = std::move(*secret);
  job->secret = job->input.view();
  return std::nullopt;
}

// What the caller is judged and asked for by, in this order.
using Step = std::optional<ExitStatus> (*)(Job *);

std::optional<ExitStatus> take(std::initializer_list<Step> steps, Job *job) {
  for (const Step step : steps) {
    if (const auto refused = step(job); refused) {
      return refused;
    }
  }
  return std::nullopt;
}

ExitStatus act(const Job &job) {
  // Others wait for what a writer holds, so a verification lets them go first.
  if (job.line.command == Command::kVerify) {
    static_cast<void>(exchange_slice(kLongSlice));
  }
  if (const auto confined =
          confine(job.entry->reach, configuration_of(job.line), job.store);
      !confined) {
    return refuse(job.line, confined.error());
  }
  return run_command(
      *job.entry, job.line, job.store,
      client_of(job.caller, job.real_uid, job.line.remote_host.view()),
      job.secret);
}

// A child of the resident service, with a connection for standard input and
// output.
ExitStatus answer_connection() {
  Job job;
  job.line.replies = true;
  const auto refused = take(
      {take_peer, take_request, take_capabilities, judge, compare_views}, &job);
  return refused ? *refused : act(job);
}

ExitStatus run_service(const Job &job) {
  if (job.caller.uid != 0) {
    return refuse(job.line, Outcome::kNotPermitted,
                  "not permitted: only root may");
  }
  open_audit_log();
  const auto ended = serve(answer_connection);
  if (!ended) {
    turn_away();
  }
  return ended ? ExitStatus::kDone : refuse(job.line, ended.error());
}

// Refuses to run a program that is not installed as it must be.
std::optional<ExitStatus> refuse_installation(const Result<CommandLine> &line) {
  const auto installed = check_installation();
  if (installed) {
    return std::nullopt;
  }
  if (line && line->command == Command::kServe && getuid() == 0) {
    turn_away();
  }
  return refuse(line ? *line : CommandLine(), Outcome::kNotSetuid,
                describe(installed.error()).view());
}

// Takes the five steps of confine/README.md.
ExitStatus run(int argc, char **argv) {
  // 1. Depend on nothing that the caller has left behind.
  Job job;
  if (const auto shed = shed_inheritance(); !shed) {
    return refuse(job.line, shed.error());
  }
  // 2. Refuse a wrong installation.  The command line is parsed before, since
  // it says how a refusal is told.
  const auto line = parse_command_line(kHelperProgram, argc, argv);
  if (const auto refused = refuse_installation(line); refused) {
    return *refused;
  }
  // 3. With the caller's real uid, so that the caller can end the process:
  // judge the command line and the caller, and read the input.
  if (!line) {
    return refuse(job.line, line.error(), ExitStatus::kUsage);
  }
  if (line->about != About::kNothing) {
    write_as_caller();
    return print_about(kHelperProgram, line->about) ? ExitStatus::kDone
                                                    : ExitStatus::kUnavailable;
  }
  job.line = *line;
  auto caller = calling_process();
  if (!caller) {
    return refuse(job.line, caller.error());
  }
  job.caller = std::move(*caller);
  if (line->command == Command::kServe) {
    return run_service(job);
  }
  note_inherited_confinement();
  const bool is_request = line->command == Command::kRequest;
  if (const auto refused = is_request ? take({take_request, judge}, &job)
                                      : take({judge, read_input}, &job);
      refused) {
    return *refused;
  }
  // 4. The child alone becomes root, the parent the caller again.
  const auto ended = split(
      is_request ? ChildInput::kCallers : ChildInput::kDelivery, &job.input);
  if (!ended) {
    return refuse(job.line, ended.error());
  }
  if (*ended) {
    return static_cast<ExitStatus>(**ended);
  }
  // 5. Judge once more, since the caller may have let the input wait.  Then
  // keep no more than the command needs, and run it.
  if (const auto refused = judge(&job); refused) {
    return *refused;
  }
  if (job.entry->reach == Reach::kTokenShadow &&
      !is_draft(job.line, job.store)) {
    open_audit_log();
  }
  return act(job);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::run(argc, argv));
}
