// SPDX-License-Identifier: BSD-3-Clause
// The attachments of this process, kept for its life and shared by all threads
// and PAM handles: attaching costs more than a verification out of the segment.
//
// The table is lock-free, so that a fork at any moment leaves nothing locked.
// It grows with the stores that the process uses, and lives in pages that the
// kernel empties in a child (MADV_WIPEONFORK), as the attachments themselves do
// not go there (MADV_DONTFORK).  A child may be about to change its privileges:
// it starts with nothing and attaches by its own rights.  If the effective uid
// of a process has changed, what it attached under another one is dropped as
// well.
#ifndef PBSTOKEN_ATTACHMENTS_H_
#define PBSTOKEN_ATTACHMENTS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "pbstoken/os/ipc.h"

namespace pbstoken {

// A counted use of one attachment.  It may outlive a fork: in the child its
// address() is null.
class AttachmentUse {
 public:
  AttachmentUse() = default;
  AttachmentUse(AttachmentUse &&other) noexcept { swap(other); }
  AttachmentUse &operator=(AttachmentUse &&other) noexcept {
    swap(other);
    return *this;
  }
  AttachmentUse(const AttachmentUse &) = delete;
  AttachmentUse &operator=(const AttachmentUse &) = delete;
  ~AttachmentUse();

  // Returns null if the use is empty, or has ended: the process has forked, has
  // another effective uid, or has attached a newer segment in its place.
  [[nodiscard]] std::byte *address() const;

  // Returns what is attached; an empty identity where address() is null.
  [[nodiscard]] ShmIdentity identity() const;

 private:
  friend AttachmentUse use_attachment(const ShmIdentity &wanted);
  friend AttachmentUse keep_attachment(key_t key, ShmAttachment attachment);

  void swap(AttachmentUse &other) noexcept {
    std::swap(entry_, other.entry_);
    std::swap(serial_, other.serial_);
  }

  struct AttachmentEntry *entry_ = nullptr;
  std::uint64_t serial_ = 0;
};

// Returns a use of this segment, if this process has it attached already by the
// rights that it has now; else an empty use.  Drops what it attached by other
// rights.
AttachmentUse use_attachment(const ShmIdentity &wanted);

// Drops every attachment that was made under another effective uid, and those
// that no thread has used or asked for in a minute.  Each goes once its last
// use ends.
void drop_stale_attachments();

// Hands an attachment to the table; an older one under the same key goes once
// no handle uses it.  Returns an empty use, and the attachment is gone, if
// there is no memory: then this process does without.
AttachmentUse keep_attachment(key_t key, ShmAttachment attachment);

}  // namespace pbstoken

#endif  // PBSTOKEN_ATTACHMENTS_H_
