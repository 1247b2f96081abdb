// SPDX-License-Identifier: BSD-3-Clause
// The helper's answers by helper_protocol.h, on standard output.
//
// Every wait is bounded: the caller may have stopped reading.
#ifndef PBSTOKEN_ANSWER_H_
#define PBSTOKEN_ANSWER_H_

#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

// Sends the answer, which is the last act.  Returns the exit status.
ExitStatus send_answer(Outcome outcome, std::string_view text = {});
ExitStatus send_answer(const Error &error);

// Offers a new secret and waits about a minute for the acknowledgement: a
// person may have to read it.  Returns an error if the offer was not
// acknowledged.
Result<void> send_offer(const Secret &secret);

}  // namespace pbstoken

#endif  // PBSTOKEN_ANSWER_H_
