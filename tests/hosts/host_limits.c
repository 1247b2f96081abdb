/* SPDX-License-Identifier: BSD-3-Clause */
/* Every resource at its least, before the module was ever loaded and after. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>

#include "host.h"

static const struct limit {
  const char *name;
  int resource;
  rlim_t value;
} *limit;

static const struct limit limits[] = {
    {"fsize", RLIMIT_FSIZE, 0},
    {"core", RLIMIT_CORE, 0},
    {"memlock", RLIMIT_MEMLOCK, 0},
    {"sigpending", RLIMIT_SIGPENDING, 0},
    {"msgqueue", RLIMIT_MSGQUEUE, 0},
    {"nice", RLIMIT_NICE, 0},
    {"rtprio", RLIMIT_RTPRIO, 0},
    {"stack", RLIMIT_STACK, 64 * 1024},
    {"nproc", RLIMIT_NPROC, 0},
    {"data", RLIMIT_DATA, 0},
    {"as", RLIMIT_AS, 0},
};
enum { kLimits = sizeof(limits) / sizeof(limits[0]) };

static void set_limit(const struct limit *wanted) {
  const struct rlimit least = {.rlim_cur = wanted->value,
                               .rlim_max = wanted->value};
  must(setrlimit(wanted->resource, &least) == 0);
}

/* Without memory libc keeps libraries mapped that it could not load. */
static void authenticate_limited(void) {
  remember_state();
  set_limit(limit);
  if (limit->resource == RLIMIT_DATA || limit->resource == RLIMIT_AS) {
    try_both();
    try_both();
    compare_state(false);
  } else {
    authenticate();
  }
}

/* The module, and what it keeps, are there. */
static void authenticate_limited_later(void) {
  warm_up();
  authenticate_limited();
}

/* All but memory and descriptors, with which there is no libpam. */
static void authenticate_with_all_limits(void) {
  warm_up();
  remember_state();
  for (limit = limits; limit->resource != RLIMIT_DATA; ++limit) {
    set_limit(limit);
  }
  authenticate();
}

int main(int argc, char **argv) {
  char name[40];
  start_host(argc, argv);
  for (int i = 0; i < kLimits; ++i) {
    limit = &limits[i];
    snprintf(name, sizeof(name), "rlimit_%s", limit->name);
    run_case(name, NULL, authenticate_limited);
    snprintf(name, sizeof(name), "rlimit_%s_later", limit->name);
    run_case(name, NULL, authenticate_limited_later);
  }
  run_case("rlimit_all_later", NULL, authenticate_with_all_limits);
  return end_host();
}
