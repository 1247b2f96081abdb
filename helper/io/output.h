// SPDX-License-Identifier: BSD-3-Clause
// What a command prints on standard output: named fields, as aligned text or
// as one JSON object.
#ifndef PBSTOKEN_OUTPUT_H_
#define PBSTOKEN_OUTPUT_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "io/command.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/base/text.h"

namespace pbstoken {

// A named value.  The functions below make one, each of another kind.
struct Field {
  std::string_view name;
  std::string_view text = {};
  std::optional<std::uint64_t> number = {};
  std::optional<bool> flag = {};
  std::span<const Field> fields = {};
  bool is_null = false;
  bool is_array = false;  // the fields are elements, and have no names
  bool is_size = false;   // the number is of bytes
  bool is_key = false;    // the number is a key_t

  static Field string(std::string_view name, std::string_view text) {
    return {.name = name, .text = text};
  }
  static Field count(std::string_view name, std::uint64_t number) {
    return {.name = name, .number = number};
  }
  // A size.  In a text it has a unit: 4.0 MiB.
  static Field size(std::string_view name, std::uint64_t bytes) {
    return {.name = name, .number = bytes, .is_size = true};
  }
  // A key of System V objects.  In a text it stands as ipcs(1) shows it.
  static Field key(std::string_view name, key_t key) {
    return {.name = name,
            .number = static_cast<std::uint32_t>(key),
            .is_key = true};
  }
  static Field boolean(std::string_view name, bool flag) {
    return {.name = name, .flag = flag};
  }
  // An object.  In a text its fields stand on lines of their own: name.field.
  static Field object(std::string_view name, std::span<const Field> fields) {
    return {.name = name, .fields = fields};
  }
  // An array of JSON.  In a text it is printed as an object.
  static Field array(std::string_view name, std::span<const Field> elements) {
    return {.name = name, .fields = elements, .is_array = true};
  }
  // A value that is not known: null, in a text a dash.
  static Field unknown(std::string_view name) {
    return {.name = name, .is_null = true};
  }
};

// Prints the fields, or the text.  Returns false, with errno, if not all of it
// could be written; ETIMEDOUT if standard output has taken nothing for 4 s.
[[nodiscard]] bool print_fields(std::span<const Field> fields,
                                OutputFormat format);
[[nodiscard]] bool print(std::string_view text);

// Returns the error of what has just failed to be printed, by errno.
Error output_error();

// Returns a size for people, rounded to a tenth: 512 B, 4.0 MiB.
FixedText<31> size_text(std::uint64_t bytes);

// Returns a key as ipcs(1) shows it and ipcrm(1) takes it: 0x0a0b0c0d.
FixedText<16> key_text(key_t key);

// Appends one JSON object, or an array of the fields' values.  indent: of the
// lines of a pretty one.  Returns false without memory.
[[nodiscard]] bool append_json_object(Buffer *out,
                                      std::span<const Field> fields,
                                      bool pretty, std::string_view indent,
                                      bool is_array = false);

}  // namespace pbstoken

#endif  // PBSTOKEN_OUTPUT_H_
