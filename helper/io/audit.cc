// SPDX-License-Identifier: BSD-3-Clause
#include "io/audit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "io/message.h"
#include "pbstoken/base/text.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

// What open_audit_log() has found; at the end the kernel closes it.
constinit UniqueFd the_log;
constinit std::optional<std::uint64_t> login;

// Returns the uid of the session, see pam_loginuid(8); nullopt if it has no
// uid.
std::optional<std::uint64_t> login_uid() {
  constexpr std::uint64_t kNobody = UINT32_MAX;
  const UniqueFd file(open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC));
  std::array<char, 16> digits{};
  const ssize_t size = read(file.get(), digits.data(), digits.size());
  const auto uid = parse_number(
      {digits.data(), size > 0 ? static_cast<std::size_t>(size) : 0});
  return uid && *uid != kNobody ? uid : std::nullopt;
}

// A daemon that is busy gets a second.
bool send_line(std::string_view line) {
  constexpr int kPatience = 1000;  // ms
  pollfd log = {.fd = the_log.get(), .events = POLLOUT, .revents = 0};
  return poll(&log, 1, kPatience) > 0 &&
         write(the_log.get(), line.data(), line.size()) >= 0;
}

}  // namespace

void open_audit_log() {
  constexpr std::string_view kPath = "/dev/log";
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, kPath.data(), kPath.size());
  UniqueFd log(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (log && connect(log.get(), reinterpret_cast<sockaddr *>(&address),
                     sizeof(address)) == 0) {
    the_log = std::move(log);
    login = login_uid();
  }
}

int audit_log() {
  return the_log.get();
}

void audit(const AuditedChange &change, Outcome outcome) {
  if (!the_log || !is_success(outcome)) {
    return;
  }
  // What a caller has chosen comes last.
  FixedText<1500> line("<");
  line.append(std::uint64_t{LOG_AUTHPRIV | LOG_NOTICE})
      .append(">")
      .append(program_name())
      .append("[")
      .append(static_cast<std::uint64_t>(getpid()))
      .append("]: ")
      .append(change.command)
      .append("; uid=")
      .append(change.caller);
  if (login) {
    line.append(" loginuid=").append(*login);
  }
  line.append(" store=").append(change.store);
  if (outcome != Outcome::kDone) {
    line.append(" (").append(info_of(outcome).message).append(")");
  }
  line.append(" ").append(change.label).append("=");
  line.append_escaped(change.subject);
  if (!send_line(line.view())) {
    complain("the change could not be logged: the system log takes nothing");
  }
}

}  // namespace pbstoken
