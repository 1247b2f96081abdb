// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

// For an answer, from the question or the acknowledgement on: more than what
// the helper itself waits for, 5 s at the gate or 10 s at the lock.
constexpr std::uint64_t kSeconds = 20;
// For a place in the socket's queue.
constexpr timeval kConnecting = {.tv_sec = 5, .tv_usec = 0};

constexpr std::size_t kMostReceived = 640;  // an offer has 520 at most
constexpr const char *kCannotAsk = "cannot ask the helper";
constexpr const char *kNonsense = "the helper's answer makes no sense";

// --- the two ways

// Whether a setuid program would be one; root needs none.
bool may_gain_privileges() {
  return is_root() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

// A full queue is waited for as kConnecting says, and a handler of the host's
// may interrupt that.
bool connect_until(std::uint64_t deadline, int fd, const sockaddr_un &address) {
  while (connect(fd, reinterpret_cast<const sockaddr *>(&address),
                 sizeof(address)) != 0) {
    if (errno != EINTR || boottime_now() >= deadline) {
      return false;
    }
  }
  return true;
}

// Connected to root, or why not.
Result<UniqueFd> connect_to_helper(std::uint64_t deadline, const char *what,
                                   std::string_view where) {
  UniqueFd socket = above_standard(
      UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, kHelperSocket, std::strlen(kHelperSocket));
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (!socket ||
      setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnecting,
                 sizeof(kConnecting)) != 0 ||
      !connect_until(deadline, socket.get(), address) ||
      getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return system_error(what, where);
  }
  // Else a user who can write to /run/pbstoken could let every token in.
  if (peer.uid != 0) {
    return plain_error(Errc::kUnsafe, what, where, "its peer is not root");
  }
  return socket;
}

Error timed_out() {
  return plain_error(Errc::kTimedOut, "the helper does not answer", {});
}

// What ended without an answer that counts.
Error no_answer(const char *what, std::optional<int> status) {
  constexpr int kSignalled = 128;
  FixedText<64> end;
  if (status) {
    const bool signalled = *status >= kSignalled;
    end.append(signalled ? "(signal " : "(exit status ")
        .append(static_cast<unsigned>(*status - (signalled ? kSignalled : 0)))
        .append(")");
  }
  return plain_error(Errc::kMalformed, what, end.view());
}

// Whether an exit status, where there is one, says what the word says.
bool agrees(std::optional<int> status, Outcome outcome) {
  const auto expected = static_cast<int>(info_of(outcome).exit_status);
  return status.value_or(expected) == expected;
}

}  // namespace

HelperDialogue::~HelperDialogue() {
  if (socket_) {
    // Another thread may have forked with a copy of the descriptor.
    static_cast<void>(shutdown(socket_.get(), SHUT_RDWR));
  }
}

Result<HelperAnswer> HelperDialogue::ask(const HelperRequest &request) {
  deadline_ = deadline_in(kSeconds);
  more_to_come_ = request.command == HelperCommand::kRotate;
  const auto bytes = make_request(request);
  if (!bytes) {
    return bytes.error();
  }
  if (!may_gain_privileges()) {
    return ask_socket(bytes->view(), "no_new_privs is set and", kHelperSocket);
  }
  auto answer = ask_program(bytes->view());
  if (!answer || (answer->outcome != Outcome::kNotStarted &&
                  answer->outcome != Outcome::kNotSetuid)) {
    return answer;
  }
  constexpr const char *kWhat = "cannot start";
  FixedText<2 * kMaxAnswerText> where(options_.helper.view());
  where.append(" (").append(answer->text.view()).append(")");
  // The socket serves what is configured for the whole host, and nothing else.
  if (!options_.config.empty()) {
    return plain_error(Errc::kSystem, kWhat, where.view());
  }
  where.append(" and ").append(kHelperSocket);
  return ask_socket(bytes->view(), kWhat, where.view());
}

