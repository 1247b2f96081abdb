// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/options.h"

#include <array>
#include <string_view>

#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/credentials.h"

namespace pbstoken {

namespace {

// Returns null, or what is wrong with the option.
using Problem = const char *;

Problem set_store(ModuleOptions *options, std::string_view value) {
  if (!is_store_name(value)) {
    return "not a store name";
  }
  options->store = FixedText<32>(value);
  return nullptr;
}

template <PathText ModuleOptions::*kMember>
Problem set_path(ModuleOptions *options, std::string_view value) {
  if (!value.starts_with('/')) {
    return "must be an absolute path";
  }
  PathText &path = options->*kMember = PathText(value);
  return path.truncated() ? "longer than 1023 bytes" : nullptr;
}

Problem set_helper(ModuleOptions *options, std::string_view value) {
  options->helper_is_named = true;
  return set_path<&ModuleOptions::helper>(options, value);
}

Problem set_realm(ModuleOptions *options, std::string_view value) {
  if (!is_user_id(FixedText<40>("x@").append(value).view())) {
    return "not a realm";
  }
  options->realm = FixedText<32>(value);
  return nullptr;
}

Problem set_map_user(ModuleOptions *options, std::string_view value) {
  if (!is_local_name(value)) {
    return "not a local user's name";
  }
  options->map_user = FixedText<32>(value);
  return nullptr;
}

struct Setting {
  std::string_view prefix;
  Problem (*set)(ModuleOptions *options, std::string_view value);
};
constexpr auto kSettings = std::to_array<Setting>({
    {"store=", set_store},
    {"config=", set_path<&ModuleOptions::config>},
    {"helper=", set_helper},
    {"realm=", set_realm},
    {"map_user=", set_map_user},
});

struct Flag {
  std::string_view name;
  bool ModuleOptions::*member;
};
constexpr auto kFlags = std::to_array<Flag>({
    {"try_first_pass", &ModuleOptions::try_first_pass},
    {"use_first_pass", &ModuleOptions::use_first_pass},
    {"nocache", &ModuleOptions::nocache},
    {"combined", &ModuleOptions::combined},
    {"check_account", &ModuleOptions::check_account},
    {"quiet", &ModuleOptions::quiet},
    {"debug", &ModuleOptions::debug},
    {"log_hits", &ModuleOptions::log_hits},
});

Problem apply(ModuleOptions *options, std::string_view option) {
  for (const Setting &setting : kSettings) {
    if (option.starts_with(setting.prefix)) {
      return setting.set(options, slice(option, setting.prefix.size()));
    }
  }
  for (const Flag &flag : kFlags) {
    if (option == flag.name) {
      options->*flag.member = true;
      return nullptr;
    }
  }
  return "unknown option";
}

Error option_error(std::string_view option, Problem problem) {
  Error error =
      plain_error(Errc::kBadConfiguration, "cannot use option", {}, problem);
  error.subject.append_escaped(option);
  return error;
}

// What one option asks of the others.
Result<void> complete(ModuleOptions *options) {
  const bool maps = !options->map_user.empty();
  if (!options->realm.empty() && !options->combined && !maps) {
    return option_error("realm=", "needs combined or map_user=");
  }
  // Users of different realms may have one name.
  if (options->maps_to_user_part() && options->realm.empty()) {
    return option_error("map_user=user", "needs realm=");
  }
  if (options->combined && options->realm.empty()) {
    options->realm = FixedText<32>("pam");  // the host's own users
  }
  // Services that know the user by a name of his own may never call account
  // for the token.
  options->check_account = options->check_account || options->combined || maps;
  return {};
}

}  // namespace

Result<void> parse_module_options(std::span<const char *const> argv,
                                  ModuleOptions *out_options) {
  for (const std::string_view option : argv) {
    if (const Problem problem = apply(out_options, option);
        problem != nullptr) {
      return option_error(option, problem);
    }
  }
  return complete(out_options);
}

}  // namespace pbstoken
