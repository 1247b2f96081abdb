// SPDX-License-Identifier: BSD-3-Clause
// The slots of a segment: how their words are loaded and stored, and what their
// digests are made of.
//
// A process loads a slot word by word, and judges and stores its copy: another
// process may store the same slot at any time.
#ifndef PBSTOKEN_SLOTS_H_
#define PBSTOKEN_SLOTS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "pbstoken/cache/hmac.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/cache/segment_layout.h"

namespace pbstoken {

// --- words

inline SlotDigest load_digest(const SlotDigest &shared) {
  return {load_relaxed(&shared[0]), load_relaxed(&shared[1])};
}

inline void store_digest(SlotDigest *shared, const SlotDigest &value) {
  store_relaxed(&(*shared)[0], value[0]);
  store_relaxed(&(*shared)[1], value[1]);
}

// Returns the first 128 bits.
inline SlotDigest cut(const Digest &digest) {
  return {digest[0], digest[1]};
}

inline Slot load_slot(const Slot &slot) {
  return {.tag = load_relaxed(&slot.tag),
          .generation = load_relaxed(&slot.generation),
          .binding = load_digest(slot.binding),
          .fact = load_digest(slot.fact),
          .check = load_digest(slot.check)};
}

// Stores all words from a copy that was judged as a whole.  What another
// process stores at the same time mixes with them to a slot that fits no
// digest: order C of generation.h.
inline void store_slot(Slot *slot, const Slot &value) {
  store_relaxed(&slot->tag, value.tag);
  store_relaxed(&slot->generation, value.generation);
  store_digest(&slot->binding, value.binding);
  store_digest(&slot->fact, value.fact);
  store_digest(&slot->check, value.check);
}

// Slots fill from the front, and no slot is ever emptied: behind the first one
// that was never used there is nothing to find.
template <typename Slots>
auto used(Slots &bucket) {
  std::size_t count = 0;
  while (count < kWays && load_relaxed(&bucket[count].tag) != 0) {
    ++count;
  }
  return std::span(bucket).first(count);
}

inline AccountSlot load_account(const AccountSlot &slot) {
  return {
      .tag = load_relaxed(&slot.tag),
      .generation = load_relaxed(&slot.generation),
      .status = load_relaxed(&slot.status),
      .expires = load_relaxed(&slot.expires),
      .check = {load_relaxed(&slot.check[0]), load_relaxed(&slot.check[1]),
                load_relaxed(&slot.check[2]), load_relaxed(&slot.check[3])}};
}

// Compares in a time that does not depend on the words.
inline bool same(const SlotDigest &a, const SlotDigest &b) {
  return CRYPTO_memcmp(a.data(), b.data(), sizeof(a)) == 0;
}

// --- digests

// Labels of the digests: one key, several uses.
constexpr char kNameLabel = 'n';  // what those of a token id begin with
constexpr char kBindingLabel = 'b';
constexpr char kMatchLabel = 'm';
constexpr char kMismatchLabel = 'x';
constexpr char kMatchCheckLabel = 'M';
constexpr char kMismatchCheckLabel = 'X';
constexpr char kStampLabel = 's';
constexpr char kAccountLabel = 'a';
constexpr char kLeaseLabel = 'l';
constexpr std::array kLabels = {
    kNameLabel,     kBindingLabel,    kMatchLabel,
    kMismatchLabel, kMatchCheckLabel, kMismatchCheckLabel,
    kStampLabel,    kAccountLabel,    kLeaseLabel};
static_assert([] {
  auto labels = kLabels;
  std::sort(labels.begin(), labels.end());
  return std::adjacent_find(labels.begin(), labels.end()) == labels.end();
}());

constexpr std::array<std::uint64_t, 0> kNoNumbers = {};

inline Binding binding_to(const HmacBeginning &id,
                          std::string_view stored_hash) {
  return cut(id.digest_of(kBindingLabel, kNoNumbers, stored_hash));
}

inline SlotDigest fact_of(const HmacBeginning &id, Fact part,
                          const Binding &binding, std::string_view secret) {
  // A generated secret has 36 bytes: with its head it fills no more than one
  // block.
  const char label = part == Fact::kMatch ? kMatchLabel : kMismatchLabel;
  return cut(id.digest_of(label, binding, secret));
}

inline Digest account_check(const HmacBeginning &id, const AccountSlot &slot) {
  return id.digest_of(kAccountLabel, std::array{slot.tag, slot.generation,
                                                slot.status, slot.expires});
}

}  // namespace pbstoken

#endif  // PBSTOKEN_SLOTS_H_
