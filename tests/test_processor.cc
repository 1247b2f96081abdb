// SPDX-License-Identifier: BSD-3-Clause
// What libcrypto is told of the processor, without asking it.
#include "support.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdint>

#if defined(__x86_64__)
extern "C" std::uint32_t OPENSSL_ia32cap_P[4];
#endif

namespace pbstoken {
namespace {

// Else digests would be slower, and nothing else would tell.
void features_of_sha256_are_those_of_the_processor(void ** /*state*/) {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  assert_true(__get_cpuid(1, &a, &b, &c, &d) == 1);
  constexpr unsigned kSsse3 = 1U << 9U;
  assert_int_equal(OPENSSL_ia32cap_P[1] & kSsse3, c & kSsse3);
  constexpr unsigned kSha = 1U << 29U;
  const bool has_leaf = __get_cpuid_count(7, 0, &a, &b, &c, &d) == 1;
  assert_int_equal(OPENSSL_ia32cap_P[2] & kSha, has_leaf ? b & kSha : 0);
  assert_true((OPENSSL_ia32cap_P[2] & ~b) == 0);
#endif
}

// Where a hypervisor answers each question takes longer than a digest.
void nothing_else_was_asked(void ** /*state*/) {
#if defined(__x86_64__)
  assert_int_equal(OPENSSL_ia32cap_P[0], 0);
#endif
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(features_of_sha256_are_those_of_the_processor),
      cmocka_unit_test(nothing_else_was_asked),
  };
  return cmocka_run_group_tests_name("processor", tests, nullptr, nullptr);
}
