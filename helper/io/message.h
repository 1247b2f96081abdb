// SPDX-License-Identifier: BSD-3-Clause
// Messages on standard error: `PROGRAM: what failed: why`.
//
// They go out by write(2): stdio would allocate, and would look for a locale.
// One thread.
#ifndef PBSTOKEN_MESSAGE_H_
#define PBSTOKEN_MESSAGE_H_

#include <string_view>

#include "pbstoken/base/result.h"

namespace pbstoken {

// Sets the name that messages begin with, which is pbstoken-helper before.
// `name` is static.
void set_program_name(std::string_view name);
// Returns that name.
std::string_view program_name();

// Writes a message.  Drops it if standard error does not take it at once: the
// exit status tells of the failure, too.
void complain(std::string_view text);
void complain(const Error &error);

// Writes all of text to a descriptor.  Returns false, with errno, if that
// fails.
[[nodiscard]] bool write_all(int fd, std::string_view text);

}  // namespace pbstoken

#endif  // PBSTOKEN_MESSAGE_H_
