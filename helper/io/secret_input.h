// SPDX-License-Identifier: BSD-3-Clause
// Secrets from standard input: the only way in.
#ifndef PBSTOKEN_SECRET_INPUT_H_
#define PBSTOKEN_SECRET_INPUT_H_

#include <cstdint>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

enum class SecretPurpose : std::uint8_t {
  kNone,     // nothing is read
  kCurrent,  // asked for once
  kNew       // on a terminal, asked for twice
};

// Reads standard input to its end, or one line of a terminal without echo, and
// drops one trailing newline.  What does not come from a terminal must come
// within 60 s.  Returns an empty text for kNone.  Returns a text that is too
// long for a secret as it is, for the caller to refuse.  Returns kMalformed if
// two secrets were typed that are not the same.
Result<Buffer> read_secret(SecretPurpose purpose);

}  // namespace pbstoken

#endif  // PBSTOKEN_SECRET_INPUT_H_
