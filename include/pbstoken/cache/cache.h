// SPDX-License-Identifier: BSD-3-Clause
// The cache of one store: the segment, the stamp and the file together.
//
// A cache is only ever an optimisation: each function says "not known" where
// the segment cannot be used, and nobody waits for anybody.  Any process
// reads; only one whose effective uid is 0 writes, and it attaches the segment
// for writing just while it does.  Only one whose three uids are all 0 takes
// the store's lock: a user may stop the su(1) that he started.  One thread per
// object; an object may be used in a child of the process that made it.
#ifndef PBSTOKEN_CACHE_H_
#define PBSTOKEN_CACHE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

// A file as it was read, and the generation that what it says may be inserted
// under (rule 5); nothing: it may not.  Another segment counts other
// generations, so the segment is part of it.
template <typename File>
struct SnapshotOf {
  File file;
  std::optional<std::uint64_t> generation;
  int segment_id = -1;
};
using Snapshot = SnapshotOf<TokenShadow>;
using UserSnapshot = SnapshotOf<UserCfg>;

// What a person wants to know of a segment.
struct CacheStatus {
  std::uint64_t generation;
  std::optional<std::uint64_t> stamp_age;  // seconds; nothing: no stamp
  std::uint64_t slots;
  std::uint64_t slots_used;  // in force
};

// What is read before any look at the file.
struct Moment {
  std::optional<VersionWords> versions;  // upstream's
  std::uint64_t now = 0;                 // time since boot
};

class Cache {
 public:
  // `store` must outlive the object.
  explicit Cache(const Store &store);

  // Whether there is a segment that this process may read.
  [[nodiscard]] bool is_usable();

  // Nothing if it is not usable.
  std::optional<CacheStatus> status();

  // The hit path: what the segment alone says, under a generation and a stamp
  // that are good.  Looks at the file (one stat) if the stamp has expired.
  std::optional<Fact> look_up(std::string_view token_id,
                              std::string_view secret);

  // The same of the account of a token.
  std::optional<AccountVerdict> look_up_account(std::string_view token_id);

  // Reads a file, TokenShadow or UserCfg, for all: if the look_up found its
  // bindings out of force or the file changed, and this process can be the one
  // that renews them, all slots are carried over in the same pass.  Nothing if
  // there is no need, or somebody else is at it.
  template <typename File = TokenShadow>
  std::optional<Result<SnapshotOf<File>>> read_for_all();

  // Reads a file, for all where that is possible.
  template <typename File = TokenShadow>
  Result<SnapshotOf<File>> read();

  // Whether anything is known about this token id, in force or not.
  [[nodiscard]] bool has_slot(std::string_view token_id);

  // The fact about a secret and the stored hash that was just read.
  std::optional<Fact> find_fact(std::string_view token_id,
                                std::string_view secret,
                                std::string_view stored_hash);

  // Stores what is known of a token of `snapshot`.
  void remember(Fact fact, std::string_view token_id, std::string_view secret,
                std::string_view stored_hash, const Snapshot &snapshot);

  // The same of the account of a token.
  void remember_account(std::string_view token_id,
                        const AccountVerdict &verdict,
                        const UserSnapshot &snapshot);

  // --- for those who hold the store's lock

  // Looks the segment up anew and claims its generation.  Nothing if there is
  // no segment that anybody uses, and those that ipcrm(1) left behind have been
  // told.  An error if there is one that cannot be claimed, or somebody could
  // not be told: then the file must not be changed.
  class WriteClaim;
  Result<std::optional<WriteClaim>> claim_for_write(const FileLock &lock);

  // Reads a file and puts its bindings in force again, making a segment if
  // there is none.
  template <typename File = TokenShadow>
  Result<SnapshotOf<File>> renew(const FileLock &lock);

  // Replaces the segment by a new one with a new key; retires it if the store
  // has no cache any more.
  Result<void> flush(const FileLock &lock);

 private:
  [[nodiscard]] Segment *segment();
  enum class Attached : std::uint8_t {
    kYes,
    kNone,         // there is no segment
    kReplaceable,  // there is one that nobody uses
    kNot           // there is one, but not for this process
  };
  Attached attach();
  Attached attach_fresh();
  [[nodiscard]] bool is_orphan() const;
  std::optional<std::uint64_t> generation_in_force(Watched file);
  std::optional<VersionWords> versions();
  bool find_unchanged(Watched file, const Stamp &stamp, const Moment &moment);
  Result<std::optional<WriteClaim>> claim_named(const FileLock &lock);
  [[nodiscard]] Segment *segment_of(Watched file);
  template <typename File>
  Result<SnapshotOf<File>> read_alone();

  const Store &store_;
  int id_ = -1;
  AttachmentUse attachment_;
  std::optional<Segment> segment_;  // valid while attachment_ is
  // What the look_ups found: bindings are to be renewed.
  std::array<bool, kWatchedFiles> stale_{};
  // Whether upstream's words were readable at the first look_up.
  std::optional<bool> follows_versions_;
};

// A generation that was claimed for a rename, and the attachment it lives in.
class Cache::WriteClaim {
 public:
  WriteClaim(ShmAttachment attachment, const GenerationClaim &claim)
      : attachment_(std::move(attachment)), claim_(claim) {}

  // See GenerationClaim.
  [[nodiscard]] bool took_over() const { return claim_.took_over(); }

  // Right after the rename.  False if the word was no longer ours.
  bool end() { return claim_.end(); }

 private:
  ShmAttachment attachment_;
  GenerationClaim claim_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_CACHE_H_
