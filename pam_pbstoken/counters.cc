// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/counters.h"

#include <sched.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <utility>

#include "pbstoken/caller.h"

namespace pbstoken {

namespace {

// One line for each of so many processors: two that add to one line cost each
// other most of what a hit costs.
constexpr std::size_t kStripes = 64;
struct alignas(64) Stripe {
  std::array<std::uint64_t, kEvents> events;
};
using Stripes = std::array<Stripe, kStripes>;

// Takes away what somebody else made under our key: the next process makes a
// good one.  A failure leaves nothing worse than no counters.
void remove(int id) {
  static_cast<void>(shmctl(id, IPC_RMID, nullptr));
}

// Zero bytes are a valid set of counters, so there is nothing to initialise
// and nobody to wait for.  The layout's version is part of the key.
AttachmentUse attach(key_t key) {
  const int id = shmget(key, sizeof(Stripes), IPC_CREAT | S_IRUSR | S_IWUSR);
  if (id < 0) {
    if (errno == EINVAL) {
      remove(shmget(key, 0, 0));  // it is too small to be ours
    }
    return {};
  }
  if (AttachmentUse use = use_attachment(key, id); use.address() != nullptr) {
    return use;
  }
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (attachment) {
    return keep_attachment(key, id, std::move(*attachment));
  }
  if (attachment.error().code == Errc::kUnsafe) {
    remove(id);
  }
  return {};
}

}  // namespace

key_t counters_key(const Store &store) {
  const auto number = static_cast<std::uint32_t>(store.shm_key);
  return derive_key("pbstoken counters 1",
                    FixedText<16>().append(number).view());
}

Counters Counters::open(const Store &store) {
  Counters counters;
  if (is_root()) {
    counters.key_ = counters_key(store);
  }
  return counters;
}

std::byte *Counters::address() {
  if (attachment_.address() == nullptr && key_ != 0) {
    attachment_ = attach(key_);
  }
  return attachment_.address();
}

void Counters::count(Event event) {
  std::byte *address = this->address();
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
