// SPDX-License-Identifier: BSD-3-Clause
// Times as people write them.
#ifndef PBSTOKEN_TIME_TEXT_H_
#define PBSTOKEN_TIME_TEXT_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace pbstoken {

// Returns seconds since the epoch, with 0 for `never`; nullopt if the text has
// another form than:
//   never
//   90d                         a duration from `now` on, see duration.h
//   2027-01-31                  that day, 00:00 UTC
//   2027-01-31T12:30:00+01:00   RFC 3339, without fractions of a second; T and
//                               Z may be small, and a blank may stand for T
std::optional<std::uint64_t> parse_time(std::string_view text,
                                        std::uint64_t now);

}  // namespace pbstoken

#endif  // PBSTOKEN_TIME_TEXT_H_
