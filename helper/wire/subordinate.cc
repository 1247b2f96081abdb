// SPDX-License-Identifier: BSD-3-Clause
#include "wire/subordinate.h"

#include <algorithm>
#include <array>
#include <optional>

#include "pbstoken/os/accounts.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMostSize = std::size_t{1} << 20U;
constexpr const char *kCannotUse = "cannot use";

struct Range {
  uid_t owner;
  std::uint64_t first;
  std::uint64_t count;
};

constinit std::array<Range, 1024> ranges = {};
constinit std::size_t known = 0;

std::optional<uid_t> user_of(std::string_view name) {
  if (const auto number = parse_number(name); number) {
    return static_cast<uid_t>(*number);
  }
  const auto user = find_user(FixedText<255>(name).c_str());
  return user ? std::optional(*user) : std::nullopt;
}

// USER:FIRST:COUNT
std::optional<Range> parse_range(std::string_view line) {
  const std::string_view name = take_until(':', &line);
  const auto first = parse_number(take_until(':', &line));
  const auto count = parse_number(line);
  const auto owner = first && count ? user_of(name) : std::nullopt;
  return owner && *owner != 0 ? std::optional(Range{*owner, *first, *count})
                              : std::nullopt;
}

}  // namespace

Result<void> load_subordinate_uids() {
  const PathText path(kSubordinateUids);
  const auto file = open_regular(path);
  const auto text =
      file ? read_whole(*file, path, kMostSize) : Result<Buffer>(file.error());
  if (!text) {
    return text.error().code == Errc::kNotFound ? Result<void>()
                                                : Result<void>(text.error());
  }
  for (std::string_view rest = text->view(); !rest.empty();) {
    const auto range = parse_range(take_until('\n', &rest));
    if (range && known == ranges.size()) {
      return plain_error(Errc::kMalformed, kCannotUse, kSubordinateUids,
                         "too many ranges");
    }
    if (range) {
      ranges[known++] = *range;
    }
  }
  return {};
}

uid_t owner_of(uid_t uid) {
  const Range *const first = ranges.data();
  const Range *const end = first + known;
  const auto *const found = std::find_if(first, end, [uid](const Range &range) {
    return uid >= range.first && uid - range.first < range.count;
  });
  return found == end ? uid : found->owner;
}

}  // namespace pbstoken
