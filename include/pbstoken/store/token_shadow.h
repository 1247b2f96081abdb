// SPDX-License-Identifier: BSD-3-Clause
// Read-only view of token.shadow: a flat JSON object, token id -> stored hash.
//
// Never writes and follows no symbolic link.  One thread per object; it owns
// the content, stored hashes and all, and wipes it when it goes.
#ifndef PBSTOKEN_TOKEN_SHADOW_H_
#define PBSTOKEN_TOKEN_SHADOW_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

// The largest file that is read, in bytes: half a million tokens.
constexpr std::size_t kMaxShadowSize = std::size_t{64} << 20U;

class TokenShadow {
 public:
  struct Entry {
    std::string_view token_id;
    std::string_view stored_hash;  // empty, and so no hash, if it is no string
  };

  // Opens, identifies, reads and parses what the path names.  A file that is
  // not there has no tokens, as upstream has it.  Returns kMalformed if the
  // file is not JSON, or if its root is neither an object nor null.
  static Result<TokenShadow> read(const PathText &path) {
    return read(open_regular(path), path);
  }

  // Does the same with what open_regular() gave.
  static Result<TokenShadow> read(const Result<UniqueFd> &file,
                                  const PathText &path);

  // Does the same with content at hand, followed by a NUL byte that is not
  // counted.
  static Result<TokenShadow> parse(Buffer content, const PathText &path);

  // Returns the stored hash of an id; nullopt if the file has no such member.
  // Of several members with that name the last one counts, as upstream has it,
  // also if its value is no string: then the hash is empty, which matches
  // nothing.  A member with a NUL in its name is as if it was not there.
  [[nodiscard]] std::optional<std::string_view> find(
      std::string_view token_id) const;

  // Every member, in the order of the file.
  [[nodiscard]] std::span<const Entry> entries() const {
    return entries_.items();
  }

  // Returns the identity of the descriptor that was read, taken before it was.
  [[nodiscard]] const Sighting &sighting() const { return sighting_; }

 private:
  Buffer content_;  // decoded in place; what the entries view
  List<Entry> entries_;
  Sighting sighting_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_TOKEN_SHADOW_H_
