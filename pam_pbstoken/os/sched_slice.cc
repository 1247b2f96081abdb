// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/sched_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

// The structure of sched_setattr(2); linux/sched/types.h and sched.h cannot be
// had together.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};
static_assert(sizeof(SchedulingAttributes) == 48);  // SCHED_ATTR_SIZE_VER0

}  // namespace

std::uint64_t exchange_slice(std::uint64_t nanoseconds) {
  SchedulingAttributes attributes{};
  if (is_filtered() ||
      syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
      (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH) ||
      attributes.runtime == 0) {
    return 0;
  }
  const std::uint64_t before = attributes.runtime;
  attributes.runtime = nanoseconds;
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 ? before : 0;
}

LongTurns::LongTurns() : before_(exchange_slice(0)) {
  // A number of its own would not follow the kernel's any more.
  if (exchange_slice(kLongSlice) == before_) {
    before_ = 0;
  }
}

LongTurns::~LongTurns() {
  static_cast<void>(exchange_slice(before_));
}

}  // namespace pbstoken
