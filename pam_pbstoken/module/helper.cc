// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

// The time for an answer, from the question or the acknowledgement on: more
// than what the helper itself waits for, 5 s at the gate or 10 s at the lock.
constexpr std::uint64_t kSeconds = 20;
// The time for a place in the socket's queue.
constexpr timeval kConnecting = {.tv_sec = 5, .tv_usec = 0};

constexpr std::size_t kMostReceived = 640;  // an offer has 520 at most
constexpr const char *kCannotAsk = "cannot ask the helper";
constexpr const char *kNoNewPrivileges = "no_new_privs is set and";
constexpr const char *kNotAsked =
    "the socket is not asked with config= or helper=";
constexpr const char *kNonsense = "the helper's answer makes no sense";

// --- the two ways

// True if a setuid program would be one; root needs none.
bool may_gain_privileges() {
  return is_root() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

// A full queue is waited for as kConnecting says, and a handler of the host's
// may interrupt that.
bool connect_until(std::uint64_t deadline, int fd, const sockaddr_un &address) {
  while (connect(fd, reinterpret_cast<const sockaddr *>(&address),
                 sizeof(address)) != 0) {
    if (errno != EINTR || time_left(deadline) == 0) {
      return false;
    }
  }
  return true;
}

// Returns a socket that is connected to root, or why not.
Result<UniqueFd> connect_to_helper(std::uint64_t deadline) {
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
    return system_error(kHelperSocket, {});
  }
  // Else a user that can write to /run/pbstoken could let every token in.
  if (peer.uid != 0) {
    return plain_error(Errc::kUnsafe, kHelperSocket, {},
                       "its peer is not root");
  }
  return socket;
}

// True if the program may work where this keeps the socket from working: it is
// not there, not for this process, or not root's.
bool leaves_to_program(const Error &error) {
  constexpr std::array kReasons = {ENOENT, ENOTDIR, ECONNREFUSED,
                                   EACCES, EPERM,   EAFNOSUPPORT};
  return error.code == Errc::kUnsafe ||
         std::find(kReasons.begin(), kReasons.end(), error.saved_errno) !=
             kReasons.end();
}

Error timed_out() {
  return plain_error(Errc::kTimedOut, "the helper does not answer", {});
}

// What ended without an answer that counts.
Error no_answer(const char *what, std::optional<int> status) {
  FixedText<64> end;
  if (status) {
    const bool signalled = *status >= kSignalled;
    end.append(signalled ? "(signal " : "(exit status ")
        .append(static_cast<unsigned>(*status - (signalled ? kSignalled : 0)))
        .append(")");
  }
  return plain_error(Errc::kMalformed, what, end.view());
}

// True if the socket, which takes none, would have been the way.
bool is_for_want_of_privileges(Outcome outcome) {
  return outcome == Outcome::kNotStarted || outcome == Outcome::kNotSetuid ||
         outcome == Outcome::kConfined;
}

// True if an exit status, where there is one, says what the word says.
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
  NoSocket no_socket;
  if (!options_.asks_socket()) {
    no_socket.append(kNotAsked);
  } else if (request.is_mounted_over) {
    no_socket.append(
        "the socket is not asked where something may be mounted over the file");
  } else {
    const auto answer = ask_socket(bytes->view(), &no_socket);
    if (!answer) {
      return answer.error();
    }
    if (*answer) {
      return **answer;
    }
  }
  if (!may_gain_privileges()) {
    return plain_error(Errc::kSystem, kNoNewPrivileges, no_socket.view());
  }
  auto answer = ask_program(bytes->view());
  if (answer && is_for_want_of_privileges(answer->outcome)) {
    FixedText<2 * kMaxAnswerText> where(options_.helper.view());
    where.append(" (").append(answer->text.view()).append(") and ");
    return plain_error(Errc::kSystem, "cannot use",
                       where.append(no_socket.view()).view());
  }
  return answer;
}

Result<std::optional<HelperAnswer>> HelperDialogue::ask_socket(
    std::string_view request, NoSocket *out_reason) {
  auto socket = connect_to_helper(deadline_);
  if (!socket) {
    out_reason->append(describe(socket.error()).view());
    return leaves_to_program(socket.error())
               ? Result<std::optional<HelperAnswer>>(std::nullopt)
               : socket.error();
  }
  socket_ = std::move(*socket);
  const auto answer = exchange(request);
  if (!answer) {
    return answer.error();
  }
  if (answer->outcome != Outcome::kOtherVersion &&
      answer->outcome != Outcome::kOtherView) {
    return std::optional(*answer);
  }
  out_reason->append(kHelperSocket).append(": ").append(answer->text.view());
  received_.clear();
  return std::optional<HelperAnswer>();
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
    HelperAnswer answer = {.outcome = Outcome::kNotStarted};
    answer.text.append(describe(process.error()).view());
    return answer;
  }
  process_ = std::move(*process);
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
        return HelperAnswer{.outcome = Outcome::kOffer};
      }
    } else if (count == 0 || errno == ECONNRESET) {
      // A reset says that it has ended without having read what we sent.
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
  if (!answer && status == kSignalled + SIGSYS) {
    HelperAnswer result = {.outcome = Outcome::kConfined};
    result.text.append("killed for a system call that a filter forbids");
    return result;
  }
  if (!answer) {
    return no_answer(
        received_.size() == 0 ? "the helper gave no answer" : kNonsense,
        status);
  }
  if (lets_in(answer->outcome) &&
      (!whole || !agrees(status, answer->outcome))) {
    return no_answer("the helper's answer does not count", status);
  }
  HelperAnswer result = {.outcome = answer->outcome};
  result.text.append(answer->text);
  return result;
}

Result<void> look_for_helper(const ModuleOptions &options) {
  const bool may_start = may_gain_privileges();
  if (may_start &&
      faccessat(AT_FDCWD, options.helper.c_str(), X_OK, AT_EACCESS) == 0) {
    return {};
  }
  if (!options.asks_socket()) {
    return may_start ? system_error("cannot use", options.helper.view())
                     : plain_error(Errc::kSystem, kNoNewPrivileges, kNotAsked);
  }
  const auto socket = connect_to_helper(deadline_in(kSeconds));
  return socket ? Result<void>() : Result<void>(socket.error());
}

}  // namespace pbstoken
