// SPDX-License-Identifier: BSD-3-Clause
#include "wire/answer.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "confine/inherited.h"
#include "io/message.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/wait.h"
#include "wire/request.h"

namespace pbstoken {

namespace {

constexpr std::uint64_t kReadingSeconds = 60;

// Sends all of it at once, so that it fits or waits once.
bool send_message(Outcome outcome, std::string_view text) {
  const AnswerWord word = word_of(outcome);
  Buffer message;  // wiped: an offer is a secret
  if (!message.append({word.data(), word.size()}) || !message.append(text)) {
    errno = ENOMEM;
    return false;
  }
  return wait_until(deadline_in(kRequestSeconds), STDOUT_FILENO, POLLOUT) &&
         write_all(STDOUT_FILENO, message.view());
}

}  // namespace

ExitStatus send_answer(Outcome outcome, std::string_view text) {
  const bool sent = send_message(
      outcome,
      slice(lets_in(outcome) ? std::string_view() : text, 0, kMaxAnswerText));
  // This is the end of the answer, which else would come with that of the
  // process.
  static_cast<void>(shutdown(STDOUT_FILENO, SHUT_WR));
  // That takes longer than many an answer: the caller goes first.
  sched_yield();
  return sent ? info_of(outcome).exit_status : ExitStatus::kUnavailable;
}

// A file or a call that root is refused is most likely refused to what the
// caller has left of root.
ExitStatus send_answer(const Error &error) {
  // Standard error is for a person at a terminal.
  complain(error);
  ErrorText text = describe(error);
  const std::string_view reason = inherited_confinement();
  if (reason.empty() ||
      (error.saved_errno != EACCES && error.saved_errno != EPERM)) {
    return send_answer(outcome_of(error), text.view());
  }
  text.append(": ").append(reason);
  return send_answer(Outcome::kConfined, text.view());
}

Result<void> send_offer(const Secret &secret) {
  Buffer line;
  if (!line.append(secret.view()) || !line.append("\n")) {
    return no_memory("cannot offer the new secret");
  }
  // What has come already acknowledges nothing.
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (poll(&input, 1, 0) != 0) {
    return plain_error(Errc::kSystem, "cannot offer the new secret", {},
                       "more than the request has come");
  }
  if (!send_message(Outcome::kOffer, line.view())) {
    return system_error("cannot offer the new secret", {});
  }
  const auto acknowledged = receive_line(deadline_in(kReadingSeconds));
  if (!acknowledged ||
      acknowledged->view() !=
          slice(kAcknowledgement, 0, kAcknowledgement.size() - 1)) {
    return plain_error(Errc::kSystem, "the new secret was not acknowledged",
                       {});
  }
  return {};
}

}  // namespace pbstoken
