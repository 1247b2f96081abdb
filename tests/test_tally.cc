// SPDX-License-Identifier: BSD-3-Clause
// Tallies: found again as long as there is room, whatever stands in the table.
#include "pbstoken/limits/tally.h"

#include <array>
#include <vector>

#include "pbstoken/base/text.h"
#include "support.h"

namespace pbstoken {
namespace {

std::uint64_t tag_of(std::uint64_t number) {
  return quick_hash(FixedText<20>().append(number).view()) | 1;
}

void tally_is_found_once_it_was_made(void ** /*state*/) {
  std::array<Tally, 64> table{};
  assert_null(find_tally(table, 7));
  Tally *made = make_tally(table, 7);
  made->state = Tally::make_state(100, 1);
  assert_ptr_equal(find_tally(table, 7), made);
  assert_ptr_equal(make_tally(table, 7), made);
  assert_null(find_tally(table, 8));
}

void count_ends_at_its_greatest(void ** /*state*/) {
  for (const std::uint64_t count :
       {Tally::kMostCounted - 1, Tally::kMostCounted, Tally::kMostCounted + 1,
        UINT64_MAX}) {
    const std::uint64_t state = Tally::make_state(5, count);
    assert_int_equal(Tally::time_of(state), 5);
    assert_int_equal(Tally::count_of(state),
                     count < Tally::kMostCounted ? count : Tally::kMostCounted);
  }
}

// Of a table that is full to a half none is lost.
void all_have_room_where_there_is_enough(void ** /*state*/) {
  std::vector<Tally> table(1U << 15U);
  const std::uint64_t count = table.size() / 2;
  for (std::uint64_t i = 0; i < count; ++i) {
    make_tally(table, tag_of(i))->state = Tally::make_state(1000 + i, i);
  }
  std::uint64_t lost = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Tally *found = find_tally(table, tag_of(i));
    lost += found == nullptr || Tally::count_of(found->state) != i ? 1 : 0;
  }
  assert_int_equal(lost, 0);
}

void earliest_gives_way(void ** /*state*/) {
  std::array<Tally, kTallyPlaces> table{};
  for (std::uint64_t i = 1; i <= table.size(); ++i) {
    // Number 5 is the earliest.
    make_tally(table, i)->state = Tally::make_state(i == 5 ? 10 : 100 + i, 1);
  }
  Tally *made = make_tally(table, 1000);
  assert_int_equal(made->state, 0);
  assert_null(find_tally(table, 5));
  for (std::uint64_t i = 1; i <= table.size(); ++i) {
    assert_true(i == 5 || find_tally(table, i) != nullptr);
  }
}

void tally_in_a_table_of_anything_is_made_all_the_same(void ** /*state*/) {
  for (const std::uint64_t word : {std::uint64_t{1}, UINT64_MAX}) {
    std::vector<Tally> table(100, Tally{.tag = word, .state = word});
    Tally *made = make_tally(table, 12345);
    assert_non_null(made);
    assert_int_equal(made->tag, 12345);
    assert_int_equal(made->state, 0);
    assert_ptr_equal(find_tally(table, 12345), made);
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(tally_is_found_once_it_was_made),
      cmocka_unit_test(count_ends_at_its_greatest),
      cmocka_unit_test(all_have_room_where_there_is_enough),
      cmocka_unit_test(earliest_gives_way),
      cmocka_unit_test(tally_in_a_table_of_anything_is_made_all_the_same),
  };
  return cmocka_run_group_tests_name("tally", tests, nullptr, nullptr);
}
