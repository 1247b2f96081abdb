// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/fail_limit.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <span>
#include <utility>

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
using Bucket = std::array<Window, kWays>;
using Windows = std::array<Bucket, kBuckets>;

// Of this process alone.
constinit std::array<Bucket, 64> own_windows = {};

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

constexpr std::size_t kNetwork = 8;  // of the 16 bytes of an IPv6 address
constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                   0, 0, 0, 0, 0xff, 0xff};

void add_host(SHA256_CTX *state, std::string_view host) {
  // A link that is named behind '%' has one network.
  const FixedText<INET6_ADDRSTRLEN> text(slice(host, 0, host.find('%')));
  std::array<char, sizeof(in6_addr)> address{};
  if (host.find(':') == std::string_view::npos ||
      inet_pton(AF_INET6, text.c_str(), address.data()) != 1) {
    add_field(state, host);
    return;
  }
  if (std::memcmp(address.data(), kMapped.data(), kMapped.size()) != 0) {
    add_field(state, {address.data(), kNetwork});
    return;
  }
  std::array<char, INET_ADDRSTRLEN> mapped{};
  static_cast<void>(inet_ntop(AF_INET, address.data() + kMapped.size(),
                              mapped.data(), mapped.size()));
  add_field(state, mapped.data());
}

std::uint64_t tag_of(std::string_view token_id, const Client &client) {
  SHA256_CTX state;
  SHA256_Init(&state);
  add_field(&state, token_id);
  add_host(&state, client.rhost);
  const std::uint64_t caller = client.caller ? *client.caller + 1ULL : 0;
  SHA256_Update(&state, &caller, sizeof(caller));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  std::uint64_t tag = 0;
  std::memcpy(&tag, digest.data(), sizeof(tag));
  return tag;
}

Bucket &bucket(const AttachmentUse &use, std::uint64_t tag) {
  std::byte *content = content_of(use);
  const std::span<Bucket> windows =
      content != nullptr
          ? std::span<Bucket>(*reinterpret_cast<Windows *>(content))
          : std::span<Bucket>(own_windows);
  return windows[static_cast<std::size_t>(tag % windows.size())];
}

Window *find(Bucket *windows, std::uint64_t tag) {
  for (Window &window : *windows) {
    if (load_relaxed(&window.tag) == tag) {
      return &window;
    }
  }
  return nullptr;
}

// The window that began first gives way.
Window *make_room(Bucket *windows, std::uint64_t tag) {
  Window *oldest = windows->data();
  for (Window &window : *windows) {
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

NamedSegment failures_segment(const Store &store) {
  return {store, "pbstoken failures 2", sizeof(Windows)};
}

FailLimit::FailLimit(const Store &store, std::string_view token_id,
                     const Client &client)
    : store_(store),
      is_on_(store.fail_limit != 0 && !client.rhost.empty() && is_root()) {
  if (!is_on_) {
    return;
  }
  tag_ = tag_of(token_id, client);
  auto use = failures_segment(store).use();
  if (use) {
    attachment_ = std::move(*use);
  } else {
    lost_ = use.error();
  }
}

bool FailLimit::is_reached() const {
  const Window *window =
      is_on_ ? find(&bucket(attachment_, tag_), tag_) : nullptr;
  if (window == nullptr) {
    return false;
  }
  const std::uint64_t state = load_acquire(&window->state);
  return is_open(state, now_in_seconds(), store_) &&
         count_of(state) >= store_.fail_limit;
}

void FailLimit::count() const {
  if (!is_on_) {
    return;
  }
  Bucket &windows = bucket(attachment_, tag_);
  Window *window = find(&windows, tag_);
  if (window == nullptr) {
    window = make_room(&windows, tag_);
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
