// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/attachments.h"

#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

// State of an entry: 0 is free; else the number of uses, of which the table
// itself holds one until the entry is dropped.
constexpr std::uint32_t kFilling = 0x8000'0000;
constexpr std::uint32_t kDropped = 0x4000'0000;
constexpr std::uint32_t kIdle = 2;  // while one thread looks at it

// Four for each store; a process with more stores goes without.
constexpr std::size_t kEntries = 32;

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
};

namespace {

struct Table {
  std::array<AttachmentEntry, kEntries> entries;
};

constinit std::atomic<Table *> the_table = nullptr;

// Null without memory or on a kernel that cannot empty it in children.
Table *table() {
  Table *existing = the_table.load(std::memory_order_acquire);
  if (existing != nullptr) {
    return existing;
  }
  void *page = mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return nullptr;
  }
  if (madvise(page, sizeof(Table), MADV_WIPEONFORK) != 0) {
    munmap(page, sizeof(Table));
    return nullptr;
  }
  // Zero bytes are a table of free entries: nothing to construct, here or
  // after a fork.
  auto *fresh = static_cast<Table *>(page);
  if (the_table.compare_exchange_strong(existing, fresh)) {
    return fresh;
  }
  munmap(page, sizeof(Table));
  return existing;
}

bool acquire(AttachmentEntry *entry) {
  std::uint32_t state = entry->state.load(std::memory_order_relaxed);
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
  // Only a dropped entry runs out of uses, and until it is marked free nobody
  // fills it anew.
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

// An entry that the caller alone may fill; null if there is none.
AttachmentEntry *claim_free(Table *all) {
  for (AttachmentEntry &entry : all->entries) {
    std::uint32_t expected = 0;
    if (entry.state.compare_exchange_strong(expected, kFilling,
                                            std::memory_order_acquire)) {
      return &entry;
    }
  }
  return nullptr;
}

template <typename Test>
void drop_if(Table *all, Test test) {
  for (AttachmentEntry &entry : all->entries) {
    if (acquire(&entry)) {
      if (test(entry)) {
        drop(&entry);
      }
      release(&entry);
    }
  }
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

void drop_foreign_attachments() {
  if (Table *all = table(); all != nullptr) {
    drop_if(all, [uid = geteuid()](const AttachmentEntry &entry) {
      return entry.uid != uid;
    });
  }
}

AttachmentUse use_attachment(const ShmIdentity &wanted) {
  AttachmentUse use;
  Table *all = table();
  if (all == nullptr || wanted.ipc_namespace == 0) {
    return use;
  }
  drop_foreign_attachments();
  for (AttachmentEntry &entry : all->entries) {
    if (!acquire(&entry)) {
      continue;
    }
    if (entry.identity == wanted) {
      use.entry_ = &entry;
      use.serial_ = entry.serial.load(std::memory_order_relaxed);
      return use;
    }
    release(&entry);
  }
  return use;
}

AttachmentUse keep_attachment(key_t key, ShmAttachment attachment) {
  // Another thread may have been faster.
  AttachmentUse use = use_attachment(attachment.identity());
  Table *all = table();
  if (use.address() != nullptr || all == nullptr) {
    return use;
  }
  AttachmentEntry *entry = claim_free(all);
  if (entry == nullptr) {
    // Those that no handle uses at the moment.
    drop_if(all, [](const AttachmentEntry &other) {
      return other.state.load(std::memory_order_relaxed) == kIdle;
    });
    entry = claim_free(all);
  }
  if (entry == nullptr) {
    return use;
  }
  entry->key = key;
  entry->identity = attachment.identity();
  entry->uid = geteuid();
  entry->address = attachment.release();
  const std::uint64_t serial = boottime_now();
  entry->serial.store(serial, std::memory_order_relaxed);
  entry->state.store(2,
                     std::memory_order_release);  // the table's, the caller's
  use.entry_ = entry;
  use.serial_ = serial;
  // An older segment under this key, or the same one, which two threads have
  // attached at the same time.
  drop_if(all, [entry](const AttachmentEntry &other) {
    return &other != entry && other.key == entry->key;
  });
  return use;
}

}  // namespace pbstoken
