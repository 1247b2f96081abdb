// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/yescrypt_setting.h"

#include <algorithm>

#include "pbstoken/base/text.h"

namespace pbstoken {

namespace {

// The alphabet of libxcrypt: a character stands for six bits.
constexpr std::string_view kAlphabet =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr unsigned kBits = 6;

constexpr std::uint32_t kMostLog2Blocks = 63;
constexpr std::uint32_t kMostFlavor = 2 + 0xff;
constexpr std::uint32_t kHasRom = 8;  // of the mask behind the usual numbers

// The characters of scrypt's three numbers, which have a fixed size.
constexpr std::size_t kScryptNumbers = 1 + 5 + 5;

std::optional<std::uint32_t> value_of(char c) {
  const std::size_t at = kAlphabet.find(c);
  return at == std::string_view::npos
             ? std::nullopt
             : std::optional(static_cast<std::uint32_t>(at));
}

// Takes a number of at least `least` off the text.  Its first character says
// how many follow: 48 numbers have one character, half of the characters that
// are left begin one of two, and so on.
std::optional<std::uint32_t> take_number(std::string_view *text,
                                         std::uint32_t least) {
  const auto take_value = [text]() -> std::optional<std::uint32_t> {
    if (text->empty()) {
      return std::nullopt;
    }
    const char c = text->front();
    text->remove_prefix(1);
    return value_of(c);
  };
  const auto first = take_value();
  if (!first) {
    return std::nullopt;
  }
  std::uint32_t start = 0;
  std::uint32_t last = 47;
  unsigned bits = 0;
  std::uint32_t number = least;
  for (; *first > last; bits += kBits) {
    number += (last + 1 - start) << bits;
    start = last + 1;
    last = start + (62 - last) / 2;
  }
  number += (*first - start) << bits;
  while (bits > 0) {
    const auto next = take_value();
    if (!next) {
      return std::nullopt;
    }
    bits -= kBits;
    number += *next << bits;
  }
  return number;
}

// True if the text is the numbers that are seldom there: a mask says which.
// There is no ROM here.
bool are_optional_parameters(std::string_view text) {
  const auto mask = take_number(&text, 1);
  if (!mask || *mask >= kHasRom) {
    return false;
  }
  for (const std::uint32_t bit : {1U, 2U, 4U}) {
    if ((*mask & bit) != 0 && !take_number(&text, 1)) {
      return false;
    }
  }
  return text.empty();
}

std::optional<YescryptCost> parse_parameters(std::string_view text) {
  const auto flavor = take_number(&text, 0);
  const auto log2_blocks = take_number(&text, 1);
  const auto block_size = take_number(&text, 1);
  if (!flavor || *flavor > kMostFlavor || !log2_blocks ||
      *log2_blocks > kMostLog2Blocks || !block_size ||
      (!text.empty() && !are_optional_parameters(text))) {
    return std::nullopt;
  }
  return YescryptCost{.log2_blocks = *log2_blocks, .block_size = *block_size};
}

// True if it is whole bytes, 64 at most; the bits that are left over are 0.
bool is_salt(std::string_view text) {
  constexpr std::size_t kMost = 86;
  constexpr std::size_t kGroup = 4;  // characters, of three bytes
  if (text.size() > kMost ||
      text.find_first_not_of(kAlphabet) != std::string_view::npos) {
    return false;
  }
  const std::size_t last = text.size() % kGroup;
  // Two characters are one byte and four bits, three are two bytes and two.
  return last == 0 ||
         (last != 1 && *value_of(text.back()) < (last == 2 ? 4U : 16U));
}

}  // namespace

bool YescryptCost::is_below_default() const {
  constexpr std::uint32_t kDefaultLog2 = 12;
  constexpr std::uint64_t kDefaultBlocks = std::uint64_t{32} << kDefaultLog2;
  // More would not fit into the product, and is more in any case.
  constexpr std::uint32_t kSurelyMore = 24;
  return log2_blocks < kSurelyMore &&
         std::uint64_t{block_size} << log2_blocks < kDefaultBlocks;
}

std::optional<YescryptCost> parse_yescrypt_setting(std::string_view setting) {
  const std::size_t end = setting.find('$');
  if (end == std::string_view::npos || !is_salt(slice(setting, end + 1))) {
    return std::nullopt;
  }
  return parse_parameters(slice(setting, 0, end));
}

bool is_scrypt_setting(std::string_view setting) {
  const std::string_view numbers = slice(setting, 0, kScryptNumbers);
  const std::string_view salt = slice(setting, kScryptNumbers);
  return numbers.size() == kScryptNumbers &&
         std::all_of(numbers.begin(), numbers.end(),
                     [](char c) { return value_of(c).has_value(); }) &&
         std::all_of(salt.begin(), salt.end(),
                     [](char c) { return c == '$' || value_of(c); });
}

}  // namespace pbstoken