Result<HelperAnswer> HelperDialogue::ask_program(std::string_view request) {
  constexpr const char *kCommand = "request";
  FixedText<kMaxPath + 16> config("--config=");
  config.append(options_.config.view());
  // Others than root have been refused if they gave the option.
  const bool is_named = !options_.config.empty();
  const std::array<const char *, 4> argv = {
      "pbstoken-helper", is_named ? config.c_str() : kCommand,
      is_named ? kCommand : nullptr, nullptr};
  auto process = HelperProcess::start(options_.helper.c_str(), argv.data(),
                                      /*as_root=*/is_root(), &socket_);
  if (!process) {
    HelperAnswer answer = {.outcome = Outcome::kNotStarted, .text = {}};
    answer.text.append(describe(process.error()).view());
    return answer;
  }
  process_ = std::move(*process);
  return exchange(request);
}

Result<HelperAnswer> HelperDialogue::ask_socket(std::string_view request,
                                                const char *what,
                                                std::string_view where) {
  auto socket = connect_to_helper(deadline_, what, where);
  if (!socket) {
    return socket.error();
  }
  received_.clear();
  socket_ = std::move(*socket);
  return exchange(request);
}

Result<HelperAnswer> HelperDialogue::exchange(std::string_view request) {
  if (const auto sent = send(request); !sent) {
    return sent.error();
  }
  if (!more_to_come_) {
    static_cast<void>(shutdown(socket_.get(), SHUT_WR));
  }
  return receive();
}

std::string_view HelperDialogue::offered() const {
  return parse_offer(received_.view()).value_or(std::string_view());
}

Result<HelperAnswer> HelperDialogue::acknowledge() {
  deadline_ = deadline_in(kSeconds);
  received_.clear();
  if (const auto sent = send(kAcknowledgement); !sent) {
    return sent.error();
  }
  return receive();
}

Result<void> HelperDialogue::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      break;  // it has ended, and may have said why
    } else if (errno == EAGAIN) {
      if (!wait_until(deadline_, socket_.get(), POLLOUT)) {
        return timed_out();
      }
    } else if (errno != EINTR) {
      return system_error(kCannotAsk, {});
    }
  }
  return {};
}

Result<HelperAnswer> HelperDialogue::receive() {
  if (!received_.reserve(kMostReceived)) {
    return no_memory(kCannotAsk);
  }
  while (received_.size() < kMostReceived) {
    const ssize_t count = recv(socket_.get(), received_.free_space(),
                               kMostReceived - received_.size(), MSG_DONTWAIT);
    if (count > 0) {
      received_.add_filled(static_cast<std::size_t>(count));
      if (parse_offer(received_.view())) {
        return HelperAnswer{.outcome = Outcome::kOffer, .text = {}};
      }
    } else if (count == 0 || errno == ECONNRESET) {
      // Reset: it has ended without having read what we sent.
      return judge(/*whole=*/count == 0);
    } else if (errno == EAGAIN) {
      if (!wait_until(deadline_, socket_.get(), POLLIN)) {
        return timed_out();
      }
    } else if (errno != EINTR) {
      return system_error(kCannotAsk, {});
    }
  }
  return no_answer(kNonsense, {});
}

// What came until the end, which is not a whole one if the connection broke.
Result<HelperAnswer> HelperDialogue::judge(bool whole) {
  const auto status = process_.wait();
  const auto answer = parse_answer(received_.view());
  if (!answer) {
    return no_answer(
        received_.size() == 0 ? "the helper gave no answer" : kNonsense,
        status);
  }
  if (lets_in(answer->outcome) &&
      (!whole || !agrees(status, answer->outcome))) {
    return no_answer("the helper's answer does not count", status);
  }
  HelperAnswer result = {.outcome = answer->outcome, .text = {}};
  result.text.append(answer->text);
  return result;
}

Result<void> look_for_helper(const ModuleOptions &options) {
  if (may_gain_privileges() &&
      faccessat(AT_FDCWD, options.helper.c_str(), X_OK, AT_EACCESS) == 0) {
    return {};
  }
  const auto socket =
      connect_to_helper(deadline_in(kSeconds), "cannot use", kHelperSocket);
  return socket ? Result<void>() : Result<void>(socket.error());
}

}  // namespace pbstoken
