// SPDX-License-Identifier: BSD-3-Clause
// A small shared-memory segment that root makes and the members of verify_group
// may write, too: the record of use.
//
// Any bytes are a valid content, and nothing that matters depends on them.
// Members could write over a name in front, as root's own objects have
// (named_object.h).  So the segment is known by its key, its size and its
// maker.  Where root cannot have the key, there is no such segment.
//
// Thread safety: any thread may call the const functions.
#ifndef PBSTOKEN_SHARED_SEGMENT_H_
#define PBSTOKEN_SHARED_SEGMENT_H_

#include <sys/shm.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/limits/segment_object.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

class SharedSegment : public SegmentObject {
 public:
  // `store` must outlive the object.
  SharedSegment(const Store &store, std::string_view purpose,
                std::size_t its_size);

  // Returns the segment, in the table of this process; root makes it if it is
  // not there.  Returns an error if it cannot be had.
  [[nodiscard]] Result<AttachmentUse> use() const;

  // Does the same, but never makes it.  A process that has moved to another IPC
  // namespace may go on with the segment of the former.
  [[nodiscard]] Result<AttachmentUse> find() const {
    return use_ready(get(key, 0), Whereabouts::kAnywhere);
  }

  // Gives it to the readers that the store has now; does so for root alone.  A
  // change of its mode by hand ends within a minute.
  void heal() const;

  // See named_object.h.
  [[nodiscard]] int get(key_t with, int flags) const;
  [[nodiscard]] bool has_name(int id) const;
  [[nodiscard]] bool is_ready(int id) const;

 private:
  [[nodiscard]] bool is_ours(const shmid_ds &status) const;
  [[nodiscard]] int make() const;
  [[nodiscard]] bool share(int id) const;

  const Store &store_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SHARED_SEGMENT_H_
