// SPDX-License-Identifier: BSD-3-Clause
#include "wire/reply.h"

#include <poll.h>
#include <unistd.h>

#include <array>

#include "io/message.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

constexpr std::uint64_t kReadingSeconds = 60;
constexpr std::size_t kLongestLine = kMaxSecret + 2;

std::uint64_t seconds_from_now(std::uint64_t seconds) {
  return boottime_now() + seconds * kNanosecondsPerSecond;
}

// All of it at once, so that it fits or waits once.
bool send_message(Outcome outcome, std::string_view text) {
  const AnswerWord word = word_of(outcome);
  Buffer message;  // wiped: an offer is a secret
  if (!message.append({word.data(), word.size()}) || !message.append(text)) {
    errno = ENOMEM;
    return false;
  }
  return wait_until(seconds_from_now(kRequestSeconds), STDOUT_FILENO,
                    POLLOUT) &&
         write_all(STDOUT_FILENO, message.view());
}

Error broken(const char *why) {
  return plain_error(Errc::kMalformed, "cannot read the request", {}, why);
}

// At most size bytes more; an error if there are none.
Result<void> receive_some(std::size_t size, std::uint64_t deadline,
                          Buffer *out) {
  if (!wait_until(deadline, STDIN_FILENO, POLLIN)) {
    Error error = system_error("cannot read the request", {});
    error.code = errno == ETIMEDOUT ? Errc::kTimedOut : error.code;
    return error;
  }
  const ssize_t count = read(STDIN_FILENO, out->free_space(), size);
  if (count < 0) {
    return system_error("cannot read the request", {});
  }
  if (count == 0) {
    return broken("it ends too early");
  }
  out->add_filled(static_cast<std::size_t>(count));
  return {};
}

}  // namespace

ExitStatus send_answer(Outcome outcome, std::string_view text) {
  const bool sent = send_message(
      outcome, slice(is_success(outcome) ? std::string_view() : text, 0,
                     kMaxAnswerText));
  return sent ? info_of(outcome).exit_status : ExitStatus::kUnavailable;
}

ExitStatus send_answer(const Error &error) {
  // Besides, for who reads standard error.
  complain(error);
  return send_answer(outcome_of(error), describe(error).view());
}

bool send_offer(const Secret &secret) {
  Buffer line;
  if (!line.append(secret.view()) || !line.append("\n") ||
      !send_message(Outcome::kOffer, line.view())) {
    return false;
  }
  const auto acknowledged = receive_line(seconds_from_now(kReadingSeconds));
  return acknowledged &&
         acknowledged->view() ==
             slice(kAcknowledgement, 0, kAcknowledgement.size() - 1);
}

Result<void> receive_exactly(std::size_t size, std::uint64_t deadline,
                             Buffer *out) {
  if (!out->reserve(out->size() + size)) {
    return no_memory("cannot read the request");
  }
  for (const std::size_t end = out->size() + size; out->size() < end;) {
    if (const auto some = receive_some(end - out->size(), deadline, out);
        !some) {
      return some.error();
    }
  }
  return {};
}

Result<Buffer> receive_line(std::uint64_t deadline) {
  Buffer line;
  if (!line.reserve(kLongestLine)) {
    return no_memory("cannot read the request");
  }
  while (!line.view().ends_with('\n')) {
    if (line.size() == kLongestLine) {
      return broken("its line is too long");
    }
    if (const auto some =
            receive_some(kLongestLine - line.size(), deadline, &line);
        !some) {
      return some.error();
    }
  }
  line.drop_last();
  return line;
}

}  // namespace pbstoken
