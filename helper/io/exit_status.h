// SPDX-License-Identifier: BSD-3-Clause
// The exit status of both programs, which scripts rely on.
#ifndef PBSTOKEN_EXIT_STATUS_H_
#define PBSTOKEN_EXIT_STATUS_H_

#include <cstdint>

namespace pbstoken {

enum class ExitStatus : std::uint8_t {
  kDone = 0,     // or verified
  kRefused = 1,  // wrong secret, refused by account rules, problems found
  kUsage = 2,
  kNotPermitted = 3,  // the caller may not do this
  kUnavailable = 4,   // the store cannot be used; nothing was changed
  kNoSuchToken = 5,
  kThrottled = 6,  // too many wrong secrets: not even looked at
  kNotDurable = 7  // done, but not made durable or not announced
};

}  // namespace pbstoken

#endif  // PBSTOKEN_EXIT_STATUS_H_
