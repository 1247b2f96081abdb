// SPDX-License-Identifier: BSD-3-Clause
// pbstoken-helper: installed setuid root, so anybody may start it, with
// anything.  main() is the checklist; nothing above a line may depend on what
// that line establishes.
#include <unistd.h>

#include "caller.h"
#include "command_line.h"
#include "commands.h"
#include "confinement.h"
#include "exit_status.h"
#include "message.h"
#include "permissions.h"
#include "privileges.h"
#include "session.h"

// libcrypto's constructor, which runs before main(), lets a variable say what
// the processor can do, setuid or not: SHA-256 would end with an illegal
// instruction wherever the caller likes.  There is no environment here.
extern "C" char *getenv(const char * /*name*/) noexcept {
  return nullptr;
}

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

// What is wrong with a configuration is told to root alone: the message may
// quote a file that others may not read.
ExitStatus refuse_store(const Caller &caller, const Error &error) {
  if (caller.uid == 0) {
    return give_up(ExitStatus::kUnavailable, error);
  }
  return error.saved_errno == ENOENT
             ? give_up(ExitStatus::kNotPermitted,
                       "not permitted: there is no such store")
             : give_up(ExitStatus::kUnavailable,
                       "cannot use the store's configuration: root is told "
                       "why");
}

// 3. Out of the caller's reach, and with no more than the command needs.
ExitStatus act(const CommandLine &line, const Store &store,
               const Buffer &secret) {
  const auto ended = leave_session();
  if (!ended) {
    return give_up(ExitStatus::kUnavailable, ended.error());
  }
  if (*ended) {
    return static_cast<ExitStatus>(**ended);
  }
  if (const auto confined = confine(line, store); !confined) {
    return give_up(ExitStatus::kUnavailable, confined.error());
  }
  return run_command(line, store, secret);
}

// 2. May the caller have this?  Nothing of its input is read before that.
ExitStatus answer(const Caller &caller, const CommandLine &line) {
  if (!line.config.empty() && !may_name_configuration(caller)) {
    return give_up(ExitStatus::kNotPermitted,
                   "not permitted: --config is for root");
  }
  const auto store = load_store(line.store.view(), configuration_of(line));
  if (!store) {
    return refuse_store(caller, store.error());
  }
  const auto permitted = permits(caller, *store, line.command);
  if (!permitted) {
    return give_up(ExitStatus::kUnavailable, permitted.error());
  }
  if (!*permitted) {
    return give_up(ExitStatus::kNotPermitted,
                   refusal(*store, line.command).view());
  }
  // Still in the caller's session: a terminal stops whoever asks from the
  // background, and there is nothing yet that others wait for.
  const auto secret = read_secret_for(line.command);
  if (!secret) {
    return give_up(secret.error().code == Errc::kMalformed
                       ? ExitStatus::kUsage
                       : ExitStatus::kUnavailable,
                   secret.error());
  }
  return act(line, *store, *secret);
}

// 1. A process that is root's own, and who asks for what.
ExitStatus serve(int argc, char **argv) {
  if (const auto shed = shed_inheritance(); !shed) {
    return give_up(ExitStatus::kUnavailable, shed.error());
  }
  const auto caller = calling_process();
  if (!caller) {
    return give_up(ExitStatus::kUnavailable, caller.error());
  }
  if (const auto root = become_root(); !root) {
    return give_up(ExitStatus::kUnavailable, root.error());
  }
  const auto line = parse_command_line(argc, argv);
  if (!line) {
    return give_up(ExitStatus::kUsage, line.error());
  }
  if (!*line) {
    return write_all(STDOUT_FILENO, usage_text()) ? ExitStatus::kDone
                                                  : ExitStatus::kUnavailable;
  }
  return answer(*caller, **line);
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  return static_cast<int>(pbstoken::serve(argc, argv));
}
