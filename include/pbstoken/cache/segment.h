// SPDX-License-Identifier: BSD-3-Clause
// A segment as a table: finding facts and bindings, and storing them.
//
// Two kinds of the same build: one of secrets, and one of accounts, whose slots
// say what user.cfg says of a token.  A slot of a secret states two things. The
// *fact*, that a secret matches (or does not match) a stored hash, never goes
// stale.  The *binding*, that a token id has that stored hash, is in force only
// under the generation that the slot's check value covers.  A slot that is
// torn, swapped, copied or written late fits no digest and is a miss, in
// whatever order its words were stored.  Who knows no secret can still tell
// whether a slot is whole, and puts only whole ones in force again.
//
// Nothing here locks, waits or makes a system call.
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

// Only secrets of this many bytes are remembered as mismatches: a revoked
// generated secret has 36; what is shorter may be a person's password for
// something else, mistyped into the wrong prompt.
constexpr std::size_t kMinRememberedMismatch = 32;

// For an insert of a fact alone: no segment that is in use has this
// generation, since the first is kBorn.
constexpr std::uint64_t kNeverInForce = 0;

// HMAC-SHA-256, cut to its first 128 bits (RFC 2104, section 5).
using SlotDigest = std::array<std::uint64_t, 2>;
using Binding = SlotDigest;

// How large a segment is that has room for so many secrets, or accounts.
struct SegmentShape {
  std::uint64_t match_buckets = 0;
  std::uint64_t mismatch_buckets = 0;

  static SegmentShape for_slots(std::uint32_t slots,
                                Kind kind = Kind::kSecrets);
  // How many it has room for.
  [[nodiscard]] std::uint64_t slots() const;
  // In 64 bits, so that no machine takes another shape for one of its size.
  [[nodiscard]] std::uint64_t size() const;
};

// What a segment of this or a newer layout is about.
Subject subject_in(const SegmentPrefix &prefix);

// A reader's view.  Valid while the segment is attached; one thread.
class Segment {
 public:
  // Returns nullopt if what is attached there is no whole segment of this
  // layout version about this subject.
  static std::optional<Segment> open(const std::byte *address, std::size_t size,
                                     const Subject &subject);

  // Under what it was made.
  [[nodiscard]] SegmentOrigin origin() const;
  [[nodiscard]] std::uint64_t instance() const { return instance_; }

  // An acquire.
  [[nodiscard]] std::uint64_t generation() const;
  [[nodiscard]] bool generation_is_still(std::uint64_t generation) const;
  // Returns nullopt if there is none, or none that is whole.
  [[nodiscard]] std::optional<Stamp> stamp();
  [[nodiscard]] Binding binding_of(std::string_view token_id,
                                   std::string_view stored_hash) const;

  // What is known of this secret by a binding that is in force under
  // `generation`, which the caller loads again afterwards.
  [[nodiscard]] std::optional<Fact> find_in_force(
      std::string_view token_id, std::string_view secret,
      std::uint64_t generation) const;

  // The same under any generation, for a caller that has just read the stored
  // hash that `binding` was made of.
  [[nodiscard]] std::optional<Fact> find_fact(std::string_view token_id,
                                              std::string_view secret,
                                              const Binding &binding) const;

  // What user.cfg says of the token, in force under `generation`, which the
  // caller loads again afterwards.
  [[nodiscard]] std::optional<AccountVerdict> find_account(
      std::string_view token_id, std::uint64_t generation) const;

  // Whether anything is known about this token id, true or not.
  [[nodiscard]] bool has_slot(std::string_view token_id) const;

  [[nodiscard]] std::uint64_t slots() const { return shape_.slots(); }
  // Whether it was made, and another one was last tried, over a minute ago.
  [[nodiscard]] bool may_be_replaced(std::uint64_t now) const;
  [[nodiscard]] std::uint64_t slots_in_force(std::uint64_t generation) const;

 protected:
  Segment(const SegmentHeader *header, const SegmentShape &shape,
          const HmacKey &key)
      : header_(header),
        shape_(shape),
        key_(key),
        instance_(load_relaxed(&header->instance)) {}

