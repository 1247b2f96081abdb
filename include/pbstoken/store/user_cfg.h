// SPDX-License-Identifier: BSD-3-Clause
// Read-only view of user.cfg: upstream's users and tokens, and which of them
// count.
//
//   - A header `type: id` starts in column 1 and is split at its first colon.
//     Property lines start with white space; white space separates key and
//     value; a blank line ends the section.  No comments.  Lines end in LF or
//     CRLF.
//   - user: comment, enable, expire, firstname, lastname, email, and userid.
//     token: comment, enable, expire, and tokenid.  What userid and tokenid say
//     does not matter.
//   - A repeated section replaces the earlier one.  root@pam exists without
//     one, enabled and without expiry.
//
// Whatever upstream takes is taken, lest one odd value lock the host out.
// Where upstream refuses the whole file, so do we, with line, column and
// reason, but never content, apart from the id of a section; but a comment may
// be of any length.  Follows no symbolic link.  One thread per object, which
// owns the content.
#ifndef PBSTOKEN_USER_CFG_H_
#define PBSTOKEN_USER_CFG_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/account_verdict.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

constexpr std::size_t kMaxUserCfgSize = std::size_t{16} << 20U;

// True if upstream takes the text as a comment and reads it back as it is: 1 to
// 128 characters of UTF-8, no control character, no white space at an end.
bool is_comment(std::string_view text);

// True if the text is the id of a user that upstream lets have a section: as
// is_user_id(), of 3 to 64 characters.
bool is_writable_user_id(std::string_view text);

class UserCfg {
 public:
  struct Section {
    std::string_view id;
    std::string_view comment = {};
    // The texts as they stand in the file.  These two and the comment have no
    // data() if the section does not have the property.
    std::string_view enable_text = {};
    std::string_view expire_text = {};
    std::string_view text = {};  // the lines, with their ends
    std::uint64_t expires = 0;   // seconds since the epoch; 0: never
    std::uint64_t line = 0;      // of its header
    bool is_token = false;
    bool enabled = true;
  };

  // A thing in the file that is not as it should be, though the file counts.
  struct Remark {
    enum Kind : std::uint8_t {
      kOddRealm,     // of fewer than 2 or more than 32 characters: no section
      kLongComment,  // of more than 128 characters: upstream refuses the file
    };
    Kind kind = kOddRealm;
    std::string_view id;     // of the section
    std::uint64_t line = 0;  // of the id, or of the comment
  };

  // Opens, identifies, reads and parses what the path names.  A file that is
  // not there has no sections, as upstream has it; one that upstream would not
  // take is kMalformed.
  static Result<UserCfg> read(const PathText &path) {
    return read(open_regular(path), path);
  }

  // Does the same with what open_regular() gave.
  static Result<UserCfg> read(const Result<UniqueFd> &file,
                              const PathText &path);

  // Does the same with content at hand.  path: for messages.
  static Result<UserCfg> parse(Buffer content, const PathText &path);

  // Returns whether the token counts: its user and the token itself must be
  // there and enabled.
  [[nodiscard]] AccountVerdict judge(const TokenId &id) const;

  // The sections that count, sorted by id.  find_*() returns null if there is
  // no section of that id.
  [[nodiscard]] std::span<const Section> users() const {
    return sections_.items().first(user_count_);
  }
  [[nodiscard]] std::span<const Section> tokens() const {
    return sections_.items().subspan(user_count_, token_count_);
  }
  // The sections with an id that a later section has, too; in no order.
  [[nodiscard]] std::span<const Section> replaced() const {
    return sections_.items().subspan(user_count_ + token_count_);
  }
  [[nodiscard]] const Section *find_user(std::string_view id) const;
  [[nodiscard]] const Section *find_token(std::string_view id) const;

  // Returns the remarks in the order of the file, also of sections that were
  // replaced.
  [[nodiscard]] std::span<const Remark> remarks() const {
    return remarks_.items();
  }

  // The whole content: what the sections view.
  [[nodiscard]] std::string_view text() const { return content_.view(); }

  // Returns the identity of the descriptor that was read, taken before it was.
  [[nodiscard]] const Sighting &sighting() const { return sighting_; }

 private:
  void sort_sections();

  Buffer content_;          // what the sections view
  List<Section> sections_;  // the users, the tokens, then what was replaced
  List<Remark> remarks_;
  std::size_t user_count_ = 0;
  std::size_t token_count_ = 0;
  Sighting sighting_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_USER_CFG_H_
