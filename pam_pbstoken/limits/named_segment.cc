// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/named_segment.h"

#include <sys/shm.h>

#include <utility>

#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

// The name has a line of its own.
constexpr std::size_t kNameSize = 64;

std::uint64_t *name_at(std::byte *address) {
  return reinterpret_cast<std::uint64_t *>(address);
}

}  // namespace

NamedSegment::NamedSegment(const Store &store, std::string_view purpose,
                           std::size_t content_size)
    : name_(derive_number(purpose, store.token_shadow.view()) | 1),
      size_(kNameSize + content_size) {
  key = static_cast<key_t>(name_);
}

int NamedSegment::get(key_t with, int flags) const {
  return shmget(with, (flags & IPC_CREAT) != 0 ? size_ : 0, flags);
}

bool NamedSegment::owner_of(int id, ipc_perm *out_owner) const {
  shmid_ds status{};
  const bool known = shmctl(id, IPC_STAT, &status) == 0;
  *out_owner = status.shm_perm;
  return known;
}

std::uint64_t NamedSegment::name_in(int id, std::uint64_t or_this) const {
  const auto identity = trusted_segment(id);
  if (!identity || identity->size != size_) {
    return 0;
  }
  // One that this process uses has its name.  Its address is asked for once:
  // another thread may drop the attachment, but not unmap it.
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
  return name_in(id, 0) == name_;
}

bool NamedSegment::is_ready(int id) const {
  return name_in(id, name_) == name_;
}

bool NamedSegment::remove(int id) const {
  return shmctl(id, IPC_RMID, nullptr) == 0;
}

Result<AttachmentUse> NamedSegment::use_ready(
    int id, std::uint64_t ipc_namespace) const {
  const auto identity = trusted_segment(id, ipc_namespace);
  if (!identity) {
    return identity.error();
  }
  // What this process keeps had the name when it was attached.
  AttachmentUse use = use_attachment(*identity);
  if (use.address() != nullptr) {
    return use;
  }
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (!attachment) {
    return attachment.error();
  }
  if (attachment->identity() != *identity || identity->size != size_ ||
      load_relaxed(name_at(attachment->address())) != name_) {
    return plain_error(Errc::kUnsafe, "cannot use", kWhat, "not made yet");
  }
  return keep_attachment(key, std::move(*attachment));
}

Result<AttachmentUse> NamedSegment::use(std::uint64_t ipc_namespace) const {
  // The short way first; open_named() attaches more than once.
  auto use = use_ready(get(key, 0), ipc_namespace);
  for (int tries = 1; !use && tries <= kTries; ++tries) {
    const auto id = open_named(*this);
    if (!id) {
      return id.error();
    }
    use = use_ready(*id, ipc_namespace);
  }
  return use;
}

std::byte *content_of(const AttachmentUse &use) {
  std::byte *address = use.address();
  return address != nullptr ? address + kNameSize : nullptr;
}

}  // namespace pbstoken
