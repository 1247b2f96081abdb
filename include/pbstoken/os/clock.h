// SPDX-License-Identifier: BSD-3-Clause
// The two clocks of the cache: the time since boot, and the wall clock.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_CLOCK_H_
#define PBSTOKEN_CLOCK_H_

#include <cstdint>
#include <ctime>

namespace pbstoken {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;

constexpr std::uint64_t nanoseconds(const timespec &time) {
  return static_cast<std::uint64_t>(time.tv_sec) * kNanosecondsPerSecond +
         static_cast<std::uint64_t>(time.tv_nsec);
}

constexpr timespec timespec_of(std::uint64_t nanoseconds) {
  return {
      .tv_sec = static_cast<std::time_t>(nanoseconds / kNanosecondsPerSecond),
      .tv_nsec = static_cast<decltype(timespec::tv_nsec)>(
          nanoseconds % kNanosecondsPerSecond)};
}

// Returns the time since boot in ns: it runs on in suspend and cannot be set.
// Returns 0 if the clock cannot be read, which every caller takes for "nothing
// is fresh".
inline std::uint64_t boottime_now() {
  timespec now{};
  return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? nanoseconds(now) : 0;
}

// Returns the time so many seconds from now, by that clock.
inline std::uint64_t deadline_in(std::uint64_t seconds) {
  return boottime_now() + seconds * kNanosecondsPerSecond;
}

// Returns the time in ns that is left until a deadline by that clock; 0 if it
// has passed.  Returns 0 as well if the clock cannot be read: otherwise a wait
// would never end.
inline std::uint64_t time_left(std::uint64_t deadline) {
  const std::uint64_t now = boottime_now();
  return now != 0 && now < deadline ? deadline - now : 0;
}

// Returns the wall clock's time in ns, which file times are made from; 0 if it
// cannot be read.
inline std::uint64_t realtime_now() {
  timespec now{};
  return clock_gettime(CLOCK_REALTIME, &now) == 0 ? nanoseconds(now) : 0;
}

// Returns the wall clock's time in seconds since the epoch; 0 if it cannot be
// read.
inline std::uint64_t epoch_seconds() {
  return realtime_now() / kNanosecondsPerSecond;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_CLOCK_H_