  // A token id: what its digests begin with, and its tag.
  struct Name {
    HmacBeginning beginning;
    std::uint64_t tag;
  };
  [[nodiscard]] Name name_of(std::string_view token_id) const;
  // The buckets of a tag; never twice the same.
  template <typename T>
  using Buckets = std::array<T *, kHalves>;
  [[nodiscard]] Buckets<const Bucket> buckets(Fact part,
                                              std::uint64_t tag) const;
  [[nodiscard]] Buckets<const AccountBucket> account_buckets(
      std::uint64_t tag) const;
  [[nodiscard]] CheckedStamp checked(const Stamp &stamp) const;
  [[nodiscard]] SlotDigest check_of(Fact part, const Binding &binding,
                                    const SlotDigest &fact,
                                    std::uint64_t generation) const;
  // Whether the check value is right for the generation that the slot names.
  [[nodiscard]] bool is_whole(Fact part, const Slot &slot) const;

  const SegmentHeader *header_;
  SegmentShape shape_;  // the header's, checked once and copied
  HmacKey key_;
  std::uint64_t instance_;

 private:
  friend class WritableSegment;

  std::optional<CheckedStamp> verified_stamp_;  // the last one that was whole

  [[nodiscard]] std::optional<Fact> find(std::string_view token_id,
                                         std::string_view secret,
                                         const std::uint64_t *generation,
                                         const Binding *binding) const;
};

// A retired segment that a new one takes the place of, with the same key.
struct Predecessor {
  const Segment &segment;
  std::uint64_t last_generation;  // before it was retired
};

// A root process's view of a segment that is attached for writing.
class WritableSegment : public Segment {
 public:
  static std::optional<WritableSegment> open(std::byte *address,
                                             std::size_t size,
                                             const Subject &subject);

  // Writes header and key of a segment that is still all zero; its magic is
  // the last word to be stored, its generation is kBorn, or born_after() that
  // of a predecessor.  False without random bytes from the kernel.
  [[nodiscard]] static bool format(std::byte *address,
                                   const SegmentShape &shape,
                                   const Subject &subject,
                                   const SegmentOrigin &origin,
                                   const Predecessor *predecessor = nullptr);

  // Copies the slots of a predecessor.  None of them is in force here: each
  // names a generation below the one that this segment was born with.
  void take_over(const Segment &predecessor);

  // Sets out to make another one in its place.  False if it may not be replaced
  // yet, or another process was faster.
  [[nodiscard]] bool begin_replacement(std::uint64_t now);

  [[nodiscard]] Generation generation_words();

  void set_stamp(const Stamp &stamp);

  // Stores a fact and its binding, to be in force under `generation`.  May
  // push out another slot of the same buckets; one that is out of force first.
  void insert(Fact fact, std::string_view token_id, std::string_view secret,
              const Binding &binding, std::uint64_t generation);

  // Puts every slot of this token id whose binding is to this stored hash in
  // force under `generation`, and takes those of other stored hashes out.
  void rebind(std::string_view token_id, std::string_view stored_hash,
              std::uint64_t generation);

  // Stores what user.cfg says of a token; rebind: only if there is a slot for
  // it.
  void insert_account(std::string_view token_id, const AccountVerdict &verdict,
                      std::uint64_t generation);
  void rebind_account(std::string_view token_id, const AccountVerdict &verdict,
                      std::uint64_t generation);

 private:
  explicit WritableSegment(const Segment &view, std::byte *address)
      : Segment(view), address_(address) {}

  [[nodiscard]] SegmentHeader *header();
  // Whether a slot is in force, or about to be, by somebody who came after the
  // one who works under `generation`: he must not push it out.
  [[nodiscard]] bool is_later(std::uint64_t found,
                              std::uint64_t generation) const;
  [[nodiscard]] bool is_later_account(const AccountSlot &shared,
                                      const Name &name,
                                      std::uint64_t generation) const;
  template <typename T>
  [[nodiscard]] Buckets<T> writable(const Buckets<const T> &buckets);
  // The number that bindings have that are in force, or were until a claim.
  [[nodiscard]] std::uint64_t last_in_force() const;
  void store_account(AccountSlot *slot, const Name &name,
                     const AccountVerdict &verdict, std::uint64_t generation);

  std::byte *address_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SEGMENT_H_
