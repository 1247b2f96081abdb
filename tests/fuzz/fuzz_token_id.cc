// SPDX-License-Identifier: BSD-3-Clause
// Token ids and combined passwords: what is taken apart is what was put
// together, and an oracle that looks at every way to do so agrees.
//
// Input: a line with options, in the digits that take_choice() knows; a line
// with the user name; the rest is the password.
#include <security/pam_modules.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/module/call.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/credentials.h"
#include "pbstoken/verify/options.h"
#include "second_reader.h"

namespace pbstoken::fuzz {
namespace {

// --- the oracle of ids

constexpr std::string_view kSafeFirst =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
constexpr std::string_view kSafe =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
// Unicode's White_Space, beyond ASCII's control characters.
constexpr std::array<std::string_view, 21> kWhite = {" ",
                                                     "\xc2\x85",
                                                     "\xc2\xa0",
                                                     "\xe1\x9a\x80",
                                                     "\xe2\x80\x80",
                                                     "\xe2\x80\x81",
                                                     "\xe2\x80\x82",
                                                     "\xe2\x80\x83",
                                                     "\xe2\x80\x84",
                                                     "\xe2\x80\x85",
                                                     "\xe2\x80\x86",
                                                     "\xe2\x80\x87",
                                                     "\xe2\x80\x88",
                                                     "\xe2\x80\x89",
                                                     "\xe2\x80\x8a",
                                                     "\xe2\x80\xa8",
                                                     "\xe2\x80\xa9",
                                                     "\xe2\x80\xaf",
                                                     "\xe2\x81\x9f",
                                                     "\xe3\x80\x80",
                                                     "\x7f"};

bool is_safe(std::string_view text) {
  return !text.empty() && kSafeFirst.find(text[0]) != std::string_view::npos &&
         text.find_first_not_of(kSafe) == std::string_view::npos;
}

bool is_realm(std::string_view text) {
  return text.size() >= 2 && text.size() <= 32 && is_safe(text);
}

bool is_user(std::string_view text) {
  if (text.empty() || !is_utf8(text) ||
      text.find_first_of(":/") != std::string_view::npos) {
    return false;
  }
  for (const char c : text) {
    if (c >= 0 && c < 0x20) {
      return false;
    }
  }
  return std::none_of(kWhite.begin(), kWhite.end(), [&](auto white) {
    return text.find(white) != std::string_view::npos;
  });
}

struct Parts {
  std::string_view user;
  std::string_view realm;
  std::string_view name;
};

// By every pair of an '@' and a '!': there is one way at most.
std::optional<Parts> parts_of(std::string_view text) {
  std::optional<Parts> found;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '@') {
      continue;
    }
    for (std::size_t mark = at + 1; mark < text.size(); ++mark) {
      const Parts parts = {text.substr(0, at),
                           text.substr(at + 1, mark - at - 1),
                           text.substr(mark + 1)};
      if (text[mark] == '!' && is_safe(parts.name) && is_realm(parts.realm) &&
          is_user(parts.user)) {
        require(!found, "an id can be taken apart in one way only");
        found = parts;
      }
    }
  }
  return found;
}

void test_id(std::string_view text) {
  const auto id = parse_token_id(text);
  const auto expected = parts_of(text);
  require(id.has_value() == expected.has_value(), "both know what an id is");
  const std::size_t at = text.rfind('@');
  require(is_user_id(text) ==
              (at != std::string_view::npos && is_user(text.substr(0, at)) &&
               is_realm(text.substr(at + 1))),
          "both know what a user's id is");
  if (!id) {
    return;
  }
  require(!is_user_id(text), "no id is a user's and a token's");
  require(id->text == text && id->user == expected->user &&
              id->realm == expected->realm && id->name == expected->name,
          "both find the same parts");
  require(user_id_of(*id) == std::string(expected->user) + "@" +
                                 std::string(expected->realm) &&
              is_user_id(user_id_of(*id)),
          "the user's id is the part before the '!'");
  const auto characters = static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
  require(is_writable(*id) == (characters <= 64),
          "64 characters can be written");
}

// --- the oracle of credentials

struct Expected {
  int code = PAM_USER_UNKNOWN;
  std::string id = {};
  std::string secret = {};
};

