// SPDX-License-Identifier: BSD-3-Clause
// A watched file as it was read, and what its reader may do with that.
//
// Holds stored hashes, and wipes them when it goes.  One thread per object.
#ifndef PBSTOKEN_SNAPSHOT_H_
#define PBSTOKEN_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

// Rule 5: under which generation of which segment it may be inserted.
struct InsertPermit {
  std::uint64_t instance;
  std::uint64_t generation;
};

struct Snapshot {
  TokenShadow tokens;  // of kind kSecrets
  UserCfg users;       // of kind kAccounts
  Sighting sighting;
  std::optional<InsertPermit> permit;
};

// Reads what open_regular() gave for the file of this kind.
Result<Snapshot> read_snapshot(Kind kind, const Result<UniqueFd> &file,
                               const PathText &path);

// How many tokens it has.
std::size_t tokens_in(Kind kind, const Snapshot &snapshot);

// How many a segment has room for that is made for a file of so many tokens.
std::uint32_t slots_for(const Store &store, std::size_t tokens);

// Puts in force under `generation` what a segment knows of the tokens of a
// snapshot: every slot for which the file says the same (a token) or anything
// (an account).
void rebind_all(WritableSegment *segment, Kind kind, const Snapshot &snapshot,
                std::uint64_t generation);

inline FileIdentity identity_in(const Stamp &stamp) {
  return {.device = stamp.device,
          .inode = stamp.inode,
          .size = stamp.size,
          .modified = stamp.modified,
          .changed = stamp.changed};
}

}  // namespace pbstoken

#endif  // PBSTOKEN_SNAPSHOT_H_
