// SPDX-License-Identifier: BSD-3-Clause
// The layout of a segment: what stands where.
//
// A segment holds numbers, digests and the HMAC key of the digests.  It holds
// no pointer, no lock, no secret and no stored hash.  A process that may read
// it may also read token.shadow, or ask the helper about it.  It can test a
// guess of a secret by the digests, which is faster than by the password hash.
//
// All words are in the machine's byte order, and are read and written as 8
// bytes at once.  Any byte may be hostile: readers copy, then judge the copy.
// Any thread may use the constants.
#ifndef PBSTOKEN_SEGMENT_LAYOUT_H_
#define PBSTOKEN_SEGMENT_LAYOUT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/hmac.h"

namespace pbstoken {

// The first word of a segment that is whole.
constexpr std::uint64_t kSegmentMagic = 0x6e656b6f74736270;  // "pbstoken"
// The version of all that follows the prefix.
constexpr std::uint64_t kLayoutVersion = 4;

// The first 64 bytes.  They mean the same in this and in every later version,
// so that any version can tell what a segment is about, and retire it.
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

// When the file was last found unchanged, and with which identity.  A stamp
// counts only whole: a keyed digest covers all words and the instance, so a
// stamp that two processes wrote at the same time does not count.  It counts
// only for the generation that it was made for.
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

// A stamp and its keyed digest.
struct CheckedStamp {
  Stamp stamp;
  std::array<std::uint64_t, 2> check;

  bool operator==(const CheckedStamp &) const = default;
};

// A copy of the term of the file's lease.  It counts only whole: a keyed digest
// covers it and the instance.
struct CheckedLease {
  std::uint64_t term;  // see pack() in lease.h
  std::array<std::uint64_t, 2> check;

  bool operator==(const CheckedLease &) const = default;
};

// The conditions under which a segment was made.
struct SegmentOrigin {
  std::uint64_t lock_device;
  std::uint64_t lock_inode;
  std::uint64_t time_namespace;  // its inode; CLOCK_BOOTTIME differs in others
  std::uint64_t readers;         // the gid; the mode above its 32 bits

  bool operator==(const SegmentOrigin &) const = default;
};

// The header: prefix, key and stamp.
struct SegmentHeader {
  SegmentPrefix prefix;
  std::uint64_t note;           // of a re-reader, see generation.h
  std::uint64_t instance;       // random: ids and keys repeat elsewhere
  std::uint64_t match_buckets;  // in a segment of accounts: all buckets
  std::uint64_t mismatch_buckets;
  HmacKeyBytes key;  // random, made with the segment
  SegmentOrigin origin;
  // CLOCK_BOOTTIME in ns when it was made, or when a process last set out to
  // make another one in its place.
  std::uint64_t sized;
  // Zeros without a lease, and from modules that know of none.
  CheckedLease lease;
  CheckedStamp stamp;  // it has a cache line of its own
};
static_assert(offsetof(SegmentHeader, note) == 64);
static_assert(offsetof(SegmentHeader, stamp) == 192);

// One verified secret, or one known mismatch.  It fills a cache line.
struct Slot {
  // Comes from a keyed hash of the token id; 0: the slot was never used.
  std::uint64_t tag;
  // The generation under which the binding was written.
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

// The places of a token id: any slot of two buckets, which its tag names.  A
// part of the segment has two halves of as many buckets; one of the two buckets
// is in each half.
constexpr std::size_t kWays = 8;
constexpr std::size_t kHalves = 2;
using Bucket = std::array<Slot, kWays>;
using AccountBucket = std::array<AccountSlot, kWays>;

// A part has three slots for two tokens.  A new token goes to the emptier of
// its buckets.  Then, with one token for each slot promised, a token finds both
// full less than once in a hundred million, however large the part is.  The
// figures were simulated: with 11 slots for 8 tokens it is once in six million,
// with 5 for 4 once in 27,000, with 1 for 1 once in 26.
constexpr std::uint64_t kRoomNumerator = 3;
constexpr std::uint64_t kRoomDenominator = 2;

// The offset in bytes where the matches' buckets begin, or the accounts'.  The
// mismatches' buckets follow those of the matches.
constexpr std::size_t kSlotsOffset = 4096;
static_assert(sizeof(SegmentHeader) <= kSlotsOffset);

// The size in bytes of the record of use (limits/use.h).  No segment of this
// layout has it, so that what members write there is never taken for a segment.
constexpr std::size_t kUseRecordSize = 4202560;
static_assert((kUseRecordSize - kSlotsOffset) % sizeof(Bucket) != 0);

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_LAYOUT_H_
