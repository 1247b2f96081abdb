// SPDX-License-Identifier: BSD-3-Clause
#include "confine/split.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "confine/confinement.h"
#include "confine/privileges.h"
#include "io/message.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

// What the caller may make the parent wait for.
constexpr int kRelaySeconds = 5;

constexpr const char *kCannotSplit = "cannot become root apart from the caller";

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;

  bool open() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return false;
    }
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
    return true;
  }
};

// What the child has as descriptors 0, 1 and 2.
struct Pipes {
  Pipe input;
  Pipe output;
  Pipe messages;
};

// --- the parent

// Root again neither by a system call nor by execve(2); and no other process of
// the caller may look into it.
Result<void> become_caller() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0 ||
      geteuid() != uid || (uid != 0 && setuid(0) == 0) ||
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return system_error("cannot become the caller again", {});
  }
  return uid == 0 ? give_up_capabilities() : Result<void>();
}

// A write that takes longer fails: the caller has let it wait.
class WriteTimer {
 public:
  // False, with errno, if there can be none.
  static bool set() {
    struct sigaction action = {};
    action.sa_handler = [](int) {};  // no SA_RESTART: write(2) is interrupted
    return sigaction(SIGALRM, &action, nullptr) == 0;
  }
  // Again each second, since the first may come just before the call.
  WriteTimer() {
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

// Returns 0 or an errno.
int write_in_time(int to, std::string_view text) {
  const WriteTimer timer;
  while (!text.empty()) {
    const ssize_t count = write(to, text.data(), text.size());
    if (count < 0) {
      return errno == EINTR ? ETIMEDOUT : errno;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

// Answers await_delivery().
void tell(const Pipes &pipes, int reason) {
  const std::string_view bytes(reinterpret_cast<const char *>(&reason),
                               sizeof(reason));
  static_cast<void>(write_all(pipes.input.writer.get(), bytes));
}

// Passes on one piece.  Returns nullopt at the end of the stream, else 0 or the
// errno with which the piece was dropped.
std::optional<int> pass_on(int from, int to) {
  constexpr std::size_t kMost = 4096;
  Buffer piece;  // wiped: a new secret comes this way
  const ssize_t count =
      piece.reserve(kMost) ? read(from, piece.free_space(), kMost) : -1;
  if (count <= 0) {
    return std::nullopt;
  }
  piece.add_filled(static_cast<std::size_t>(count));
  return write_in_time(to, piece.view());
}

// A message that the caller does not take is dropped.  Output that it does not
// take ends the stream, and its input does when the child takes no more.
void relay(Pipes *pipes, ChildInput input) {
  while (pipes->output.reader || pipes->messages.reader) {
    const bool has_input = input == ChildInput::kCallers && pipes->input.writer;
    std::array<pollfd, 3> ends = {{{pipes->output.reader.get(), POLLIN, 0},
                                   {pipes->messages.reader.get(), POLLIN, 0},
                                   {has_input ? STDIN_FILENO : -1, POLLIN, 0}}};
    if (poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) {
      return;
    }
    if (ends[0].revents != 0) {
      const auto reason = pass_on(ends[0].fd, STDOUT_FILENO);
      if (reason && input == ChildInput::kDelivery) {
        tell(*pipes, *reason);
      }
      if (reason != 0) {
        pipes->output.reader = UniqueFd();
      }
    }
    if (ends[1].revents != 0 && !pass_on(ends[1].fd, STDERR_FILENO)) {
      pipes->messages.reader = UniqueFd();
    }
    if (ends[2].revents != 0 &&
        pass_on(ends[2].fd, pipes->input.writer.get()) != 0) {
      pipes->input.writer = UniqueFd();
    }
  }
}

// Ends this process as the child has ended.
Result<std::optional<int>> end_like(int status) {
  if (WIFEXITED(status)) {
    return std::optional<int>(WEXITSTATUS(status));
  }
  static_cast<void>(signal(WTERMSIG(status), SIG_DFL));
  static_cast<void>(raise(WTERMSIG(status)));
  return plain_error(Errc::kSystem, "cannot tell how it ended", {});
}

Result<std::optional<int>> stay_behind(Pipes *pipes, pid_t child,
                                       ChildInput input) {
  // The child's ends.
  pipes->input.reader = UniqueFd();
  pipes->output.writer = UniqueFd();
  pipes->messages.writer = UniqueFd();
  if (const auto back = become_caller(); !back) {
    return back.error();
  }
  if (!WriteTimer::set()) {
    return system_error(kCannotSplit, {});
  }
  relay(pipes, input);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return system_error("cannot wait for the child", {});
    }
  }
  return end_like(status);
}

// --- the child

Result<std::optional<int>> go_ahead(const Pipes &pipes) {
  if (dup2(pipes.input.reader.get(), STDIN_FILENO) < 0 ||
      dup2(pipes.output.writer.get(), STDOUT_FILENO) < 0 ||
      dup2(pipes.messages.writer.get(), STDERR_FILENO) < 0 ||
      close_range(STDERR_FILENO + 1, ~0U, 0) != 0 || setsid() < 0) {
    return system_error(kCannotSplit, {});
  }
  if (const auto root = become_root(); !root) {
    return root.error();
  }
  return std::optional<int>();
}

}  // namespace

Result<std::optional<int>> split(ChildInput input, Buffer *secret) {
  Pipes pipes;
  if (!pipes.input.open() || !pipes.output.open() || !pipes.messages.open()) {
    return system_error(kCannotSplit, {});
  }
  const pid_t child = fork();
  if (child < 0) {
    return system_error(kCannotSplit, {});
  }
  if (child == 0) {
    return go_ahead(pipes);
  }
  secret->clear();
  return stay_behind(&pipes, child, input);
}

Result<void> await_delivery() {
  // Longer than the parent waits for the caller.
  const std::uint64_t deadline =
      boottime_now() + (kRelaySeconds + 1) * kNanosecondsPerSecond;
  int reason = 0;
  if (!wait_until(deadline, STDIN_FILENO, POLLIN)) {
    reason = errno;
  } else if (read(STDIN_FILENO, &reason, sizeof(reason)) != sizeof(reason)) {
    reason = EPIPE;
  }
  errno = reason;
  return reason == 0 ? Result<void>()
                     : system_error("cannot write to", "standard output");
}

bool has_lost_caller() {
  pollfd messages = {.fd = STDERR_FILENO, .events = 0, .revents = 0};
  return poll(&messages, 1, 0) > 0 && (messages.revents & POLLERR) != 0;
}

}  // namespace pbstoken
