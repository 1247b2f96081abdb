// SPDX-License-Identifier: BSD-3-Clause
#include "confine/split.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "confine/confinement.h"
#include "confine/privileges.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

// What the caller may make the parent wait for.
constexpr unsigned kRelaySeconds = 5;

constexpr const char *kCannotSplit = "cannot become root apart from the caller";

// What split() sets: another process has other descriptors.
constinit bool is_child = false;

// The two ends of a connection.
struct Ends {
  UniqueFd parents;
  UniqueFd childs;

  void take(const std::array<int, 2> &ends) {
    parents = UniqueFd(ends[0]);
    childs = UniqueFd(ends[1]);
  }
};

// The channels take few descriptors, since the caller may have left the process
// no more.
struct Channels {
  Ends data;      // the child's input and output: a socket
  Ends messages;  // its standard error: a pipe

  // Standard input has been read to its end, or is the socket that standard
  // output is.
  bool open() {
    close(STDIN_FILENO);
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return false;
    }
    data.take(ends);
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return false;
    }
    messages.take(ends);
    return true;
  }
};

// --- the parent

// Interrupts a write(2) that waits although poll(2) said that it would not.
// Again each second: the first time may come just before the call.
class WriteTimer {
 public:
  WriteTimer() {
    struct sigaction action = {};
    action.sa_handler = [](int) {};  // no SA_RESTART
    static_cast<void>(sigaction(SIGALRM, &action, nullptr));
    start({.it_interval = {1, 0}, .it_value = {kRelaySeconds, 0}});
  }
  WriteTimer(const WriteTimer &) = delete;
  WriteTimer &operator=(const WriteTimer &) = delete;
  ~WriteTimer() { start({}); }

 private:
  static void start(const itimerval &timer) {
    static_cast<void>(setitimer(ITIMER_REAL, &timer, nullptr));
  }
};

// Returns 0 or an errno: ETIMEDOUT if the caller does not take all of it in
// time.
int write_in_time(int to, std::string_view text) {
  const std::uint64_t deadline = deadline_in(kRelaySeconds);
  const WriteTimer timer;
  while (!text.empty()) {
    if (!wait_until(deadline, to, POLLOUT)) {
      return errno;
    }
    const ssize_t count = write(to, text.data(), text.size());
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      return errno;
    }
    text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  return 0;
}

// Returns one piece of a stream; an empty piece is its end.
Buffer read_piece(int from) {
  constexpr std::size_t kMost = 4096;
  Buffer piece;  // wiped: a new secret comes this way
  if (piece.reserve(kMost)) {
    const ssize_t count = read(from, piece.free_space(), kMost);
    piece.add_filled(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return piece;
}

// What poll(2) says at once of these events and of the end of a connection.
std::int16_t events_at(int fd, std::int16_t events) {
  pollfd one = {.fd = fd, .events = events, .revents = 0};
  return poll(&one, 1, 0) > 0 ? one.revents : std::int16_t{0};
}

class Relay {
 public:
  Relay(Channels *channels, ChildInput input)
      : data_(channels->data.parents),
        messages_(channels->messages.parents),
        tells_(input == ChildInput::kDelivery),
        has_input_(input == ChildInput::kCallers) {}

  // Passes on until the child has let go of its outputs, or has ended.
  void run(const UniqueFd &child) {
    while (data_ || messages_) {
      // The module's socket.
      const int input = has_input_ && data_ ? STDOUT_FILENO : -1;
      std::array<pollfd, 4> ends = {{{data_.get(), POLLIN, 0},
                                     {messages_.get(), POLLIN, 0},
                                     {input, POLLIN, 0},
                                     {child.get(), POLLIN, 0}}};
      if (poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) {
        return;
      }
      const auto &[output, message, caller, end] = ends;
      if (end.revents != 0 && output.revents == 0 && message.revents == 0) {
        return;
      }
      if (output.revents != 0) {
        pass_on_output();
      }
      if (message.revents != 0) {
        pass_on_message();
      }
      if (caller.revents != 0) {
        pass_on_input();
      }
    }
  }

 private:
  // Output that the caller does not take ends the stream.  A child that has
  // hung up has given up a new secret: that is not shown any more.
  void pass_on_output() {
    const Buffer piece = read_piece(data_.get());
    if (piece.view().empty()) {
      data_ = UniqueFd();
      return;
    }
    const bool is_given_up =
        tells_ && (events_at(data_.get(), 0) & POLLHUP) != 0;
    const int reason =
        is_given_up ? ETIMEDOUT : write_in_time(STDOUT_FILENO, piece.view());
    if (tells_) {
      const std::string_view bytes(reinterpret_cast<const char *>(&reason),
                                   sizeof(reason));
      static_cast<void>(write_all(data_.get(), bytes));
    }
    if (reason != 0) {
      data_ = UniqueFd();
    }
  }

  // What the caller does not take at once is dropped.
  void pass_on_message() {
    const Buffer piece = read_piece(messages_.get());
    if (piece.view().empty()) {
      messages_ = UniqueFd();
    } else if (events_at(STDERR_FILENO, POLLOUT) != 0) {
      static_cast<void>(write_in_time(STDERR_FILENO, piece.view()));
    }
  }

  void pass_on_input() {
    const Buffer piece = read_piece(STDOUT_FILENO);
    if (piece.view().empty() || !write_all(data_.get(), piece.view())) {
      has_input_ = false;
      static_cast<void>(shutdown(data_.get(), SHUT_WR));
    }
  }

  UniqueFd &data_;
  UniqueFd &messages_;
  bool tells_;      // answers await_delivery()
  bool has_input_;  // the caller has not ended it
};

// Ends this process as the child has ended.  The first process of a namespace
// cannot end by a signal.
int end_like(int status) {
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status);
  }
  static_cast<void>(signal(WTERMSIG(status), SIG_DFL));
  static_cast<void>(raise(WTERMSIG(status)));
  constexpr int kBySignal = 128;
  return kBySignal + WTERMSIG(status);
}

