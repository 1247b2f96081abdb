// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/attachments.h"

#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>

#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

// State of an entry: 0 is free; else the number of uses, of which the table
// itself holds one until the entry is dropped.
constexpr std::uint32_t kFilling = 0x8000'0000;
constexpr std::uint32_t kDropped = 0x4000'0000;
constexpr std::uint32_t kIdle = 2;  // while one thread looks at it

// How long an attachment is kept without a use.  Its segment may be of a
// directory that was replaced, for which no process asks any more.
constexpr std::uint64_t kKept = 60 * kNanosecondsPerSecond;

}  // namespace

struct AttachmentEntry {
  std::atomic<std::uint32_t> state;
  key_t key;
  ShmIdentity identity;
  uid_t uid;  // effective, when it was attached
  std::byte *address;
  // Tells this attachment from any other, one of a parent or child included:
  // the time since boot at which it was made.
  std::atomic<std::uint64_t> serial;
  std::atomic<std::uint64_t> asked_for;  // last, by the same clock
  AttachmentEntry *next;
};

namespace {

// An entry stays in its chain for good, and is filled again there.
using Chain = std::atomic<AttachmentEntry *>;

struct AttachmentTable {
  std::array<Chain, 64> chains;      // by the segment's id
  std::atomic<std::uint32_t> count;  // of the entries in all of them
  // The uid under which, and the time when, all were last looked through.
  std::atomic<uid_t> uid;
  std::atomic<std::uint64_t> looked_through;
};

constinit std::atomic<AttachmentTable *> the_table = nullptr;

// The entries.  Each piece has twice as many as the one before it: together
// more than the kernel has segments.  A child fills its parent's pieces anew.
constexpr std::uint32_t kFirstPiece = 32;
constinit std::array<std::atomic<AttachmentEntry *>, 20> the_pieces = {};

// What the place leads to: zero bytes at first, and again in each child.  Null
// without memory or on a kernel that cannot empty it in children.
template <typename Mapped>
Mapped *mapped_at(std::atomic<Mapped *> *place, std::size_t count) {
  Mapped *existing = place->load(std::memory_order_acquire);
  if (existing != nullptr) {
    return existing;
  }
  const std::size_t size = count * sizeof(Mapped);
  void *fresh = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) {
    return nullptr;
  }
  // Zero bytes are an empty table and free entries: nothing to construct, here
  // or after a fork.
  if (madvise(fresh, size, MADV_WIPEONFORK) == 0 &&
      place->compare_exchange_strong(existing, static_cast<Mapped *>(fresh))) {
    return static_cast<Mapped *>(fresh);
  }
  munmap(fresh, size);
  return existing;
}

AttachmentTable *table() {
  return mapped_at(&the_table, 1);
}

Chain *chain_of(AttachmentTable *all, const ShmIdentity &identity) {
  return &all->chains[static_cast<unsigned>(identity.id) % all->chains.size()];
}

// Returns null if its piece cannot be had.
AttachmentEntry *entry_at(std::uint32_t index) {
  const auto piece =
      static_cast<unsigned>(std::bit_width(index / kFirstPiece + 1)) - 1;
  if (piece >= the_pieces.size()) {
    return nullptr;
  }
  const std::uint32_t size = kFirstPiece << piece;
  AttachmentEntry *first = mapped_at(&the_pieces[piece], size);
  return first != nullptr ? first + (index - (size - kFirstPiece)) : nullptr;
}

bool acquire(AttachmentEntry *entry) {
  std::uint32_t state = entry->state.load();
  do {
    if (state == 0 || (state & (kFilling | kDropped)) != 0) {
      return false;
    }
  } while (!entry->state.compare_exchange_weak(state, state + 1,
                                               std::memory_order_acquire));
  return true;
}

void release(AttachmentEntry *entry) {
  const std::uint32_t before =
      entry->state.fetch_sub(1, std::memory_order_acq_rel);
  // Only a dropped entry runs out of uses, and until it is marked free no
  // thread fills it anew.
  if (before == (kDropped | 1U)) {
    shmdt(entry->address);
    entry->serial.store(0, std::memory_order_relaxed);
    entry->state.store(0, std::memory_order_release);
  }
}

// Takes the table's own use away, once.
void drop(AttachmentEntry *entry) {
  const std::uint32_t before =
      entry->state.fetch_or(kDropped, std::memory_order_acq_rel);
  if ((before & kDropped) == 0) {
    release(entry);
  }
}

// Adds an entry to the chain, which the caller alone may fill; returns null if
// there is no memory.
AttachmentEntry *add_entry(AttachmentTable *all, Chain *chain) {
  AttachmentEntry *entry = nullptr;
  std::uint32_t index = all->count.load(std::memory_order_relaxed);
  do {
    entry = entry_at(index);
    if (entry == nullptr) {
      return nullptr;
    }
  } while (!all->count.compare_exchange_weak(index, index + 1));
  entry->state.store(kFilling, std::memory_order_relaxed);
  entry->next = chain->load(std::memory_order_relaxed);
  while (!chain->compare_exchange_weak(entry->next, entry,
                                       std::memory_order_release)) {
  }
  return entry;
}

