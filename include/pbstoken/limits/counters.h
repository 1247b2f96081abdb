// SPDX-License-Identifier: BSD-3-Clause
// Counters of what verifications cost, for `status` and for nothing else.
//
// They live in a shared-memory segment of their own that only root attaches.
// Hits are counted, so a root process keeps it attached for writing; the
// segment with the verified secrets it keeps read-only, so that a process that
// gives up its privileges later on cannot write there.  Callers that are not
// root are not counted.
#ifndef PBSTOKEN_COUNTERS_H_
#define PBSTOKEN_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "pbstoken/limits/root_segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

enum class Event : std::uint8_t {
  kHit,            // answered by the segment alone: the secret matches
  kRecheck,        // the file was read, a fact in the segment saved the hash
  kHash,           // a password hash was computed
  kKnownMismatch,  // answered by the segment: the secret does not match
  kThrottled,      // refused without asking
  kBypassed,       // the segment could not be used
};
constexpr std::size_t kEvents = 6;
using Totals = std::array<std::uint64_t, kEvents>;

NamedSegment counters_segment(const Store &store);

// One thread per object.
class Counters {
 public:
  // Makes the segment if it is not there; never fails: without it nothing is
  // counted.
  static Counters open(const Store &store);

  // Relaxed, and on the cache line of this processor.  ipc_namespace: see
  // trusted_segment().
  void count(Event event, std::uint64_t ipc_namespace = 0);

  [[nodiscard]] Totals totals();

  // Lets go of what this process may not have any more: its effective uid is
  // another.
  void let_go_if_dropped() {
    if (attachment_.address() == nullptr) {
      attachment_ = AttachmentUse();
    }
  }

 private:
  // Null if there is none; attached anew in a child of the process that
  // opened it.
  [[nodiscard]] std::byte *address(std::uint64_t ipc_namespace = 0);

  std::optional<NamedSegment> segment_;  // none: this process is not root
  AttachmentUse attachment_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_COUNTERS_H_
