// SPDX-License-Identifier: BSD-3-Clause
#include "io/command_line.h"

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "io/message.h"

#ifndef PBSTOKEN_VERSION
#define PBSTOKEN_VERSION "unknown"
#endif

namespace pbstoken {

namespace {

struct FormatName {
  std::string_view name;
  OutputFormat format;
};

constexpr std::array<FormatName, 3> kFormats = {{
    {"text", OutputFormat::kText},
    {"json", OutputFormat::kJson},
    {"json-pretty", OutputFormat::kJsonPretty},
}};

enum OptionCode : std::uint16_t {
  kStoreOption = 256,
  kConfigOption,
  kFormatOption,
  kHostOption,
  kShadowOption,
  kUsersOption,
  kNoUsersOption,
  kHelp,
  kVersion
};

// getopt_long(3) reads on to the empty one.
template <std::size_t kOwn>
constexpr auto with_common_options(const std::array<option, kOwn> &own) {
  constexpr std::array<option, 6> kCommon = {{
      {"store", required_argument, nullptr, kStoreOption},
      {"config", required_argument, nullptr, kConfigOption},
      {"output-format", required_argument, nullptr, kFormatOption},
      {"help", no_argument, nullptr, kHelp},
      {"version", no_argument, nullptr, kVersion},
      {nullptr, 0, nullptr, 0},
  }};
  std::array<option, kOwn + kCommon.size()> all{};
  std::copy(kCommon.begin(), kCommon.end(),
            std::copy(own.begin(), own.end(), all.begin()));
  return all;
}

constexpr auto kHelperOptions = with_common_options(std::array<option, 1>{
    {{"rhost", required_argument, nullptr, kHostOption}}});
constexpr auto kAdminOptions = with_common_options(std::array<option, 3>{
    {{"token-shadow", required_argument, nullptr, kShadowOption},
     {"users", no_argument, nullptr, kUsersOption},
     {"no-users", no_argument, nullptr, kNoUsersOption}}});

Error usage_error(const char *what, std::string_view subject) {
  Error error = plain_error(Errc::kBadConfiguration, what, {});
  error.subject.append_escaped(subject);
  return error;
}

Result<void> apply_path(std::string_view value, PathText *out) {
  *out = PathText(value);
  return value.starts_with('/') && !out->truncated()
             ? Result<void>()
             : usage_error("not an absolute path of at most 1023 bytes:",
                           value);
}

Result<void> apply_option(int code, std::string_view value, CommandLine *out) {
  switch (code) {
    case kStoreOption:
      if (!is_store_name(value)) {
        return usage_error("not a store name:", value);
      }
      out->store = FixedText<32>(value);
      return {};
    case kConfigOption:
      return apply_path(value, &out->config);
    case kShadowOption:
      return apply_path(value, &out->token_shadow);
    case kUsersOption:
    case kNoUsersOption:
      out->users = code == kUsersOption;
      return {};
    case kHostOption:
      out->remote_host = FixedText<255>(value);
      return {};
    default:
      break;
  }
  for (const FormatName &format : kFormats) {
    if (format.name == value) {
      out->format = format.format;
      return {};
    }
  }
  return usage_error("not an output format:", value);
}

Result<void> apply_token_id(const CommandEntry &entry, const char *operand,
                            CommandLine *out) {
  if (operand == nullptr) {
    return usage_error("no token id given for", entry.name());
  }
  const auto id = parse_token_id(operand);
  if (!id) {
    Error error = usage_error("not an API token ID:", operand);
    const char *missed = missed_form(operand);
    error.why = missed != nullptr ? missed : "no '!': USER@REALM!TOKEN";
    return error;
  }
  if (entry.operand == Operand::kWritableId && !is_writable(*id)) {
    return usage_error("not an API token ID: longer than 64 characters:",
                       operand);
  }
  out->token_id = *id;
  return {};
}

// What people try, and what does it.
struct OtherWord {
  std::string_view word;
  std::string_view hint;
};
constexpr auto kOtherWords = std::to_array<OtherWord>({
    {"revoke", "'delete' revokes a token"},
    {"remove", "'delete' removes a token"},
    {"rm", "'delete' removes a token"},
    {"create", "'generate' makes a token's secret"},
    {"add", "'generate' makes a token's secret"},
    {"new", "'generate' makes a token's secret"},
    {"show", "'pbstoken list' shows the tokens"},
    {"ls", "'pbstoken list' shows the tokens"},
    {"enable", "'enable 1' in user.cfg, or Proxmox's own interface"},
    {"disable", "'enable 0' in user.cfg, or Proxmox's own interface"},
    {"help", "see --help"},
});

Error unknown_command(std::string_view name) {
  for (const OtherWord &other : kOtherWords) {
    if (other.word == name) {
      Error error = usage_error("unknown command", name);
      error.where.append("(").append(other.hint).append(")");
      return error;
    }
  }
  return usage_error("unknown command", name);
}

Result<void> apply_operands(const Program &program, char *const *operands,
                            CommandLine *out) {
  if (operands[0] == nullptr) {
    return usage_error("no command given; see --help", {});
  }
  const std::string_view name = operands[0];
  for (const CommandEntry &entry : program.commands) {
    if (entry.name() != name) {
      continue;
    }
    out->command = entry.command;
    char *const *rest = operands + 1;
    if (entry.operand != Operand::kNone) {
      if (const auto applied = apply_token_id(entry, *rest, out); !applied) {
        return applied.error();
      }
      ++rest;
    }
    return *rest == nullptr ? Result<void>()
                            : usage_error("too many arguments:", *rest);
  }
  for (const std::string_view other : kCommandNames) {
    if (other == name) {
      return usage_error("", FixedText<63>("'")
                                 .append(name)
                                 .append("' is a command of ")
                                 .append(program.other_page)
                                 .view());
    }
  }
  return unknown_command(name);
}

}  // namespace

PathText configuration_of(const CommandLine &line) {
  return line.config.empty() ? configuration_path(line.store.view())
                             : line.config;
}

bool print_about(const Program &program, About about) {
  const auto out = [](std::string_view text) {
    return write_all(STDOUT_FILENO, text);
  };
  if (about == About::kVersion) {
    return out(program.name) && out(" " PBSTOKEN_VERSION "\n");
  }
  if (!out("usage: ") || !out(program.name) ||
      !out(program.takes_secrets ? " [OPTION...] COMMAND [--] [TOKENID]\n\n"
                                 : " [OPTION...] COMMAND\n\n")) {
    return false;
  }
  for (const CommandEntry &entry : program.commands) {
    constexpr std::string_view kColumn = "                    ";
    FixedText<kColumn.size()> text("  ");
    text.append(entry.name())
        .append(entry.operand == Operand::kNone ? "" : " TOKENID");
    text.append(slice(kColumn, text.view().size()));
    if (!out(text.view()) || !out(entry.summary) || !out("\n")) {
      return false;
    }
  }
  return out("\n"
             "  --store NAME                            default: pbs\n"
             "  --config PATH                           default: "
             "/etc/pbstoken/NAME.conf\n"
             "  --output-format text|json|json-pretty   default: text\n") &&
         (!program.takes_secrets ||
          out("  --rhost HOST                            where the secret came "
              "from\n")) &&
         (program.takes_secrets ||
          out("  --token-shadow PATH, --users, --no-users   of init\n")) &&
         out("  --help, --version\n");
}

Result<CommandLine> parse_command_line(const Program &program, int argc,
                                       char **argv) {
  CommandLine line;
  if (argc < 1) {
    // execve(2) may pass no argv[0]; getopt would walk past the end.
    return usage_error("no command given; see --help", {});
  }
  const option *options =
      program.takes_secrets ? kHelperOptions.data() : kAdminOptions.data();
  opterr = 0;  // our own messages, without argv[0]
  while (true) {
    const int code = getopt_long(argc, argv, ":", options, nullptr);
    if (code == -1) {
      break;
    }
    if (code == kHelp || code == kVersion) {
      line.about = code == kHelp ? About::kHelp : About::kVersion;
      return line;
    }
    if (code == ':' || code == '?') {
      // In a cluster such as -xy getopt names the letter only.
      const std::array<char, 2> letter = {'-', static_cast<char>(optopt)};
      const bool is_letter = optopt > 0 && optopt < kStoreOption;
      return usage_error(code == ':' ? "no value given for" : "unknown option",
                         is_letter
                             ? std::string_view(letter.data(), letter.size())
                             : argv[optind - 1]);
    }
    if (const auto applied =
            apply_option(code, optarg != nullptr ? optarg : "", &line);
        !applied) {
      return applied.error();
    }
  }
  if (const auto applied = apply_operands(program, argv + optind, &line);
      !applied) {
    return applied.error();
  }
  if (line.command != Command::kInit &&
      (!line.token_shadow.empty() || line.users)) {
    return usage_error("only init takes",
                       line.users ? "--users" : "--token-shadow");
  }
  line.replies = line.command == Command::kRequest;
  return line;
}

}  // namespace pbstoken
