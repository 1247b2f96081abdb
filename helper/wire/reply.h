// SPDX-License-Identifier: BSD-3-Clause
// The helper's side of helper_protocol.h, on standard input and output.
//
// Every wait is bounded: who started the helper may have stopped reading, and
// who connected to its socket may be anybody.
#ifndef PBSTOKEN_REPLY_H_
#define PBSTOKEN_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

// Sends the answer, which is the last act.  Returns the exit status.
ExitStatus send_answer(Outcome outcome, std::string_view text = {});
ExitStatus send_answer(const Error &error);

// Offers a new secret and waits for it to be acknowledged, for about a minute:
// a person may have to read it.  False if it was not.
[[nodiscard]] bool send_offer(const Secret &secret);

// Reads so many bytes; kTimedOut if they have not come when the time is over,
// kMalformed if there are no more.
Result<void> receive_exactly(std::size_t size, std::uint64_t deadline,
                             Buffer *out);

// A line without its newline, by that time: what comes before a rotation.
Result<Buffer> receive_line(std::uint64_t deadline);

// How long a request may take to arrive.
constexpr std::uint64_t kRequestSeconds = 5;

}  // namespace pbstoken

#endif  // PBSTOKEN_REPLY_H_
