// SPDX-License-Identifier: BSD-3-Clause
// The helper's command line:
//   pbstoken-helper [--store NAME] [--config PATH] [--output-format FORMAT]
//                   COMMAND [--rhost HOST] [--] [TOKENID]
// and, for the module alone, [--reply VERSION] [--nocache].
#ifndef PBSTOKEN_COMMAND_LINE_H_
#define PBSTOKEN_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

enum class Command : std::uint8_t {
  kGenerate,
  kSet,
  kDelete,
  kRotate,
  kVerify,
  kAccount,
  kList,
  kStatus,
  kFlush,
  kCheck,
  kRetire,
  kServe
};

enum class OutputFormat : std::uint8_t { kText, kJson, kJsonPretty };

struct CommandLine {
  Command command = Command::kStatus;
  FixedText<32> store = FixedText<32>(kDefaultStore);
  PathText config;  // empty: the store's own
  OutputFormat format = OutputFormat::kText;
  TokenId token_id;  // of the commands that take one; views into argv
  // The remote host that a secret came from; empty: none is known.
  FixedText<255> remote_host;
  bool nocache = false;  // bypass the segment
  // By the protocol of helper_protocol.h, instead of by text.
  bool replies = false;
};

// Where the configuration of its store is.
PathText configuration_of(const CommandLine &line);

// What --help prints.
std::string_view usage_text();

// The command line, nothing for --help, or an error whose text says which
// argument is wrong.
Result<std::optional<CommandLine>> parse_command_line(int argc, char **argv);

}  // namespace pbstoken

#endif  // PBSTOKEN_COMMAND_LINE_H_
