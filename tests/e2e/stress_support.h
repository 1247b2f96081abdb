// SPDX-License-Identifier: BSD-3-Clause
// What the long tests of the cache share: a token that changes, and an account
// of who waited.
#ifndef PBSTOKEN_TESTS_E2E_STRESS_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_STRESS_SUPPORT_H_

#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "e2e/cache_support.h"
#include "e2e/soak_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"

namespace pbstoken::testing {

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
    Cache cache(store_, Kind::kSecrets);
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
    const auto written = write_token(store_, &cache, what);
    progress_->done = number;
    return written && *written == Outcome::kDone;
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
  static_cast<void>(remove_named(gate_set(store, GateShare::kRoots)));
  static_cast<void>(remove_named(gate_set(store, GateShare::kUsers)));
  static_cast<void>(remove_named(turns_set(store)));
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
