// SPDX-License-Identifier: BSD-3-Clause
// The tokens that the options of `list` ask for.
#ifndef PBSTOKEN_FILTER_H_
#define PBSTOKEN_FILTER_H_

#include <cstddef>
#include <cstdint>

#include "admin/tokens.h"
#include "admin/use_history.h"
#include "io/command.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/vector.h"

namespace pbstoken {

struct Filtered {
  List<TokenRow> rows;
  // Tokens that were not used as far as the record goes, which is not far
  // enough.
  std::size_t untold = 0;
};

// Whether the line has such an option.
bool has_filter(const CommandLine &line);

// The rows that meet each of the options; all if there is no option.  `now`:
// seconds since the epoch.  An error without memory.
Result<Filtered> filter(const CommandLine &line, const Tokens &tokens,
                        const UseHistory &use, std::uint64_t now);

}  // namespace pbstoken

#endif  // PBSTOKEN_FILTER_H_
