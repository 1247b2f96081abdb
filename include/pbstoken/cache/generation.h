// SPDX-License-Identifier: BSD-3-Clause
// The generation word: which bindings are in force.
//
// 64 bits that only grow.  Even: the bindings written under this number are in
// force.  Odd: none is.  The rules, which were explored with a model checker
// (each of them, bent or left out, accepts a revoked secret):
//
//  1. Whoever changes bindings first claims an odd number of its own by
//     compare-and-swap, from even g to g+1 or from another's odd o to o+2, and
//     ends with a compare-and-swap from its odd number to the next even one;
//     if that fails it leaves word and stamp alone.  No number is used twice.
//  2. From even, any root process may claim.  From odd only a holder of the
//     store's lock may: the former owner is then dead or has nothing left to
//     rename.  Writers wait for the lock; everyone else tries once, and goes on
//     without the cache.
//  3. A segment is made, replaced and retired under that lock too, and is born
//     odd; a writer looks the segment up after it has the lock.  Retired is
//     the generation 2^64-1.
//  4. A writer claims before the rename and ends right after it and after
//     upstream's word (version_word.h), before the directory's fsync, and does
//     not touch the stamp.  A re-reader claims,
//     then reads the clock, then fstats the descriptor, then reads it; its
//     stamp is that time and that identity.
//  5. An insert carries the even generation loaded before the file was opened,
//     goes to the segment that it was loaded from, and was read of the file
//     that the stamp names.
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
constexpr std::uint64_t kBorn = 1;

// The last number to claim from; beyond it the word would meet kRetired.  Only
// a hostile word gets there, and then the segment is as good as retired.
constexpr std::uint64_t kLastGeneration = kRetired - 5;

constexpr bool is_in_force(std::uint64_t generation) {
  return generation % 2 == 0 && generation <= kLastGeneration;
}

// An odd number of one's own.  Dropped without end(), it is a death in the
// middle: no binding is in force until somebody claims the next one.
class GenerationClaim {
 public:
  // Rule 2, from even: nothing if the word is odd, or somebody was faster.
  static std::optional<GenerationClaim> from_even(std::uint64_t *word);

  // Rule 2, from even or odd: nothing only if the segment is retired.
  static std::optional<GenerationClaim> under_lock(std::uint64_t *word,
                                                   const FileLock &lock);

  // The even generation that end() puts in force.
  [[nodiscard]] std::uint64_t next() const { return odd_ + 1; }

  // Whether the number before was another's odd one, who is dead or late, and
  // not just that of a new segment.
  [[nodiscard]] bool took_over() const { return took_over_; }

  // Whether nobody has taken over so far.
  [[nodiscard]] bool is_ours() const { return load_acquire(word_) == odd_; }

  // Rule 1.  False if somebody took over: nothing is in force by our doing.
  bool end() { return compare_and_swap(word_, odd_, next()); }

 private:
  GenerationClaim(std::uint64_t *word, std::uint64_t before, std::uint64_t odd)
      : word_(word),
        odd_(odd),
        took_over_(!is_in_force(before) && before != kBorn) {}

  std::uint64_t *word_;
  std::uint64_t odd_;
  bool took_over_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_GENERATION_H_
