// SPDX-License-Identifier: BSD-3-Clause
// How long requests with a cached token take beside whatever else goes on.
#ifndef PBSTOKEN_TESTS_BENCH_LATENCY_H_
#define PBSTOKEN_TESTS_BENCH_LATENCY_H_

#include <algorithm>
#include <cmath>
#include <ctime>
#include <vector>

#include "service.h"

namespace pbstoken::bench {

// Of single requests, in ns.
struct Latency {
  double median;
  double p99;
};

inline Latency good_requests() {
  constexpr int kRequests = 400;
  constexpr double kEvery = 1e6;  // a millisecond
  std::vector<double> times;
  double due = now_ns();
  for (int i = 0; i < kRequests; ++i) {
    due += kEvery;
    const timespec when = {
        .tv_sec = static_cast<time_t>(due / 1e9),
        .tv_nsec = static_cast<long>(due - std::floor(due / 1e9) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr);
    transact("cached");
    const double done = now_ns();
    times.push_back(done - due);
    // What came late makes the next one late, but not all that follow.
    due = std::max(due, done - kEvery);
  }
  return {quantile(&times, 0.5), quantile(&times, 0.99)};
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_LATENCY_H_
