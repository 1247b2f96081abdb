// SPDX-License-Identifier: BSD-3-Clause
// Waiting for a descriptor, for a bounded time.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_WAIT_H_
#define PBSTOKEN_WAIT_H_

#include <cstdint>

namespace pbstoken {

// Waits until fd is ready for these events of poll(2), or hung up.  deadline:
// of CLOCK_BOOTTIME in ns.  Returns false, with errno, if it is not ready:
// ETIMEDOUT when the time is over.
[[nodiscard]] bool wait_until(std::uint64_t deadline, int fd,
                              std::int16_t events);

}  // namespace pbstoken

#endif  // PBSTOKEN_WAIT_H_
