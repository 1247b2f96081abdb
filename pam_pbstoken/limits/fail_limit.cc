// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/fail_limit.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <algorithm>
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

// The windows, each by when it began, in seconds of CLOCK_BOOTTIME.
template <std::size_t kCount>
struct Windows {
  alignas(64) std::uint64_t key;  // of the tags; 0: not made yet
  std::array<Tally, kCount> tallies;
};
using SharedWindows = Windows<16384>;
using FileWindows = Windows<4096>;
static_assert(sizeof(FileWindows) <= LimitsFile::kWindowsSize);

// The windows of this process alone.
constinit Windows<256> own_windows = {};

// Where the windows are.
struct WindowTable {
  std::uint64_t *key;
  std::span<Tally> tallies;
};

template <typename Table>
WindowTable table_at(std::byte *content) {
  auto *windows = reinterpret_cast<Table *>(content);
  return {&windows->key, windows->tallies};
}

WindowTable table_in(const AttachmentUse &use, const LimitsFile &file) {
  if (std::byte *content = content_of(use); content != nullptr) {
    return table_at<SharedWindows>(content);
  }
  if (std::byte *content = file.windows(); content != nullptr) {
    return table_at<FileWindows>(content);
  }
  return {&own_windows.key, own_windows.tallies};
}

// Returns the key of the tags, which the first process makes.  Before the
// kernel has random bytes it stays 0, and the windows of that time are
// forgotten.
std::uint64_t key_of(const WindowTable &table) {
  std::uint64_t key = load_relaxed(table.key);
  if (key == 0 &&
      getrandom(&key, sizeof(key), GRND_NONBLOCK) == ssize_t{sizeof(key)}) {
    static_cast<void>(compare_and_swap(table.key, 0, key));
    key = load_relaxed(table.key);
  }
  return key;
}

std::uint64_t now_in_seconds() {
  return boottime_now() / kNanosecondsPerSecond;
}

// True if the window is open.  One that lies in the future, of another time
// namespace's clock, is not: the difference is huge then.
bool is_open(std::uint64_t state, std::uint64_t now, const Store &store) {
  return now - Tally::time_of(state) < store.fail_window;
}

void add_field(SHA256_CTX *state, std::string_view field) {
  const std::uint64_t size = field.size();
  SHA256_Update(state, &size, sizeof(size));
  SHA256_Update(state, field.data(), field.size());
}

constexpr std::size_t kNetwork = 8;  // of the 16 bytes of an IPv6 address

// The IPv6 addresses that stand for IPv4 addresses.
struct Translation {
  std::array<unsigned char, 12> prefix;
  std::size_t size;  // of the prefix, in bytes; the IPv4 address comes next
};
constexpr auto kTranslations = std::to_array<Translation>({
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12},  // mapped, RFC 4291
    {{0, 0x64, 0xff, 0x9b}, 12},                       // NAT64, RFC 6052
    {{0x20, 0x02}, 2},                                 // 6to4, RFC 3056
});

// The host of ADDRESS:PORT, [ADDRESS]:PORT and [ADDRESS]: a client has as many
// ports as it likes.
std::string_view without_port(std::string_view host) {
  const std::size_t end = host.find(']');
  if (host.starts_with('[') && end != std::string_view::npos) {
    return slice(host, 1, end - 1);
  }
  const std::size_t colon = host.find(':');
  return colon == host.rfind(':') ? slice(host, 0, colon) : host;
}

void add_address(SHA256_CTX *state, std::string_view address) {
  for (const Translation &known : kTranslations) {
    if (std::memcmp(address.data(), known.prefix.data(), known.size) == 0) {
      std::array<char, INET_ADDRSTRLEN> text{};
      static_cast<void>(inet_ntop(AF_INET, address.data() + known.size,
                                  text.data(), text.size()));
      add_field(state, text.data());
      return;
    }
  }
  add_field(state, slice(address, 0, kNetwork));
}

void add_host(SHA256_CTX *state, std::string_view rhost) {
  const std::string_view host = without_port(rhost);
  // A link that is named behind '%' has one network.
  const FixedText<INET6_ADDRSTRLEN> text(slice(host, 0, host.find('%')));
  std::array<char, sizeof(in6_addr)> address{};
  if (host.find(':') != std::string_view::npos &&
      inet_pton(AF_INET6, text.c_str(), address.data()) == 1) {
    add_address(state, {address.data(), address.size()});
  } else {
    add_field(state, host);
  }
}

