// SPDX-License-Identifier: BSD-3-Clause
#include "io/command_line.h"

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "io/message.h"
#include "pbstoken/store/user_cfg.h"

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

}  // namespace

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

Result<void> apply_token_id(std::string_view value, CommandLine *out) {
  const auto id = parse_token_id(value);
  if (!id) {
    Error error = usage_error("not an API token ID:", value);
    const char *missed = missed_form(value);
    error.why = missed != nullptr ? missed : "no '!': USER@REALM!TOKEN";
    return error;
  }
  out->token_id = *id;
  return {};
}

namespace {

Result<void> apply_store(std::string_view value, CommandLine *out) {
  out->store = FixedText<32>(value);
  out->is_one_store = true;
  return is_store_name(value) ? Result<void>()
                              : usage_error("not a store name:", value);
}

Result<void> apply_configuration(std::string_view value, CommandLine *out) {
  out->is_one_store = true;
  return apply_path(value, &out->config);
}

Result<void> apply_format(std::string_view value, CommandLine *out) {
  for (const FormatName &format : kFormats) {
    if (format.name == value) {
      out->format = format.format;
      return {};
    }
  }
  return usage_error("not an output format:", value);
}

constexpr auto kCommonOptions = std::to_array<Option>({
    {"store", "NAME", kEachCommand, apply_store, "default: pbs"},
    {"config", "PATH", kEachCommand, apply_configuration,
     "default: /etc/pbstoken/NAME.conf"},
    {"output-format", "text|json|json-pretty",
     kEachCommand & ~one_command(Command::kMetrics), apply_format,
     "default: text"},
});

// What getopt_long(3) returns: an option's code is its place behind this one,
// past every character; the common options come first, then the program's.
constexpr int kFirstOption = 256;
constexpr int kHelp = 1024;
constexpr int kVersion = kHelp + 1;
constexpr std::size_t kMostOptions = 32;

class Options {
 public:
  explicit Options(const Program &program) : program_(program) {
    std::size_t count = 0;
    for (; count < size() && count < kMostOptions; ++count) {
      const Option &own = at(count);
      options_[count] = {own.name,
                         own.value.empty() ? no_argument : required_argument,
                         nullptr, kFirstOption + static_cast<int>(count)};
    }
    options_[count] = {"help", no_argument, nullptr, kHelp};
    options_[count + 1] = {"version", no_argument, nullptr, kVersion};
  }

  [[nodiscard]] std::size_t size() const {
    return kCommonOptions.size() + program_.options.size();
  }
  [[nodiscard]] const Option &at(std::size_t place) const {
    return place < kCommonOptions.size()
               ? kCommonOptions[place]
               : program_.options[place - kCommonOptions.size()];
  }
  // Ends with an empty one, as getopt_long(3) has it.
  [[nodiscard]] const option *for_getopt() const { return options_.data(); }

  Result<void> apply(int code, const char *value, CommandLine *out) {
    const auto place = static_cast<std::size_t>(code - kFirstOption);
    given_ |= std::uint64_t{1} << place;
    return at(place).apply(value != nullptr ? value : "", out);
  }

  // Refuses those that were given and that the command does not take.
  [[nodiscard]] Result<void> permit(Command command) const {
    for (std::size_t place = 0; place < size(); ++place) {
      const Option &own = at(place);
      if ((given_ >> place & 1U) != 0 &&
          (own.commands & one_command(command)) == 0) {
        return usage_error("", FixedText<95>("'")
                                   .append(command_name(command))
                                   .append("' does not take --")
                                   .append(own.name)
                                   .view());
      }
    }
    return {};
  }

