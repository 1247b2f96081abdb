// SPDX-License-Identifier: BSD-3-Clause
// The holder of a lock, in the kernel's own words.
#include "pbstoken/store/lock_holder.h"

#include <sys/sysmacros.h>

#include "support.h"

namespace pbstoken {
namespace {

constexpr std::string_view kLocks =
    "1: POSIX  ADVISORY  WRITE 700 08:01:5678 0 EOF\n"
    "2: FLOCK  ADVISORY  WRITE 701 08:01:5679 0 EOF\n"
    "3: FLOCK  ADVISORY  WRITE 0 08:01:56 0 EOF\n"
    "4: FLOCK  ADVISORY  WRITE 702 fd:1a:5678 0 EOF\n"
    "4: -> FLOCK  ADVISORY  WRITE 703 08:01:5678 0 EOF\n"
    "5: FLOCK  ADVISORY  READ  704 08:01:5678 0 EOF\n"
    "6: FLOCK  ADVISORY  WRITE -1 08:01:57 0 EOF\n"
    "7: FLOCK  ADVISORY  WRITE 705 08:01:58 0 EOF";

std::uint64_t holder(unsigned major_number, unsigned minor_number,
                     ino_t inode) {
  return lock_holder_in(kLocks, makedev(major_number, minor_number), inode)
      .value_or(0);
}

void holder_is_of_the_very_file(void ** /*state*/) {
  assert_int_equal(holder(8, 1, 5679), 701);
  assert_int_equal(holder(0xfd, 0x1a, 5678), 702);
  // Not of the POSIX lock, and not of one that waits.
  assert_int_equal(holder(8, 1, 5678), 704);
  assert_int_equal(holder(8, 1, 58), 705);
}

void holder_that_cannot_be_told_is_nothing(void ** /*state*/) {
  assert_int_equal(holder(8, 1, 56), 0);
  assert_int_equal(holder(8, 1, 57), 0);
  assert_int_equal(holder(8, 1, 567), 0);
  assert_int_equal(holder(8, 2, 5679), 0);
  assert_int_equal(holder(9, 1, 5679), 0);
}

void holder_in_other_texts_is_nothing(void ** /*state*/) {
  for (const char *text :
       {"", "\n", "1:", "1: FLOCK", "1: FLOCK ADVISORY WRITE 7",
        "1: FLOCK ADVISORY WRITE 7 ", "1: FLOCK ADVISORY WRITE 7 1:1",
        "1: FLOCK ADVISORY WRITE 7 :", "1: FLOCK ADVISORY WRITE 7 ::",
        "1: FLOCK ADVISORY WRITE x 01:01:1 0 EOF"}) {
    assert_false(lock_holder_in(text, makedev(1, 1), 1).has_value());
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(holder_is_of_the_very_file),
      cmocka_unit_test(holder_that_cannot_be_told_is_nothing),
      cmocka_unit_test(holder_in_other_texts_is_nothing),
  };
  return cmocka_run_group_tests_name("lock_holder", tests, nullptr, nullptr);
}
