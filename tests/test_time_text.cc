// SPDX-License-Identifier: BSD-3-Clause
// Times as people write them.
#include "admin/time_text.h"

#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

constexpr std::uint64_t kNow = 1800000000;

struct Case {
  const char *text;
  std::optional<std::uint64_t> time;
};

void assert_times(const std::vector<Case> &cases) {
  for (const Case &each : cases) {
    const auto time = parse_time(each.text, kNow);
    if (time != each.time) {
      fail_msg("%s: %ld", each.text, time ? static_cast<long>(*time) : -1);
    }
  }
}

// The seconds are those of date(1), with --utc --date=TEXT +%s.
void times_are_taken_in_each_form(void ** /*state*/) {
  assert_times({
      {"never", 0},
      {"90d", kNow + 90 * 86400},
      {"12h", kNow + 12 * 3600},
      {"2w", kNow + 14 * 86400},
      {"0s", kNow},
      {"2027-01-31", 1801353600},
      {"2028-02-29", 1835395200},
      {"1970-01-02", 86400},
      {"2027-01-31T12:30:00Z", 1801398600},
      {"2027-01-31t12:30:00z", 1801398600},
      {"2027-01-31 12:30:00Z", 1801398600},
      {"2027-01-31T12:30:00+01:00", 1801395000},
      {"2027-01-31T12:30:00-05:30", 1801418400},
      {"2027-01-31T23:59:60Z", 1801440000},
      {"9999-12-31T23:59:59Z", 253402300799},
  });
}

void times_in_no_form_are_refused(void ** /*state*/) {
  for (const char *text : {"",
                           "Never",
                           "90",
                           "d",
                           "-90d",
                           "+90d",
                           "90 d",
                           "90D",
                           "1.5d",
                           "now",
                           "2027-1-31",
                           "2027-02-29",
                           "2027-13-01",
                           "2027-00-10",
                           "2027-01-00",
                           "2027-01-32",
                           "27-01-31",
                           "2027/01/31",
                           "2027-01-31T",
                           "2027-01-31 ",
                           "2027-01-31T12:30",
                           "2027-01-31T12:30:00",
                           "2027-01-31T12:30:00+0100",
                           "2027-01-31T12:30:00+01:0",
                           "2027-01-31T24:00:00Z",
                           "2027-01-31T12:60:00Z",
                           "2027-01-31T12:30:61Z",
                           "2027-01-31T12:30:00.5Z",
                           "2027-01-31T12:30:00ZZ",
                           "2027-01-31x12:30:00Z",
                           "2027-01-31T12:30:00+24:00",
                           "1969-12-31",
                           "1970-01-01",
                           "18446744073709551615s",
                           "9223372036854775807s",
                           "99999999999999999999d",
                           "1801353600"}) {
    assert_times({{text, std::nullopt}});
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(times_are_taken_in_each_form),
      cmocka_unit_test(times_in_no_form_are_refused),
  };
  return cmocka_run_group_tests_name("time_text", tests, nullptr, nullptr);
}
