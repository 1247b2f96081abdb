// SPDX-License-Identifier: BSD-3-Clause
#include "admin/report.h"

#include <algorithm>

#include "pbstoken/base/text.h"
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

}  // namespace

bool Table::add(std::string_view text) {
  const std::size_t begin = text_.size();
  if (!append_escaped(&text_, text)) {
    return false;
  }
  const std::size_t size = text_.size() - begin;
  const std::size_t width = count_characters(slice(text_.view(), begin, size));
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

}  // namespace pbstoken
