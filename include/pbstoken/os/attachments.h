// SPDX-License-Identifier: BSD-3-Clause
// The attachments of this process, kept for its life and shared by all
// threads and PAM handles: attaching costs more than a verification out of the
// segment.
//
// Lock-free, so that a fork at any moment leaves nothing locked.  The table
// lives in a page that the kernel empties in a child (MADV_WIPEONFORK), as the
// attachments themselves do not go there (MADV_DONTFORK): a child, whose
// privileges may be about to change, starts with nothing and attaches by its
// own rights.
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

  // Null if there is none, or none any more because the process has forked.
  [[nodiscard]] std::byte *address() const;
  [[nodiscard]] std::size_t size() const;

 private:
  friend AttachmentUse use_attachment(key_t key, int id);
  friend AttachmentUse keep_attachment(key_t key, int id,
                                       ShmAttachment attachment);

  void swap(AttachmentUse &other) noexcept {
    std::swap(entry_, other.entry_);
    std::swap(serial_, other.serial_);
  }

  struct AttachmentEntry *entry_ = nullptr;
  std::uint64_t serial_ = 0;
};

// A use of the segment `id`, which is the one that `key` names now, if this
// process has it attached already.
AttachmentUse use_attachment(key_t key, int id);

// Hands an attachment of that segment to the table; an older one under the
// same key goes once nobody uses it.  An empty use, and the attachment is
// gone, if the table is full: then this process does without.
AttachmentUse keep_attachment(key_t key, int id, ShmAttachment attachment);

}  // namespace pbstoken

#endif  // PBSTOKEN_ATTACHMENTS_H_
