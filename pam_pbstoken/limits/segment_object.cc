// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/segment_object.h"

#include <sys/shm.h>

#include <utility>

#include "pbstoken/os/ipc.h"

namespace pbstoken {

bool SegmentObject::owner_of(int id, ipc_perm *out_owner) const {
  shmid_ds status{};
  const bool known = shmctl(id, IPC_STAT, &status) == 0;
  *out_owner = status.shm_perm;
  return known;
}

bool SegmentObject::remove(int id) const {
  return shmctl(id, IPC_RMID, nullptr) == 0;
}

Result<AttachmentUse> SegmentObject::use_ready(int id,
                                               Whereabouts whereabouts) const {
  const auto identity = trusted_segment(id, whereabouts, writers_);
  if (!identity) {
    return identity.error();
  }
  // What this process keeps was this one when it was attached.
  AttachmentUse use = use_attachment(*identity);
  if (use.address() != nullptr) {
    return use;
  }
  auto attachment = ShmAttachment::attach(id, Access::kWrite, writers_);
  if (!attachment) {
    return attachment.error();
  }
  if (!attachment->identity().is_wanted(*identity) || identity->size != size ||
      (name_ != 0 && load_relaxed(name_at(attachment->address())) != name_)) {
    return plain_error(Errc::kUnsafe, "cannot use", kWhat, "not made yet");
  }
  return keep_attachment(key, std::move(*attachment));
}

}  // namespace pbstoken
