// SPDX-License-Identifier: BSD-3-Clause
// Durations as people write them: 90d, 12h.
#ifndef PBSTOKEN_DURATION_H_
#define PBSTOKEN_DURATION_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace pbstoken {

// Returns a duration in seconds.  The text is a number and one unit, which is
// s, m, h, d or w.  Returns nullopt if the text is anything else, or the
// seconds do not fit.
std::optional<std::uint64_t> parse_duration(std::string_view text);

}  // namespace pbstoken

#endif  // PBSTOKEN_DURATION_H_
