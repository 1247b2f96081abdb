// SPDX-License-Identifier: BSD-3-Clause
// System V shared memory: keys, attachments, and when one is to be trusted.
//
// Thread safety: any thread may call the functions, except
// remember_namespaces(); one thread per object.
#ifndef PBSTOKEN_IPC_H_
#define PBSTOKEN_IPC_H_

#include <sys/ipc.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "pbstoken/base/result.h"

namespace pbstoken {

// Returns the first 8 bytes of the SHA-256 of a text.
std::uint64_t hash_of(std::string_view text);

// Returns the number of a purpose and a name (a path): the first 8 bytes of
// their SHA-256.
std::uint64_t derive_number(std::string_view purpose, std::string_view name);
// Returns the lower half of that number, as the key of an object.  It is never
// 0, which is IPC_PRIVATE.
key_t derive_key(std::string_view purpose, std::string_view name);

enum class Access : std::uint8_t { kRead, kWrite };

// Returns the inode of a namespace ("ipc", "time") of the calling thread; 0 if
// /proc does not tell it.
std::uint64_t namespace_inode(std::string_view name);

// Makes namespace_inode() return from here on what it returns now.  It is for a
// program that stays in its namespaces, as its children do.  No other thread
// may run meanwhile.
void remember_namespaces();

// The IPC namespaces in which a segment that this process has attached may be.
// To ask for its namespace takes longer than all other system calls of a hit
// together, so a hit does without where it can.
enum class Whereabouts : std::uint8_t {
  kHere,     // in the IPC namespace of the calling thread
  kAnywhere  // perhaps in one where a thread of this process was before
};

constexpr std::uint64_t kAnyIpcNamespace = ~std::uint64_t{0};

// What tells one segment from any other that has, or had, its id: ids repeat
// in other IPC namespaces and after a removal.
struct ShmIdentity {
  std::uint64_t ipc_namespace = 0;  // 0: this process cannot tell
  int id = -1;
  std::int64_t changed = 0;  // made, or given another owner or mode: seconds
  pid_t maker = 0;
  std::size_t size = 0;

  bool operator==(const ShmIdentity &) const = default;

  // True if it is the wanted one, or may be if that may be anywhere.
  [[nodiscard]] bool is_wanted(ShmIdentity wanted) const {
    if (wanted.ipc_namespace == kAnyIpcNamespace) {
      wanted.ipc_namespace = ipc_namespace;
    }
    return *this == wanted;
  }
};

// The users that may write a segment which is to be trusted.
enum class Writers : std::uint8_t {
  kOwner,
  kGroup  // its group, too: what stands in it may be anything
};

// Asks for a segment and says whether it is to be trusted.  Root must have made
// it and own it, no other user may write it, and it must not be marked for
// removal; else returns kUnsafe.  Any thread.
Result<ShmIdentity> trusted_segment(
    int id, Whereabouts whereabouts = Whereabouts::kHere,
    Writers writers = Writers::kOwner);

// The one owner of an attachment.
class ShmAttachment {
 public:
  ShmAttachment() = default;
  ShmAttachment(ShmAttachment &&other) noexcept { swap(other); }
  ShmAttachment &operator=(ShmAttachment &&other) noexcept {
    swap(other);
    return *this;
  }
  ShmAttachment(const ShmAttachment &) = delete;
  ShmAttachment &operator=(const ShmAttachment &) = delete;
  ~ShmAttachment();

  // Attaches first, then asks what it is, then trusts: see trusted_segment().
  // The attachment is kept out of core dumps and, since a child may give up its
  // privileges, out of children: of all but one that another thread forks in
  // the moment between attaching and saying so.
  static Result<ShmAttachment> attach(int id, Access access,
                                      Writers writers = Writers::kOwner);

  // Attaches it whatever it is: for a process of root that is to tell the users
  // of a segment that it is no good.
  static Result<ShmAttachment> attach_untrusted(int id, Access access);

  [[nodiscard]] std::byte *address() const { return address_; }
  [[nodiscard]] std::size_t size() const { return identity_.size; }
  [[nodiscard]] const ShmIdentity &identity() const { return identity_; }

  // Gives up ownership: the caller detaches.
  std::byte *release() { return std::exchange(address_, nullptr); }

 private:
  static Result<ShmAttachment> attach_and_ask(int id, Access access,
                                              ipc_perm *out_owner);
  void swap(ShmAttachment &other) noexcept {
    std::swap(address_, other.address_);
    std::swap(identity_, other.identity_);
  }

  std::byte *address_ = nullptr;
  ShmIdentity identity_;
};

static_assert(__atomic_always_lock_free(sizeof(std::uint64_t), nullptr),
              "a lock of this process alone would hold up no other");

// Words that other processes change at any time.  Readers attach read-only:
// std::atomic_ref takes no const object, so these are the compiler's own.
inline std::uint64_t load_relaxed(const std::uint64_t *word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}
inline std::uint64_t load_acquire(const std::uint64_t *word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
inline void store_relaxed(std::uint64_t *word, std::uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
inline void store_release(std::uint64_t *word, std::uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
inline std::uint64_t exchange_relaxed(std::uint64_t *word,
                                      std::uint64_t value) {
  return __atomic_exchange_n(word, value, __ATOMIC_RELAXED);
}
// Swaps `from` for `to`, sequentially consistent.  Returns true if the word was
// `from` and is now `to`.
inline bool compare_and_swap(std::uint64_t *word, std::uint64_t from,
                             std::uint64_t to) {
  return __atomic_compare_exchange_n(word, &from, to, /*weak=*/false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

}  // namespace pbstoken

#endif  // PBSTOKEN_IPC_H_
