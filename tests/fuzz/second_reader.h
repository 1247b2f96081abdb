// SPDX-License-Identifier: BSD-3-Clause
// A second reader of token.shadow, by simdjson, which shares no line with the
// one that is tested.  Besides, what strict UTF-8 is.
#ifndef PBSTOKEN_TESTS_FUZZ_SECOND_READER_H_
#define PBSTOKEN_TESTS_FUZZ_SECOND_READER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pbstoken::fuzz {

struct SecondMember {
  std::string name;                  // decoded
  std::optional<std::string> value;  // decoded; nothing: it is no string
};

enum class SecondRoot {
  kObject,
  kNull,
  kOther,         // JSON, but no token.shadow
  kNoJson,        // not even that
  kBeyondNumber,  // no JSON, for a number that simdjson has no type for
};

struct SecondReading {
  SecondRoot root = SecondRoot::kNoJson;
  std::vector<SecondMember>
      members;  // in the order of the text, duplicates too
};

SecondReading read_again(std::string_view text);

// The stored hash of a token id, as upstream finds it in a file where every
// value is a string: the last one; empty for a value that is none.
std::optional<std::string> find_again(const SecondReading &reading,
                                      std::string_view token_id);

bool is_utf8(std::string_view text);

// Whether every number of a text is one by JSON's grammar, however large.
bool has_json_numbers(std::string_view text);

// How deep the brackets of a JSON text are nested.
std::size_t depth_of(std::string_view text);

}  // namespace pbstoken::fuzz

#endif  // PBSTOKEN_TESTS_FUZZ_SECOND_READER_H_
