// SPDX-License-Identifier: BSD-3-Clause
// The text of a lease, and how long it lasts.
#include "pbstoken/store/lease.h"

#include <string>
#include <string_view>

#include "support.h"

namespace pbstoken {
namespace {

const std::string kText =
    "pbstoken lease 1\n"
    "revision 18446744073709551615\n"
    "asked 12345\n"
    "seconds 60\n"
    "boot 0f1e2d3c-4b5a-4697-8877-665544332211\n"
    "clock 4026531834\n"
    "sha256 "
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

std::string replaced(std::string_view what, std::string_view with) {
  std::string text(kText);
  const std::size_t at = text.find(what);
  assert_true(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

bool is_lease(std::string_view text) {
  return parse_lease(text).has_value();
}

void text_is_read_and_written_again(void ** /*state*/) {
  const auto lease = parse_lease(kText);
  assert_true(lease.has_value());
  assert_true(lease->revision == UINT64_MAX);
  assert_int_equal(lease->term.asked, 12345);
  assert_int_equal(lease->term.seconds, 60);
  assert_true(lease->boot.view() == "0f1e2d3c-4b5a-4697-8877-665544332211");
  assert_int_equal(lease->clock, 4026531834);
  assert_true(lease->digest.view().ends_with("cdef"));
  assert_true(text_of(*lease).view() == kText);
}

void text_that_is_cut_off_or_longer_is_none(void ** /*state*/) {
  for (std::size_t size = 0; size < kText.size(); ++size) {
    assert_false(is_lease(std::string_view(kText).substr(0, size)));
  }
  for (const std::string_view more : {"\n", " ", "x", "revision 1\n"}) {
    assert_false(is_lease(kText + std::string(more)));
  }
  assert_false(is_lease(kText + kText));
  assert_false(is_lease(kText + std::string(1, '\0')));
  assert_false(is_lease(std::string(kMaxLeaseSize, '\n')));
}

void text_that_is_written_otherwise_is_none(void ** /*state*/) {
  for (const auto &[what, with] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"lease 1", "lease 2"},
           {"pbstoken", "Pbstoken"},
           {"revision 18446744073709551615", "revision 18446744073709551616"},
           {"revision 18446744073709551615", "revision -1"},
           {"revision 18446744073709551615", "revision 01"},
           {"revision 18446744073709551615", "revision 0x1"},
           {"revision 18446744073709551615", "revision "},
           {"revision", "revisioN"},
           {"asked 12345", "asked +12345"},
           {"asked 12345", "asked 12345 "},
           {"asked 12345", "asked  12345"},
           {"asked 12345", "asked 12345\r"},
           {"asked 12345\n", ""},
           {"asked 12345\n", "asked 12345\nasked 12345\n"},
           {"0f1e2d3c-", "0f1e2d3c"},
           {"0f1e2d3c-", "0f1e2d3c--"},
           {"clock 4026531834", "clock 4026531834.0"},
           {"0123456789abcdef\n", "0123456789abcde\n"},
           {"0123456789abcdef\n", "0123456789abcdef0\n"},
           {"\n", "\r\n"},
       }) {
    assert_false(is_lease(replaced(what, with)));
  }
}

// Any byte in any place makes another lease, or none.
void text_with_any_byte_changed_is_not_the_same(void ** /*state*/) {
  for (std::size_t at = 0; at < kText.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = kText;
      text[at] = static_cast<char>(byte);
      if (const auto lease = parse_lease(text); lease) {
        assert_true(text_of(*lease).view() == text);
      }
    }
  }
}

constexpr std::uint64_t kSecond = 1'000'000'000;

void lease_lasts_so_many_seconds_and_no_longer(void ** /*state*/) {
  assert_true(lasts({.asked = 1000}, 6, 1 * kSecond));
  assert_true(lasts({.asked = 1000}, 6, 7 * kSecond - 1));
  assert_false(lasts({.asked = 1000}, 6, 7 * kSecond));
  assert_false(lasts({.asked = 1000}, 6, UINT64_MAX));
}

void lease_of_a_time_to_come_does_not_last(void ** /*state*/) {
  assert_false(lasts({.asked = 1001}, 6, 1 * kSecond));
  assert_false(lasts({.asked = UINT64_MAX}, 86400, 1 * kSecond));
  assert_false(lasts({.asked = UINT64_MAX / 1000}, 86400, 1 * kSecond));
}

void lease_without_a_clock_does_not_last(void ** /*state*/) {
  assert_false(lasts({.asked = 0}, 6, 0));
}

// Other hosts wait for no longer than what they were told.
void shorter_of_recorded_and_configured_counts(void ** /*state*/) {
  constexpr std::uint64_t kNow = 10 * kSecond;
  for (const std::uint64_t configured : {6U, 60U}) {
    assert_false(lasts({.asked = 4000, .seconds = 6}, configured, kNow));
    assert_true(lasts({.asked = 4001, .seconds = 6}, configured, kNow));
  }
  assert_false(lasts({.asked = 4000, .seconds = 60}, 6, kNow));
  assert_true(lasts({.asked = 4001, .seconds = 60}, 6, kNow));
  assert_true(lasts({.asked = 4001, .seconds = 0}, 6, kNow));
}

void word_has_the_whole_term(void ** /*state*/) {
  const LeaseTerm term = {.asked = 1'234'567'890'123, .seconds = 86400};
  assert_int_equal(unpack(pack(term)).asked, term.asked);
  assert_int_equal(unpack(pack(term)).seconds, term.seconds);
}

void each_state_has_a_word(void ** /*state*/) {
  for (auto state = static_cast<unsigned>(LeaseState::kOff);
       state <= static_cast<unsigned>(LeaseState::kOtherClock); ++state) {
    assert_false(word_of(static_cast<LeaseState>(state)).empty());
  }
}

// Any other than these two is refused, and by its own name.
void permit_takes_off_and_in_force_alone(void ** /*state*/) {
  Store store;
  store.token_shadow = PathText("/a/token.shadow");
  assert_true(static_cast<bool>(permit({LeaseState::kOff}, store)));
  assert_true(static_cast<bool>(permit({LeaseState::kInForce}, store)));
  for (const LeaseState state :
       {LeaseState::kPast, LeaseState::kMissing, LeaseState::kMalformed,
        LeaseState::kOtherBoot, LeaseState::kOtherClock}) {
    const auto refused = permit({state}, store);
    assert_false(static_cast<bool>(refused));
    assert_true(refused.error().code == Errc::kLease);
    const std::string text(describe(refused.error()).view());
    assert_true(text.starts_with("cannot use /a/token.shadow.lease: "));
    assert_true(text.ends_with(", reason=lease"));
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(text_is_read_and_written_again),
      cmocka_unit_test(text_that_is_cut_off_or_longer_is_none),
      cmocka_unit_test(text_that_is_written_otherwise_is_none),
      cmocka_unit_test(text_with_any_byte_changed_is_not_the_same),
      cmocka_unit_test(lease_lasts_so_many_seconds_and_no_longer),
      cmocka_unit_test(lease_of_a_time_to_come_does_not_last),
      cmocka_unit_test(lease_without_a_clock_does_not_last),
      cmocka_unit_test(shorter_of_recorded_and_configured_counts),
      cmocka_unit_test(word_has_the_whole_term),
      cmocka_unit_test(each_state_has_a_word),
      cmocka_unit_test(permit_takes_off_and_in_force_alone),
  };
  return cmocka_run_group_tests_name("lease", tests, nullptr, nullptr);
}
