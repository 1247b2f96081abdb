// SPDX-License-Identifier: BSD-3-Clause
// Aligned columns, dates and sizes, for people.
#include "admin/report.h"

#include <ctime>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::utf8;

std::string table_of(std::size_t columns,
                     const std::vector<std::string> &cells) {
  Table table(columns);
  for (const std::string &cell : cells) {
    assert_true(table.add(cell));
  }
  Buffer out;
  assert_true(table.append_to(&out));
  return std::string(out.view());
}

void table_columns_are_as_wide_as_their_widest_cell(void ** /*state*/) {
  assert_text_equal(table_of(3, {"A", "BB", "C", "aaaa", "b", "c", "a", "", "",
                                 "", "bb", "c c"}),
                    "A     BB  C\n"
                    "aaaa  b   c\n"
                    "a\n"
                    "      bb  c c\n");
  assert_text_equal(table_of(3, {}), "");
}

void table_width_is_counted_in_characters(void ** /*state*/) {
  assert_text_equal(table_of(2, {"jürgen€", "x", "1234567", "x", "1", "x"}),
                    "jürgen€  x\n"
                    "1234567  x\n"
                    "1        x\n");
}

// They take two columns of a terminal.
void table_width_of_wide_characters_is_two(void ** /*state*/) {
  assert_text_equal(
      table_of(2, {"日本@pbs!t", "x", "한국😀", "x", "12345", "x"}),
      "日本@pbs!t  x\n"
      "한국😀      x\n"
      "12345       x\n");
}

void table_cells_are_escaped_and_aligned_as_printed(void ** /*state*/) {
  assert_text_equal(
      table_of(2, {"a\nb", "x", "\x1b[2J" + utf8(0x9b), "x\ty", "1234", "x"}),
      "a\\x0ab           x\n"
      "\\x1b[2J\\xc2\\x9b  x\\x09y\n"
      "1234             x\n");
}

void table_giant_cell_moves_its_own_row_alone(void ** /*state*/) {
  const std::string giant(100000, 'g');
  const std::string text = table_of(2, {giant, "x", "a", "x"});
  assert_text_equal(
      text, giant + "  x\na" + std::string(Table::kMaxWidth + 1, ' ') + "x\n");
}

void iso_date_agrees_with_gmtime(void ** /*state*/) {
  constexpr time_t kStep = 86400 * 11 + 3661;
  for (time_t time = 0; time <= 253402300799; time += kStep) {
    tm parts{};
    assert_non_null(gmtime_r(&time, &parts));
    char expected[32] = "";
    assert_int_equal(
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &parts), 20);
    assert_text_equal(iso_date(static_cast<std::uint64_t>(time)).view(),
                      expected);
  }
}

void iso_date_edges(void ** /*state*/) {
  assert_text_equal(iso_date(0).view(), "1970-01-01T00:00:00Z");
  assert_text_equal(iso_date(1700000000).view(), "2023-11-14T22:13:20Z");
  assert_text_equal(iso_date(951782400).view(), "2000-02-29T00:00:00Z");
  assert_text_equal(iso_date(253402300799).view(), "9999-12-31T23:59:59Z");
  assert_text_equal(iso_date(253402300800).view(), "after 9999");
  assert_text_equal(iso_date(INT64_MAX).view(), "after 9999");
  assert_text_equal(iso_date(UINT64_MAX).view(), "after 9999");
}

void size_has_the_unit_that_people_read(void ** /*state*/) {
  struct Case {
    std::uint64_t bytes;
    std::string_view text;
  };
  for (const Case &c : {
           Case{0, "0 B"},
           Case{1023, "1023 B"},
           Case{1024, "1.0 KiB"},
           Case{1536, "1.5 KiB"},
           Case{888832, "868.0 KiB"},
           Case{(1 << 20) - 1, "1.0 MiB"},
           Case{4202560, "4.0 MiB"},
           Case{2044800, "2.0 MiB"},
           Case{(4 << 20) + (1 << 19), "4.5 MiB"},
           Case{std::uint64_t{3} << 30U, "3.0 GiB"},
           Case{UINT64_MAX, "16777216.0 TiB"},
       }) {
    assert_text_equal(size_text(c.bytes).view(), c.text);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_columns_are_as_wide_as_their_widest_cell),
      cmocka_unit_test(table_width_is_counted_in_characters),
      cmocka_unit_test(table_width_of_wide_characters_is_two),
      cmocka_unit_test(table_cells_are_escaped_and_aligned_as_printed),
      cmocka_unit_test(table_giant_cell_moves_its_own_row_alone),
      cmocka_unit_test(iso_date_agrees_with_gmtime),
      cmocka_unit_test(iso_date_edges),
      cmocka_unit_test(size_has_the_unit_that_people_read),
  };
  return cmocka_run_group_tests_name("table", tests, nullptr, nullptr);
}
