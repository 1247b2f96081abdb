// SPDX-License-Identifier: BSD-3-Clause
// The text of a user.cfg with one section added, changed or removed.  Every
// other byte stays as it was.
#ifndef PBSTOKEN_USER_CFG_TEXT_H_
#define PBSTOKEN_USER_CFG_TEXT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// A change of one section.  The views must outlive it.
struct SectionChange {
  enum class Operation : std::uint8_t { kAdd, kChange, kRemove };

  Operation operation;
  bool is_token;  // else it is a user's section
  std::string_view id;
  // nullopt: as it is; in a new section enabled, without expiry and comment.
  std::optional<bool> enable;
  std::optional<std::uint64_t> expire;      // seconds since the epoch; 0: never
  std::optional<std::string_view> comment;  // empty: without one
};

// How a change ended.
enum class SectionChanged : std::uint8_t {
  kDone,
  kNotThere,      // there is no such section to change or to remove
  kThereAlready,  // there is such a section, and none is added
  kNoUser         // the user of a token that is to be added has no section
};

// Makes the change in the text of a user.cfg; with kDone *out_text is the new
// text.  `text` is the whole file; null if the file is missing.  A section that
// the file repeats is changed in its last place, where it counts, and removed
// from all places.  Returns kMalformed, with line and column, if upstream would
// refuse the file.  Reads the new text as any reader would, and returns
// kMalformed if another section is not as before, or this one not as wanted.
Result<SectionChanged> change_user_cfg_text(const Buffer *text,
                                            const PathText &path,
                                            const SectionChange &change,
                                            Buffer *out_text);

}  // namespace pbstoken

#endif  // PBSTOKEN_USER_CFG_TEXT_H_
