// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/hmac.h"

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

// The state has the last bytes of the message in clear.
void finish(SHA256_CTX *state, Digest *out_digest) {
  static_assert(sizeof(Digest) == SHA256_DIGEST_LENGTH);
  SHA256_Final(reinterpret_cast<unsigned char *>(out_digest->data()), state);
  wipe(state, sizeof(*state));
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

Digest HmacKey::inner_digest_of(std::span<const unsigned char> head,
                                std::span<const std::string_view> texts) const {
  Digest digest{};
  SHA256_CTX state = inner_;
  SHA256_Update(&state, head.data(), head.size());
  for (const std::string_view text : texts) {
    SHA256_Update(&state, text.data(), text.size());
  }
  finish(&state, &digest);
  return digest;
}

Digest HmacKey::digest_of(std::span<const unsigned char> head,
                          std::span<const std::string_view> texts) const {
  Digest digest = inner_digest_of(head, texts);
  SHA256_CTX state = outer_;
  SHA256_Update(&state, digest.data(), sizeof(digest));
  finish(&state, &digest);
  return digest;
}

}  // namespace pbstoken
