// SPDX-License-Identifier: BSD-3-Clause
// What a command prints on standard output: named fields, as aligned text or
// as one JSON object.
#ifndef PBSTOKEN_HELPER_OUTPUT_H_
#define PBSTOKEN_HELPER_OUTPUT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "command_line.h"

namespace pbstoken {

struct Field {
  std::string_view name;
  std::string_view text;                // for a string
  std::optional<std::uint64_t> number;  // else this
  bool is_null = false;                 // else nothing is known

  static Field string(std::string_view name, std::string_view text) {
    return {.name = name, .text = text, .number = {}};
  }
  static Field count(std::string_view name, std::uint64_t number) {
    return {.name = name, .text = {}, .number = number};
  }
  static Field unknown(std::string_view name) {
    return {.name = name, .text = {}, .number = {}, .is_null = true};
  }
};

// False, with errno, if not all of it could be written; ETIMEDOUT if standard
// output has taken nothing for some seconds.
[[nodiscard]] bool print_fields(std::span<const Field> fields,
                                OutputFormat format);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_OUTPUT_H_
