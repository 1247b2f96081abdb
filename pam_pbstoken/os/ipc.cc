// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/ipc.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>

namespace pbstoken {

namespace {

struct Remembered {
  std::string_view name;
  std::uint64_t inode = 0;
};
constinit std::array<Remembered, 2> remembered = {{{"ipc"}, {"time"}}};

// The link's text, such as "ipc:[4026531839]", has the inode, for less than to
// look at the namespace itself.
std::uint64_t read_namespace(std::string_view name) {
  FixedText<64> path("/proc/thread-self/ns/");
  path.append(name);
  std::array<char, 64> text{};
  const ssize_t size = readlink(path.c_str(), text.data(), text.size());
  std::uint64_t inode = 0;
  if (size > 0) {
    const std::string_view link(text.data(), static_cast<std::size_t>(size));
    const std::string_view number = slice(link, name.size() + 2);
    std::from_chars(number.data(), number.data() + number.size(), inode);
  }
  return inode;
}

}  // namespace

std::uint64_t namespace_inode(std::string_view name) {
  for (const Remembered &one : remembered) {
    if (one.name == name && one.inode != 0) {
      return one.inode;
    }
  }
  return read_namespace(name);
}

void remember_namespaces() {
  for (Remembered &one : remembered) {
    one.inode = read_namespace(one.name);
  }
}

namespace {

Error unsafe(const char *why) {
  return plain_error(Errc::kUnsafe, "cannot use the shared-memory segment", {},
                     why);
}

constexpr const char *kCannotStat = "cannot stat the shared-memory segment";

ShmIdentity identity_in(int id, const shmid_ds &status,
                        Whereabouts whereabouts = Whereabouts::kHere) {
  return {.ipc_namespace = whereabouts == Whereabouts::kHere
                               ? namespace_inode("ipc")
                               : kAnyIpcNamespace,
          .id = id,
          .changed = status.shm_ctime,
          .maker = status.shm_cpid,
          .size = status.shm_segsz};
}

// The second half of trusted_segment(), once the kernel has told the status.
Result<void> trust(const ipc_perm &owner, Writers writers) {
  if (owner.cuid != 0 || owner.uid != 0) {
    return unsafe("it is not root's");
  }
  const unsigned group = writers == Writers::kGroup ? 0U : S_IWGRP;
  if ((owner.mode & (group | S_IWOTH)) != 0) {
    return unsafe("others than root may write it");
  }
  // IPC permissions give the group's bits to the maker's group as well, which
  // cannot be changed afterwards, see sysvipc(7).
  if ((owner.mode & S_IRGRP) != 0 && owner.cgid != 0 &&
      owner.cgid != owner.gid) {
    return unsafe("its maker's group may read it");
  }
  if ((owner.mode & SHM_DEST) != 0) {
    return unsafe("it has been removed");
  }
  return {};
}

}  // namespace

Result<ShmIdentity> trusted_segment(int id, Whereabouts whereabouts,
                                    Writers writers) {
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return system_error(kCannotStat, {});
  }
  const auto trusted = trust(status.shm_perm, writers);
  return trusted ? Result<ShmIdentity>(identity_in(id, status, whereabouts))
                 : Result<ShmIdentity>(trusted.error());
}

std::uint64_t hash_of(std::string_view text) {
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, text.data(), text.size());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof(hash));
  return hash;
}

std::uint64_t derive_number(std::string_view purpose, std::string_view name) {
  FixedText<kMaxPath + 64> text(purpose);
  constexpr std::string_view kNul("\0", 1);  // which neither of them holds
  text.append(kNul);
  text.append(name);
  return hash_of(text.view());
}

key_t derive_key(std::string_view purpose, std::string_view name) {
  const auto key = static_cast<key_t>(derive_number(purpose, name));
  return key == IPC_PRIVATE ? 1 : key;
}

ShmAttachment::~ShmAttachment() {
  if (address_ != nullptr) {
    shmdt(address_);  // fails only for an address that is not attached
  }
}

Result<ShmAttachment> ShmAttachment::attach(int id, Access access,
                                            Writers writers) {
  ipc_perm owner{};
  auto attachment = attach_and_ask(id, access, &owner);
  if (attachment) {
    if (const auto trusted = trust(owner, writers); !trusted) {
      return trusted.error();
    }
  }
  return attachment;
}

Result<ShmAttachment> ShmAttachment::attach_untrusted(int id, Access access) {
  ipc_perm owner{};
  return attach_and_ask(id, access, &owner);
}

Result<ShmAttachment> ShmAttachment::attach_and_ask(int id, Access access,
                                                    ipc_perm *out_owner) {
  void *address = shmat(id, nullptr, access == Access::kRead ? SHM_RDONLY : 0);
  if (reinterpret_cast<std::intptr_t>(address) == -1) {
    return system_error("cannot attach the shared-memory segment", {});
  }
  ShmAttachment attachment;
  attachment.address_ = static_cast<std::byte *>(address);
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return system_error(kCannotStat, {});
  }
  attachment.identity_ = identity_in(id, status);
  *out_owner = status.shm_perm;
  if (madvise(address, status.shm_segsz, MADV_DONTFORK) != 0 ||
      madvise(address, status.shm_segsz, MADV_DONTDUMP) != 0) {
    return system_error("cannot shield the shared-memory segment", {});
  }
  return attachment;
}

}  // namespace pbstoken
