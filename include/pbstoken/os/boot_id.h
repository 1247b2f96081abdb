// SPDX-License-Identifier: BSD-3-Clause
// Which start of the host this is.
//
// Thread safety: any thread may call the function.
#ifndef PBSTOKEN_BOOT_ID_H_
#define PBSTOKEN_BOOT_ID_H_

#include "pbstoken/base/result.h"

namespace pbstoken {

constexpr const char *kBootIdPath = "/proc/sys/kernel/random/boot_id";

// A UUID.
using BootId = FixedText<36>;

// Returns the random UUID that the kernel has made for this start.  Returns an
// error if /proc does not tell it.
Result<BootId> boot_id();

}  // namespace pbstoken

#endif  // PBSTOKEN_BOOT_ID_H_
