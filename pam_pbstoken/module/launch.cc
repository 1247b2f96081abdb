// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/launch.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "pbstoken/os/signals.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

namespace {

constexpr const char *kCannotStart = "cannot start the helper";
constexpr int kFirstFree = STDERR_FILENO + 1;
constexpr int kUnknownStatus = 125;
constexpr int kWithoutSignal = static_cast<int>(__WCLONE);

struct Launch {
  const char *path;
  const char *const *argv;
  bool as_root;
  int socket;
  int error = 0;  // why nothing was executed
};

// --- between clone(2) and execve(2): system calls only.  Other threads of the
// host may have held locks, which no thread releases here.

// Runs in the keeper's memory, while the keeper waits for execve(2).
int execute(void *data) {
  auto *launch = static_cast<Launch *>(data);
  // The end of the keeper ends the helper.  The kernel forgets this when
  // the helper gets other privileges than ours, and then we may not kill it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none{};
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  char *environment = nullptr;
  // It writes to none of them.
  execve(launch->path, const_cast<char *const *>(launch->argv), &environment);
  launch->error = errno;
  return 1;
}

bool take_standard_descriptors(int socket) {
  if (dup2(socket, STDIN_FILENO) < 0 || dup2(socket, STDOUT_FILENO) < 0) {
    return false;
  }
  // The host's standard error is not ours to write to.  Without a /dev/null the
  // helper has no standard error.
  close(STDERR_FILENO);
  static_cast<void>(open("/dev/null", O_WRONLY));
  return true;
}

// The pid of the helper; or -1, and launch->error.
pid_t launch_helper(Launch *launch) {
  constexpr std::size_t kStack = 8192;
  alignas(16) std::array<char, kStack> stack;
  // libc's setresuid() would have all threads of the host do it, too.
  if (close_range(kFirstFree, ~0U, 0) != 0 ||
      (launch->as_root && syscall(SYS_setresuid, 0, 0, 0) != 0)) {
    launch->error = errno;
    return -1;
  }
  const pid_t helper = clone(execute, stack.data() + stack.size(),
                             CLONE_VM | CLONE_VFORK | SIGCHLD, launch);
  if (helper < 0) {
    launch->error = errno;
  }
  return helper;
}

void say_not_started(int error) {
  const AnswerWord word = word_of(Outcome::kNotStarted);
  const char *why = strerrordesc_np(error);
  const std::string_view text = why != nullptr ? why : "unknown error";
  static_cast<void>(
      send(STDOUT_FILENO, word.data(), word.size(), MSG_NOSIGNAL));
  static_cast<void>(
      send(STDOUT_FILENO, text.data(), text.size(), MSG_NOSIGNAL));
}

// The keeper's whole life, with every signal blocked.
[[noreturn]] void keep(Launch *launch) {
  if (!take_standard_descriptors(launch->socket)) {
    _exit(1);
  }
  // No handler of the host's may run in here; SIGCHLD must not be ignored.
  reset_signal_actions();
  const pid_t helper = launch_helper(launch);
  int status = 0;
  pid_t ended = -1;
  while (helper > 0 && (ended = waitpid(helper, &status, 0)) < 0 &&
         errno == EINTR) {
  }
  if (launch->error != 0) {
    say_not_started(launch->error);
  } else if (ended < 0) {
    // A filter forbids waitpid(2): the helper alone ends its answer.
    _exit(kUnknownStatus);
  }
  // Another thread of the host may have forked with a copy of this descriptor.
  static_cast<void>(shutdown(STDOUT_FILENO, SHUT_RDWR));
  _exit(WIFEXITED(status) ? WEXITSTATUS(status)
                          : kSignalled + WTERMSIG(status));
}

// --- in the host

struct Ends {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<Ends> connected_ends() {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return system_error(kCannotStart, {});
  }
  // Those of the helper are copied over 0-2.
  Ends ends = {above_standard(UniqueFd(pair[0])),
               above_standard(UniqueFd(pair[1]))};
  if (!ends.ours || !ends.theirs) {
    return system_error(kCannotStart, {});
  }
  return ends;
}

}  // namespace

Result<HelperProcess> HelperProcess::start(const char *path,
                                           const char *const *argv,
                                           bool as_root, UniqueFd *out_socket) {
  auto ends = connected_ends();
  if (!ends) {
    return ends.error();
  }
  Launch launch = {.path = path,
                   .argv = argv,
                   .as_root = as_root,
                   .socket = ends->theirs.get()};
  sigset_t all{};
  sigset_t before{};
  int cancellable = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
  // This is fork(2) without the functions that the host wants called at a fork,
  // and without an exit signal.
  const auto keeper =
      static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, 0));
  if (keeper == 0) {
    keep(&launch);
  }
  const int error = errno;
  pthread_setcancelstate(cancellable, nullptr);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (keeper < 0) {
    errno = error;
    return system_error(kCannotStart, {});
  }
  *out_socket = std::move(ends->ours);
  return HelperProcess(keeper);
}

std::optional<int> HelperProcess::wait() {
  const pid_t keeper = std::exchange(keeper_, -1);
  if (keeper < 0) {
    return std::nullopt;
  }
  int status = 0;
  while (waitpid(keeper, &status, kWithoutSignal) < 0) {
    if (errno != EINTR) {
      return std::nullopt;
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status)
                           : kSignalled + WTERMSIG(status);
}

HelperProcess::~HelperProcess() {
  if (keeper_ > 0) {
    // No other code can have waited for it, so the number is still its own.
    kill(keeper_, SIGKILL);
    static_cast<void>(wait());
  }
}

}  // namespace pbstoken
