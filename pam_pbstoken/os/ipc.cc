// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/ipc.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

namespace pbstoken {

namespace {

Error unsafe(const char *why) {
  return plain_error(Errc::kUnsafe, "cannot use the shared-memory segment", {},
                     why);
}

}  // namespace

key_t derive_key(std::string_view purpose, std::string_view name) {
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, purpose.data(), purpose.size());
  SHA256_Update(&state, "", 1);  // a NUL, which neither of them holds
  SHA256_Update(&state, name.data(), name.size());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  key_t key = IPC_PRIVATE;
  std::memcpy(&key, digest.data(), sizeof(key));
  return key == IPC_PRIVATE ? 1 : key;
}

ShmAttachment::~ShmAttachment() {
  if (address_ != nullptr) {
    shmdt(address_);  // fails only for an address that is not attached
  }
}

Result<ShmAttachment> ShmAttachment::attach(int id, Access access,
                                            Removed removed) {
  void *address = shmat(id, nullptr, access == Access::kRead ? SHM_RDONLY : 0);
  if (reinterpret_cast<std::intptr_t>(address) == -1) {
    return system_error("cannot attach the shared-memory segment", {});
  }
  ShmAttachment attachment;
  attachment.address_ = static_cast<std::byte *>(address);
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return system_error("cannot stat the shared-memory segment", {});
  }
  attachment.size_ = status.shm_segsz;
  const ipc_perm &owner = status.shm_perm;
  if (owner.cuid != 0 || owner.uid != 0) {
    return unsafe("it is not root's");
  }
  if ((owner.mode & (S_IWGRP | S_IWOTH)) != 0) {
    return unsafe("others than root may write it");
  }
  // IPC permissions give the group's bits to the maker's group as well, which
  // nobody can change afterwards, see sysvipc(7).
  if ((owner.mode & S_IRGRP) != 0 && owner.cgid != 0 &&
      owner.cgid != owner.gid) {
    return unsafe("its maker's group may read it");
  }
  if (removed == Removed::kNot && (owner.mode & SHM_DEST) != 0) {
    return unsafe("it has been removed");
  }
  if (madvise(address, attachment.size_, MADV_DONTFORK) != 0 ||
      madvise(address, attachment.size_, MADV_DONTDUMP) != 0) {
    return system_error("cannot shield the shared-memory segment", {});
  }
  return attachment;
}

}  // namespace pbstoken