constexpr unsigned kClientBits = 32;  // of a tag; above them are the token's

std::uint64_t beginning_of(SHA256_CTX state) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  std::uint32_t beginning = 0;
  std::memcpy(&beginning, digest.data(), sizeof(beginning));
  return beginning;
}

SHA256_CTX state_of(std::uint64_t key, std::string_view token_id) {
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, &key, sizeof(key));
  add_field(&state, token_id);
  return state;
}

std::uint64_t tag_of(std::uint64_t key, std::string_view token_id,
                     const Client &client) {
  SHA256_CTX state = state_of(key, token_id);
  const std::uint64_t token = beginning_of(state);
  add_host(&state, client.rhost);
  const std::uint64_t caller = client.caller ? *client.caller + 1ULL : 0;
  SHA256_Update(&state, &caller, sizeof(caller));
  return token << kClientBits | beginning_of(state) | 1;
}

// A window without a mismatch does not count.
void add_window(std::uint64_t state, std::uint64_t now, const Store &store,
                TokenFailures *sum) {
  const std::uint64_t count = Tally::count_of(state);
  if (count == 0 || !is_open(state, now, store)) {
    return;
  }
  ++sum->clients;
  sum->mismatches += count;
  if (store.fail_limit != 0 && count >= store.fail_limit) {
    ++sum->throttled;
    const std::uint64_t end = Tally::time_of(state) + store.fail_window;
    sum->seconds = std::max(sum->seconds, end - now);
  }
}

// Calls use(&state) for each window of the token, or of all if token_id is
// empty; in the shared ones alone.
template <typename Use>
Result<void> for_each_window(const Store &store, std::string_view token_id,
                             Use use) {
  const auto segment = failures_segment(store).use_if_there();
  if (!segment) {
    return segment.error();
  }
  if (segment->address() == nullptr) {
    return {};
  }
  const WindowTable table = table_in(*segment, LimitsFile());
  const std::uint64_t token =
      beginning_of(state_of(load_relaxed(table.key), token_id));
  for (Tally &window : table.tallies) {
    const std::uint64_t tag = load_acquire(&window.tag);
    if (tag != 0 && (token_id.empty() || tag >> kClientBits == token)) {
      use(&window.state);
    }
  }
  return {};
}

}  // namespace

NamedSegment failures_segment(const Store &store) {
  return {store, "pbstoken failures 4", sizeof(SharedWindows)};
}

FailLimit::FailLimit(const Store &store, std::string_view token_id,
                     const Client &client)
    : store_(store),
      is_on_(store.fail_limit != 0 && !client.rhost.empty() && is_root()) {
  if (!is_on_) {
    return;
  }
  auto use = failures_segment(store).use();
  if (use) {
    attachment_ = std::move(*use);
  } else {
    lost_ = use.error();
    if (may_use_limits_file(client)) {
      file_ = LimitsFile::open(store);
    }
  }
  tag_ = tag_of(key_of(table_in(attachment_, file_)), token_id, client);
}

bool FailLimit::is_reached() const {
  const Tally *window =
      is_on_ ? find_tally(table_in(attachment_, file_).tallies, tag_) : nullptr;
  if (window == nullptr) {
    return false;
  }
  const std::uint64_t state = load_relaxed(&window->state);
  return is_open(state, now_in_seconds(), store_) &&
         Tally::count_of(state) >= store_.fail_limit;
}

void FailLimit::count() const {
  if (!is_on_) {
    return;
  }
  Tally *window = make_tally(table_in(attachment_, file_).tallies, tag_);
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

Result<TokenFailures> failures_of(const Store &store,
                                  std::string_view token_id) {
  const std::uint64_t now = now_in_seconds();
  TokenFailures sum;
  const auto read =
      for_each_window(store, token_id, [&](const std::uint64_t *state) {
        add_window(load_relaxed(state), now, store, &sum);
      });
  return read ? Result<TokenFailures>(sum)
              : Result<TokenFailures>(read.error());
}

// A mismatch that is counted at the same time begins a window, or is ended with
// the others.
Result<TokenFailures> end_failures(const Store &store,
                                   std::string_view token_id) {
  const std::uint64_t now = now_in_seconds();
  TokenFailures sum;
  const auto ended =
      for_each_window(store, token_id, [&](std::uint64_t *state) {
        add_window(exchange_relaxed(state, 0), now, store, &sum);
      });
  return ended ? Result<TokenFailures>(sum)
               : Result<TokenFailures>(ended.error());
}

}  // namespace pbstoken
