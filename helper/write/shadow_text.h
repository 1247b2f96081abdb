// SPDX-License-Identifier: BSD-3-Clause
// The text of a token.shadow with one token changed.
#ifndef PBSTOKEN_SHADOW_TEXT_H_
#define PBSTOKEN_SHADOW_TEXT_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// What change_shadow_text() has made.
struct ChangedText {
  Buffer text;
  // What the token had by its last member, as readers see it; empty if it had
  // no member, or one that is no string.
  Buffer old_hash;
  std::size_t old_members = 0;  // of the token's name, with any value
};

// Returns the text of a token.shadow without the members whose decoded name is
// the token id.  If stored_hash is given, a member with it stands at the end.
// The others keep their order and their bytes; white space between members is
// dropped, as upstream writes none.  `text` is the whole file; null if the file
// is missing.  Returns kMalformed, with line and column, if it is not JSON.
Result<ChangedText> change_shadow_text(
    const Buffer *text, const PathText &path, std::string_view token_id,
    std::optional<std::string_view> stored_hash);

// Reads what change_shadow_text() has made as any reader would, and compares it
// with the old text.  Returns kMalformed unless the token has stored_hash, or
// no member if that is nullopt, and every other member is as before: then the
// new text must not take the place of the file.
Result<void> prove_change(const Buffer *old_text, const Buffer &new_text,
                          const PathText &path, std::string_view token_id,
                          std::optional<std::string_view> stored_hash);

}  // namespace pbstoken

#endif  // PBSTOKEN_SHADOW_TEXT_H_
