// SPDX-License-Identifier: BSD-3-Clause
#include "second_reader.h"

#include <simdjson.h>

#include <algorithm>

namespace pbstoken::fuzz {

namespace {

namespace dom = simdjson::dom;

SecondRoot root_of_error(simdjson::error_code error) {
  return error == simdjson::NUMBER_ERROR ? SecondRoot::kBeyondNumber
                                         : SecondRoot::kNoJson;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(
      std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
}

// RFC 8259, section 6.
bool is_json_number(std::string_view text) {
  const auto drop = [&text](std::size_t count) { text.remove_prefix(count); };
  drop(text.starts_with('-') ? 1 : 0);
  const std::size_t whole = count_digits(text);
  if (whole == 0 || (whole > 1 && text[0] == '0')) {
    return false;
  }
  drop(whole);
  if (text.starts_with('.')) {
    drop(1);
    if (count_digits(text) == 0) {
      return false;
    }
    drop(count_digits(text));
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    drop(1);
    drop(text.starts_with('+') || text.starts_with('-') ? 1 : 0);
    return count_digits(text) != 0 && count_digits(text) == text.size();
  }
  return text.empty();
}

}  // namespace

SecondReading read_again(std::string_view text) {
  // Keeps its memory: most of the time goes there otherwise.
  static auto *parser = new dom::parser;
  SecondReading reading;
  // No part of JSON (RFC 8259, section 8.1), but simdjson 3 reads over it.
  if (text.starts_with("\xef\xbb\xbf")) {
    reading.root = SecondRoot::kNoJson;
    return reading;
  }
  dom::element root;
  if (const auto error = parser->parse(text.data(), text.size()).get(root);
      error != simdjson::SUCCESS) {
    reading.root = root_of_error(error);
    return reading;
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) {
    reading.root = root.is_null() ? SecondRoot::kNull : SecondRoot::kOther;
    return reading;
  }
  reading.root = SecondRoot::kObject;
  for (const auto &[name, value] : object) {
    SecondMember member = {.name = std::string(name), .value = {}};
    if (std::string_view string; value.get(string) == simdjson::SUCCESS) {
      member.value = std::string(string);
    }
    reading.members.push_back(std::move(member));
  }
  return reading;
}

std::optional<std::string> find_again(const SecondReading &reading,
                                      std::string_view token_id) {
  std::optional<std::string> found;
  for (const SecondMember &member : reading.members) {
    if (member.name == token_id) {
      found = member.value.value_or("");
    }
  }
  return found;
}

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

bool has_json_numbers(std::string_view text) {
  constexpr std::string_view kOfNumbers = "+-.0123456789Ee";
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      in_string = !in_string;
    } else if (in_string) {
      i += text[i] == '\\' ? 1 : 0;
    } else if (text[i] == '-' || is_digit(text[i])) {
      const std::size_t end =
          std::min(text.find_first_not_of(kOfNumbers, i), text.size());
      if (!is_json_number(text.substr(i, end - i))) {
        return false;
      }
      i = end - 1;
    }
  }
  return true;
}

std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\' ? 1 : 0;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace pbstoken::fuzz
