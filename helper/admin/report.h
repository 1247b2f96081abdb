// SPDX-License-Identifier: BSD-3-Clause
// A table with aligned columns, for people.
//
// A column is as wide as its widest cell, counted in characters: what a
// terminal makes of wide and of combining ones only a locale knows, and a
// setuid program has none.  Cells are escaped, so that no id and no comment
// commands the terminal.
#ifndef PBSTOKEN_REPORT_H_
#define PBSTOKEN_REPORT_H_

#include <array>
#include <cstddef>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/vector.h"

namespace pbstoken {

class Table {
 public:
  static constexpr std::size_t kMaxColumns = 8;
  // A wider cell moves its own row alone: ids of others may be of any length.
  static constexpr std::size_t kMaxWidth = 80;

  // At most kMaxColumns.
  explicit Table(std::size_t columns) : columns_(columns) {}

  // Adds the next cell, row by row; false without memory.
  [[nodiscard]] bool add(std::string_view text);

  // Appends the rows, a line each; false without memory.
  [[nodiscard]] bool append_to(Buffer *out) const;

 private:
  struct Cell {
    std::size_t begin;  // in text_
    std::size_t size;
    std::size_t width;
  };

  std::size_t columns_;
  Buffer text_;  // of all cells
  List<Cell> cells_;
  std::array<std::size_t, kMaxColumns> widths_{};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_REPORT_H_
