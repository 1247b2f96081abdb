// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/utf8.h"

#include <array>

namespace pbstoken {

namespace {

constexpr char32_t kFirstBeyondAscii = 0x80;

// What a lead byte beyond ASCII announces: how many bytes the character has,
// and the smallest code point that needs that many.
struct Lead {
  unsigned char mask;
  unsigned char pattern;
  unsigned length;
  char32_t smallest;
};

constexpr std::array<Lead, 3> kLeads = {{
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
}};

bool is_scalar_value(char32_t code_point) {
  return code_point <= 0x10ffff &&
         !(code_point >= 0xd800 && code_point <= 0xdfff);
}

}  // namespace

std::optional<char32_t> take_code_point(std::string_view *text) {
  if (text->empty()) {
    return std::nullopt;
  }
  const auto first = static_cast<unsigned char>(text->front());
  if (first < kFirstBeyondAscii) {
    text->remove_prefix(1);
    return first;
  }
  for (const Lead &lead : kLeads) {
    if ((first & lead.mask) != lead.pattern) {
      continue;
    }
    if (text->size() < lead.length) {
      return std::nullopt;
    }
    char32_t code_point = first & static_cast<unsigned char>(~lead.mask);
    for (unsigned i = 1; i < lead.length; ++i) {
      const auto next = static_cast<unsigned char>((*text)[i]);
      if ((next & 0xc0U) != 0x80) {
        return std::nullopt;
      }
      code_point = (code_point << 6U) | (next & 0x3fU);
    }
    if (code_point < lead.smallest || !is_scalar_value(code_point)) {
      return std::nullopt;
    }
    text->remove_prefix(lead.length);
    return code_point;
  }
  return std::nullopt;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    if (!take_code_point(&text)) {
      text.remove_prefix(1);
    }
  }
  return count;
}

// See PropList.txt of the Unicode Character Database.
bool is_white_space(char32_t c) {
  if (c < kFirstBeyondAscii) {
    return (c >= 0x09 && c <= 0x0d) || c == 0x20;
  }
  return c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

}  // namespace pbstoken
