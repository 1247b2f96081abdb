// SPDX-License-Identifier: BSD-3-Clause
#include "admin/filter.h"

#include <algorithm>

namespace pbstoken {

namespace {

// Whether a token was unused.  Untold: the record does not go back so far.
enum class Unused : std::uint8_t { kNo, kYes, kUntold };

// Returns whether the token could be used all that time and was not.
Unused is_unused(const TokenRow &row, const UseHistory &history,
                 std::uint64_t now, std::uint64_t seconds) {
  const std::uint64_t start = now - std::min(seconds, now);
  const auto use = history.of(row.token_id);
  if (row.secret == nullptr || (use && use->last > start)) {
    return Unused::kNo;
  }
  const auto record = history.since();
  if (!record || *record > start || !history.is_counting()) {
    return Unused::kUntold;
  }
  if (use) {
    return Unused::kYes;
  }
  // Nothing but a save has noted when the token was first there.
  if (!history.saved()) {
    return Unused::kUntold;
  }
  return *history.since(row.token_id) > start ? Unused::kNo : Unused::kYes;
}

}  // namespace

bool is_expiring(const TokenRow &row, const Tokens &tokens, std::uint64_t now,
                 std::uint64_t seconds) {
  const std::uint64_t then = now + std::min(seconds, UINT64_MAX - now);
  return tokens.state_of(row, now) == TokenState::kActive &&
         tokens.state_of(row, then) == TokenState::kExpired;
}

bool is_weak(const TokenRow &row) {
  return is_old(row) || is_bad_hash(row);
}

bool has_filter(const CommandLine &line) {
  return line.unused || line.expiring || line.weak;
}

Result<Filtered> filter(const CommandLine &line, const Tokens &tokens,
                        const UseHistory &use, std::uint64_t now) {
  Filtered filtered;
  for (const TokenRow &row : tokens.rows()) {
    if ((line.weak && !is_weak(row)) ||
        (line.expiring && !is_expiring(row, tokens, now, *line.expiring))) {
      continue;
    }
    const Unused unused =
        line.unused ? is_unused(row, use, now, *line.unused) : Unused::kYes;
    if (unused == Unused::kUntold) {
      ++filtered.untold;
    }
    if (unused == Unused::kYes && !filtered.rows.append(row)) {
      return no_memory("cannot list tokens");
    }
  }
  return filtered;
}

}  // namespace pbstoken