std::string percent_decoded(std::string text) {
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] == '%' && kHex.find(text[i + 1]) != std::string_view::npos &&
        kHex.find(text[i + 2]) != std::string_view::npos) {
      const std::string digits = text.substr(i + 1, 2);
      text.replace(i, 3, 1, static_cast<char>(std::stoi(digits, nullptr, 16)));
    }
  }
  return text;
}

bool is_mappable(std::string_view user) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view kLater = "abcdefghijklmnopqrstuvwxyz_0123456789-";
  return !user.empty() && user.size() <= 32 && user != "root" &&
         kFirst.find(user[0]) != std::string_view::npos &&
         user.find_first_not_of(kLater) == std::string_view::npos;
}

Expected expect(const ModuleOptions &options, std::string_view user,
                std::string_view password) {
  Expected expected;
  expected.id = user;
  expected.secret = password;
  bool header = false;
  if (options.combined) {
    std::string rest(password);
    for (const char *scheme :
         {"PBSAPIToken=", "PBSAPIToken ", "PDMAPIToken=", "PDMAPIToken "}) {
      if (!header && rest.rfind(scheme, 0) == 0) {
        rest.erase(0, 12);
        header = true;
      }
    }
    const std::size_t colon = rest.find(':');
    if (colon == std::string::npos) {
      return header ? Expected{.code = PAM_AUTH_ERR} : expected;
    }
    expected.id = rest.substr(0, colon);
    expected.secret = rest.substr(colon + 1);
    if (header) {
      expected.secret = percent_decoded(expected.secret);
    }
  }
  const auto parts = parts_of(expected.id);
  if (!parts) {
    return header ? Expected{.code = PAM_AUTH_ERR} : expected;
  }
  // Without the header it may be a person's own password.
  if (options.combined && !header &&
      (parts->realm != options.realm.view() || parts->user != user)) {
    return expected;
  }
  const bool fits =
      (options.realm.empty() || parts->realm == options.realm.view()) &&
      (!options.combined || parts->user == user) &&
      (!options.maps_to_user_part() || is_mappable(parts->user));
  expected.code = fits ? PAM_SUCCESS : PAM_AUTH_ERR;
  return expected;
}

std::optional<ModuleOptions> take_options(std::string_view line) {
  Input input(reinterpret_cast<const std::uint8_t *>(line.data()), line.size());
  std::array<const char *, 3> argv{};
  std::size_t argc = 0;
  const auto add = [&](const char *option) {
    if (option != nullptr) {
      argv[argc++] = option;
    }
  };
  constexpr std::array<const char *, 2> kCombined = {nullptr, "combined"};
  constexpr std::array<const char *, 4> kRealm = {nullptr, "realm=pam",
                                                  "realm=pbs", "realm=a"};
  constexpr std::array<const char *, 3> kMap = {nullptr, "map_user=user",
                                                "map_user=www-data"};
  add(kCombined[input.take_choice(kCombined.size())]);
  add(kRealm[input.take_choice(kRealm.size())]);
  add(kMap[input.take_choice(kMap.size())]);
  ModuleOptions options;
  const auto parsed = parse_module_options({argv.data(), argc}, &options);
  return parsed ? std::optional(options) : std::nullopt;
}

void test_credentials(const ModuleOptions &options, std::string_view user,
                      std::string_view password) {
  Credentials found;
  const auto refused = find_credentials(options, user, password, &found);
  const int code = refused ? pam_code(*refused) : PAM_SUCCESS;
  const Expected expected = expect(options, user, password);
  require(code == expected.code, "both say the same of credentials");
  require(
      !refused || info_of(*refused).reason.empty() == (code != PAM_AUTH_ERR),
      "a refusal has a reason");
  if (code == PAM_USER_UNKNOWN) {
    return;
  }
  require(found.id.text == expected.id && found.secret == expected.secret,
          "both find the same id and secret");
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken::fuzz;
  Input input(data, size);
  const auto options = take_options(input.take_line());
  const std::string_view user = input.take_line();
  test_id(user);
  test_id(input.rest());
  if (options) {
    test_credentials(*options, user, input.rest());
  }
  return 0;
}
