// SPDX-License-Identifier: BSD-3-Clause
// Token ids: `user@realm!token`, by upstream's grammar.
//
//   - The last '@' ends the user name; the last '!' starts the token name,
//     if it comes after that '@' (else the id is a user's, not a token's).
//   - user: one or more characters of valid UTF-8, none of them white space
//     (Unicode's White_Space), ':', '/' or an ASCII control character.
//   - realm: [A-Za-z0-9_][A-Za-z0-9._-]*, 2 to 32 characters.
//   - token name: the same pattern, one character or more.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_TOKEN_ID_H_
#define PBSTOKEN_TOKEN_ID_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace pbstoken {

// The longest id, in characters, that upstream's own interfaces take, and so
// the longest that is ever written.  Reading has no such limit.
constexpr std::size_t kMaxWrittenId = 64;

// The parts of a token id: views into the text that was parsed.
struct TokenId {
  std::string_view text;  // the whole
  std::string_view user;
  std::string_view realm;
  std::string_view name;
};

// Returns nullopt if text is not a token id; a user id is not one.
std::optional<TokenId> parse_token_id(std::string_view text);

// Returns which form a text misses, for people.  The text is no token id but
// was meant as one, since it has a '!'.  Returns null for any other text.
const char *missed_form(std::string_view text);

// True if text is the id of a user, `user@realm`, and so not of a token.
bool is_user_id(std::string_view text);

// True if it has the form with a realm of any length, as upstream's pattern of
// an id has it: true also of an id that no user can have.
bool has_user_form(std::string_view text);
bool has_token_form(std::string_view text);

// Returns the id of the token's user: `user@realm`.
std::string_view user_id_of(const TokenId &id);

// True if the helper may write this id: at most kMaxWrittenId characters.
bool is_writable(const TokenId &id);

}  // namespace pbstoken

#endif  // PBSTOKEN_TOKEN_ID_H_
