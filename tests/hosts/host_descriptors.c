/* SPDX-License-Identifier: BSD-3-Clause */
/* Too few descriptors, or too many. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "host.h"

static unsigned closed; /* bit N: descriptor N */

static void close_some(void) {
  for (int fd = 0; fd < 3; ++fd) {
    if ((closed & (1U << (unsigned)fd)) != 0) {
      close(fd);
    }
  }
}

static void close_all(void) {
  must(close_range(0, ~0U, 0) == 0);
}

/* --- a limit */

static rlim_t left;

/* With descriptors from 0 on without a gap, and so many above them free. */
static void authenticate_with_few(void) {
  remember_state(); /* which opens one, far above */
  rlim_t first = 0;
  while (fcntl((int)first, F_GETFD) >= 0) {
    ++first;
  }
  const struct rlimit few = {.rlim_cur = first + left,
                             .rlim_max = first + left};
  must(setrlimit(RLIMIT_NOFILE, &few) == 0);
  authenticate();
}

/* Beyond what select(2) could tell of. */
static void open_many(void) {
  enum { kMany = 2000 };
  const struct rlimit many = {.rlim_cur = kMany + 100, .rlim_max = kMany + 100};
  must(setrlimit(RLIMIT_NOFILE, &many) == 0);
  for (int i = 0; i < kMany; ++i) {
    must(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
  }
}

int main(int argc, char **argv) {
  char name[40];
  start_host(argc, argv);
  for (closed = 1; closed < 8; ++closed) {
    snprintf(name, sizeof(name), "closed%s%s%s", closed & 1U ? "_0" : "",
             closed & 2U ? "_1" : "", closed & 4U ? "_2" : "");
    run_case(name, close_some, NULL);
  }
  run_case("closed_all", close_all, NULL);
  for (left = 0; left < 8; ++left) {
    snprintf(name, sizeof(name), "descriptors_free_%d", (int)left);
    run_case(name, NULL, authenticate_with_few);
  }
  run_case("descriptors_beyond_1024", open_many, NULL);
  return end_host();
}
