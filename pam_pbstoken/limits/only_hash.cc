// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/only_hash.h"

#include <unistd.h>

#include <atomic>
#include <ctime>

#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 10'000'000};

// The process with the thread that has the right; 0: no thread has it.  In a
// child the parent's number is another process's, and so counts as 0.
constinit std::atomic<pid_t> the_holder = 0;

bool take() {
  const pid_t self = getpid();
  pid_t holder = the_holder.load(std::memory_order_relaxed);
  return holder != self && the_holder.compare_exchange_strong(holder, self);
}

}  // namespace

std::optional<OnlyHash> OnlyHash::wait_until(std::uint64_t deadline,
                                             bool *out_waited) {
  while (!take()) {
    *out_waited = true;
    if (time_left(deadline) == 0) {
      return std::nullopt;
    }
    nanosleep(&kPause, nullptr);
  }
  return OnlyHash();
}

OnlyHash::~OnlyHash() {
  if (is_held_) {
    pid_t self = getpid();
    the_holder.compare_exchange_strong(self, 0);
  }
}

}  // namespace pbstoken
