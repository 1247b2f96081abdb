// SPDX-License-Identifier: BSD-3-Clause
// The generation word: which bindings are in force.
//
// 64 bits that only grow.  A multiple of 4: the bindings written under this
// number are in force.  1 more (2 more counts as that): a writer has claimed
// it; 3 more: a re-reader has, or the maker of a new segment; then none is in
// force.  The rules, which were explored with a model checker (each of them,
// bent or left out, accepts a revoked secret or makes somebody wait):
//
//  1. Whoever changes bindings first claims, by compare-and-swap, the next
//     number of its own kind (1 or 3 modulo 4) above the present one, and ends
//     with a compare-and-swap from its number to the next multiple of 4.  A
//     re-reader stores slots and stamp, made for that multiple, before this,
//     the stamp only while the word is still its own; if the swap fails it
//     touches nothing more.  No number is used twice.  A writer stores no slot
//     and no stamp under its own claim.
//  2. A segment's lock is that of its file (file_lock.h), and the header names
//     its inode; a process that holds another one may only retire the segment.
//     From a number in force, or from a re-reader's that has had its time, any
//     root process may claim as a re-reader, without the lock; from a writer's
//     number only a holder of the lock may.  A claim as a writer is made under
//     the lock, and then from any number at once.  A re-reader's time stands in
//     a note beside the word: low bits of the number that it claims, doublings,
//     CLOCK_BOOTTIME in ms.  A process that finds a re-reader's number whose
//     note is of another number or in the future sets the note to this number
//     and now, keeps the doublings, and goes on without the cache; one that
//     finds it younger than 50 ms times 2^doublings (10 s at most) goes on
//     without; else it claims, doublings + 1.  Safety does not depend on the
//     note, and nobody waits.
//     Writers wait for the lock; everyone else tries once.
//  3. A segment is made, replaced and retired under that lock too, and is born
//     claimed.  Its magic is stored last, and without it nobody uses the
//     segment; a writer looks segments up after it has the lock.  Whoever holds
//     the lock and finds a writer's number raises upstream's word
//     (version_word.h) before it claims or retires: a debt of the dead is paid
//     first.  Retired is the generation 2^64-1.
//  4. A writer claims; renames; raises upstream's word; ends; syncs the
//     directory.  It does not touch the stamp.  Right before the rename it
//     looks once more that the lock's path is its descriptor's inode.  A
//     re-reader opens the file once to see that it can, then claims, then reads
//     the clock, then opens it relative to the same directory descriptor,
//     fstats and reads it; its stamp is that time and that identity.  One that
//     cannot read it after all ends its claim with nothing bound and no stamp.
//  5. An insert carries the instance and the generation in force that were
//     loaded before the file was opened, and was read of the file that the
//     stamp names; inserts, renewals and ends compare the instance in the
//     attachment that they write to.
//  6. Nobody changes for others what it has not seen through the segment's own
//     view (subject.h).  Before every claim and renewal, in the same call, a
//     process opens the file's directory, finds device and inode to be the
//     header's, and opens the file (O_PATH for a look) with
//     openat2(RESOLVE_NO_XDEV) from that descriptor and nothing else; no file
//     is an identity too.  On any other error a re-reader or a renewing process
//     goes without, and a writer retires the segment instead of claiming.
//
// Claims are sequentially consistent.  A reader's first load of the word is an
// acquire, its second comes after an acquire fence.
#ifndef PBSTOKEN_GENERATION_H_
#define PBSTOKEN_GENERATION_H_

#include <cstdint>
#include <optional>

#include "pbstoken/os/ipc.h"
#include "pbstoken/store/file_lock.h"

namespace pbstoken {

constexpr std::uint64_t kRetired = UINT64_MAX;
// Of a new segment: claimed by its maker, who never ends it; rule 2 does.
constexpr std::uint64_t kBorn = 3;

// The last number to claim from; beyond it the word would meet kRetired.  Only
// a hostile word gets there, and then the segment is as good as retired.
constexpr std::uint64_t kLastGeneration = kRetired - 16;

constexpr bool is_in_force(std::uint64_t generation) {
  return generation % 4 == 0 && generation <= kLastGeneration;
}
constexpr bool is_writers(std::uint64_t generation) {
  return (generation % 4 == 1 || generation % 4 == 2) &&
         generation <= kLastGeneration;
}
// The number that the claim of this one ends with.
constexpr std::uint64_t next_in_force(std::uint64_t claimed) {
  return claimed - claimed % 4 + 4;
}

// Of a new segment that takes over the slots of one that is retired, whose last
// number was this: claimed by its maker, and above all that slots may name.
constexpr std::uint64_t born_after(std::uint64_t last) {
  return next_in_force(last) + kBorn;
}

// The note of a re-reader's number that had its time long ago.
std::uint64_t spent_note(std::uint64_t number);

// The word, and the note of rule 2 beside it.
struct Generation {
  std::uint64_t *word;
  std::uint64_t *note;
};

// A number of one's own.  Dropped without end(), it is a death in the middle:
// no binding is in force until somebody claims the next one.
class GenerationClaim {
 public:
  // Rule 2; lock: null, or the segment's.  Returns nullopt if the number is not
  // to be had: somebody was faster or has time left, it is a writer's and there
  // is no lock, the segment is retired, or there is no clock.
  static std::optional<GenerationClaim> as_rereader(const Generation &words,
                                                    const FileLock *lock);

  // Returns nullopt only if the segment is retired.
  static std::optional<GenerationClaim> as_writer(const Generation &words,
                                                  const FileLock &lock);

  // The generation that end() puts in force.
  [[nodiscard]] std::uint64_t next() const { return next_in_force(number_); }

  // Whether nobody has taken over so far.
  [[nodiscard]] bool is_ours() const { return load_acquire(word_) == number_; }

  // Rule 1.  False if somebody took over: nothing is in force by our doing.
  bool end() { return compare_and_swap(word_, number_, next()); }

 private:
  GenerationClaim(std::uint64_t *word, std::uint64_t number)
      : word_(word), number_(number) {}

  std::uint64_t *word_;
  std::uint64_t number_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_GENERATION_H_
