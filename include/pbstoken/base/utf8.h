// SPDX-License-Identifier: BSD-3-Clause
// Strict UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above
// U+10FFFF.  Independent of the host's locale.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_UTF8_H_
#define PBSTOKEN_UTF8_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace pbstoken {

// Takes the first character off *text and returns its code point.  Returns
// nullopt, with *text unchanged, if it is empty or does not begin with a
// character.
std::optional<char32_t> take_code_point(std::string_view *text);

// Returns how many characters text has; a byte that belongs to none counts as
// one.
std::size_t count_characters(std::string_view text);

// True if the character has Unicode's White_Space property.
bool is_white_space(char32_t c);

}  // namespace pbstoken

#endif  // PBSTOKEN_UTF8_H_
