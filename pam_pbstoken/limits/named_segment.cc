// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/named_segment.h"

#include <sys/shm.h>

#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

// The name has a line of its own.
constexpr std::size_t kNameSize = 64;

}  // namespace

NamedSegment::NamedSegment(const Store &store, std::string_view purpose,
                           std::size_t content_size)
    : NamedSegment(derive_number(purpose, store.token_shadow.view()) | 1,
                   content_size) {}

NamedSegment::NamedSegment(std::uint64_t name, std::size_t content_size)
    : SegmentObject(static_cast<key_t>(name), kNameSize + content_size,
                    Writers::kOwner, name) {}

int NamedSegment::get(key_t with, int flags) const {
  return shmget(with, (flags & IPC_CREAT) != 0 ? size : 0, flags);
}

std::uint64_t NamedSegment::name_in(int id, std::uint64_t or_this) const {
  const auto identity = trusted_segment(id);
  if (!identity || identity->size != size) {
    return 0;
  }
  // A segment that this process uses has its name.  Its address is asked for
  // once: another thread may drop the attachment, but not unmap it.
  const AttachmentUse use = use_attachment(*identity);
  if (std::byte *address = use.address(); address != nullptr) {
    return load_relaxed(name_at(address));
  }
  const auto attached =
      ShmAttachment::attach(id, or_this != 0 ? Access::kWrite : Access::kRead);
  if (!attached || attached->identity() != *identity) {
    return 0;
  }
  std::uint64_t *name = name_at(attached->address());
  if (or_this != 0) {
    static_cast<void>(compare_and_swap(name, 0, or_this));
  }
  return load_relaxed(name);
}

bool NamedSegment::has_name(int id) const {
  return name_in(id, 0) == name();
}

bool NamedSegment::is_ready(int id) const {
  return name_in(id, name()) == name();
}

Result<AttachmentUse> NamedSegment::use() const {
  // The short way comes first; open_named() attaches more than once.
  auto use = use_ready(get(key, 0), Whereabouts::kHere);
  for (int tries = 1; !use && tries <= kTries; ++tries) {
    const auto id = open_named(*this);
    if (!id) {
      return id.error();
    }
    use = use_ready(*id, Whereabouts::kHere);
  }
  return use;
}

Result<AttachmentUse> NamedSegment::use_if_there() const {
  const int id = find_named(*this);
  return id >= 0 ? use_ready(id, Whereabouts::kHere)
                 : Result<AttachmentUse>(AttachmentUse());
}

std::byte *content_of(const AttachmentUse &use) {
  std::byte *address = use.address();
  return address != nullptr ? address + kNameSize : nullptr;
}

}  // namespace pbstoken
