// SPDX-License-Identifier: BSD-3-Clause
// How the cache writes to its segment.
#ifndef PBSTOKEN_RENEWAL_H_
#define PBSTOKEN_RENEWAL_H_

#include <cstdint>
#include <optional>

#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The segment, attached for writing for as long as this lives: no process
// keeps a place from which it could write to the cache later, under other
// privileges.
struct Writing {
  int id;
  ShmAttachment attachment;
  WritableSegment segment;
};

// Nothing if it cannot be attached, or is not this store's.
std::optional<Writing> attach_for_writing(int id, const Store &store);

// What is particular to each file that bindings are read from.
template <typename File>
struct WatchedFile;
template <>
struct WatchedFile<TokenShadow> {
  static constexpr Watched kWhich = Watched::kTokenShadow;
};
template <>
struct WatchedFile<UserCfg> {
  static constexpr Watched kWhich = Watched::kUserCfg;
};

inline const PathText &path_of(Watched file, const Store &store) {
  return file == Watched::kTokenShadow ? store.token_shadow : store.user_cfg;
}

// Upstream's word for the file, if there is one.
std::optional<std::uint64_t> version_of(
    Watched file, const std::optional<VersionWords> &words);

void set_version(std::optional<std::uint64_t> version, Stamp *stamp);

// Rule 4 of generation.h, the re-reader's part: reads the file, carries over
// every slot for which it says the same (a token) or anything (an account), and
// ends the claim.
template <typename File>
Result<SnapshotOf<File>> reread(Writing *writing, GenerationClaim *claim,
                                const Store &store);

}  // namespace pbstoken

#endif  // PBSTOKEN_RENEWAL_H_
