// SPDX-License-Identifier: BSD-3-Clause
// What reports are made of: tables, JSON arrays, dates and modes.
#ifndef PBSTOKEN_REPORT_H_
#define PBSTOKEN_REPORT_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "io/output.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/text.h"

namespace pbstoken {

// A table with aligned columns, for people.
//
// A column is as wide as its widest cell.  The program has no locale: it knows
// which characters take two columns, and nothing of those that combine.  Cells
// are escaped, so that no id and no comment commands the terminal.
class Table {
 public:
  static constexpr std::size_t kMaxColumns = 8;
  // A wider cell moves its own row alone: ids of others may be of any length.
  static constexpr std::size_t kMaxWidth = 80;

  // columns: at most kMaxColumns.
  explicit Table(std::size_t columns) : columns_(columns) {}

  // Adds the next cell, row by row.  Returns false without memory.
  [[nodiscard]] bool add(std::string_view text);

  // Appends the rows, a line each.  Returns false without memory.
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

// A JSON array that grows by one object at a time.
class JsonArray {
 public:
  explicit JsonArray(OutputFormat format)
      : pretty_(format == OutputFormat::kJsonPretty) {}

  // Adds an object.  Returns false without memory.
  [[nodiscard]] bool add(std::span<const Field> fields);

  // Ends the array and prints it, as print() does.
  [[nodiscard]] bool print();

 private:
  Buffer text_;
  bool pretty_;
};

// Returns the permission bits, as chmod(1) takes them: 0640.
FixedText<8> octal(mode_t mode);

// Returns a time for people, from seconds since the epoch, in UTC:
// 2023-11-14T22:13:20Z; "after 9999" for what ISO 8601 has no four digits for.
// gmtime(3) would first read the host's /etc/localtime.
FixedText<20> iso_date(std::uint64_t seconds);

}  // namespace pbstoken

#endif  // PBSTOKEN_REPORT_H_
