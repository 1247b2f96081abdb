// SPDX-License-Identifier: BSD-3-Clause
#include "admin/duration.h"

#include <array>

#include "pbstoken/base/text.h"

namespace pbstoken {

namespace {

struct Unit {
  char letter;
  std::uint64_t seconds;
};

constexpr std::array<Unit, 5> kUnits = {
    {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}}};

}  // namespace

std::optional<std::uint64_t> parse_duration(std::string_view text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const auto number = parse_number(slice(text, 0, text.size() - 1));
  for (const Unit &unit : kUnits) {
    if (number && unit.letter == text.back() &&
        *number <= UINT64_MAX / unit.seconds) {
      return *number * unit.seconds;
    }
  }
  return std::nullopt;
}

}  // namespace pbstoken
