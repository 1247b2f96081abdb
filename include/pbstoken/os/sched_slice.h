// SPDX-License-Identifier: BSD-3-Clause
// The length of the calling thread's turns on a processor.
//
// Since Linux 6.12 a thread of SCHED_OTHER may ask for slices of a length of
// its own (sched_setattr(2), sched_runtime; the kernel's sched-eevdf.rst).  Its
// share of the processor stays what it is.  A thread that wakes up with a
// shorter slice runs at once; otherwise it may wait for a clock tick.  So a
// thread that hashes takes long turns, and a request that the cache answers
// does not wait for one that costs a hash.
//
// Thread safety: each function is about the calling thread alone.
#ifndef PBSTOKEN_SCHED_SLICE_H_
#define PBSTOKEN_SCHED_SLICE_H_

#include <cstdint>

namespace pbstoken {

// The longest that the kernel grants, in ns.
constexpr std::uint64_t kLongSlice = 100'000'000;

// Gives the thread this slice, or the kernel's own for 0, and returns the slice
// that it had before.  Has no effect, and returns 0, if the thread has no slice
// (an older kernel, another policy), and behind a filter of system calls, which
// may kill for a call that it has not foreseen.
std::uint64_t exchange_slice(std::uint64_t nanoseconds);

// The calling thread has kLongSlice for as long as the object lives, and then
// what it had before.
class LongTurns {
 public:
  LongTurns();
  LongTurns(const LongTurns &) = delete;
  LongTurns &operator=(const LongTurns &) = delete;
  ~LongTurns();

 private:
  std::uint64_t before_;  // 0: the kernel's own
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SCHED_SLICE_H_
