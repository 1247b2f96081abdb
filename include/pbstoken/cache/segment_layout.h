// SPDX-License-Identifier: BSD-3-Clause
// What stands where in the segment.
//
// Numbers and digests only: no pointer, no lock, no secret, no stored hash.
// All words are in the machine's order and are read and written as 8 bytes at
// once.  Any byte may be hostile: readers copy, then judge the copy.
#ifndef PBSTOKEN_SEGMENT_LAYOUT_H_
#define PBSTOKEN_SEGMENT_LAYOUT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/hmac.h"

namespace pbstoken {

constexpr std::uint64_t kSegmentMagic = 0x6e656b6f74736270;  // "pbstoken"
constexpr std::uint64_t kLayoutVersion = 4;

// These 64 bytes mean the same in this and in every later version, so that any
// version can tell whose segment it is, and retire it.
struct SegmentPrefix {
  std::uint64_t magic;  // stored last by the maker
  std::uint64_t layout_version;
  std::uint64_t generation;  // see generation.h
  std::uint64_t size;        // of the segment in bytes
  // What it is about: Subject, a word each.
  std::uint64_t kind;
  std::uint64_t directory_device;
  std::uint64_t directory_inode;
  std::uint64_t name;
};
static_assert(sizeof(SegmentPrefix) == 64);

// When the file was last found unchanged, and as what.  It counts only whole:
// a keyed digest covers all words and the instance, so one that two processes
// wrote at the same time is none; and only for the generation that it was made
// for.
struct Stamp {
  std::uint64_t generation;
  std::uint64_t time;  // CLOCK_BOOTTIME in ns
  // FileIdentity, a word each; all zero: there was no such file.
  std::uint64_t device;
  std::uint64_t inode;
  std::uint64_t size;
  std::uint64_t modified;
  std::uint64_t changed;
  // CLOCK_BOOTTIME after the look that first gave this identity.
  std::uint64_t first_seen;

  bool operator==(const Stamp &) const = default;
};

struct CheckedStamp {
  Stamp stamp;
  std::array<std::uint64_t, 2> check;

  bool operator==(const CheckedStamp &) const = default;
};

// Under what a segment was made.
struct SegmentOrigin {
  std::uint64_t lock_device;
  std::uint64_t lock_inode;
  std::uint64_t time_namespace;  // its inode; CLOCK_BOOTTIME differs in others
  std::uint64_t readers;         // the gid, and above it the mode

  bool operator==(const SegmentOrigin &) const = default;
};

struct SegmentHeader {
  SegmentPrefix prefix;
  std::uint64_t note;           // of a re-reader, see generation.h
  std::uint64_t instance;       // random: ids and keys repeat elsewhere
  std::uint64_t match_buckets;  // of an accounts segment: all there are
  std::uint64_t mismatch_buckets;
  HmacKeyBytes key;  // random, made with the segment
  SegmentOrigin origin;
  // CLOCK_BOOTTIME in ns when it was made, or when a process last set out to
  // make another one in its place.
  std::uint64_t sized;
  std::array<std::uint64_t, 3> unused;  // the stamp has a cache line of its own
  CheckedStamp stamp;
};
static_assert(offsetof(SegmentHeader, note) == 64);
static_assert(offsetof(SegmentHeader, stamp) == 192);

// One verified secret, or one known mismatch: a cache line.
struct Slot {
  // From a keyed hash of the token id; 0: the slot was never used.
  std::uint64_t tag;
  // Under which generation the binding was written.
  std::uint64_t generation;
  // Digest of (token id, stored hash).
  std::array<std::uint64_t, 2> binding;
  // Digest of (verdict, token id, binding, secret).
  std::array<std::uint64_t, 2> fact;
  // Digest of (verdict, binding, fact, generation).
  std::array<std::uint64_t, 2> check;
};
static_assert(sizeof(Slot) == 64);

// What user.cfg says of a token.
struct AccountSlot {
  std::uint64_t tag;  // as above
  std::uint64_t generation;
  std::uint64_t status;  // AccountStatus
  std::uint64_t
      expires;  // of an allowed one: seconds since the epoch; 0: never
  // Digest of all that and the token id.
  std::array<std::uint64_t, 4> check;
};
static_assert(sizeof(AccountSlot) == sizeof(Slot));

// A token id may stand in any slot of two buckets, and its tag says which.  A
// part of the segment has two halves of as many buckets; one of the two is in
// each.
constexpr std::size_t kWays = 8;
constexpr std::size_t kHalves = 2;
using Bucket = std::array<Slot, kWays>;
using AccountBucket = std::array<AccountSlot, kWays>;

// A part has three slots for two tokens.  A new token goes to the emptier of
// its buckets.  Then, with one token for each slot promised, a token finds both
// full less than once in a hundred million, however large the part is
// (simulated; with 11 slots for 8 tokens once in six million, with 5 for 4 once
// in 27,000, with 1 for 1 once in 26).
constexpr std::uint64_t kRoomNumerator = 3;
constexpr std::uint64_t kRoomDenominator = 2;

// The matches' buckets begin here, and the mismatches' follow them; or the
// accounts'.
constexpr std::size_t kSlotsOffset = 4096;
static_assert(sizeof(SegmentHeader) <= kSlotsOffset);

// That of the record of use (limits/use.h), in bytes: no segment of this layout
// has it, so that what members write there is never taken for one.
constexpr std::size_t kUseRecordSize = 4202560;
static_assert((kUseRecordSize - kSlotsOffset) % sizeof(Bucket) != 0);

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_LAYOUT_H_