 private:
  const Program &program_;
  std::array<option, kMostOptions + 3> options_{};
  std::uint64_t given_ = 0;  // one bit for each place
};

Result<void> apply_user_id(const char *operand, CommandLine *out) {
  if (!is_writable_user_id(operand)) {
    return usage_error("not a user ID, USER@REALM:", operand);
  }
  out->user_id = operand;
  return {};
}

Result<void> apply_id(const CommandEntry &entry, const char *operand,
                      CommandLine *out) {
  if (operand == nullptr) {
    return usage_error(entry.operand == Operand::kUserId
                           ? "no user id given for"
                           : "no token id given for",
                       entry.name());
  }
  if (entry.operand == Operand::kUserId) {
    return apply_user_id(operand, out);
  }
  if (const auto applied = apply_token_id(operand, out); !applied) {
    return applied.error();
  }
  return entry.operand != Operand::kWritableId || is_writable(out->token_id)
             ? Result<void>()
             : usage_error("not an API token ID: longer than 64 characters:",
                           operand);
}

// What people try, and what does it.
struct OtherWord {
  std::string_view word;
  std::string_view hint;
};
constexpr auto kOtherWords = std::to_array<OtherWord>({
    {"revoke", "'pbstoken-helper delete' revokes a token"},
    {"remove", "'pbstoken token remove' removes a token"},
    {"rm", "'pbstoken token remove' removes a token"},
    {"create", "'pbstoken token add' makes a token"},
    {"add", "'pbstoken token add' makes a token"},
    {"new", "'pbstoken token add' makes a token"},
    {"show", "'pbstoken list' shows the tokens"},
    {"ls", "'pbstoken list' shows the tokens"},
    {"enable", "'pbstoken token enable' and 'pbstoken user enable'"},
    {"disable", "'pbstoken token disable' and 'pbstoken user disable'"},
    {"token",
     "'pbstoken token' and add, remove, enable, disable, expire or comment"},
    {"user", "'pbstoken user' and add, enable, disable or expire"},
    {"help", "see --help"},
});

// words: the first is no command.
Error unknown_command(char *const *words) {
  const std::string_view name = words[0];
  Error error = usage_error("unknown command", name);
  for (const OtherWord &other : kOtherWords) {
    if (other.word == name) {
      error.where.append("(").append(other.hint).append(")");
    }
  }
  // Of two words, most likely the second is wrong.
  if ((name == "token" || name == "user") && words[1] != nullptr) {
    error.subject.append(" ").append_escaped(words[1]);
  }
  return error;
}

// The command's name: one word, or two.  Returns where the operands begin;
// null if the first of these words begins no name.
char *const *skip_name(std::string_view name, char *const *words) {
  const std::size_t blank = name.find(' ');
  if (slice(name, 0, blank) != words[0]) {
    return nullptr;
  }
  if (blank == std::string_view::npos) {
    return words + 1;
  }
  return words[1] != nullptr && slice(name, blank + 1) == words[1] ? words + 2
                                                                   : nullptr;
}

// Leaves words at the first one that the command does not take.
Result<void> apply_operands(const CommandEntry &entry, char *const **words,
                            CommandLine *out) {
  if (entry.operand != Operand::kNone) {
    if (const auto applied = apply_id(entry, **words, out); !applied) {
      return applied.error();
    }
    ++*words;
  }
  if (entry.value.empty()) {
    return {};
  }
  const char *value = **words;
  if (value == nullptr) {
    return usage_error("", FixedText<95>("no ")
                               .append(entry.value)
                               .append(" given for ")
                               .append(entry.name())
                               .view());
  }
  ++*words;
  return entry.apply(value, out);
}

Result<void> apply_words(const Program &program, char *const *words,
                         CommandLine *out) {
  if (words[0] == nullptr) {
    return usage_error("no command given; see --help", {});
  }
  for (const CommandEntry &entry : program.commands) {
    char *const *rest = skip_name(entry.name(), words);
    if (rest == nullptr) {
      continue;
    }
    out->command = entry.command;
    if (const auto applied = apply_operands(entry, &rest, out); !applied) {
      return applied.error();
    }
    return *rest == nullptr ? Result<void>()
                            : usage_error("too many arguments:", *rest);
  }
  for (const std::string_view other : kCommandNames) {
    if (skip_name(other, words) != nullptr) {
      return usage_error("", FixedText<95>("'")
                                 .append(other)
                                 .append("' is a command of ")
                                 .append(program.other_page)
                                 .view());
    }
  }
  return unknown_command(words);
}

}  // namespace

PathText configuration_of(const CommandLine &line) {
  return line.config.empty() ? configuration_path(line.store.view())
                             : line.config;
}

namespace {

using Row = FixedText<95>;

// Prints a row of --help: what a person types, and from that column on what it
// does.
bool print_row(Row *row, std::size_t column, std::string_view summary) {
  do {
    row->append(" ");
  } while (row->view().size() + 2 < column && !row->truncated());
  return write_all(STDOUT_FILENO, "  ") &&
         write_all(STDOUT_FILENO, row->view()) &&
         write_all(STDOUT_FILENO, summary) && write_all(STDOUT_FILENO, "\n");
}

}  // namespace

bool print_about(const Program &program, About about) {
  const auto out = [](std::string_view text) {
    return write_all(STDOUT_FILENO, text);
  };
  if (about == About::kVersion) {
    return out(program.name) && out(" " PBSTOKEN_VERSION "\n");
  }
  if (!out("usage: ") || !out(program.name) || !out(program.usage) ||
      !out("\n\n")) {
    return false;
  }
  for (const CommandEntry &entry : program.commands) {
    Row row;
    row.append(entry.name())
        .append(entry.operand == Operand::kNone     ? ""
                : entry.operand == Operand::kUserId ? " USERID"
                                                    : " TOKENID")
        .append(entry.value.empty() ? "" : " ")
        .append(entry.value);
    if (!print_row(&row, program.column, entry.summary)) {
      return false;
    }
  }
  if (!out("\n")) {
    return false;
  }
  const Options options(program);
  for (std::size_t place = 0; place < options.size(); ++place) {
    constexpr std::size_t kOptionColumn = 42;
    const Option &own = options.at(place);
    Row row("--");
    row.append(own.name).append(own.value.empty() ? "" : " ").append(own.value);
    if (!print_row(&row, kOptionColumn, own.summary)) {
      return false;
    }
  }
  return out("  --help, --version\n");
}

Result<CommandLine> parse_command_line(const Program &program, int argc,
                                       char **argv) {
  CommandLine line;
  if (argc < 1) {
    // execve(2) may pass no argv[0]; getopt would walk past the end.
    return usage_error("no command given; see --help", {});
  }
  Options options(program);
  opterr = 0;  // our own messages, without argv[0]
  while (true) {
    const int code =
        getopt_long(argc, argv, ":", options.for_getopt(), nullptr);
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
      const bool is_letter = optopt > 0 && optopt < kFirstOption;
      return usage_error(code == ':' ? "no value given for" : "unknown option",
                         is_letter
                             ? std::string_view(letter.data(), letter.size())
                             : argv[optind - 1]);
    }
    if (const auto applied = options.apply(code, optarg, &line); !applied) {
      return applied.error();
    }
  }
  if (const auto applied = apply_words(program, argv + optind, &line);
      !applied) {
    return applied.error();
  }
  if (const auto permitted = options.permit(line.command); !permitted) {
    return permitted.error();
  }
  line.replies = line.command == Command::kRequest;
  return line;
}

}  // namespace pbstoken
