// SPDX-License-Identifier: BSD-3-Clause
// Whether the cache of a file is in use, and if not why, and what to do.
#ifndef PBSTOKEN_VERDICT_H_
#define PBSTOKEN_VERDICT_H_

#include <cstdint>
#include <optional>

#include "admin/problems.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

enum class CacheState : std::uint8_t {
  kInUse,
  kUnused,  // it can be used, but no process has used it lately
  kOff      // every request reads the file, or starts the helper
};

struct CacheVerdict {
  CacheState state = CacheState::kInUse;
  FixedText<kMaxPath> where = {};  // a path or a kernel object, if it is off
  ProblemText text = ProblemText("in use");  // else why, and what to do
};

// Judges it for processes of root that see what this one sees.  `use` is the
// store's.
CacheVerdict judge_for_root(const Store &store, Kind kind, Use *use);

// Judges it for the members of verify_group; nullopt if the group has no
// members.  `roots` is what judge_for_root() returned.
std::optional<CacheVerdict> judge_for_members(const Store &store, Kind kind,
                                              const CacheVerdict &roots);

// Returns one text for people: "off: where: why; what to do".
ProblemText text_of(const CacheVerdict &verdict);

}  // namespace pbstoken

#endif  // PBSTOKEN_VERDICT_H_
