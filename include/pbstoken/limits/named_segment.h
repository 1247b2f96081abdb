// SPDX-License-Identifier: BSD-3-Clause
// The small shared-memory segments that stand beside those of the cache: the
// failures, which only root attaches, and the use, which is shared with the
// members of verify_group.
//
// Zero bytes must be a valid content of such a segment, so there is nothing to
// initialise and no maker to wait for; nothing that matters may depend on it.
// Root's own has a name in front, as named_object.h says.  Members could write
// over that, so a shared segment is known by its key alone; where another
// program has the key and cannot be removed, there is none.
#ifndef PBSTOKEN_NAMED_SEGMENT_H_
#define PBSTOKEN_NAMED_SEGMENT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/os/attachments.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/ipc_room.h"
#include "pbstoken/os/ipc_table.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

enum class Sharing : std::uint8_t { kRoot, kReaders };

class NamedSegment {
 public:
  using Entry = SegmentEntry;
  static constexpr const char *kWhat = "the shared memory";

  // `store` must outlive the object.
  NamedSegment(const Store &store, std::string_view purpose,
               std::size_t content_size, Sharing sharing = Sharing::kRoot);

  // The segment, in the table of this process; root makes it if it is not
  // there.  An error if it cannot be had.  ipc_namespace: see
  // trusted_segment().
  [[nodiscard]] Result<AttachmentUse> use(
      std::uint64_t ipc_namespace = 0) const;

  // Gives a shared segment to the readers that the store has now, if its own
  // settings are older.  For root.
  void heal() const;

  [[nodiscard]] int get(key_t with, int flags) const;
  [[nodiscard]] bool has_name(int id) const;
  [[nodiscard]] bool is_ready(int id) const;
  bool owner_of(int id, ipc_perm *out_owner) const;
  [[nodiscard]] bool remove(int id) const;
  [[nodiscard]] std::optional<Shortage> shortage() const {
    return shortage_of_segments(size_);
  }

  key_t key = IPC_PRIVATE;

 private:
  [[nodiscard]] Writers writers() const {
    return sharing_ == Sharing::kReaders ? Writers::kGroup : Writers::kOwner;
  }
  // The same of one that is there, and has the name; else an error.
  [[nodiscard]] Result<AttachmentUse> use_ready(
      int id, std::uint64_t ipc_namespace) const;

  // The name that it has, or 0; `or_this`: in place of 0, if that is not 0.
  [[nodiscard]] std::uint64_t name_in(int id, std::uint64_t or_this) const;

  [[nodiscard]] bool has_key(int id) const;
  void share(int id) const;

  const Store &store_;
  std::uint64_t name_;
  std::size_t size_;
  Sharing sharing_;
};

// What stands behind the name; null if there is no attachment.
std::byte *content_of(const AttachmentUse &use);

}  // namespace pbstoken

#endif  // PBSTOKEN_NAMED_SEGMENT_H_
