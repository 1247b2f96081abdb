// SPDX-License-Identifier: BSD-3-Clause
#include "wire/spare.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/audit.h"
#include "pbstoken/base/buffer.h"
#include "wire/ready_stores.h"

namespace pbstoken {

namespace {

// One descriptor as a control message, see unix(7), with the one byte that must
// go with it.
struct HandOver {
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = sizeof(byte)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};

  HandOver() {
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  HandOver(const HandOver &) = delete;
  HandOver &operator=(const HandOver &) = delete;
};

// Returns no descriptor if the channel has ended.
UniqueFd receive_connection(int channel) {
  HandOver incoming;
  ssize_t count = 0;
  while ((count = recvmsg(channel, &incoming.message, 0)) < 0 &&
         errno == EINTR) {
  }
  const cmsghdr *header = CMSG_FIRSTHDR(&incoming.message);
  int connection = -1;
  if (count > 0 && header != nullptr && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(connection))) {
    std::memcpy(&connection, CMSG_DATA(header), sizeof(connection));
  }
  return UniqueFd(connection);
}

// The first that the service has opened; see audit.h.
constexpr int kLog = STDERR_FILENO + 1;
// The child's end, which stays open until the child has ended.
constexpr int kChannel = kLog + 1;

// Nothing else of the parent's, and signals as by default.  First of all it
// closes what it need not have: the parent's table may be full.
bool keep_only(int channel) {
  sigset_t none{};
  if (dup2(channel, kChannel) < 0 || close_range(kChannel + 1, ~0U, 0) != 0) {
    return false;
  }
  if (audit_log() != kLog) {
    close(kLog);  // if it is anything
  }
  const UniqueFd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  return nowhere && dup2(nowhere.get(), STDERR_FILENO) >= 0 &&
         sigemptyset(&none) == 0 && signal(SIGTERM, SIG_DFL) != SIG_ERR &&
         sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

// A new process pays for each page of its memory that it uses for the first
// time: most of that is done before there is a client.
void warm_up() {
  constexpr std::size_t kStack = 65536;
  constexpr std::size_t kHeap = 65536;
  // The compiler's own probes touch each page of it.
  std::array<volatile char, kStack> stack;
  stack[0] = 0;
  Buffer heap;
  if (heap.reserve(kHeap)) {
    std::memset(heap.free_space(), 0, kHeap);
  }
  get_child_ready();
}

// Members could fill the journal with complaints about their own requests: they
// are told by the answer.
ExitStatus live(int channel, Haste haste, ExitStatus (*answer)()) {
  if (!keep_only(channel)) {
    return ExitStatus::kUnavailable;
  }
  if (haste == Haste::kNone) {
    warm_up();
  }
  UniqueFd connection = receive_connection(kChannel);
  if (!connection) {
    return ExitStatus::kDone;
  }
  if (dup2(connection.get(), STDIN_FILENO) < 0 ||
      dup2(connection.get(), STDOUT_FILENO) < 0) {
    return ExitStatus::kUnavailable;
  }
  connection = UniqueFd();
  return answer();
}

}  // namespace

std::optional<Spare> fork_spare(Haste haste, ExitStatus (*answer)()) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return std::nullopt;
  }
  Spare spare = {.process = {}, .channel = UniqueFd(ends[0])};
  const UniqueFd childs(ends[1]);
  const pid_t process = fork();
  if (process == 0) {
    _exit(static_cast<int>(live(childs.get(), haste, answer)));
  }
  if (process < 0) {
    return std::nullopt;
  }
  spare.process =
      UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  // Without its pidfd the child would be lost: it ends with its channel.
  return spare.process ? std::optional(std::move(spare)) : std::nullopt;
}

bool hand_over(Spare *spare, const UniqueFd &connection) {
  HandOver outgoing;
  cmsghdr *header = CMSG_FIRSTHDR(&outgoing.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  const int fd = connection.get();
  header->cmsg_len = CMSG_LEN(sizeof(fd));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  const bool is_sent = sendmsg(spare->channel.get(), &outgoing.message,
                               MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
  spare->channel = UniqueFd();
  return is_sent;
}

bool has_lost_client() {
  pollfd one = {.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return poll(&one, 1, 0) > 0;
}

}  // namespace pbstoken
