// SPDX-License-Identifier: BSD-3-Clause
// The lease of a token.shadow that is delivered from elsewhere: how long this
// host takes the file for the present one.
//
// `pbstoken adopt` alone writes it, under the file's lock, into a file of its
// own beside token.shadow: token.shadow.lease.  A lease is never newer than
// the file, which is replaced first.
//
//   pbstoken lease 1
//   revision N     of the delivered file
//   asked MS       CLOCK_BOOTTIME before the question that the file answers
//   seconds N      the store's `lease` at that time
//   boot UUID      the start of the host in which that clock ran
//   clock N        the inode of the time namespace of that clock
//   sha256 HEX     of the delivered file
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_LEASE_H_
#define PBSTOKEN_LEASE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/os/boot_id.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

constexpr std::uint64_t kMillisecondsPerSecond = 1000;

// When a lease ends: `seconds` after `asked`, or earlier if the store's `lease`
// is shorter now.  A store whose `lease` is longer now does not have it longer,
// since other hosts wait only for the seconds that they were told.
struct LeaseTerm {
  std::uint64_t asked = 0;    // ms
  std::uint64_t seconds = 0;  // 0: the store had no lease
};

// pack() returns a term as one word; the word of a later term is the greater
// one.  unpack() returns the term of such a word.
constexpr unsigned kBitsOfSeconds = 17;
static_assert(Store::kMaxLease < 1U << kBitsOfSeconds);
constexpr std::uint64_t pack(const LeaseTerm &term) {
  return term.asked << kBitsOfSeconds | term.seconds;
}
constexpr LeaseTerm unpack(std::uint64_t word) {
  return {.asked = word >> kBitsOfSeconds,
          .seconds = word & ((1U << kBitsOfSeconds) - 1)};
}

struct Lease {
  std::uint64_t revision = 0;
  LeaseTerm term;
  BootId boot;
  std::uint64_t clock = 0;
  FixedText<64> digest;  // hexadecimal
};

constexpr std::size_t kMaxLeaseSize = 255;
using LeaseText = FixedText<kMaxLeaseSize>;
LeaseText text_of(const Lease &lease);

// Returns nullopt unless the text is the text_of() a lease, byte for byte.
std::optional<Lease> parse_lease(std::string_view text);

// Returns where it lies: token_shadow + ".lease".
PathText lease_path(const Store &store);

// Reads the lease of a store.  Returns kNotFound if there is none, kMalformed
// if its file is not one.
Result<Lease> read_lease(const Store &store);

// Returns the seconds that it lasts in a store that has this `lease` now.
constexpr std::uint64_t seconds_of(const LeaseTerm &term,
                                   std::uint64_t configured) {
  return term.seconds != 0 ? std::min(term.seconds, configured) : configured;
}

// True while it lasts.  configured: the store's `lease`; now: ns, by
// CLOCK_BOOTTIME.
constexpr bool lasts(const LeaseTerm &term, std::uint64_t configured,
                     std::uint64_t now) {
  const std::uint64_t now_in_ms = now / kNanosecondsPerMillisecond;
  return now != 0 && now_in_ms >= term.asked &&
         now_in_ms - term.asked <
             seconds_of(term, configured) * kMillisecondsPerSecond;
}

// Returns how long it lasts from now on, in milliseconds; 0 if it does not.
constexpr std::uint64_t milliseconds_left(const LeaseTerm &term,
                                          std::uint64_t configured,
                                          std::uint64_t now) {
  return lasts(term, configured, now)
             ? term.asked +
                   seconds_of(term, configured) * kMillisecondsPerSecond -
                   now / kNanosecondsPerMillisecond
             : 0;
}

enum class LeaseState : std::uint8_t {
  kOff,  // the store has no lease: its file counts for ever
  kInForce,
  kPast,
  kMissing,
  kMalformed,
  kOtherBoot,
  kOtherClock,  // of a time namespace that is not this process's
};

struct LeaseStanding {
  LeaseState state = LeaseState::kOff;
  LeaseTerm term = {};  // of a lease in force, or past
};

// Returns how the lease stands for this process now.  Returns an error if its
// file or the start of the host cannot be read.
Result<LeaseStanding> lease_standing(const Store &store);

// Returns in a few words how it stands: "past".
std::string_view word_of(LeaseState state);

// Returns kLease unless the store's lease is off or in force.
Result<void> permit(const LeaseStanding &standing, const Store &store);

// Does work() under the lease, as every answer that is not out of the segment
// is made: reads the lease before work() reads a file, and looks at the clock
// again before the answer counts.
template <typename Work>
auto under_lease(const Store &store, Work work) -> decltype(work()) {
  const auto standing = lease_standing(store);
  if (!standing) {
    return standing.error();
  }
  if (const auto permitted = permit(*standing, store); !permitted) {
    return permitted.error();
  }
  auto answer = work();
  if (standing->state == LeaseState::kInForce &&
      !lasts(standing->term, store.lease, boottime_now())) {
    return permit({.state = LeaseState::kPast}, store).error();
  }
  return answer;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_LEASE_H_
