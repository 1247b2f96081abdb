// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/generation.h"

#include <algorithm>

#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

constexpr std::uint64_t kFirstTime = 50;  // ms
constexpr std::uint64_t kLongestTime = 10'000;
constexpr std::uint64_t kMostDoublings = 8;  // more than the longest takes

constexpr unsigned kDoublingsShift = 16;
constexpr unsigned kTimeShift = 24;
constexpr std::uint64_t kNumberMask = 0xffff;
constexpr std::uint64_t kDoublingsMask = 0xff;

std::uint64_t note_of(std::uint64_t number, std::uint64_t doublings,
                      std::uint64_t milliseconds) {
  return (number & kNumberMask) |
         std::min(doublings, kMostDoublings) << kDoublingsShift |
         milliseconds << kTimeShift;
}

std::uint64_t milliseconds_now() {
  return boottime_now() / kNanosecondsPerMillisecond;
}

std::uint64_t next_rereaders(std::uint64_t number) {
  return number - number % 4 + (number % 4 < 3 ? 3 : 7);
}

std::uint64_t next_writers(std::uint64_t number) {
  return number - number % 4 + (number % 4 == 0 ? 1 : 5);
}

// Returns how often a re-reader's number was taken over so far; nullopt if the
// re-reader has time left.
std::optional<std::uint64_t> doublings_of_the_late(const Generation &words,
                                                   std::uint64_t number,
                                                   std::uint64_t now) {
  const std::uint64_t note = load_acquire(words.note);
  const std::uint64_t since = note >> kTimeShift;
  const std::uint64_t doublings = note >> kDoublingsShift & kDoublingsMask;
  if ((note & kNumberMask) != (number & kNumberMask) || since > now) {
    compare_and_swap(words.note, note, note_of(number, doublings, now));
    return std::nullopt;
  }
  const std::uint64_t time =
      std::min(kFirstTime << std::min(doublings, kMostDoublings), kLongestTime);
  return now - since < time ? std::nullopt : std::optional(doublings);
}

}  // namespace

std::uint64_t spent_note(std::uint64_t number) {
  return note_of(number, 0, 0);
}

std::optional<GenerationClaim> GenerationClaim::as_rereader(
    const Generation &words, const FileLock *lock) {
  const std::uint64_t seen = load_acquire(words.word);
  const std::uint64_t now = milliseconds_now();
  if (seen > kLastGeneration || now == 0 ||
      (is_writers(seen) && lock == nullptr)) {
    return std::nullopt;
  }
  std::uint64_t doublings = 0;
  if (seen % 4 == 3) {
    const auto late = doublings_of_the_late(words, seen, now);
    if (!late) {
      return std::nullopt;
    }
    doublings = *late + 1;
  }
  const std::uint64_t number = next_rereaders(seen);
  // The note comes before the swap (order H): a number without its note would
  // be left alone for longer.
  store_release(words.note, note_of(number, doublings, now));
  if (!compare_and_swap(words.word, seen, number)) {
    return std::nullopt;
  }
  return GenerationClaim(words.word, number);
}

std::optional<GenerationClaim> GenerationClaim::as_writer(
    const Generation &words, const FileLock & /*proof*/) {
  // A process without the lock may claim between load and swap, and end: each
  // round that fails here is a claim of another process that succeeded.
  while (true) {
    const std::uint64_t seen = load_acquire(words.word);
    if (seen > kLastGeneration) {
      return std::nullopt;
    }
    const std::uint64_t number = next_writers(seen);
    if (compare_and_swap(words.word, seen, number)) {
      return GenerationClaim(words.word, number);
    }
  }
}

}  // namespace pbstoken
