// SPDX-License-Identifier: BSD-3-Clause
#include "admin/report.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "pbstoken/base/utf8.h"

namespace pbstoken {

namespace {

constexpr std::size_t kGap = 2;

bool append_spaces(Buffer *out, std::size_t count) {
  constexpr std::string_view kSpaces = "                ";
  bool ok = true;
  while (ok && count > 0) {
    const std::string_view some = slice(kSpaces, 0, count);
    ok = out->append(some);
    count -= some.size();
  }
  return ok;
}

bool append_escaped(Buffer *out, std::string_view text) {
  bool ok = true;
  while (ok && !text.empty()) {
    text::Escape escape;
    ok = out->append(text::take_escaped(&text, &escape));
  }
  return ok;
}

// True if the character takes two columns on a terminal: those of East Asian
// scripts and of emoji (Unicode Standard Annex 11, in its wide and fullwidth
// blocks).
bool is_wide(char32_t c) {
  struct Range {
    char32_t first;
    char32_t last;
  };
  constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115f},
                                           {0x2e80, 0xa4cf},
                                           {0xac00, 0xd7a3},
                                           {0xf900, 0xfaff},
                                           {0xfe30, 0xfe6f},
                                           {0xff01, 0xff60},
                                           {0xffe0, 0xffe6},
                                           {0x1f300, 0x1faff},
                                           {0x20000, 0x3fffd}}};
  return std::any_of(kWide.begin(), kWide.end(), [c](const Range &range) {
    return c >= range.first && c <= range.last;
  });
}

// How many columns a terminal gives to a text, but for marks that combine.
std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto c = take_code_point(&text);
    if (!c) {
      text.remove_prefix(1);
    }
    width += c && is_wide(*c) ? 2 : 1;
  }
  return width;
}

constexpr std::uint64_t kSecondsPerDay = 86400;
constexpr std::uint64_t kSecondsPerHour = 3600;
constexpr std::uint64_t kSecondsPerMinute = 60;
constexpr std::uint64_t kEndOf9999 = 253402300799;

void append_two_digits(FixedText<20> *out, std::uint64_t number) {
  out->append(number / 10).append(number % 10);
}

}  // namespace

bool Table::add(std::string_view text) {
  const std::size_t begin = text_.size();
  if (!append_escaped(&text_, text)) {
    return false;
  }
  const std::size_t size = text_.size() - begin;
  const std::size_t width = width_of(slice(text_.view(), begin, size));
  std::size_t &widest = widths_[cells_.items().size() % columns_];
  widest = std::max(widest, std::min(width, kMaxWidth));
  return cells_.append({.begin = begin, .size = size, .width = width});
}

bool Table::append_to(Buffer *out) const {
  bool ok = true;
  std::size_t column = 0;
  std::size_t spaces = 0;  // owed to the next cell that has a text
  for (const Cell &cell : cells_.items()) {
    if (cell.size != 0) {
      ok = ok && append_spaces(out, spaces) &&
           out->append(slice(text_.view(), cell.begin, cell.size));
      spaces = 0;
    }
    const std::size_t rest =
        widths_[column] - std::min(cell.width, widths_[column]);
    spaces += rest + kGap;
    if (++column == columns_) {
      ok = ok && out->append("\n");
      column = 0;
      spaces = 0;
    }
  }
  return ok;
}

bool JsonArray::add(std::span<const Field> fields) {
  const std::string_view indent = pretty_ ? "  " : "";
  return text_.append(text_.view().empty() ? "[" : ",") &&
         (!pretty_ || text_.append("\n")) && text_.append(indent) &&
         append_json_object(&text_, fields, pretty_, indent);
}

bool JsonArray::print() {
  const bool empty = text_.view().empty();
  if ((empty && !text_.append("[")) ||
      (!empty && pretty_ && !text_.append("\n")) || !text_.append("]\n")) {
    errno = ENOMEM;
    return false;
  }
  return pbstoken::print(text_.view());
}

FixedText<8> octal(mode_t mode) {
  FixedText<8> text("0");
  for (const unsigned shift : {6U, 3U, 0U}) {
    text.append((mode >> shift) & 7U);
  }
  return text;
}

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
