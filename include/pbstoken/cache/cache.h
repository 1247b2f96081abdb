// SPDX-License-Identifier: BSD-3-Clause
// The cache of one watched file, as a verification uses it: the segment, the
// stamp and the file together.
//
// A cache is only an optimisation: each function says "not known" where the
// segment cannot be used, and no process waits for another's claim.  Any
// process reads.  Changes are made by writer.h: they take an effective uid of 0
// and, for the file's lock, all three uids 0, since a user may stop the su(1)
// that he started.
//
// Thread safety: one thread per object.  An object may be used in a child of
// the process that made it, and after a change of ids or namespaces.
#ifndef PBSTOKEN_CACHE_H_
#define PBSTOKEN_CACHE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/cache/snapshot.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// What `status` shows of a segment.
struct CacheStatus {
  int id = -1;
  std::uint64_t generation = 0;
  std::optional<std::uint64_t> stamp_age = {};  // seconds; nullopt: no stamp
  std::uint64_t slots = 0;                      // that it has room for
  std::uint64_t slots_used = 0;                 // in force
};

class CacheWriter;

// The cache of one file of a store, for this process.
class Cache {
 public:
  // `store` must outlive the object.
  Cache(const Store &store, Kind kind) : store_(store), kind_(kind) {}

  // Forbids the object to take a lock, both to make a segment and to repair one
  // that a dead writer has left.  It is for a process that its starter could
  // hold up.
  void take_no_lock() { takes_lock_ = false; }

  // Returns when the object last looked for its segment, by CLOCK_BOOTTIME in
  // ns; 0: never.
  [[nodiscard]] std::uint64_t attach_time() const { return checked_; }

  // Replaces the segment if it was made under other settings, see
  // is_outdated().  Gives it the lease that is in force, if it was made after
  // that lease.  It is for a process that only root may stop; in any other it
  // does nothing.
  void heal();

  // True if there is a segment that this process may read.
  [[nodiscard]] bool is_usable();

  // Returns the error that kept this process from making a segment that was
  // missing; nullopt if there was no error, or no attempt.
  [[nodiscard]] const std::optional<Error> &problem() const { return problem_; }

  // Returns nullopt if the segment is not usable.
  std::optional<CacheStatus> status();

  // The hit path, for a cache of secrets.  Returns what the segment alone says,
  // under a generation and a stamp that are good; nullopt if it does not know.
  // No hit reads the file.
  //   - With `look`, a process that may see the file compares the identity of
  //     the file with that of the stamp at each hit.
  //   - Without `look`, and where other hosts may write the file, the process
  //     looks only when the stamp is older than cache_ttl.
  //   - A process that may not see the file trusts a stamp for cache_ttl.
  // If the store has a lease, the segment must have it in force, too.
  std::optional<Fact> look_up(std::string_view token_id,
                              std::string_view secret);

  // Does the same for a cache of accounts.
  std::optional<AccountVerdict> look_up_account(std::string_view token_id);

  // Reads the file for all and carries over all slots in the same pass.  It
  // does so only if the last look_up found the bindings out of force or the
  // file changed, and if this process can renew them.  Returns nullopt if there
  // is no need, or if another process is at it.
  std::optional<Result<Snapshot>> read_for_all();

  // Reads the file, for all where that is possible.  Returns an error if the
  // file cannot be read.
  Result<Snapshot> read();

  // True if a slot is about this token id, in force or not.  For a cache of
  // secrets.
  [[nodiscard]] bool has_slot(std::string_view token_id);

  // Returns the fact about a secret and the stored hash that was just read;
  // nullopt if the segment does not know it.
  std::optional<Fact> find_fact(std::string_view token_id,
                                std::string_view secret,
                                std::string_view stored_hash);

  // Stores what is known of a token of `snapshot`, which has read the tokens.
  // Has no effect if the segment cannot be written, or if the secret is a
  // mismatch shorter than kMinRememberedMismatch.
  void remember(Fact fact, std::string_view token_id, std::string_view secret,
                std::string_view stored_hash, const Snapshot &snapshot);

  // Stores the verdict on a token of `snapshot`, which has read the users.
  void remember_account(std::string_view token_id,
                        const AccountVerdict &verdict,
                        const Snapshot &snapshot);

 private:
  [[nodiscard]] const PathText &path() const { return path_of(kind_, store_); }
  // Returns cache_ttl in nanoseconds.
  [[nodiscard]] std::uint64_t ttl() const {
    return store_.cache_ttl * kNanosecondsPerSecond;
  }
  // Finds the segment where the path leads now.
  void attach();
  // True if the file's file system is this host's own.  On one that several
  // hosts share, a look tells only what an attribute cache knows.
  [[nodiscard]] bool can_look(const View &view) const;
  [[nodiscard]] bool is_attached() const;
  // Returns the segment, and looks for it if that was cache_ttl ago; null if
  // there is no segment in use.
  [[nodiscard]] Segment *segment();
  [[nodiscard]] Segment *current_segment();
  [[nodiscard]] std::optional<Writing> attach_writable();
  std::optional<std::uint64_t> generation_in_force();
  // True if the times in the segment mean something to this process.
  bool shares_clock();
  // True if the store has no lease, or if the segment has it in force.
  bool has_lease(std::uint64_t now);
  bool needs_healing();
  // True if the stamp counts without a look; below, with one where that is
  // possible.
  bool is_trusted(const Stamp &stamp, std::uint64_t now);
  bool is_good(const Stamp &stamp, std::uint64_t now);
  bool is_good_by_look(const Stamp &stamp, std::uint64_t now);
  // Reads the file for this process alone.
  Result<Snapshot> read_alone();
  [[nodiscard]] bool may_take_lock() const;
  std::optional<Result<Snapshot>> read_under_lock(
      std::optional<Result<Snapshot>> (CacheWriter::*change)());

  const Store &store_;
  Kind kind_;
  Subject subject_{};
  std::optional<FoundSegment> found_;
  std::optional<Error> problem_;
  std::optional<bool> shares_clock_;  // with its maker; nullopt: not asked yet
  uid_t uid_ = 0;                     // effective, when it was attached
  std::uint64_t checked_ = 0;         // when attach() last ran; 0: never
  std::uint64_t blind_ = 0;  // when a look was last forbidden; 0: never
  bool looks_ = true;        // at each hit, where that tells anything
  bool takes_lock_ = true;
  bool stale_ = false;  // the look_up found that bindings need renewal
};

}  // namespace pbstoken

#endif  // PBSTOKEN_CACHE_H_
