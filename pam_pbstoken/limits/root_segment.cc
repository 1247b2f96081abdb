// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/root_segment.h"

#include <sys/shm.h>
#include <sys/stat.h>

#include <utility>

#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

// Takes away what somebody else made under our key: the next process makes a
// good one.  A failure leaves nothing worse than no segment.
void remove(int id) {
  static_cast<void>(shmctl(id, IPC_RMID, nullptr));
}

}  // namespace

key_t key_beside(const Store &store, std::string_view purpose) {
  return derive_key(purpose, store.token_shadow.view());
}

AttachmentUse use_root_segment(key_t key, std::size_t size) {
  const int id = shmget(key, size, IPC_CREAT | S_IRUSR | S_IWUSR);
  if (id < 0) {
    if (errno == EINVAL) {
      remove(shmget(key, 0, 0));  // it is too small to be ours
    }
    return {};
  }
  if (const auto trusted = trusted_segment(id); trusted) {
    if (AttachmentUse use = use_attachment(*trusted);
        use.address() != nullptr) {
      return use;
    }
  }
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (attachment) {
    return keep_attachment(key, std::move(*attachment));
  }
  if (attachment.error().code == Errc::kUnsafe) {
    remove(id);
  }
  return {};
}

}  // namespace pbstoken
