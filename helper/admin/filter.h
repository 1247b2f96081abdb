// SPDX-License-Identifier: BSD-3-Clause
// The tokens that the options of `list` ask for.
#ifndef PBSTOKEN_FILTER_H_
#define PBSTOKEN_FILTER_H_

#include <cstddef>
#include <cstdint>

#include "admin/tokens.h"
#include "admin/use_history.h"
#include "io/command.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// True if the token counts at `now`, in seconds since the epoch, and will have
// expired `seconds` later.
bool is_expiring(const TokenRow &row, const Tokens &tokens, std::uint64_t now,
                 std::uint64_t seconds);

// True if its hash is old or unusable.
bool is_weak(const TokenRow &row);

struct Filtered {
  List<TokenRow> rows;
  // The number of tokens of which the record of use does not tell whether they
  // were unused for so long.
  std::size_t untold = 0;
};

// True if the line has such an option.
bool has_filter(const CommandLine &line);

// Returns the rows that meet each of the options; all if there is no option.
// `now`: seconds since the epoch.  Returns an error without memory.
Result<Filtered> filter(const CommandLine &line, const Tokens &tokens,
                        const UseHistory &use, std::uint64_t now);

}  // namespace pbstoken

#endif  // PBSTOKEN_FILTER_H_
