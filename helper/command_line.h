// SPDX-License-Identifier: BSD-3-Clause
// The helper's command line:
//   pbstoken-helper [--store NAME] [--config PATH] [--output-format FORMAT]
//                   COMMAND [--] [TOKENID]
#ifndef PBSTOKEN_HELPER_COMMAND_LINE_H_
#define PBSTOKEN_HELPER_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/result.h"
#include "pbstoken/store.h"
#include "pbstoken/token_id.h"

namespace pbstoken {

enum class Command : std::uint8_t {
  kGenerate,
  kSet,
  kDelete,
  kRotate,
  kVerify,
  kList,
  kStatus,
  kFlush,
  kCheck
};

enum class OutputFormat : std::uint8_t { kText, kJson, kJsonPretty };

struct CommandLine {
  Command command = Command::kStatus;
  FixedText<32> store = FixedText<32>(kDefaultStore);
  PathText config;  // empty: the store's own
  OutputFormat format = OutputFormat::kText;
  TokenId token_id;  // of the commands that take one; views into argv
};

// What --help prints.
std::string_view usage_text();

// The command line, nothing for --help, or an error whose text says which
// argument is wrong.
Result<std::optional<CommandLine>> parse_command_line(int argc, char **argv);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_COMMAND_LINE_H_
