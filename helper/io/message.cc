// SPDX-License-Identifier: BSD-3-Clause
#include "io/message.h"

#include <poll.h>
#include <unistd.h>

namespace pbstoken {

namespace {

constinit std::string_view own_name = "pbstoken-helper";

}  // namespace

void set_program_name(std::string_view name) {
  own_name = name;
}

std::string_view program_name() {
  return own_name;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

void complain(std::string_view text) {
  FixedText<700> line(own_name);
  line.append(": ").append(text).append("\n");
  // What cannot be written at once is dropped: the exit status tells, too.
  pollfd standard_error = {
      .fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&standard_error, 1, 0) > 0) {
    static_cast<void>(write_all(STDERR_FILENO, line.view()));
  }
}

void complain(const Error &error) {
  complain(describe(error).view());
}

}  // namespace pbstoken
