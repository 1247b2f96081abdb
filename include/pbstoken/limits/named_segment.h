// SPDX-License-Identifier: BSD-3-Clause
// A small shared-memory segment that only root attaches: the windows of
// fail_limit.
//
// The segment begins with its name (named_object.h).  Zero bytes behind the
// name are a valid content: no process initialises it, or waits for its maker.
// Nothing that matters depends on the content.
//
// Thread safety: any thread may call the const functions.
#ifndef PBSTOKEN_NAMED_SEGMENT_H_
#define PBSTOKEN_NAMED_SEGMENT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/limits/segment_object.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

class NamedSegment : public SegmentObject {
 public:
  NamedSegment(const Store &store, std::string_view purpose,
               std::size_t content_size);

  // Returns the segment, in the table of this process; makes it if it is not
  // there.  Returns an error if it cannot be had.
  [[nodiscard]] Result<AttachmentUse> use() const;

  // Returns the segment if it is there already, else an empty use.
  [[nodiscard]] Result<AttachmentUse> use_if_there() const;

  // See named_object.h.
  [[nodiscard]] int get(key_t with, int flags) const;
  [[nodiscard]] bool has_name(int id) const;
  [[nodiscard]] bool is_ready(int id) const;

 private:
  NamedSegment(std::uint64_t name, std::size_t content_size);

  // Returns the name that the segment has, or 0.  Stores `or_this` in place of
  // 0, if that is not 0.
  [[nodiscard]] std::uint64_t name_in(int id, std::uint64_t or_this) const;
};

// Returns what stands behind the name; null if there is no attachment.
std::byte *content_of(const AttachmentUse &use);

}  // namespace pbstoken

#endif  // PBSTOKEN_NAMED_SEGMENT_H_
