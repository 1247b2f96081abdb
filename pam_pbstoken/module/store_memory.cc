// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/store_memory.h"

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

// The store that was read last.  A thread takes it out while it looks into it:
// no thread waits, one that finds nothing reads the file, and a fork at any
// moment leaves nothing locked.
constinit std::atomic<Remembered *> the_remembered = nullptr;

// Whether this process has read one before.  For its first it remembers
// nothing: many services fork for each connection, and there is no second.
constinit std::atomic<bool> has_read = false;

// Takes the place of what another thread has put there.
void put(Remembered *remembered) {
  std::free(the_remembered.exchange(remembered, std::memory_order_acq_rel));
}

// What was read belongs to its identity, even if others may write beside it
// now. But a host must not go on for long with what others refuse to read; and
// to ask about three directories takes longer than to verify.
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

bool find(std::string_view name, const PathText &path,
          const FileIdentity &identity, Store *out_store) {
  Remembered *last =
      the_remembered.exchange(nullptr, std::memory_order_acq_rel);
  if (last == nullptr) {
    return false;
  }
  const bool found =
      last->identity == identity && last->path.view() == path.view() &&
      last->store.name.view() == name && has_trusted_directories(last);
  if (found) {
    *out_store = last->store;
  }
  put(last);
  return found;
}

void remember(const PathText &path, const FileIdentity &identity,
              const Store &store, std::uint64_t trusted) {
  static_assert(std::is_trivially_destructible_v<Remembered>);
  // Without memory it is read again.
  if (void *place = std::malloc(sizeof(Remembered)); place != nullptr) {
    put(new (place) Remembered{path, identity, store, trusted});
  }
}

// Whether the file may change once more within the same tick of its clock, and
// look the same.
bool is_racy(const FileIdentity &identity, std::uint64_t now) {
  return identity.changed + 2 * kNanosecondsPerSecond > now;
}

}  // namespace

Result<void> recall_store(std::string_view name, const PathText &path,
                          Store *out_store) {
  const std::uint64_t start = boottime_now();
  const std::uint64_t now = realtime_now();
  const auto before = look_at(path);
  if (the_remembered.load(std::memory_order_relaxed) != nullptr && before &&
      find(name, path, *before, out_store)) {
    return {};
  }
  const auto store = load_store(name, path, Names::kUnknown);
  if (!store) {
    return store.error();
  }
  *out_store = *store;
  // What was read is what was looked at, if nothing changed in between.
  if (has_read.exchange(true, std::memory_order_relaxed) && before &&
      !is_racy(*before, now)) {
    if (const auto after = look_at(path); after && *after == *before) {
      remember(path, *before, *store, start);
    }
  }
  return {};
}

}  // namespace pbstoken
