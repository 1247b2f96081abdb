// SPDX-License-Identifier: BSD-3-Clause
// tests/bench/counted_pam TIMES: pam_authenticate(3) with a cached token on one
// handle, so many times; callgrind counts what is inside pam_sm_authenticate.
#include "openat2.h"
#include "service.h"

int main(int argc, char **argv) {
  using namespace pbstoken::bench;
  if (argc != 2) {
    return 2;
  }
  make_scene();
  // The first one hashes; the difference of two runs is without it.
  Handle handle = kept("cached");
  for (int i = 0; i < std::atoi(argv[1]); ++i) {
    accept_once(&handle);
  }
  return 0;
}
