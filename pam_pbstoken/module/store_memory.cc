// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/store_memory.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

struct Remembered {
  PathText path;
  FileIdentity identity;
  Store store;
  std::uint64_t trusted;  // when its directories were, by time since boot
};

// One store of this process, as it was read last.  A thread takes that out
// while it looks into it: no thread waits, one that finds nothing reads the
// file, and a fork at any moment leaves nothing locked.
struct StoreEntry {
  std::uint64_t hash;  // of the name and the path
  std::atomic<Remembered *> remembered;
  StoreEntry *next;
};

// Entries are only ever added: a process has as many as its services name
// stores.
constinit std::array<std::atomic<StoreEntry *>, 64> the_entries = {};

std::atomic<StoreEntry *> &chain_of(std::uint64_t hash) {
  return the_entries[static_cast<std::size_t>(hash % the_entries.size())];
}

// Returns null if the table has no such entry.
StoreEntry *find_entry(std::uint64_t hash) {
  StoreEntry *entry = chain_of(hash).load(std::memory_order_acquire);
  while (entry != nullptr && entry->hash != hash) {
    entry = entry->next;
  }
  return entry;
}

// Returns null without memory.  Two threads may both add an entry: the first
// that is found counts.
StoreEntry *add_entry(std::uint64_t hash) {
  void *memory = std::malloc(sizeof(StoreEntry));
  if (memory == nullptr) {
    return nullptr;
  }
  auto &chain = chain_of(hash);
  auto *entry = new (memory)
      StoreEntry{hash, nullptr, chain.load(std::memory_order_relaxed)};
  while (!chain.compare_exchange_weak(entry->next, entry,
                                      std::memory_order_release)) {
  }
  return entry;
}

// True if this process has read a configuration before.  It remembers nothing
// of the first one: many services fork for each connection, and read no second
// one.
constinit std::atomic<bool> has_read = false;

// Takes the place of what another thread has put there.
void put(StoreEntry *entry, Remembered *remembered) {
  std::free(entry->remembered.exchange(remembered, std::memory_order_acq_rel));
}

// What was read belongs to the identity of the file, even if other users may
// write beside it now.  But a process must not use for long what other
// processes refuse to read.  It asks once a second, since to ask about three
// directories takes longer than to verify.
bool has_trusted_directories(Remembered *remembered) {
  const std::uint64_t now = boottime_now();
  if (now != 0 && now - remembered->trusted < kNanosecondsPerSecond) {
    return true;
  }
  if (!trust_directories(remembered->path)) {
    return false;
  }
  remembered->trusted = now;
  return true;
}

bool find(StoreEntry *entry, std::string_view name, const PathText &path,
          const FileIdentity &identity, Store *out_store) {
  Remembered *last =
      entry->remembered.exchange(nullptr, std::memory_order_acq_rel);
  if (last == nullptr) {
    return false;
  }
  const bool found =
      last->identity == identity && last->path.view() == path.view() &&
      last->store.name.view() == name && has_trusted_directories(last);
  if (found) {
    *out_store = last->store;
  }
  put(entry, last);
  return found;
}

void remember(StoreEntry *entry, const PathText &path,
              const FileIdentity &identity, const Store &store,
              std::uint64_t trusted) {
  static_assert(std::is_trivially_destructible_v<Remembered>);
  // Without memory it is read again.
  if (void *memory = std::malloc(sizeof(Remembered)); memory != nullptr) {
    put(entry, new (memory) Remembered{path, identity, store, trusted});
  }
}

}  // namespace

Result<void> recall_store(std::string_view name, const PathText &path,
                          Store *out_store) {
  const std::uint64_t start = boottime_now();
  const std::uint64_t now = realtime_now();
  const auto before = look_at(path);
  // Two stores with the same hash are read more often; nothing else follows.
  const std::uint64_t hash = quick_hash(path.view(), quick_hash(name));
  StoreEntry *entry = find_entry(hash);
  if (entry != nullptr && before &&
      find(entry, name, path, *before, out_store)) {
    return {};
  }
  const auto store = load_store(name, path, Names::kUnknown);
  if (!store) {
    return store.error();
  }
  *out_store = *store;
  // What was read is what was looked at, if nothing changed in between.
  if (has_read.exchange(true, std::memory_order_relaxed) && before &&
      !may_change_unseen(*before, now)) {
    entry = entry != nullptr ? entry : add_entry(hash);
    if (const auto after = look_at(path);
        entry != nullptr && after && *after == *before) {
      remember(entry, path, *before, *store, start);
    }
  }
  return {};
}

}  // namespace pbstoken
