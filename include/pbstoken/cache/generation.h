// SPDX-License-Identifier: BSD-3-Clause
// The generation word of a segment: which bindings are in force.
//
// The word has 64 bits and only grows.  A *writer* is a process that changes
// the watched file.  A *re-reader* is a root process that reads the file and
// renews the bindings for all.  The word modulo 4 tells the state:
//   - 0: the bindings that were written under this number are in force.
//   - 1: a writer has claimed the word.  No process sets 2, which counts as 1.
//   - 3: a re-reader has claimed it, or the maker of a new segment has.
// While the word is claimed, no binding is in force: an even number is not
// enough.
//
// The rules were explored with a model checker.  Each rule, bent or left out,
// accepts a revoked secret or makes a process wait.
//
//  1. A process that changes bindings claims first.  By compare-and-swap it
//     sets the word to the next number of its own kind (1 or 3 modulo 4) above
//     the present one.  It ends with a compare-and-swap from its number to the
//     next multiple of 4.  A re-reader stores slots and stamp before it ends,
//     made for that multiple.  It stores the stamp only while the word is still
//     its own.  If the last swap fails, it touches nothing more.  No number is
//     used twice.  A writer stores no slot and no stamp under its own claim.
//  2. A segment's lock is the lock of its file (file_lock.h), and the header
//     names the inode of that lock.  A process that holds another lock may only
//     retire the segment.  Others claim so:
//
//       the present number is     in force   a re-reader's     a writer's
//       a writer, with the lock   at once    at once           at once
//       a re-reader with it       at once    after its time    at once
//       a re-reader without it    at once    after its time    never
//
//     Writers wait for the lock; all other processes try once.  A re-reader's
//     time stands in a note beside the word: low bits of the number that it
//     claims, doublings, CLOCK_BOOTTIME in ms.  A process that finds a
//     re-reader's number reads the note.  If the note is of another number or
//     in the future, the process sets the note to this number and now, keeps
//     the doublings, and goes on without the cache.  If the note is younger
//     than 50 ms times 2^doublings (10 s at most), the process goes on without
//     the cache.  Else it claims, with one doubling more.  Safety does not
//     depend on the note, and no process waits for a re-reader.
//  3. A segment is made, replaced and retired under the same lock, and is born
//     claimed.  Its maker stores the magic last, and no process uses a segment
//     without the magic.  A writer looks for segments after it has taken the
//     lock.  A holder of the lock that finds a writer's number raises
//     upstream's word (version_word.h) before it claims or retires: it pays the
//     debt of a dead writer first.  The generation of a retired segment is
//     2^64-1.
//  4. A writer keeps this order: claim; rename the file; raise upstream's word;
//     end the claim; sync the directory.  It does not touch the stamp.  Right
//     before the rename it checks once more that the lock's path leads to the
//     inode of its descriptor.  A re-reader keeps this order: open the file
//     once to see that it can; claim; read the clock; open the file relative to
//     the same directory descriptor; fstat it; read it.  Its stamp is that time
//     and that identity.  A re-reader that cannot read the file after all ends
//     its claim with nothing bound and no stamp.
//  5. An insert carries the instance and the generation in force that were
//     loaded before the file was opened.  It inserts only what was read of the
//     file that the stamp names.  Inserts, renewals and ends compare the
//     instance in the attachment that they write to.
//  6. A process changes for others only what it has seen through the segment's
//     own view (subject.h).  Before every claim and renewal, in the same call,
//     it opens the file's directory, finds device and inode to be the header's,
//     and opens the file (O_PATH for a look) with openat2(RESOLVE_NO_XDEV) from
//     that descriptor and in no other way.  A missing file is an identity too.
//     On any other error a re-reader or a renewing process goes on without the
//     cache, and a writer retires the segment instead of claiming.
//
// The order of loads and stores, on a processor that reorders all that C++
// permits (arm64, riscv64, ppc64el).  Each word is read and written as 8 bytes
// at once.  The kernel's locks are barriers: a change that a process sees by a
// system call comes after all that the changing process stored before.
//
//  A. Claims and ends are compare-and-swaps of one word, sequentially
//     consistent: each reads the last value of the word, in whatever order
//     other words change.  A re-reader that read the file before a writer's
//     claim finds that claim when it ends, and puts nothing in force.  A
//     re-reader that claims after a writer's end acquires what that end
//     released: it reads the file that the writer renamed (rules 1, 2, 4).
//  B. A writer's claim may become visible after its rename, but not after its
//     return: answer and exit are system calls.  A verification that starts
//     later finds the claim, or a later number, by its first load.
//  C. Slots and stamps are relaxed.  A digest covers each with its generation:
//     words in a wrong order, or of two stores, fit no digest.  So the order
//     decides only whether there is a hit.  The end of a claim releases slots
//     and stamp, and a reader's first load acquires them.
//  D. A claim is no fence for later stores: others may see the re-reader's
//     slots first.  These are of a generation that is not in force yet, and
//     those that they replace are a miss (rule 1).
//  E. An insert loads the generation by an acquire before the file is opened.
//     A weaker load might give a number that is later than what was read of
//     the file (rule 5).
//  F. A reader's second load of the word comes after an acquire fence, so that
//     the slots were loaded before.  No number comes twice: if the second load
//     gives the first number, that was in force all the time.
//  G. The maker releases the magic after all other words of the header.  Each
//     process acquires the magic before it reads another word (rule 3).
//  H. The note is released before the claim that it belongs to.  A process that
//     finds them in another order waits for longer, no more (rule 2).
//
// Thread safety: one thread per object.  Any number of threads and processes
// may use the same word.
#ifndef PBSTOKEN_GENERATION_H_
#define PBSTOKEN_GENERATION_H_

