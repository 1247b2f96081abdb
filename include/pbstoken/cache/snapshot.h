// SPDX-License-Identifier: BSD-3-Clause
// A watched file as it was read, and what its reader may do with that.
//
// Holds stored hashes, and wipes them in the destructor.  Thread safety: one
// thread per object.
#ifndef PBSTOKEN_SNAPSHOT_H_
#define PBSTOKEN_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/cache/writable_segment.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

// Rule 5 of generation.h: the segment, and its generation, under which the
// content of a snapshot may be inserted.
struct InsertPermit {
  std::uint64_t instance;
  std::uint64_t generation;
};

// The content of one file.  permit: nullopt if nothing of it may be inserted.
struct Snapshot {
  TokenShadow tokens;  // of kind kSecrets
  UserCfg users;       // of kind kAccounts
  Sighting sighting;
  std::optional<InsertPermit> permit;
};

// Reads the file of this kind from what open_regular() returned.  Returns an
// error if that was one, or if the file cannot be read or parsed.  path: for
// the message.
Result<Snapshot> read_snapshot(Kind kind, const Result<UniqueFd> &file,
                               const PathText &path);

// Returns the number of tokens in it.
std::size_t tokens_in(Kind kind, const Snapshot &snapshot);

// Returns for how many tokens a segment is made if its file has `tokens` of
// them.
std::uint32_t slots_for(const Store &store, std::size_t tokens);

// Puts in force under `generation` what a segment knows of the tokens of a
// snapshot.  Of secrets these are the slots for which the file has the same
// stored hash.  Of accounts these are the slots of every token in the file,
// with the file's verdict.
void rebind_all(WritableSegment *segment, Kind kind, const Snapshot &snapshot,
                std::uint64_t generation);

// Returns the identity of the file that the stamp names.
inline FileIdentity identity_in(const Stamp &stamp) {
  return {.device = stamp.device,
          .inode = stamp.inode,
          .size = stamp.size,
          .modified = stamp.modified,
          .changed = stamp.changed};
}

}  // namespace pbstoken

#endif  // PBSTOKEN_SNAPSHOT_H_
