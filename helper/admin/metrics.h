// SPDX-License-Identifier: BSD-3-Clause
// What `metrics` says of the stores, in OpenMetrics' text format.
//
// One run prints the numbers of all stores, since a text may have only one HELP
// line for each metric.  A child for each store confines itself to that store,
// as any command does, and passes the numbers on: the process that prints reads
// no file of a store.
#ifndef PBSTOKEN_METRICS_H_
#define PBSTOKEN_METRICS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "admin/tokens.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/text.h"
#include "pbstoken/limits/use.h"

namespace pbstoken {

// A number that is not known has no line.
constexpr std::uint64_t kUnknown = UINT64_MAX;

template <std::size_t kCount>
constexpr std::array<std::uint64_t, kCount> unknown_numbers() {
  std::array<std::uint64_t, kCount> numbers{};
  numbers.fill(kUnknown);
  return numbers;
}

struct CacheMetrics {
  std::array<std::uint64_t, kParties> is_on = unknown_numbers<kParties>();
  std::uint64_t stamp_age = kUnknown;  // seconds
  std::uint64_t slots = kUnknown;
  std::uint64_t slots_used = kUnknown;
};

// Numbers alone: a process passes its bytes to another one.
struct StoreMetrics {
  std::uint64_t is_up = 0;
  std::array<std::array<std::uint64_t, kEvents>, kParties> events = {
      unknown_numbers<kEvents>(), unknown_numbers<kEvents>()};
  std::uint64_t since = kUnknown;  // seconds since the epoch
  std::uint64_t saved = kUnknown;
  std::array<std::uint64_t, kTokenStates.size()> tokens =
      unknown_numbers<kTokenStates.size()>();
  std::uint64_t expiring = kUnknown;
  std::uint64_t weak = kUnknown;
  std::array<std::uint64_t, kParties> hashes_under_way =
      unknown_numbers<kParties>();
  std::array<std::uint64_t, kParties> hash_places = unknown_numbers<kParties>();
  std::uint64_t throttled = kUnknown;
  std::uint64_t lease_left = kUnknown;      // seconds; unknown without a lease
  std::array<CacheMetrics, 2> caches = {};  // of secrets and of accounts
};

struct NamedMetrics {
  std::array<char, 32> name = {};  // NUL follows a shorter one
  StoreMetrics metrics = {};

  explicit NamedMetrics(std::string_view store) {
    std::copy_n(store.begin(), std::min(store.size(), name.size()),
                name.begin());
  }

  [[nodiscard]] std::string_view store() const {
    const std::string_view all(name.data(), name.size());
    return slice(all, 0, all.find('\0'));
  }
};

// Appends the text, to its end.  Returns false without memory.
[[nodiscard]] bool append_metrics(std::span<const NamedMetrics> stores,
                                  Buffer *out);

}  // namespace pbstoken

#endif  // PBSTOKEN_METRICS_H_
