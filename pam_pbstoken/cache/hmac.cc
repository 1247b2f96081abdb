// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/hmac.h"

#include "pbstoken/base/text.h"
#include "pbstoken/base/wipe.h"

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

void finish_hash(SHA256_CTX *state, Digest *out_digest) {
  static_assert(sizeof(Digest) == SHA256_DIGEST_LENGTH);
  SHA256_Final(reinterpret_cast<unsigned char *>(out_digest->data()), state);
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

Digest HmacKey::finish(SHA256_CTX inner, std::span<const unsigned char> head,
                       std::string_view text) const {
  Digest digest{};
  SHA256_Update(&inner, head.data(), head.size());
  SHA256_Update(&inner, text.data(), text.size());
  finish_hash(&inner, &digest);
  // The state has had the text in clear.
  wipe(&inner, sizeof(inner));
  SHA256_CTX outer = outer_;
  SHA256_Update(&outer, digest.data(), sizeof(digest));
  finish_hash(&outer, &digest);
  return digest;
}

HmacBeginning::HmacBeginning(const HmacKey &key, char label,
                             std::string_view text)
    : key_(key), inner_(key.inner_) {
  const std::uint64_t length = text.size();
  constexpr std::size_t kRoom = SHA256_CBLOCK - sizeof(label) - sizeof(length);
  const std::string_view begin = slice(text, 0, kRoom);
  const std::string_view rest = slice(text, kRoom);
  // One call takes the whole block, which holds all of an id of usual length.
  std::array<unsigned char, SHA256_CBLOCK> block{};
  block[0] = static_cast<unsigned char>(label);
  std::memcpy(&block[sizeof(label)], &length, sizeof(length));
  if (!begin.empty()) {
    std::memcpy(&block[SHA256_CBLOCK - kRoom], begin.data(), begin.size());
  }
  SHA256_Update(&inner_, block.data(), block.size());
  SHA256_Update(&inner_, rest.data(), rest.size());
  block = {};
  SHA256_Update(&inner_, block.data(),
                (block.size() - rest.size() % block.size()) % block.size());
}

std::array<std::uint64_t, 2> HmacBeginning::state() const {
  std::array<std::uint64_t, 2> words{};
  static_assert(sizeof(words) <= sizeof(inner_.h));
  std::memcpy(words.data(), inner_.h, sizeof(words));
  return words;
}

}  // namespace pbstoken
