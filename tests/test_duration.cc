// SPDX-License-Identifier: BSD-3-Clause
// Durations as people write them.
#include "admin/duration.h"

#include <string_view>

#include "support.h"

namespace pbstoken {
namespace {

void each_unit_is_seconds(void ** /*state*/) {
  struct Case {
    std::string_view text;
    std::uint64_t seconds;
  };
  for (const Case &c :
       {Case{"45s", 45}, Case{"5m", 300}, Case{"12h", 43200},
        Case{"90d", 7776000}, Case{"2w", 1209600}, Case{"0d", 0},
        Case{"18446744073709551615s", UINT64_MAX},
        Case{"30500568904943w", 18446744073709526400U}}) {
    const auto seconds = parse_duration(c.text);
    assert_true(seconds.has_value());
    assert_int_equal(*seconds, c.seconds);
  }
}

void what_is_no_duration_is_refused(void ** /*state*/) {
  for (const std::string_view text :
       {"", "d", "90", "90D", "90y", "-1d", "+1d", " 1d", "1d ", "1 d", "1.5d",
        "1d12h", "1dd", "0x1d", "18446744073709551616s", "30500568904944w",
        "307445734561825861m"}) {
    assert_false(parse_duration(text).has_value());
  }
  assert_false(parse_duration(std::string_view("1\0d", 3)).has_value());
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_unit_is_seconds),
      cmocka_unit_test(what_is_no_duration_is_refused),
  };
  return cmocka_run_group_tests_name("duration", tests, nullptr, nullptr);
}
