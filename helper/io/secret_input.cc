// SPDX-License-Identifier: BSD-3-Clause
#include "io/secret_input.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/base/wipe.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

// Room for one byte too many, and the newline after it.
constexpr std::size_t kMostRead = kMaxSecret + 2;

// The time, in seconds, for all that does not come from a terminal.
constexpr std::uint64_t kInputSeconds = 60;

// Switches the echo of a terminal off, and on again whatever happens: signals
// that would end the process wait until then.
class EchoOff {
 public:
  EchoOff() {
    if (tcgetattr(STDIN_FILENO, &old_settings_) == 0) {
      termios silent = old_settings_;
      silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      active_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
    }
  }
  EchoOff(const EchoOff &) = delete;
  EchoOff &operator=(const EchoOff &) = delete;
  ~EchoOff() {
    if (active_) {
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &old_settings_);
      static_cast<void>(write_all(STDERR_FILENO, "\n"));
    }
  }

  [[nodiscard]] bool is_active() const { return active_; }

 private:
  HeldSignals signals_;
  termios old_settings_{};
  bool active_ = false;
};

// If the process is in the background, this stops it until it is brought to the
// front, as job control has it.  Once signals are blocked it would pass.
bool wait_for_foreground() {
  termios settings{};
  return tcgetattr(STDIN_FILENO, &settings) == 0 &&
         tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0;
}

// Waits until there is something to read, or a signal to give way to.
bool wait_for_input() {
  constexpr int kInterval = 100;  // ms
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (!HeldSignals::has_end_signal()) {
    const int ready = poll(&input, 1, kInterval);
    if (ready > 0) {
      return true;
    }
    if (ready < 0 && errno != EINTR) {
      return false;
    }
  }
  errno = EINTR;
  return false;
}

Error input_error() {
  return system_error("cannot read the secret from", "standard input");
}

// Reads to the end of input, or of a line if only one is wanted.
Result<Buffer> read_input(bool one_line) {
  Buffer input;
  if (!input.reserve(kMostRead)) {
    return no_memory("cannot read the secret");
  }
  const std::uint64_t deadline = deadline_in(kInputSeconds);
  while (input.size() < kMostRead) {
    const bool is_ready = one_line ? wait_for_input()
                                   : wait_until(deadline, STDIN_FILENO, POLLIN);
    if (!is_ready) {
      return input_error();
    }
    const ssize_t count =
        read(STDIN_FILENO, input.free_space(), kMostRead - input.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return input_error();
    }
    input.add_filled(static_cast<std::size_t>(count));
    if (count == 0 || (one_line && input.view().ends_with('\n'))) {
      break;
    }
  }
  if (input.view().ends_with('\n')) {
    input.drop_last();
  }
  return input;
}

Result<Buffer> ask(std::string_view prompt) {
  if (!wait_for_foreground()) {
    return input_error();
  }
  const EchoOff silence;
  if (!silence.is_active()) {
    return input_error();
  }
  if (!write_all(STDERR_FILENO, prompt)) {
    return system_error("cannot write to", "standard error");
  }
  return read_input(/*one_line=*/true);
}

}  // namespace

Result<Buffer> read_secret(SecretPurpose purpose) {
  if (purpose == SecretPurpose::kNone) {
    return Buffer();
  }
  if (isatty(STDIN_FILENO) == 0) {
    return read_input(/*one_line=*/false);
  }
  if (purpose == SecretPurpose::kCurrent) {
    return ask("Current secret: ");
  }
  auto first = ask("New secret: ");
  if (!first) {
    return first.error();
  }
  const auto second = ask("Again: ");
  if (!second) {
    return second.error();
  }
  if (!equal_in_constant_time(first->view(), second->view())) {
    return plain_error(Errc::kMalformed, "cannot read the secret", {},
                       "the two are not the same");
  }
  return first;
}

}  // namespace pbstoken
