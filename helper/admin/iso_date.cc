// SPDX-License-Identifier: BSD-3-Clause
#include "admin/iso_date.h"

#include <chrono>

namespace pbstoken {

namespace {

constexpr std::uint64_t kSecondsPerDay = 86400;
constexpr std::uint64_t kSecondsPerHour = 3600;
constexpr std::uint64_t kSecondsPerMinute = 60;
constexpr std::uint64_t kEndOf9999 = 253402300799;

void append_two_digits(FixedText<20> *out, std::uint64_t number) {
  out->append(number / 10).append(number % 10);
}

}  // namespace

FixedText<20> iso_date(std::uint64_t seconds) {
  if (seconds > kEndOf9999) {
    return FixedText<20>("after 9999");
  }
  const std::chrono::year_month_day date{std::chrono::sys_days{
      std::chrono::days{static_cast<int>(seconds / kSecondsPerDay)}}};
  const std::uint64_t time = seconds % kSecondsPerDay;
  FixedText<20> text;
  text.append(static_cast<std::uint64_t>(static_cast<int>(date.year())));
  text.append("-");
  append_two_digits(&text, static_cast<unsigned>(date.month()));
  text.append("-");
  append_two_digits(&text, static_cast<unsigned>(date.day()));
  text.append("T");
  append_two_digits(&text, time / kSecondsPerHour);
  text.append(":");
  append_two_digits(&text, time % kSecondsPerHour / kSecondsPerMinute);
  text.append(":");
  append_two_digits(&text, time % kSecondsPerMinute);
  text.append("Z");
  return text;
}

}  // namespace pbstoken
