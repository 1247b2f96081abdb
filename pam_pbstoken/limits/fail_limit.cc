// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/fail_limit.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "pbstoken/limits/tally.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

// By when each began, in seconds of CLOCK_BOOTTIME.
using Windows = std::array<Tally, 16384>;

// Of this process alone.
constinit std::array<Tally, 256> own_windows = {};

std::uint64_t now_in_seconds() {
  return boottime_now() / kNanosecondsPerSecond;
}

// One that lies in the future, of another time namespace's clock, is not: the
// difference is huge then.
bool is_open(std::uint64_t state, std::uint64_t now, const Store &store) {
  return now - Tally::time_of(state) < store.fail_window;
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
  return tag | 1;
}

std::span<Tally> windows_in(const AttachmentUse &use) {
  std::byte *content = content_of(use);
  return content != nullptr
             ? std::span<Tally>(*reinterpret_cast<Windows *>(content))
             : std::span<Tally>(own_windows);
}

}  // namespace

NamedSegment failures_segment(const Store &store) {
  return {store, "pbstoken failures 3", sizeof(Windows)};
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
  const Tally *window =
      is_on_ ? find_tally(windows_in(attachment_), tag_) : nullptr;
  if (window == nullptr) {
    return false;
  }
  const std::uint64_t state = load_acquire(&window->state);
  return is_open(state, now_in_seconds(), store_) &&
         Tally::count_of(state) >= store_.fail_limit;
}

void FailLimit::count() const {
  if (!is_on_) {
    return;
  }
  Tally *window = make_tally(windows_in(attachment_), tag_);
  const std::uint64_t now = now_in_seconds();
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  do {
    before = load_relaxed(&window->state);
    after = is_open(before, now, store_)
                ? Tally::make_state(Tally::time_of(before),
                                    Tally::count_of(before) + 1)
                : Tally::make_state(now, 1);
  } while (!compare_and_swap(&window->state, before, after));
}

}  // namespace pbstoken
