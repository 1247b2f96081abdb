// SPDX-License-Identifier: BSD-3-Clause
// A segment as a root process makes and writes it.
//
// Thread safety: one thread per object; other processes may write the segment
// at any time.  No function here locks, waits or makes a system call, except
// format(), which asks the kernel for random bytes.
#ifndef PBSTOKEN_WRITABLE_SEGMENT_H_
#define PBSTOKEN_WRITABLE_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/cache/segment.h"

namespace pbstoken {

// A retired segment that a new one replaces, with the same HMAC key.
struct Predecessor {
  const Segment &segment;
  std::uint64_t last_generation;  // before it was retired
};

// A root process's view of a segment that is attached for writing.
class WritableSegment : public Segment {
 public:
  // Does what Segment::open() does.
  static std::optional<WritableSegment> open(std::byte *address,
                                             std::size_t size,
                                             const Subject &subject);

  // Writes header and HMAC key of a segment that is still all zero.  It stores
  // the magic last.  The generation becomes kBorn.  With a predecessor it
  // becomes born_after() the last one of that segment, and the key is the same.
  // Returns false if the kernel gives no random bytes.
  [[nodiscard]] static bool format(std::byte *address,
                                   const SegmentShape &shape,
                                   const Subject &subject,
                                   const SegmentOrigin &origin,
                                   const Predecessor *predecessor = nullptr);

  // Copies the slots of a predecessor.  No copy is in force here: each names a
  // generation below the one that this segment was born with.
  void take_over(const Segment &predecessor);

  // Registers that this process sets out to make another segment in this one's
  // place.  now: CLOCK_BOOTTIME in ns.  Returns false if the segment may not be
  // replaced yet, or if another process was faster.
  [[nodiscard]] bool begin_replacement(std::uint64_t now);

  // Returns the generation word and its note, for GenerationClaim.
  [[nodiscard]] Generation generation_words();

  // Stores the stamp, with a digest over all of its words.
  void set_stamp(const Stamp &stamp);

  // Stores the word of the term of the file's lease.  Has no effect if the
  // segment has a later one.  The caller holds the lock of token.shadow, and
  // shares the clock of the segment's maker.
  void set_lease(std::uint64_t term);

  // Stores a fact and its binding, to be in force under `generation`.  May push
  // out another slot of the same buckets; a slot that is out of force goes
  // first.  Has no effect if a later process has stored this token.
  void insert(Fact fact, std::string_view token_id, std::string_view secret,
              const Binding &binding, std::uint64_t generation);

  // Puts every slot that binds this token id to this stored hash in force under
  // `generation`.  Takes slots that bind it to other stored hashes out of
  // force.
  void rebind(std::string_view token_id, std::string_view stored_hash,
              std::uint64_t generation);

  // Stores what user.cfg says of a token.
  void insert_account(std::string_view token_id, const AccountVerdict &verdict,
                      std::uint64_t generation);

  // Does what insert_account() does, if there is a slot for the token.
  void rebind_account(std::string_view token_id, const AccountVerdict &verdict,
                      std::uint64_t generation);

 private:
  explicit WritableSegment(const Segment &view, std::byte *address)
      : Segment(view), address_(address) {}

  [[nodiscard]] SegmentHeader *header();
  // True if a process that came after the one that works under `generation` has
  // put a slot in force, or is about to.  The earlier process must not push it
  // out.
  [[nodiscard]] bool is_later(std::uint64_t found,
                              std::uint64_t generation) const;
  [[nodiscard]] bool is_later_account(const AccountSlot &shared,
                                      const Name &name,
                                      std::uint64_t generation) const;
  template <typename T>
  [[nodiscard]] Buckets<T> writable(const Buckets<const T> &buckets);
  // Returns the number of the bindings that are in force, or were until a
  // claim.
  [[nodiscard]] std::uint64_t last_in_force() const;
  void store_account(AccountSlot *slot, const Name &name,
                     const AccountVerdict &verdict, std::uint64_t generation);

  std::byte *address_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_WRITABLE_SEGMENT_H_
