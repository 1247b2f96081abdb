// SPDX-License-Identifier: BSD-3-Clause
// pbstoken-helper: it is installed setuid root, so every user may start it,
// with any input.  The functions are the steps of a checklist, the last one
// first; nothing above a line may depend on what that line establishes.
#include <unistd.h>

#include <optional>

#include "caller.h"
#include "commands.h"
#include "confine/confinement.h"
#include "confine/privileges.h"
#include "confine/session.h"
#include "io/command_line.h"
#include "io/message.h"
#include "pbstoken/os/sched_slice.h"
#include "wire/answer.h"
#include "wire/request.h"

namespace pbstoken {
namespace {

ExitStatus give_up(ExitStatus status, const Error &error) {
  complain(error);
  return status;
}

ExitStatus give_up(ExitStatus status, std::string_view text) {
  complain(text);
  return status;
}

// The same, told to the module if the module is the caller.
ExitStatus give_up(const CommandLine &line, ExitStatus status,
                   const Error &error) {
  return line.replies ? send_answer(error) : give_up(status, error);
}

ExitStatus give_up(const CommandLine &line, ExitStatus status,
                   std::string_view text) {
  complain(text);
  return line.replies ? send_answer(status == ExitStatus::kNotPermitted
                                        ? Outcome::kNotPermitted
                                        : Outcome::kUnavailable,
                                    text)
                      : status;
}

// What is wrong with a configuration is told to root alone: the message may
// quote a file that others may not read.
ExitStatus refuse_store(const Caller &caller, const CommandLine &line,
                        const Error &error) {
  if (caller.uid == 0) {
    return give_up(line, ExitStatus::kUnavailable, error);
  }
  return error.saved_errno == ENOENT
             ? give_up(line, ExitStatus::kNotPermitted,
                       "not permitted: there is no such store")
             : give_up(line, ExitStatus::kUnavailable,
                       "cannot use the store's configuration: root is told "
                       "why");
}

// 3. Leave the caller's reach, keep no more than the command needs, and run it.
ExitStatus act(const Caller &caller, const CommandEntry &entry,
               const CommandLine &line, const Store &store,
               std::string_view secret) {
  const auto ended = leave_session();
  if (!ended) {
    return give_up(line, ExitStatus::kUnavailable, ended.error());
  }
  if (*ended) {
    return static_cast<ExitStatus>(**ended);
  }
  // Others wait for what a writer holds, so a verification lets them go first.
  if (line.command == Command::kVerify) {
    static_cast<void>(exchange_slice(kLongSlice));
  }
  if (const auto confined = confine(entry.reach, configuration_of(line), store);
      !confined) {
    return give_up(line, ExitStatus::kUnavailable, confined.error());
  }
  const Client client = client_of(caller, line.remote_host.view());
  return run_command(entry, line, store, client, secret);
}

// 2. Judge the caller.  Nothing of its input is read before that; only a
// request over the socket has brought the secret with it.
ExitStatus answer(const Caller &caller, const CommandLine &line,
                  std::optional<std::string_view> brought) {
  if (!line.config.empty() && !may_name_configuration(caller)) {
    return give_up(line, ExitStatus::kNotPermitted,
                   "not permitted: --config is for root");
  }
  auto store = load_store(line.store.view(), configuration_of(line));
  if (!store) {
    return refuse_store(caller, line, store.error());
  }
  const CommandEntry *entry = find_command(kHelperProgram, line.command);
  const auto permitted = permits(caller, *store, entry);
  if (!permitted) {
    return give_up(line, ExitStatus::kUnavailable, permitted.error());
  }
  if (!*permitted) {
    return give_up(line, ExitStatus::kNotPermitted,
                   refusal(*store, entry).view());
  }
  store->cache = store->cache && !line.nocache;
  if (brought) {
    return act(caller, *entry, line, *store, *brought);
  }
  // The process is still in the caller's session: a terminal stops one that
  // asks from the background, and holds up no other process by it.
  const auto secret =
      line.replies ? receive_secret(*entry) : read_secret(entry->secret);
  if (!secret) {
    return give_up(line,
                   secret.error().code == Errc::kMalformed
                       ? ExitStatus::kUsage
                       : ExitStatus::kUnavailable,
                   secret.error());
  }
  return act(caller, *entry, line, *store, secret->view());
}

// Answers the one request of the process that is connected to standard input
// and output.
ExitStatus answer_connection(const Caller &starter) {
  if (starter.uid != 0) {
    return give_up(ExitStatus::kNotPermitted, "not permitted: only root may");
  }
  const auto caller = connected_peer(STDIN_FILENO);
  if (!caller) {
    return give_up(ExitStatus::kUnavailable, caller.error());
  }
  const auto body = receive_request();
  if (!body) {
    return send_answer(body.error());
  }
  const auto request = parse_request_body(body->view());
  return request ? answer(*caller, request->line, request->secret)
                 : send_answer(request.error());
}

// 1. Make the process root's own, and find out the caller and the request.
ExitStatus serve(int argc, char **argv) {
  if (const auto shed = shed_inheritance(); !shed) {
    return give_up(ExitStatus::kUnavailable, shed.error());
  }
  const auto caller = calling_process();
  if (!caller) {
    return give_up(ExitStatus::kUnavailable, caller.error());
  }
  // This looks at the arguments alone, and says how to complain.
  const auto line = parse_command_line(kHelperProgram, argc, argv);
  if (const auto root = become_root(); !root) {
    complain(root.error());
    return line && line->replies
               ? send_answer(Outcome::kNotSetuid, describe(root.error()).view())
               : ExitStatus::kUnavailable;
  }
  if (!line) {
    return give_up(ExitStatus::kUsage, line.error());
  }
  if (line->about != About::kNothing) {
    return print_about(kHelperProgram, line->about) ? ExitStatus::kDone
                                                    : ExitStatus::kUnavailable;
  }
  return line->command == Command::kServe
             ? answer_connection(*caller)
             : answer(*caller, *line, std::nullopt);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::serve(argc, argv));
}
