// SPDX-License-Identifier: BSD-3-Clause
// What the benchmarks share: rounds in which everything that is compared takes
// its turn, medians with their spread, and rows of a CSV.
//
// A machine is never quiet: its clock, its neighbours and its caches change
// from second to second.  So what is compared is measured side by side, in
// rounds of some milliseconds whose order alternates; each round gives one
// ratio (or difference), and the median of these is what counts.
#ifndef PBSTOKEN_TESTS_BENCH_BENCH_H_
#define PBSTOKEN_TESTS_BENCH_BENCH_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace pbstoken::bench {

// Whoever measures a failure measures nothing.
inline void require(bool condition, const char *file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (!condition) {
    std::fprintf(stderr, "%s:%d: failed: %m\n", file, line);
    std::_Exit(1);
  }
}

inline double in_ns(const timespec &time) {
  return static_cast<double>(time.tv_sec) * 1e9 +
         static_cast<double>(time.tv_nsec);
}

inline double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return in_ns(now);
}

// The value at this share of the sorted ones.
inline double quantile(std::vector<double> *values, double share) {
  require(!values->empty());
  const auto at = static_cast<std::ptrdiff_t>(
      share * static_cast<double>(values->size() - 1) + 0.5);
  std::nth_element(values->begin(), values->begin() + at, values->end());
  return (*values)[static_cast<std::size_t>(at)];
}

// How long one call takes, in ns, by so many in a row.
template <typename Call>
double time_of(int calls, Call call) {
  const double start = now_ns();
  for (int i = 0; i < calls; ++i) {
    call();
  }
  return (now_ns() - start) / calls;
}

// The same in processor time.  A call of some milliseconds is always
// interrupted on a machine that has other work: by the clock on the wall, what
// hashes would look slower than it is.
template <typename Call>
double cpu_time_of(int calls, Call call) {
  timespec start{};
  timespec end{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  for (int i = 0; i < calls; ++i) {
    call();
  }
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  return (in_ns(end) - in_ns(start)) / calls;
}

// How long one call takes, in ns: the median of so many, for calls that are
// long beside a look at the clock.  Of those that somebody else's turn on the
// processor fell into, few are in the middle.
template <typename Call>
double typical_time_of(int calls, Call call) {
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    times.push_back(time_of(1, call));
  }
  return quantile(&times, 0.5);
}

// $ROUNDS: more for less noise, fewer for a first look.
inline int rounds() {
  const char *wanted = std::getenv("ROUNDS");
  return wanted != nullptr ? std::max(1, std::atoi(wanted)) : 300;
}

// --- medians

struct Spread {
  double median = 0;
  double low = 0;   // a tenth of the rounds were below
  double high = 0;  // and a tenth above
  std::size_t rounds = 0;
};

inline Spread spread_of(std::vector<double> values) {
  return {.median = quantile(&values, 0.5),
          .low = quantile(&values, 0.1),
          .high = quantile(&values, 0.9),
          .rounds = values.size()};
}

// What some contestants took, round by round.
class Rounds {
 public:
  using Contestant = std::function<double()>;  // gives ns for one call

  // One round before those that count.
  Rounds(int rounds, const std::vector<Contestant> &contestants)
      : times_(contestants.size()) {
    for (int round = -1; round < rounds; ++round) {
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        const std::size_t turn =
            round % 2 == 0 ? i : contestants.size() - 1 - i;
        const double time = contestants[turn]();
        if (round >= 0) {
          times_[turn].push_back(time);
        }
      }
    }
  }

  [[nodiscard]] Spread of(std::size_t a, double scale = 1) const {
    return combined(a, a, [scale](double x, double) { return x / scale; });
  }
  [[nodiscard]] Spread ratio(std::size_t a, std::size_t b) const {
    return combined(a, b, [](double x, double y) { return x / y; });
  }
  [[nodiscard]] Spread difference(std::size_t a, std::size_t b,
                                  double scale = 1) const {
    return combined(a, b,
                    [scale](double x, double y) { return (x - y) / scale; });
  }
  // (a / b) / (c / d)
  [[nodiscard]] Spread ratio_of_ratios(std::size_t a, std::size_t b,
                                       std::size_t c, std::size_t d) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < times_[a].size(); ++i) {
      values.push_back(times_[a][i] / times_[b][i] /
                       (times_[c][i] / times_[d][i]));
    }
    return spread_of(values);
  }

 private:
  template <typename Combine>
  Spread combined(std::size_t a, std::size_t b, Combine combine) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < times_[a].size(); ++i) {
      values.push_back(combine(times_[a][i], times_[b][i]));
    }
    return spread_of(values);
  }

  std::vector<std::vector<double>> times_;
};

// --- rows

struct Goal {
  char kind = ' ';  // '<' at most, '>' at least, ' ' none
  double value = 0;
};
inline Goal at_most(double value) {
  return {'<', value};
}
inline Goal at_least(double value) {
  return {'>', value};
}

constexpr double kMicrosecond = 1e3;
constexpr double kMillisecond = 1e6;

// number,figure,unit,median,p10,p90,rounds,goal,met; the number is that of the
// list in README.md.
inline void row(int number, const std::string &figure, const char *unit,
                const Spread &spread, const Goal &goal = {}) {
  std::printf("%d,%s,%s,%.4g,%.4g,%.4g,%zu,", number, figure.c_str(), unit,
              spread.median, spread.low, spread.high, spread.rounds);
  if (goal.kind == ' ') {
    std::printf(",\n");
  } else {
    const bool met = goal.kind == '<' ? spread.median <= goal.value
                                      : spread.median >= goal.value;
    std::printf("%c= %g,%s\n", goal.kind, goal.value, met ? "yes" : "NO");
  }
  std::fflush(stdout);
}

// What was counted or measured once.
inline Spread exactly(double value) {
  return {.median = value, .low = value, .high = value, .rounds = 1};
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_BENCH_H_
