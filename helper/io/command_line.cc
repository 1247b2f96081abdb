// SPDX-License-Identifier: BSD-3-Clause
#include "io/command_line.h"

#include <getopt.h>

#include <array>
#include <string_view>

#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

namespace {

struct CommandName {
  std::string_view name;
  Command command;
  bool takes_token_id;
};

constexpr std::array<CommandName, 12> kCommands = {{
    {"generate", Command::kGenerate, true},
    {"set", Command::kSet, true},
    {"delete", Command::kDelete, true},
    {"rotate", Command::kRotate, true},
    {"verify", Command::kVerify, true},
    {"account", Command::kAccount, true},
    {"list", Command::kList, false},
    {"status", Command::kStatus, false},
    {"flush", Command::kFlush, false},
    {"check", Command::kCheck, false},
    {"retire", Command::kRetire, false},
    {"serve", Command::kServe, false},
}};

struct FormatName {
  std::string_view name;
  OutputFormat format;
};

constexpr std::array<FormatName, 3> kFormats = {{
    {"text", OutputFormat::kText},
    {"json", OutputFormat::kJson},
    {"json-pretty", OutputFormat::kJsonPretty},
}};

enum OptionCode {
  kStoreOption = 256,
  kConfigOption,
  kFormatOption,
  kHostOption,
  kReplyOption,
  kNoCacheOption,
  kHelp
};

constexpr std::array<option, 8> kOptions = {{
    {"store", required_argument, nullptr, kStoreOption},
    {"config", required_argument, nullptr, kConfigOption},
    {"output-format", required_argument, nullptr, kFormatOption},
    {"rhost", required_argument, nullptr, kHostOption},
    {"reply", required_argument, nullptr, kReplyOption},
    {"nocache", no_argument, nullptr, kNoCacheOption},
    {"help", no_argument, nullptr, kHelp},
    {nullptr, 0, nullptr, 0},
}};

Error usage_error(const char *what, std::string_view subject) {
  Error error = plain_error(Errc::kBadConfiguration, what, {});
  error.subject.append_escaped(subject);
  return error;
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
      out->config = PathText(value);
      if (!value.starts_with('/') || out->config.truncated()) {
        return usage_error("not an absolute path of at most 1023 bytes:",
                           value);
      }
      return {};
    case kHostOption:
      out->remote_host = FixedText<255>(value);
      return {};
    case kNoCacheOption:
      out->nocache = true;
      return {};
    case kReplyOption:
      out->replies = value == FixedText<20>().append(kProtocolVersion).view();
      return out->replies
                 ? Result<void>()
                 : usage_error("not a version of the protocol:", value);
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

bool makes_a_secret(Command command) {
  return command == Command::kGenerate || command == Command::kSet ||
         command == Command::kRotate;
}

Result<void> apply_operands(char *const *operands, CommandLine *out) {
  if (operands[0] == nullptr) {
    return usage_error("no command given; see --help", {});
  }
  const std::string_view name = operands[0];
  for (const CommandName &known : kCommands) {
    if (known.name != name) {
      continue;
    }
    out->command = known.command;
    char *const *rest = operands + 1;
    if (known.takes_token_id) {
      if (*rest == nullptr) {
        return usage_error("no token id given for", name);
      }
      const auto id = parse_token_id(*rest);
      if (!id) {
        return usage_error("not an API token ID:", *rest);
      }
      if (makes_a_secret(known.command) && !is_writable(*id)) {
        // Upstream would not take it back, see kMaxWrittenId.
        return usage_error("not an API token ID: longer than 64 characters:",
                           *rest);
      }
      out->token_id = *id;
      ++rest;
    }
    if (*rest != nullptr) {
      return usage_error("too many arguments:", *rest);
    }
    return {};
  }
  return usage_error("unknown command", name);
}

}  // namespace

PathText configuration_of(const CommandLine &line) {
  return line.config.empty() ? configuration_path(line.store.view())
                             : line.config;
}

std::string_view usage_text() {
  return "usage: pbstoken-helper [OPTION...] COMMAND [--] [TOKENID]\n"
         "\n"
         "  generate TOKENID  make a random secret, print it once\n"
         "  set TOKENID       take the secret from standard input\n"
         "  delete TOKENID    remove the token\n"
         "  rotate TOKENID    current secret on standard input, print a new "
         "one\n"
         "  verify TOKENID    secret on standard input; exit 0 if it matches\n"
         "  account TOKENID   exit 0 if user.cfg lets the token in\n"
         "  list              the tokens, and which of them count\n"
         "  status            the segment and its counters\n"
         "  flush             forget every verified secret\n"
         "  check             what is wrong with the store's files\n"
         "  retire            remove what the store has in the kernel\n"
         "  serve             answer one request on the socket that is "
         "standard\n"
         "                    input, for pbstoken-helper.socket\n"
         "\n"
         "  --store NAME                            default: pbs\n"
         "  --config PATH                           default: "
         "/etc/pbstoken/NAME.conf\n"
         "  --output-format text|json|json-pretty   default: text\n"
         "  --rhost HOST                            where the secret came "
         "from\n";
}

Result<std::optional<CommandLine>> parse_command_line(int argc, char **argv) {
  CommandLine line;
  if (argc < 1) {
    // execve(2) may pass no argv[0]; getopt would walk past the end.
    return usage_error("no command given; see --help", {});
  }
  opterr = 0;  // our own messages, without argv[0]
  while (true) {
    const int code = getopt_long(argc, argv, ":", kOptions.data(), nullptr);
    if (code == -1) {
      break;
    }
    if (code == kHelp) {
      return std::optional<CommandLine>();
    }
    if (code == ':' || code == '?') {
      // Of a cluster such as -xy getopt names the letter only.
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
  if (const auto applied = apply_operands(argv + optind, &line); !applied) {
    return applied.error();
  }
  // The other commands would not do as it says.
  if (line.nocache && !line.replies) {
    return usage_error("without --reply there is no", "--nocache");
  }
  return std::optional<CommandLine>(line);
}

}  // namespace pbstoken
