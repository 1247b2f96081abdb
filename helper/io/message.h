// SPDX-License-Identifier: BSD-3-Clause
// Messages on standard error: `pbstoken-helper: what failed: why`.
//
// By write(2): stdio would allocate, and would look for a locale.
#ifndef PBSTOKEN_MESSAGE_H_
#define PBSTOKEN_MESSAGE_H_

#include <string_view>

#include "pbstoken/base/result.h"

namespace pbstoken {

void complain(std::string_view text);
void complain(const Error &error);

// All of text to a descriptor; false, with errno, if that cannot be had.
[[nodiscard]] bool write_all(int fd, std::string_view text);

}  // namespace pbstoken

#endif  // PBSTOKEN_MESSAGE_H_
