// SPDX-License-Identifier: BSD-3-Clause
// What the long tests share: how long they go on, random numbers that can be
// had again, memory that processes share, and an account of who waited.
//
// SOAK_SECONDS in the environment makes each of them go on for so long, and
// for its usual count at least; `make soak` sets it.  STRESS_SEED repeats a
// run's random choices, as far as the scheduler lets it.
#ifndef PBSTOKEN_TESTS_E2E_STRESS_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_STRESS_SUPPORT_H_

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "e2e/cache_support.h"
#include "pbstoken/cache.h"
#include "pbstoken/clock.h"

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

// A process that hangs is to fail its test, not to stop the run, and none is to
// outlive the test that started it.  Again after a change of uid, which takes
// that back.
inline void limit_life() {
  constexpr unsigned kHangs = 300;
  alarm(kHangs + static_cast<unsigned>(soak_seconds()));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

inline int make_stress_scene(void **state) {
  alarm(0);
  if (make_scene(state) != 0) {
    return -1;
  }
  // However few processors: one that is stopped in a place leaves some.
  scene_in(state).store.max_hashes = 4;
  limit_life();
  return 0;
}

// --- a token that changes while others verify

inline const std::string kRotatedId = "john@pbs!client1";

// Its secrets.
inline std::string numbered(int number) {
  return "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c" + std::to_string(number);
}

// Every so many changes the token is deleted, and set again by the next one;
// the others are rotations.
constexpr int kDeletion = 25;
inline bool is_deletion(int number) {
  return number % kDeletion == 0;
}

// What the writer says.  Before each change it says which number it begins
// with, and when that is done which one it was; a deletion has a number as
// well, which is nobody's secret.
struct Progress {
  std::atomic<int> begun;
  std::atomic<int> done;
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> verified;
  std::atomic<std::uint64_t> from_segment;
};

inline std::string ask(Verifier *verifier, const std::string &id,
                       const std::string &secret, Progress *progress) {
  const auto verification = verify(verifier, id, secret);
  ++progress->verified;
  if (verification && verification->source == Source::kSegment) {
    ++progress->from_segment;
  }
  return verdict_text(verification);
}

// For children: asks for the present, earlier and later secrets of the token.
// `unreadable`: for this process token.shadow is, so it may know no answer.
inline void check_rotated(Verifier *verifier, bool unreadable,
                          Progress *progress) {
  const auto said_of = [&](int number) {
    return ask(verifier, kRotatedId, numbered(number), progress);
  };
  const int current = progress->done;
  const std::string said = said_of(current);
  // If no change has begun by now, none had while we asked.
  if (progress->begun == current && !(unreadable && said == "error")) {
    require_text_equal(said, !is_deletion(current) ? "match"
                             : said == "unknown"   ? "unknown"
                                                   : "mismatch");
  }
  // These ended before we ask.
  for (const int age : {1, 2}) {
    const int ended = progress->done - age;
    require(ended <= 0 || said_of(ended) != "match");
  }
  // What is not set yet is wrong until then, and remembered to be.
  if (progress->verified % 4 == 0) {
    const int coming = progress->done + 2;
    require(said_of(coming) != "match" || progress->begun >= coming);
  }
}

// The writer's side.  `hashes`: of the numbered secrets.
class Rotation {
 public:
  Rotation(const Store &store, Progress *progress, int changes)
      : store_(store), progress_(progress) {
    for (int i = 0; i <= changes; ++i) {
      hashes_.push_back(hash_of(numbered(i)));
    }
    progress->begun = 1;
    progress->done = 1;
  }

  [[nodiscard]] const std::string &first_hash() const { return hashes_[1]; }

  // The next change, as `rotate` and `delete` do it; false if it failed.
  bool change() {
    const int number = progress_->done + 1;
    const std::string secret = numbered(number);
    Cache cache(store_);
    Change what = {.token_id = *parse_token_id(kRotatedId),
                   .stored_hash = hash(number),
                   .secret = secret,
                   .expected_hash = {}};
    if (is_deletion(number)) {
      what.stored_hash.reset();
    } else if (!is_deletion(number - 1)) {
      what.expected_hash = hash(number - 1);
    }
    progress_->begun = number;
    const auto written = write_token(store_, &cache, what, {});
    progress_->done = number;
    return written && *written == Written::kDurably;
  }

 private:
  [[nodiscard]] const std::string &hash(int number) const {
    return hashes_[static_cast<std::size_t>(number)];
  }

  const Store &store_;
  Progress *progress_;
  std::vector<std::string> hashes_;
};

// --- who waits

// How often this process waited for somebody: the two calls by which the
// product ever does, for the store's lock and for a place in the gate.
inline int waits = 0;

inline void remove_gate(const Store &store) {
  const auto number = static_cast<std::uint32_t>(store.shm_key);
  const int set =
      semget(derive_key("pbstoken gate 1", std::to_string(number)), 0, 0);
  if (set >= 0) {
    semctl(set, 0, IPC_RMID);
  }
}

// Those that a failed test has left behind.
inline void kill_children() {
  const std::string self = std::to_string(getpid());
  std::ifstream children("/proc/self/task/" + self + "/children");
  for (pid_t child = 0; children >> child;) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

inline int remove_stress_scene(void **state) {
  kill_children();
  remove_gate(scene_in(state).store);
  return remove_scene(state);
}

}  // namespace pbstoken::testing

#define with_stress(test)                                                     \
  cmocka_unit_test_setup_teardown(test, pbstoken::testing::make_stress_scene, \
                                  pbstoken::testing::remove_stress_scene)

// In libc's place, for the core that is linked into the same program.
extern "C" int nanosleep(const timespec *time, timespec *out_left) {
  ++pbstoken::testing::waits;
  return static_cast<int>(syscall(SYS_nanosleep, time, out_left));
}

extern "C" int semtimedop(int set, sembuf *steps, size_t count,
                          const timespec *time) noexcept {
  if (time != nullptr) {
    ++pbstoken::testing::waits;
  }
  return static_cast<int>(syscall(SYS_semtimedop, set, steps, count, time));
}

#endif  // PBSTOKEN_TESTS_E2E_STRESS_SUPPORT_H_
