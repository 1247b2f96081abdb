// SPDX-License-Identifier: BSD-3-Clause
#include "module_options.h"

#include <array>
#include <string_view>

namespace pbstoken {

namespace {

// Null, or what is wrong with the option.
using Problem = const char *;

Problem set_store(ModuleOptions *options, std::string_view value) {
  if (!is_store_name(value)) {
    return "not a store name";
  }
  options->store = FixedText<32>(value);
  return nullptr;
}

Problem set_path(PathText *out_path, std::string_view value) {
  if (!value.starts_with('/')) {
    return "must be an absolute path";
  }
  *out_path = PathText(value);
  return out_path->truncated() ? "longer than 1023 bytes" : nullptr;
}

Problem set_config(ModuleOptions *options, std::string_view value) {
  return set_path(&options->config, value);
}

Problem set_helper(ModuleOptions *options, std::string_view value) {
  return set_path(&options->helper, value);
}

struct Setting {
  std::string_view prefix;
  Problem (*set)(ModuleOptions *options, std::string_view value);
};
constexpr std::array<Setting, 3> kSettings = {{
    {"store=", set_store},
    {"config=", set_config},
    {"helper=", set_helper},
}};

struct Flag {
  std::string_view name;
  bool ModuleOptions::*member;
};
constexpr std::array<Flag, 4> kFlags = {{
    {"try_first_pass", &ModuleOptions::try_first_pass},
    {"use_first_pass", &ModuleOptions::use_first_pass},
    {"nocache", &ModuleOptions::nocache},
    {"debug", &ModuleOptions::debug},
}};

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

}  // namespace

Result<ModuleOptions> parse_module_options(std::span<const char *const> argv) {
  ModuleOptions options;
  for (const std::string_view option : argv) {
    if (const Problem problem = apply(&options, option); problem != nullptr) {
      Error error = plain_error(Errc::kBadConfiguration, "cannot use option",
                                {}, problem);
      error.subject.append_escaped(option);
      return error;
    }
  }
  return options;
}

}  // namespace pbstoken
