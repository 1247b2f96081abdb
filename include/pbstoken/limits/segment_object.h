// SPDX-License-Identifier: BSD-3-Clause
// What the small shared-memory segments of a store have in common.
#ifndef PBSTOKEN_SEGMENT_OBJECT_H_
#define PBSTOKEN_SEGMENT_OBJECT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pbstoken/os/attachments.h"
#include "pbstoken/os/ipc_room.h"
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {

class SegmentObject {
 public:
  using Entry = SegmentEntry;
  static constexpr const char *kWhat = "the shared memory";

  // See named_object.h.
  bool owner_of(int id, ipc_perm *out_owner) const;
  [[nodiscard]] bool remove(int id) const;

  // Returns why the kernel has no room for it; nullopt if it has.
  [[nodiscard]] std::optional<Shortage> shortage() const {
    return shortage_of_segments(size);
  }

  const key_t key;
  const std::size_t size;  // in bytes

 protected:
  // writers: the segment is used only if no other users may write it.  name:
  // the number that it begins with once it is ready; 0: it has no name.
  SegmentObject(key_t its_key, std::size_t its_size, Writers writers,
                std::uint64_t name)
      : key(its_key), size(its_size), writers_(writers), name_(name) {}

  // Returns the segment of that id, in the table of this process.  Returns an
  // error if it cannot be had or is another one.
  [[nodiscard]] Result<AttachmentUse> use_ready(int id,
                                                Whereabouts whereabouts) const;

  [[nodiscard]] std::uint64_t name() const { return name_; }
  static std::uint64_t *name_at(std::byte *address) {
    return reinterpret_cast<std::uint64_t *>(address);
  }

 private:
  Writers writers_;
  std::uint64_t name_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_OBJECT_H_