#include <cstdint>
#include <optional>

#include "pbstoken/os/ipc.h"
#include "pbstoken/store/file_lock.h"

namespace pbstoken {

// The generation of a retired segment.
constexpr std::uint64_t kRetired = UINT64_MAX;
// The generation of a new segment.  Its maker has claimed it and never ends the
// claim; a re-reader claims from it by rule 2.
constexpr std::uint64_t kBorn = 3;

// The last number to claim from: beyond it the word would meet kRetired.  Only
// a hostile word gets there, and then the segment is as good as retired.
constexpr std::uint64_t kLastGeneration = kRetired - 16;

// True if bindings that were written under this number are in force.
constexpr bool is_in_force(std::uint64_t generation) {
  return generation % 4 == 0 && generation <= kLastGeneration;
}
// True if a writer has claimed the word by this number.
constexpr bool is_writers(std::uint64_t generation) {
  return (generation % 4 == 1 || generation % 4 == 2) &&
         generation <= kLastGeneration;
}
// Returns the number that the claim `claimed` ends with.
constexpr std::uint64_t next_in_force(std::uint64_t claimed) {
  return claimed - claimed % 4 + 4;
}

// Returns the generation of a new segment that takes over the slots of a
// retired one with the last number `last`.  The maker has claimed it, and it is
// above all numbers that the slots may name.
constexpr std::uint64_t born_after(std::uint64_t last) {
  return next_in_force(last) + kBorn;
}

// Returns the note of a re-reader that had its time long ago, for its number.
std::uint64_t spent_note(std::uint64_t number);

// The word, and the note of rule 2 beside it.  Both lie in an attached segment.
struct Generation {
  std::uint64_t *word;
  std::uint64_t *note;
};

// A claimed number.  An object that is dropped without end() is like a process
// that dies half-way: no binding is in force until another process claims.
class GenerationClaim {
 public:
  // Claims as a re-reader, by rule 2. lock: the segment's; null if the caller
  // does not hold it.  Returns nullopt if another process was faster or has
  // time left, if the number is a writer's and lock is null, if the segment is
  // retired, or if there is no clock.
  static std::optional<GenerationClaim> as_rereader(const Generation &words,
                                                    const FileLock *lock);

  // Claims as a writer, by rule 2. lock: the segment's, which the caller holds.
  // Returns nullopt only if the segment is retired.
  static std::optional<GenerationClaim> as_writer(const Generation &words,
                                                  const FileLock &lock);

  // Returns the generation that end() puts in force.
  [[nodiscard]] std::uint64_t next() const { return next_in_force(number_); }

  // True if no other process has taken over so far.
  [[nodiscard]] bool is_ours() const { return load_acquire(word_) == number_; }

  // Ends the claim, by rule 1.  Returns false if another process has taken
  // over: then this claim has put nothing in force.
  bool end() { return compare_and_swap(word_, number_, next()); }

 private:
  GenerationClaim(std::uint64_t *word, std::uint64_t number)
      : word_(word), number_(number) {}

  std::uint64_t *word_;
  std::uint64_t number_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_GENERATION_H_
