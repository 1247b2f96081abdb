// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/counters.h"

#include <sched.h>

#include <utility>

#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

// One line for each of so many processors: two that add to one line cost each
// other most of what a hit costs.
constexpr std::size_t kStripes = 64;
struct alignas(64) Stripe {
  std::array<std::uint64_t, kEvents> events;
};
using Stripes = std::array<Stripe, kStripes>;

}  // namespace

NamedSegment counters_segment(const Store &store) {
  return {store, "pbstoken counters 2", sizeof(Stripes)};
}

Counters Counters::open(const Store &store) {
  Counters counters;
  if (is_root()) {
    counters.segment_.emplace(counters_segment(store));
  }
  return counters;
}

std::byte *Counters::address(std::uint64_t ipc_namespace) {
  if (attachment_.address() == nullptr && segment_) {
    attachment_ = AttachmentUse();
    if (is_root()) {
      auto use = segment_->use(ipc_namespace);
      if (use) {
        attachment_ = std::move(*use);
      } else {
        segment_.reset();  // to try again would cost each hit the same
      }
    }
  }
  return content_of(attachment_);
}

void Counters::count(Event event, std::uint64_t ipc_namespace) {
  std::byte *address = this->address(ipc_namespace);
  if (address == nullptr) {
    return;
  }
  const int cpu = sched_getcpu();  // -1 at worst, which is a stripe, too
  auto *stripes = reinterpret_cast<Stripes *>(address);
  auto &events = (*stripes)[static_cast<unsigned>(cpu) % kStripes].events;
  __atomic_fetch_add(&events[static_cast<std::size_t>(event)], 1,
                     __ATOMIC_RELAXED);
}

Totals Counters::totals() {
  Totals totals{};
  const std::byte *address = this->address();
  if (address == nullptr) {
    return totals;
  }
  const auto *stripes = reinterpret_cast<const Stripes *>(address);
  for (const Stripe &stripe : *stripes) {
    for (std::size_t i = 0; i < kEvents; ++i) {
      totals[i] += load_relaxed(&stripe.events[i]);
    }
  }
  return totals;
}

}  // namespace pbstoken