// The exit status.  No failure from here on is one that says that nothing was
// changed.
int stay_behind(Channels *channels, pid_t child, ChildInput input) {
  constexpr int kUnknownStatus = 125;
  channels->data.childs = UniqueFd();
  channels->messages.childs = UniqueFd();
  if (!become_caller()) {
    return kUnknownStatus;
  }
  {
    const UniqueFd watch(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    Relay(channels, input).run(watch);
  }
  *channels = {};
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return kUnknownStatus;
    }
  }
  return end_like(status);
}

// --- the child

// A wait for a turn or a place is interrupted when the parent ends; no other
// system call is, see SA_RESTART in signal(7).
bool feel_parents_end() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  return sigaction(SIGUSR1, &action, nullptr) == 0 &&
         prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0) == 0;
}

Result<std::optional<int>> go_ahead(Channels *channels) {
  const UniqueFd data = std::move(channels->data.childs);
  const UniqueFd messages = std::move(channels->messages.childs);
  *channels = {};  // the parent's ends, one of which was descriptor 0
  if (dup2(data.get(), STDIN_FILENO) < 0 ||
      dup2(data.get(), STDOUT_FILENO) < 0 ||
      dup2(messages.get(), STDERR_FILENO) < 0 ||
      close_range(STDERR_FILENO + 1, ~0U, 0) != 0 || setsid() < 0) {
    return system_error(kCannotSplit, {});
  }
  is_child = true;
  if (const auto root = become_root(); !root) {
    return root.error();
  }
  // A change of ids would undo it.
  if (!feel_parents_end()) {
    return system_error(kCannotSplit, {});
  }
  return std::optional<int>();
}

}  // namespace

bool become_caller() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  return setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
         geteuid() == uid &&
         // This holds whatever securebits(7) say.
         give_up_capabilities() && (uid == 0 || setuid(0) != 0) &&
         prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

Result<std::optional<int>> split(ChildInput input, Buffer *secret) {
  Channels channels;
  if (!channels.open()) {
    return system_error(kCannotSplit, {});
  }
  const pid_t child = fork();
  if (child < 0) {
    return system_error(kCannotSplit, {});
  }
  if (child == 0) {
    return go_ahead(&channels);
  }
  secret->clear();
  return std::optional(stay_behind(&channels, child, input));
}

bool is_split() {
  return is_child;
}

Result<void> await_delivery() {
  // This is longer than the parent waits for the caller.
  const std::uint64_t deadline = deadline_in(kRelaySeconds + 1);
  int reason = 0;
  if (!wait_until(deadline, STDIN_FILENO, POLLIN)) {
    reason = errno;
  } else if (read(STDIN_FILENO, &reason, sizeof(reason)) != sizeof(reason)) {
    reason = EPIPE;
  }
  errno = reason;
  return reason == 0 ? Result<void>() : output_error();
}

bool has_lost_caller() {
  return is_child && (events_at(STDERR_FILENO, 0) & POLLERR) != 0;
}

}  // namespace pbstoken
