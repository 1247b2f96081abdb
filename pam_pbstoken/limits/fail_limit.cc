// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/fail_limit.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <cstring>

#include "pbstoken/limits/root_segment.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

constexpr std::size_t kWays = 4;
constexpr std::size_t kBuckets = 4096;
constexpr unsigned kCountBits = 24;
constexpr std::uint64_t kMostCounted = (1U << kCountBits) - 1;

// Start and count are one word, so that they change together.
struct Window {
  std::uint64_t tag;  // of the token id, remote host and caller
  std::uint64_t
      state;  // when it began, in seconds, and how many; 0: never used
};
using Windows = std::array<std::array<Window, kWays>, kBuckets>;

std::uint64_t start_of(std::uint64_t state) {
  return state >> kCountBits;
}
std::uint64_t count_of(std::uint64_t state) {
  return state & kMostCounted;
}
std::uint64_t first_of(std::uint64_t now) {
  return (now << kCountBits) | 1;
}

std::uint64_t now_in_seconds() {
  return boottime_now() / kNanosecondsPerSecond;
}

// One that lies in the future, of another time namespace's clock, is not: the
// difference is huge then.
bool is_open(std::uint64_t state, std::uint64_t now, const Store &store) {
  return now - start_of(state) < store.fail_window;
}

void add_field(SHA256_CTX *state, std::string_view field) {
  const std::uint64_t size = field.size();
  SHA256_Update(state, &size, sizeof(size));
  SHA256_Update(state, field.data(), field.size());
}

std::uint64_t tag_of(std::string_view token_id, const Client &client) {
  SHA256_CTX state;
  SHA256_Init(&state);
  add_field(&state, token_id);
  add_field(&state, client.rhost);
  const std::uint64_t caller = client.caller ? *client.caller + 1ULL : 0;
  SHA256_Update(&state, &caller, sizeof(caller));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  std::uint64_t tag = 0;
  std::memcpy(&tag, digest.data(), sizeof(tag));
  return tag;
}

std::array<Window, kWays> &bucket(std::byte *address, std::uint64_t tag) {
  return (*reinterpret_cast<Windows *>(address))[tag % kBuckets];
}

Window *find(std::byte *address, std::uint64_t tag) {
  for (Window &window : bucket(address, tag)) {
    if (load_relaxed(&window.tag) == tag) {
      return &window;
    }
  }
  return nullptr;
}

// The window that began first gives way.
Window *make_room(std::byte *address, std::uint64_t tag) {
  auto &windows = bucket(address, tag);
  Window *oldest = &windows[0];
  for (Window &window : windows) {
    if (load_relaxed(&window.state) < load_relaxed(&oldest->state)) {
      oldest = &window;
    }
  }
  // In this order: who finds the new tag must not find the old count.
  store_relaxed(&oldest->state, 0);
  store_release(&oldest->tag, tag);
  return oldest;
}

}  // namespace

key_t failures_key(const Store &store) {
  return key_beside(store, "pbstoken failures 1");
}

FailLimit::FailLimit(const Store &store, std::string_view token_id,
                     const Client &client)
    : store_(store) {
  if (store.fail_limit != 0 && !client.rhost.empty() && is_root()) {
    tag_ = tag_of(token_id, client);
    attachment_ = use_root_segment(failures_key(store), sizeof(Windows));
  }
}

bool FailLimit::is_reached() const {
  std::byte *address = attachment_.address();
  const Window *window = address != nullptr ? find(address, tag_) : nullptr;
  if (window == nullptr) {
    return false;
  }
  const std::uint64_t state = load_acquire(&window->state);
  return is_open(state, now_in_seconds(), store_) &&
         count_of(state) >= store_.fail_limit;
}

void FailLimit::count() const {
  std::byte *address = attachment_.address();
  if (address == nullptr) {
    return;
  }
  Window *window = find(address, tag_);
  if (window == nullptr) {
    window = make_room(address, tag_);
  }
  const std::uint64_t now = now_in_seconds();
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  do {
    before = load_relaxed(&window->state);
    after = !is_open(before, now, store_)     ? first_of(now)
            : count_of(before) < kMostCounted ? before + 1
                                              : before;
  } while (!compare_and_swap(&window->state, before, after));
}

}  // namespace pbstoken
