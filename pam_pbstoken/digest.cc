// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/hmac.h"

#include <cstring>

#include "pbstoken/wipe.h"

namespace pbstoken {

namespace {

constexpr unsigned char kInnerPad = 0x36;
constexpr unsigned char kOuterPad = 0x5c;

// SHA256_Init, _Update and _Final return 1 always: they have no way to fail.
void start(SHA256_CTX *state, const HmacKeyBytes &key, unsigned char pad) {
  std::array<unsigned char, SHA256_CBLOCK> block{};
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) {
    block[i] ^= key[i];
  }
  SHA256_Init(state);
  SHA256_Update(state, block.data(), block.size());
  wipe(block.data(), block.size());
}

}  // namespace

HmacKey::HmacKey(const HmacKeyBytes &key) {
  start(&inner_, key, kInnerPad);
  start(&outer_, key, kOuterPad);
}

HmacKey::~HmacKey() {
  wipe(&inner_, sizeof(inner_));
  wipe(&outer_, sizeof(outer_));
}

Hmac::Hmac(const HmacKey &key, char label) : key_(key), state_(key.inner_) {
  SHA256_Update(&state_, &label, sizeof(label));
}

// The state has the last bytes of the message in clear.
Hmac::~Hmac() {
  wipe(&state_, sizeof(state_));
}

Hmac &Hmac::add(std::string_view field) {
  const std::uint64_t size = field.size();
  SHA256_Update(&state_, &size, sizeof(size));
  SHA256_Update(&state_, field.data(), field.size());
  return *this;
}

Hmac &Hmac::add(std::span<const std::uint64_t> numbers) {
  SHA256_Update(&state_, numbers.data(), numbers.size_bytes());
  return *this;
}

Digest Hmac::finish() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
  SHA256_Final(bytes.data(), &state_);
  state_ = key_.outer_;
  SHA256_Update(&state_, bytes.data(), bytes.size());
  SHA256_Final(bytes.data(), &state_);
  Digest digest{};
  static_assert(sizeof(digest) == sizeof(bytes));
  std::memcpy(digest.data(), bytes.data(), bytes.size());
  return digest;
}

}  // namespace pbstoken
