// SPDX-License-Identifier: BSD-3-Clause
#include "admin/time_text.h"

#include <chrono>

#include "admin/duration.h"
#include "pbstoken/base/text.h"

namespace pbstoken {

namespace {

using Seconds = std::chrono::seconds;

// Two or four digits from this place on.
std::optional<int> digits(std::string_view text, std::size_t from,
                          std::size_t count) {
  const std::string_view part = slice(text, from, count);
  if (part.size() != count ||
      part.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return static_cast<int>(*parse_number(part));
}

// YYYY-MM-DD, at its beginning.
std::optional<Seconds> parse_date(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-') {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{
      std::chrono::year(*year),
      std::chrono::month(static_cast<unsigned>(*month)),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date).time_since_epoch();
}

// hh:mm, at its beginning.
std::optional<Seconds> parse_hours(std::string_view text) {
  const auto hours = digits(text, 0, 2);
  const auto minutes = digits(text, 3, 2);
  if (!hours || !minutes || text[2] != ':' || *hours > 23 || *minutes > 59) {
    return std::nullopt;
  }
  return std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
}

// How far a zone is ahead of UTC: Z, +hh:mm or -hh:mm.
std::optional<Seconds> parse_zone(std::string_view text) {
  if (text == "Z" || text == "z") {
    return Seconds(0);
  }
  const auto offset = parse_hours(slice(text, 1));
  constexpr std::size_t kSize = 6;
  if (!offset || text.size() != kSize || (text[0] != '+' && text[0] != '-')) {
    return std::nullopt;
  }
  return text[0] == '+' ? *offset : -*offset;
}

// hh:mm:ss and a zone.  60 is a leap second, which the epoch does not count.
std::optional<Seconds> parse_time_of_day(std::string_view text) {
  const auto minutes = parse_hours(text);
  const auto seconds = digits(text, 6, 2);
  if (!minutes || !seconds || text[5] != ':' || *seconds > 60) {
    return std::nullopt;
  }
  const auto zone = parse_zone(slice(text, 8));
  if (!zone) {
    return std::nullopt;
  }
  return *minutes + Seconds(*seconds) - *zone;
}

std::optional<Seconds> parse_moment(std::string_view text) {
  constexpr std::size_t kDate = 10;
  auto moment = parse_date(text);
  if (!moment || text.size() == kDate) {
    return moment;
  }
  const char between = text[kDate];
  const auto time = parse_time_of_day(slice(text, kDate + 1));
  if (!time || (between != 'T' && between != 't' && between != ' ')) {
    return std::nullopt;
  }
  return *moment + *time;
}

}  // namespace

std::optional<std::uint64_t> parse_time(std::string_view text,
                                        std::uint64_t now) {
  if (text == "never") {
    return 0;
  }
  if (const auto duration = parse_duration(text); duration) {
    // Upstream's seconds are signed.
    return *duration <= INT64_MAX - now ? std::optional(now + *duration)
                                        : std::nullopt;
  }
  const auto moment = parse_moment(text);
  // The epoch itself would mean never.
  return moment && moment->count() > 0
             ? std::optional(static_cast<std::uint64_t>(moment->count()))
             : std::nullopt;
}

}  // namespace pbstoken
