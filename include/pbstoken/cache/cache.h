// SPDX-License-Identifier: BSD-3-Clause
// The cache of one watched file, as a verification uses it: the segment, the
// stamp and the file together.
//
// A cache is only ever an optimisation: each function says "not known" where
// the segment cannot be used, and nobody waits for anybody.  Any process reads.
// What it has to change it leaves to writer.h: that takes an effective uid of
// 0, and for the file's lock all three uids, since a user may stop the su(1)
// that he started.  One thread per object; an object may be used in a child of
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

// What a person wants to know of a segment.
struct CacheStatus {
  int id;
  std::uint64_t generation;
  std::optional<std::uint64_t> stamp_age;  // seconds; nullopt: no stamp
  std::uint64_t slots;
  std::uint64_t slots_used;  // in force
};

class CacheWriter;

class Cache {
 public:
  // `store` must outlive the object.
  Cache(const Store &store, Kind kind) : store_(store), kind_(kind) {}

  // For a process that its starter could hold up: it takes no lock, neither to
  // make a segment nor to repair one that a dead writer has left.
  void take_no_lock() { takes_lock_ = false; }

  // When it last looked for its segment, by CLOCK_BOOTTIME; 0: never.
  [[nodiscard]] std::uint64_t attached() const { return checked_; }

  // Where its segment was found; 0: nowhere.
  [[nodiscard]] std::uint64_t ipc_namespace() const {
    return found_ ? found_->identity.ipc_namespace : 0;
  }

  // Replaces the segment if it was made under other settings, see
  // is_outdated(): for a process that only root may stop.
  void heal();

  // Whether there is a segment that this process may read.
  [[nodiscard]] bool is_usable();

  // Why this process, which would have made a segment where there is none,
  // could not; nullopt if it could, or has not tried.
  [[nodiscard]] const std::optional<Error> &problem() const { return problem_; }

  // Returns nullopt if it is not usable.
  std::optional<CacheStatus> status();

  // The hit path: what the segment alone says, under a generation and a stamp
  // that are good.  A process that may see the file looks at it (the store's
  // `look`), or does so when the stamp has expired, as it does where other
  // hosts may write: a look there tells what an attribute cache knows.  Of a
  // cache of secrets.
  std::optional<Fact> look_up(std::string_view token_id,
                              std::string_view secret);

  // The same of a cache of accounts.
  std::optional<AccountVerdict> look_up_account(std::string_view token_id);

  // Reads the file for all: if the look_up found the bindings out of force or
  // the file changed, and this process can be the one that renews them, all
  // slots are carried over in the same pass.  Returns nullopt if there is no
  // need, or somebody else is at it.
  std::optional<Result<Snapshot>> read_for_all();

  // Reads the file, for all where that is possible.
  Result<Snapshot> read();

  // Whether anything is known about this token id, in force or not.  Of a cache
  // of secrets.
  [[nodiscard]] bool has_slot(std::string_view token_id);

  // The fact about a secret and the stored hash that was just read.
  std::optional<Fact> find_fact(std::string_view token_id,
                                std::string_view secret,
                                std::string_view stored_hash);

  // Stores what is known of a token of `snapshot`, which has the tokens.
  void remember(Fact fact, std::string_view token_id, std::string_view secret,
                std::string_view stored_hash, const Snapshot &snapshot);

  // The same of the account of a token, of one that has the users.
  void remember_account(std::string_view token_id,
                        const AccountVerdict &verdict,
                        const Snapshot &snapshot);

 private:
  [[nodiscard]] const PathText &path() const { return path_of(kind_, store_); }
  // In nanoseconds.
  [[nodiscard]] std::uint64_t ttl() const {
    return store_.cache_ttl * kNanosecondsPerSecond;
  }
  void attach();
  [[nodiscard]] bool can_look(const View &view) const;
  [[nodiscard]] bool is_attached() const;
  [[nodiscard]] Segment *segment();
  [[nodiscard]] Segment *current_segment();
  [[nodiscard]] std::optional<Writing> attach_writable();
  std::optional<std::uint64_t> generation_in_force();
  bool shares_clock();
  bool is_trusted(const Stamp &stamp, std::uint64_t now);
  bool is_good(const Stamp &stamp, std::uint64_t now);
  bool is_good_by_look(const Stamp &stamp, std::uint64_t now);
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
  std::uint64_t checked_ = 0;         // when it was, or last tried; 0: never
  std::uint64_t blind_ = 0;  // when a look was last forbidden; 0: never
  bool looks_ = true;        // at each hit, where that tells anything
  bool takes_lock_ = true;
  bool stale_ = false;  // the look_up found that bindings need renewal
};

}  // namespace pbstoken

#endif  // PBSTOKEN_CACHE_H_
