// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/token_id.h"

#include "pbstoken/base/text.h"
#include "pbstoken/base/utf8.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMinRealm = 2;
constexpr std::size_t kMaxRealm = 32;

bool is_user_character(char32_t c) {
  return c >= 0x20 && c != 0x7f && c != U':' && c != U'/' && !is_white_space(c);
}

bool is_user_name(std::string_view text) {
  if (text.empty()) {
    return false;
  }
  while (!text.empty()) {
    const auto c = take_code_point(&text);
    if (!c || !is_user_character(*c)) {
      return false;
    }
  }
  return true;
}

bool is_first_safe(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9') || c == '_';
}

// Upstream's PROXMOX_SAFE_ID: of realms and of token names.
bool is_safe_id(std::string_view text) {
  if (text.empty() || !is_first_safe(text.front())) {
    return false;
  }
  for (const char c : text) {
    if (!is_first_safe(c) && c != '.' && c != '-') {
      return false;
    }
  }
  return true;
}

bool has_realm_size(std::string_view realm) {
  return realm.size() >= kMinRealm && realm.size() <= kMaxRealm;
}

// The parts of what has the form of a token id.
std::optional<TokenId> split(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view rest = slice(text, at + 1);
  const std::size_t mark = rest.rfind('!');
  if (mark == std::string_view::npos) {
    return std::nullopt;
  }
  const TokenId id = {.text = text,
                      .user = slice(text, 0, at),
                      .realm = slice(rest, 0, mark),
                      .name = slice(rest, mark + 1)};
  if (!is_user_name(id.user) || !is_safe_id(id.realm) || !is_safe_id(id.name)) {
    return std::nullopt;
  }
  return id;
}

}  // namespace

std::optional<TokenId> parse_token_id(std::string_view text) {
  const auto id = split(text);
  return id && has_realm_size(id->realm) ? id : std::nullopt;
}

const char *missed_form(std::string_view text) {
  const std::size_t mark = text.find('!');
  if (mark == std::string_view::npos || parse_token_id(text)) {
    return nullptr;
  }
  const std::string_view before = slice(text, 0, mark);
  const std::string_view behind = slice(text, mark + 1);
  if (before.ends_with('\\')) {
    return "a backslash before its '!', as a shell wants it where no quotes "
           "are";
  }
  if (before.find('@') == std::string_view::npos) {
    return "no realm: USER@REALM!TOKEN";
  }
  if (behind.find('!') != std::string_view::npos) {
    return "more than one '!'";
  }
  if (behind.find('=') != std::string_view::npos ||
      behind.find(':') != std::string_view::npos) {
    return "a secret behind it: that belongs into the password";
  }
  return "a character or a length that no token id has";
}

bool is_user_id(std::string_view text) {
  return has_user_form(text) &&
         has_realm_size(slice(text, text.rfind('@') + 1));
}

bool has_user_form(std::string_view text) {
  const std::size_t at = text.rfind('@');
  return at != std::string_view::npos && is_user_name(slice(text, 0, at)) &&
         is_safe_id(slice(text, at + 1));
}

bool has_token_form(std::string_view text) {
  return split(text).has_value();
}

std::string_view user_id_of(const TokenId &id) {
  return slice(id.text, 0, id.user.size() + 1 + id.realm.size());
}

bool is_writable(const TokenId &id) {
  return count_characters(id.text) <= kMaxWrittenId;
}

}  // namespace pbstoken
