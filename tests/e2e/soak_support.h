// SPDX-License-Identifier: BSD-3-Clause
// What the long tests share: how long they go on, random numbers that can be
// had again, and memory that processes share.
//
// SOAK_SECONDS in the environment makes each of them go on for so long, and
// for its usual count at least; `make soak` sets it.  STRESS_SEED repeats a
// run's random choices, as far as the scheduler lets it.
#ifndef PBSTOKEN_TESTS_E2E_SOAK_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_SOAK_SUPPORT_H_

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <new>
#include <random>
#include <string>
#include <string_view>

#include "pbstoken/os/clock.h"
#include "support.h"

namespace pbstoken::testing {

// --- for how long, and by which choices

inline std::uint64_t number_in_environment(const char *name) {
  const char *text = std::getenv(name);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

// 0: this is no soak.
inline std::uint64_t soak_seconds() {
  return number_in_environment("SOAK_SECONDS");
}

// `for (Rounds rounds(n); rounds.next();)`: n times, and on for as long as a
// soak goes.
class Rounds {
 public:
  explicit Rounds(int at_least)
      : at_least_(at_least),
        end_(boottime_now() + soak_seconds() * kNanosecondsPerSecond) {}

  bool next() { return ++number_ < at_least_ || boottime_now() < end_; }
  // From 0 on.
  [[nodiscard]] int number() const { return number_; }

 private:
  int at_least_;
  std::uint64_t end_;
  int number_ = -1;
};

inline std::uint64_t seed() {
  static const std::uint64_t chosen = [] {
    const std::uint64_t given = number_in_environment("STRESS_SEED");
    return given != 0 ? given : std::uint64_t{std::random_device{}()};
  }();
  return chosen;
}

inline int print_seed(void ** /*state*/) {
  print_message("STRESS_SEED=%ju\n", static_cast<uintmax_t>(seed()));
  return 0;
}

using Random = std::mt19937_64;

inline std::uint64_t below(std::uint64_t limit, Random *random) {
  return (*random)() % limit;
}

// Without a system call that would give the processor away.
inline void spin(std::uint64_t nanoseconds) {
  const std::uint64_t end = boottime_now() + nanoseconds;
  while (boottime_now() < end) {
  }
}

// --- memory that processes share

// Owned by a fixture or a test; all zero at first.
template <typename T>
class Shared {
 public:
  Shared()
      : page_(mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) {
      std::abort();
    }
    new (page_) T{};
  }
  Shared(const Shared &) = delete;
  Shared &operator=(const Shared &) = delete;
  ~Shared() { munmap(page_, sizeof(T)); }

  T *operator->() const { return static_cast<T *>(page_); }
  T &operator*() const { return *static_cast<T *>(page_); }

 private:
  void *page_;
};

// --- memory of a process

// A line of /proc/self/status, in KiB.
inline std::uint64_t memory_of_this_process(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) {
      return std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
    }
  }
  return 0;
}

// Starts this program once more, without the lists of freed chunks that
// malloc(3) keeps for each thread and that mallinfo2(3) takes for used ones.
inline void count_every_free_byte(char **argv) {
  constexpr const char *kName = "GLIBC_TUNABLES";
  if (std::getenv(kName) == nullptr) {
    setenv(kName, "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
    std::abort();
  }
}

// A process that hangs is to fail its test, not to stop the run, and none is to
// outlive the test that started it.  Again after a change of uid, which takes
// that back.
inline void limit_life() {
  constexpr unsigned kHanging = 300;  // seconds
  alarm(kHanging + static_cast<unsigned>(soak_seconds()));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// Secrets that tokens are rotated through.
inline std::string numbered(int number) {
  return "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c" + std::to_string(number);
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_SOAK_SUPPORT_H_