// The same, but a free entry of the chain first.
AttachmentEntry *claim_entry(AttachmentTable *all, Chain *chain) {
  AttachmentEntry *entry = chain->load(std::memory_order_acquire);
  for (; entry != nullptr; entry = entry->next) {
    std::uint32_t expected = 0;
    if (entry->state.compare_exchange_strong(expected, kFilling,
                                             std::memory_order_acquire)) {
      return entry;
    }
  }
  return add_entry(all, chain);
}

template <typename Test>
void drop_if(AttachmentTable *all, Test test) {
  const std::uint32_t count = all->count.load();
  for (std::uint32_t index = 0; index < count; ++index) {
    AttachmentEntry *entry = entry_at(index);
    if (acquire(entry)) {
      if (test(*entry)) {
        drop(entry);
      }
      release(entry);
    }
  }
}

bool is_unused(const AttachmentEntry &entry, std::uint64_t now) {
  return entry.state.load(std::memory_order_relaxed) == kIdle &&
         entry.asked_for.load(std::memory_order_relaxed) + kKept <= now;
}

// All are looked through when the uid is another, and once in a while.
void drop_stale(AttachmentTable *all, uid_t uid, std::uint64_t now) {
  if (all->uid.load() == uid && all->looked_through.load() + kKept > now) {
    return;
  }
  all->uid.store(uid);
  all->looked_through.store(now);
  drop_if(all, [uid, now](const AttachmentEntry &entry) {
    return entry.uid != uid || is_unused(entry, now);
  });
}

// In a child of the process that took a use there is nothing of it left.
bool is_there(const AttachmentEntry *entry, std::uint64_t serial) {
  return entry != nullptr &&
         entry->serial.load(std::memory_order_relaxed) == serial;
}

}  // namespace

AttachmentUse::~AttachmentUse() {
  if (is_there(entry_, serial_)) {
    release(entry_);
  }
}

std::byte *AttachmentUse::address() const {
  // A dropped one stays mapped for as long as this use lives.
  return is_there(entry_, serial_) &&
                 (entry_->state.load(std::memory_order_relaxed) & kDropped) == 0
             ? entry_->address
             : nullptr;
}

ShmIdentity AttachmentUse::identity() const {
  return address() != nullptr ? entry_->identity : ShmIdentity{};
}

void drop_stale_attachments() {
  if (AttachmentTable *all = table(); all != nullptr) {
    drop_stale(all, geteuid(), boottime_now());
  }
}

AttachmentUse use_attachment(const ShmIdentity &wanted) {
  AttachmentUse use;
  AttachmentTable *all = table();
  if (all == nullptr || wanted.ipc_namespace == 0) {
    return use;
  }
  const uid_t uid = geteuid();
  const std::uint64_t now = boottime_now();
  drop_stale(all, uid, now);
  AttachmentEntry *entry =
      chain_of(all, wanted)->load(std::memory_order_acquire);
  for (; entry != nullptr; entry = entry->next) {
    if (!acquire(entry)) {
      continue;
    }
    if (entry->identity.is_wanted(wanted) && entry->uid == uid) {
      entry->asked_for.store(now, std::memory_order_relaxed);
      use.entry_ = entry;
      use.serial_ = entry->serial.load(std::memory_order_relaxed);
      return use;
    }
    release(entry);
  }
  return use;
}

AttachmentUse keep_attachment(key_t key, ShmAttachment attachment) {
  // Another thread may have been faster.
  AttachmentUse use = use_attachment(attachment.identity());
  AttachmentTable *all = table();
  if (use.address() != nullptr || all == nullptr) {
    return use;
  }
  use = AttachmentUse();  // of one that a third thread has dropped by now
  AttachmentEntry *entry =
      claim_entry(all, chain_of(all, attachment.identity()));
  if (entry == nullptr) {
    return use;
  }
  const uid_t uid = geteuid();
  const std::uint64_t serial = boottime_now();
  entry->key = key;
  entry->identity = attachment.identity();
  entry->uid = uid;
  entry->address = attachment.release();
  entry->asked_for.store(serial, std::memory_order_relaxed);
  entry->serial.store(serial, std::memory_order_relaxed);
  entry->state.store(2);  // the table's, the caller's
  use.entry_ = entry;
  use.serial_ = serial;
  // A thread that has looked through all under another uid may have missed this
  // one.
  if (all->uid.load() != uid) {
    drop(entry);
  }
  // An older segment under this key; or the same one, if another thread has
  // attached it at the same time: one of the two stays.
  drop_if(all, [key, serial](const AttachmentEntry &other) {
    return other.key == key &&
           other.serial.load(std::memory_order_relaxed) < serial;
  });
  return use;
}

}  // namespace pbstoken
