// SPDX-License-Identifier: BSD-3-Clause
// The attachments of this process, kept for its life and shared by all
// threads and PAM handles: attaching costs more than a verification out of the
// segment.
//
// Lock-free, so that a fork at any moment leaves nothing locked.  The table,
// which grows with the stores that the process uses, lives in pages that the
// kernel empties in a child (MADV_WIPEONFORK), as the attachments themselves do
// not go there (MADV_DONTFORK): a child, whose privileges may be about to
// change, starts with nothing and attaches by its own rights.  So does a
// process whose effective uid has changed: what it attached under another one
// is dropped.
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

  // Null if there is none, or none any more: the process has forked, has
  // another effective uid, or has attached a newer segment in its place.
  [[nodiscard]] std::byte *address() const;

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

// A use of this segment, if this process has it attached already by the rights
// that it has now; empty if it has not.  Drops what it attached by others.
AttachmentUse use_attachment(const ShmIdentity &wanted);

// Drops every attachment that was made under another effective uid, and those
// that nobody has used or asked for in a minute: each goes once nobody uses it.
void drop_stale_attachments();

// Hands an attachment to the table; an older one under the same key goes once
// no handle uses it.  Returns an empty use, and the attachment is gone, if
// there is no memory: then this process does without.
AttachmentUse keep_attachment(key_t key, ShmAttachment attachment);

}  // namespace pbstoken

#endif  // PBSTOKEN_ATTACHMENTS_H_
