// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/text.h"

#include <cstring>

namespace pbstoken::text {

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

std::string_view escape(char c, Escape *place) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte != 0x7f && c != '\\') {
    (*place)[0] = c;
    return {place->data(), 1};
  }
  *place = {'\\', 'x', kHex[byte >> 4U], kHex[byte & 0xfU]};
  return {place->data(), place->size()};
}

}  // namespace pbstoken::text
