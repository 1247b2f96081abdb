// SPDX-License-Identifier: BSD-3-Clause
// A segment as a table of facts and bindings, for a process that reads it; see
// writable_segment.h for one that writes it.
//
// There are two kinds of segment, built alike.  The slots of one say which
// secrets match.  The slots of the other say what user.cfg says of a token: its
// account.  A slot of a secret states two things:
//   - The *fact*: a secret matches (or does not match) a stored hash.  A fact
//     never goes stale.
//   - The *binding*: a token id has that stored hash.  A binding is in force
//     only under the generation that the slot's check value covers.
// A slot that is torn, swapped, copied or written late fits no digest and is a
// miss, in whatever order its words were stored.  A process that knows no
// secret can still tell whether a slot is whole, and puts only whole slots in
// force again.
//
// Thread safety: one thread per object; other processes may write the segment
// at any time.  No function here locks, waits or makes a system call.
#ifndef PBSTOKEN_SEGMENT_H_
#define PBSTOKEN_SEGMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/hmac.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/store/account_verdict.h"
#include "pbstoken/store/stored_hash.h"

namespace pbstoken {

// The least size in bytes of a secret that is remembered as a mismatch.  A
// generated secret has 36 bytes, and may be a revoked one.  A shorter secret
// may be a person's password for something else, mistyped into the wrong
// prompt.
constexpr std::size_t kMinRememberedMismatch = 32;

// The generation for an insert of a fact alone.  No segment that is in use has
// this generation, since the first one is kBorn.
constexpr std::uint64_t kNeverInForce = 0;

// An HMAC-SHA-256, cut to its first 128 bits (RFC 2104, section 5).
using SlotDigest = std::array<std::uint64_t, 2>;
// The digest that stands for a binding.
using Binding = SlotDigest;

// How many buckets a segment has, and with them its size.
struct SegmentShape {
  std::uint64_t match_buckets = 0;
  std::uint64_t mismatch_buckets = 0;

  // Returns the shape of a segment that has room for `slots` secrets, or
  // accounts.
  static SegmentShape for_slots(std::uint32_t slots,
                                Kind kind = Kind::kSecrets);
  // Returns how many secrets, or accounts, it has room for.
  [[nodiscard]] std::uint64_t slots() const;
  // Returns the size in bytes.  The sum has 64 bits, so that no machine takes
  // another shape for one of its size.
  [[nodiscard]] std::uint64_t size() const;
};

// Returns what a segment of this or a newer layout is about.
Subject subject_in(const SegmentPrefix &prefix);

// A reader's view of a segment.  It is valid while the segment is attached.
// One thread per object.
class Segment {
 public:
  // Opens the `size` bytes that are attached at `address`.  Returns nullopt if
  // they are not a whole segment of this layout version about this subject.
  static std::optional<Segment> open(const std::byte *address, std::size_t size,
                                     const Subject &subject);

  // Returns the conditions under which the segment was made.
  [[nodiscard]] SegmentOrigin origin() const;
  // Returns the random number that tells this segment from every other one.
  [[nodiscard]] std::uint64_t instance() const { return instance_; }

  // Returns the generation word.  The load is an acquire.
  [[nodiscard]] std::uint64_t generation() const;
  // True if the word is still `generation`.  An acquire fence stands before the
  // load.
  [[nodiscard]] bool generation_is_still(std::uint64_t generation) const;
  // Returns the stamp; nullopt if the segment has no stamp that is whole.
  [[nodiscard]] std::optional<Stamp> stamp();
  // Returns the word of the term of the file's lease, see lease.h; nullopt if
  // the segment has no copy of the lease that is whole.  The caller loads the
  // generation again afterwards.
  [[nodiscard]] std::optional<std::uint64_t> lease();
  // Returns the digest of a token id and its stored hash.
  [[nodiscard]] Binding binding_of(std::string_view token_id,
                                   std::string_view stored_hash) const;

  // Returns what is known of this secret by a binding that is in force under
  // `generation`; nullopt if the segment does not know.  The caller loads the
  // generation again afterwards.
  [[nodiscard]] std::optional<Fact> find_in_force(
      std::string_view token_id, std::string_view secret,
      std::uint64_t generation) const;

  // Does the same under any generation.  It is for a caller that has just read
  // the stored hash that `binding` was made of.
  [[nodiscard]] std::optional<Fact> find_fact(std::string_view token_id,
                                              std::string_view secret,
                                              const Binding &binding) const;

  // Returns what user.cfg says of the token, in force under `generation`;
  // nullopt if the segment does not know.  The caller loads the generation
  // again afterwards.
  [[nodiscard]] std::optional<AccountVerdict> find_account(
      std::string_view token_id, std::uint64_t generation) const;

  // True if a slot has the tag of this token id, whatever the slot says, and
  // whether it is in force or not.
  [[nodiscard]] bool has_slot(std::string_view token_id) const;

  // Returns how many secrets, or accounts, it has room for.
  [[nodiscard]] std::uint64_t slots() const { return shape_.slots(); }
  // True if the segment was made, and the last attempt to replace it began, a
  // minute ago or longer.  now: CLOCK_BOOTTIME in ns.
  [[nodiscard]] bool may_be_replaced(std::uint64_t now) const;
  // Returns how many slots of matches, or accounts, name `generation`.
  [[nodiscard]] std::uint64_t slots_in_force(std::uint64_t generation) const;

 protected:
  Segment(const SegmentHeader *header, const SegmentShape &shape,
          const HmacKey &key)
      : header_(header),
        shape_(shape),
        key_(key),
        instance_(load_relaxed(&header->instance)) {}

  // What a token id gives: the beginning of its digests, and its tag.
  struct Name {
    HmacBeginning beginning;
    std::uint64_t tag;
  };
  // Returns what a token id gives under the segment's HMAC key.
  [[nodiscard]] Name name_of(std::string_view token_id) const;
  // The buckets of a tag, which are never the same one twice.
  template <typename T>
  using Buckets = std::array<T *, kHalves>;
  // Returns the two buckets of a tag in a part; below, those of accounts.
  [[nodiscard]] Buckets<const Bucket> buckets(Fact part,
                                              std::uint64_t tag) const;
  [[nodiscard]] Buckets<const AccountBucket> account_buckets(
      std::uint64_t tag) const;
  // Returns a stamp with its digest.
  [[nodiscard]] CheckedStamp checked(const Stamp &stamp) const;
  // Returns the copy of a lease with its digest.
  [[nodiscard]] CheckedLease checked_lease(std::uint64_t term) const;
  // Returns the check value of a slot that says this.
  [[nodiscard]] SlotDigest check_of(Fact part, const Binding &binding,
                                    const SlotDigest &fact,
                                    std::uint64_t generation) const;
  // True if the check value is right for the generation that the slot names.
  [[nodiscard]] bool is_whole(Fact part, const Slot &slot) const;

  const SegmentHeader *header_;
  SegmentShape shape_;  // the header's, checked once and copied
  HmacKey key_;
  std::uint64_t instance_;

 private:
  friend class WritableSegment;

  // The last ones that were whole.
  std::optional<CheckedStamp> verified_stamp_;
  std::optional<CheckedLease> verified_lease_;

  [[nodiscard]] std::optional<Fact> find(std::string_view token_id,
                                         std::string_view secret,
                                         const std::uint64_t *generation,
                                         const Binding *binding) const;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_H_
