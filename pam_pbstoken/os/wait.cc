// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/wait.h"

#include <poll.h>

#include <cerrno>

#include "pbstoken/os/clock.h"

namespace pbstoken {

bool wait_until(std::uint64_t deadline, int fd, std::int16_t events) {
  while (true) {
    const std::uint64_t left = time_left(deadline);
    pollfd one = {.fd = fd, .events = events, .revents = 0};
    const int ready =
        left != 0
            ? poll(&one, 1,
                   static_cast<int>(left / kNanosecondsPerMillisecond) + 1)
            : 0;
    if (ready == 0) {
      errno = ETIMEDOUT;
    }
    if (ready >= 0 || errno != EINTR) {
      return ready > 0;
    }
  }
}

}  // namespace pbstoken
