// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/text.h"

#include <charconv>
#include <cstring>

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

namespace {

// Characters of three bytes: U+200B to U+200F, U+202A to U+202E and U+2060 to
// U+206F are of no width, or set a direction; so is U+FEFF.
bool is_hidden(unsigned first, unsigned second, unsigned third) {
  if (first == 0xef) {
    return second == 0xbb && third == 0xbf;
  }
  return first == 0xe2 &&
         ((second == 0x80 && ((third >= 0x8b && third <= 0x8f) ||
                              (third >= 0xaa && third <= 0xae))) ||
          (second == 0x81 && third >= 0xa0 && third <= 0xaf));
}

// How many bytes at the beginning are to be escaped; 0: none.
std::size_t escaped_size(std::string_view text) {
  const auto at = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  if (at(0) < 0x20 || at(0) == 0x7f || at(0) == '\\') {
    return 1;
  }
  constexpr unsigned kTwo = 2;
  constexpr unsigned kThree = 3;
  const bool is_c1 = at(0) == 0xc2 && at(1) >= 0x80 && at(1) <= 0x9f;
  const bool is_letter_mark = at(0) == 0xd8 && at(1) == 0x9c;  // U+061C
  return is_c1 || is_letter_mark             ? kTwo
         : is_hidden(at(0), at(1), at(kTwo)) ? kThree
                                             : 0;
}

}  // namespace

std::string_view take_escaped(std::string_view *rest, Escape *place) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t escaped = escaped_size(*rest);
  std::size_t size = 0;
  for (std::size_t i = 0; i < escaped; ++i) {
    const auto byte = static_cast<unsigned char>((*rest)[i]);
    (*place)[size++] = '\\';
    (*place)[size++] = 'x';
    (*place)[size++] = kHex[byte >> 4U];
    (*place)[size++] = kHex[byte & 0xfU];
  }
  if (escaped == 0) {
    (*place)[size++] = rest->front();
  }
  rest->remove_prefix(escaped != 0 ? escaped : 1);
  return {place->data(), size};
}

}  // namespace text

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
    return mix(hash, word);
  }
  for (std::size_t at = 0; at + sizeof(word) < text.size();
       at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    hash = mix(hash, word);
  }
  std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
  return mix(hash, word);
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  return error == std::errc{} && stop == end ? std::optional(number)
                                             : std::nullopt;
}

}  // namespace pbstoken
