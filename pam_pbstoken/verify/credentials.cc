// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/credentials.h"

#include <optional>

#include "pbstoken/base/text.h"

namespace pbstoken {

namespace {

// Takes "PBSAPIToken=" or the like off the password.  Upstream's header has a
// '=' or a space there.
bool take_header(std::string_view *password) {
  for (const std::string_view scheme : {"PBSAPIToken", "PDMAPIToken"}) {
    const char separator =
        password->size() > scheme.size() ? (*password)[scheme.size()] : '\0';
    if (password->starts_with(scheme) &&
        (separator == '=' || separator == ' ')) {
      password->remove_prefix(scheme.size() + 1);
      return true;
    }
  }
  return false;
}

std::optional<unsigned> digit(char c) {
  return c >= '0' && c <= '9'   ? std::optional<unsigned>(c - '0')
         : c >= 'a' && c <= 'f' ? std::optional<unsigned>(c - 'a' + 10)
         : c >= 'A' && c <= 'F' ? std::optional<unsigned>(c - 'A' + 10)
                                : std::nullopt;
}

// Decodes as upstream does: what is no escape stays as it is.
bool percent_decode(std::string_view text, Buffer *out) {
  while (!text.empty()) {
    char c = text.front();
    std::size_t used = 1;
    if (c == '%' && text.size() > 2) {
      const auto high = digit(text[1]);
      const auto low = digit(text[2]);
      if (high && low) {
        c = static_cast<char>(*high * 16 + *low);
        used = 3;
      }
    }
    if (!out->append({&c, 1})) {
      return false;
    }
    text.remove_prefix(used);
  }
  return true;
}

// A token of another user or realm may be a person's own password: without the
// header this module does not take it for a token.
std::optional<Outcome> split_combined(const ModuleOptions &options,
                                      std::string_view user,
                                      std::string_view password,
                                      Credentials *out) {
  const bool header = take_header(&password);
  const std::size_t colon = password.find(':');
  const auto id = parse_token_id(slice(password, 0, colon));
  if (colon == std::string_view::npos || !id) {
    return header ? Outcome::kNoTokenInHeader : Outcome::kNoTokenId;
  }
  const bool is_others = id->user != user || id->realm != options.realm.view();
  if (is_others && !header) {
    return Outcome::kNoTokenId;
  }
  out->id = *id;
  out->secret = slice(password, colon + 1);
  if (header) {
    if (!percent_decode(out->secret, &out->decoded)) {
      return Outcome::kNoMemory;
    }
    out->secret = out->decoded.view();
  }
  return std::nullopt;
}

std::optional<Outcome> split(const ModuleOptions &options,
                             std::string_view user, std::string_view password,
                             Credentials *out) {
  if (options.combined) {
    return split_combined(options, user, password, out);
  }
  const auto id = parse_token_id(user);
  if (!id) {
    return Outcome::kNoTokenId;
  }
  out->id = *id;
  out->secret = password;
  return std::nullopt;
}

}  // namespace

bool is_local_name(std::string_view name) {
  constexpr std::size_t kMaxName = 32;
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view kLater = "abcdefghijklmnopqrstuvwxyz_0123456789-";
  return !name.empty() && name.size() <= kMaxName &&
         kFirst.find(name.front()) != std::string_view::npos &&
         name.find_first_not_of(kLater) == std::string_view::npos;
}

std::optional<Outcome> refuse_id(const ModuleOptions &options,
                                 const TokenId &id) {
  if (!options.realm.empty() && id.realm != options.realm.view()) {
    return Outcome::kOtherRealm;
  }
  if (options.maps_to_user_part() &&
      (!is_local_name(id.user) || id.user == "root")) {
    return Outcome::kNotMappable;
  }
  return std::nullopt;
}

std::optional<Outcome> find_credentials(const ModuleOptions &options,
                                        std::string_view user,
                                        std::string_view password,
                                        Credentials *out) {
  if (const auto refused = split(options, user, password, out); refused) {
    return refused;
  }
  const auto refused = refuse_id(options, out->id);
  const bool is_others = options.combined && out->id.user != user;
  return is_others && refused != Outcome::kOtherRealm ? Outcome::kOtherUser
                                                      : refused;
}

}  // namespace pbstoken
