// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "pbstoken/base/utf8.h"

namespace pbstoken {

namespace text {

std::size_t append(char *bytes, std::size_t size, std::size_t capacity,
                   std::string_view more) {
  const std::string_view fitting = slice(more, 0, capacity - size);
  if (!fitting.empty()) {
    std::memcpy(bytes + size, fitting.data(), fitting.size());
  }
  bytes[size + fitting.size()] = '\0';
  return size + fitting.size();
}

std::string_view digits_of(std::uint64_t number, Digits *place) {
  constexpr std::uint64_t kBase = 10;
  std::size_t at = place->size();
  do {
    (*place)[--at] = static_cast<char>('0' + number % kBase);
    number /= kBase;
  } while (number != 0);
  return {place->data() + at, place->size() - at};
}

HexDigits hex_digits_of(std::uint8_t byte) {
  constexpr std::string_view kHex = "0123456789abcdef";
  return {kHex[byte >> 4U], kHex[byte & 0xfU]};
}

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Characters of no width or blank, or with a direction: format characters and
// fillers of the Unicode Standard, the separators of lines and paragraphs.
constexpr std::array<Range, 13> kHidden = {{{0x80, 0x9f},
                                            {0xad, 0xad},
                                            {0x61c, 0x61c},
                                            {0x115f, 0x1160},
                                            {0x180b, 0x180f},
                                            {0x200b, 0x200f},
                                            {0x2028, 0x202e},
                                            {0x2060, 0x206f},
                                            {0x2800, 0x2800},
                                            {0x3164, 0x3164},
                                            {0xfe00, 0xfe0f},
                                            {0xfeff, 0xfeff},
                                            {0xffa0, 0xffa0}}};
constexpr Range kTags = {0xe0000, 0xe0fff};

bool is_hidden(char32_t c) {
  const auto has = [c](const Range &range) {
    return c >= range.first && c <= range.last;
  };
  return has(kTags) || std::any_of(kHidden.begin(), kHidden.end(), has);
}

// How many bytes at the beginning are to be escaped; 0: none.
std::size_t escaped_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x20 || first == 0x7f || first == '\\') {
    return 1;
  }
  std::string_view rest = text;
  const auto c = take_code_point(&rest);
  return c && is_hidden(*c) ? text.size() - rest.size() : 0;
}

}  // namespace

std::string_view take_escaped(std::string_view *rest, Escape *place) {
  const std::size_t escaped = escaped_size(*rest);
  std::size_t size = 0;
  for (std::size_t i = 0; i < escaped; ++i) {
    const HexDigits digits =
        hex_digits_of(static_cast<std::uint8_t>((*rest)[i]));
    for (const char c : {'\\', 'x', digits[0], digits[1]}) {
      (*place)[size++] = c;
    }
  }
  if (escaped == 0) {
    (*place)[size++] = rest->front();
  }
  rest->remove_prefix(escaped != 0 ? escaped : 1);
  return {place->data(), size};
}

}  // namespace text

bool is_same_word(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(),
                    lower_case.end(), [](char c, char lower) {
                      return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) ==
                             lower;
                    });
}

namespace {

// Returns a word of text with its first byte as the lowest one.  Else a short
// text would be at the upper end on a big-endian processor, where the factor
// below spreads it over few bits.
std::uint64_t first_byte_lowest(std::uint64_t word) {
  return std::endian::native == std::endian::little ? word
                                                    : __builtin_bswap64(word);
}

}  // namespace

// Eight bytes at a time; the last eight may lap over those before them.
std::uint64_t quick_hash(std::string_view text, std::uint64_t before) {
  const auto mix = [](std::uint64_t hash, std::uint64_t word) {
    constexpr std::uint64_t kFactor = 0x9e37'79b9'7f4a'7c15;  // odd
    constexpr unsigned kHalf = 32;
    hash = (hash ^ word) * kFactor;
    return hash ^ (hash >> kHalf);
  };
  std::uint64_t hash = mix(before, text.size() + 1);
  std::uint64_t word = 0;
  if (text.size() < sizeof(word)) {
    std::memcpy(&word, text.data(), text.size());
    return mix(hash, first_byte_lowest(word));
  }
  for (std::size_t at = 0; at + sizeof(word) < text.size();
       at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    hash = mix(hash, first_byte_lowest(word));
  }
  std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
  return mix(hash, first_byte_lowest(word));
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  return error == std::errc{} && stop == end ? std::optional(number)
                                             : std::nullopt;
}

}  // namespace pbstoken
