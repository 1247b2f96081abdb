// SPDX-License-Identifier: BSD-3-Clause
// FixedText: a NUL-terminated string of bounded length, for messages, names
// and paths.
//
// It owns its bytes, allocates nothing and never holds a secret.  It cuts off
// what does not fit.  A caller for which that matters (a path) asks
// truncated().
//
// Thread safety: one thread per object; any thread may call the functions.
#ifndef PBSTOKEN_TEXT_H_
#define PBSTOKEN_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pbstoken {

// What FixedText does, once for all capacities.
namespace text {

// Appends as much of `more` as fits in `capacity` bytes, and a NUL; returns the
// new size.
std::size_t append(char *bytes, std::size_t size, std::size_t capacity,
                   std::string_view more);

using Digits = std::array<char, 20>;
std::string_view digits_of(std::uint64_t number, Digits *place);

// Returns the two hexadecimal digits of a byte, in lower case.
using HexDigits = std::array<char, 2>;
HexDigits hex_digits_of(std::uint8_t byte);

// Takes a character off *rest and returns it, escaped if it needs to be.
using Escape = std::array<char, 16>;
std::string_view take_escaped(std::string_view *rest, Escape *place);

}  // namespace text

template <std::size_t kCapacity>
class FixedText {
 public:
  // Bytes behind the NUL are never looked at, nor copied.
  FixedText() { clear(); }
  explicit FixedText(std::string_view text) : FixedText() { append(text); }
  FixedText(const FixedText &other) { *this = other; }
  FixedText &operator=(const FixedText &other) {
    if (this != &other) {
      size_ = text::append(bytes_.data(), 0, kCapacity, other.view());
      truncated_ = other.truncated_;
    }
    return *this;
  }
  ~FixedText() = default;

  FixedText &append(std::string_view text) {
    const std::size_t size =
        text::append(bytes_.data(), size_, kCapacity, text);
    truncated_ = truncated_ || size - size_ < text.size();
    size_ = size;
    return *this;
  }

  FixedText &append(std::uint64_t number) {
    text::Digits digits;
    return append(text::digits_of(number, &digits));
  }

  // Appends the two hexadecimal digits of the byte, in lower case.
  FixedText &append_hex(std::uint8_t byte) {
    const text::HexDigits digits = text::hex_digits_of(byte);
    return append({digits.data(), digits.size()});
  }

  // For text that another party chose.  Control characters (those of ASCII,
  // DEL, and U+0080 to U+009F in UTF-8), characters that cannot be seen or turn
  // the direction of others (see is_hidden() in text.cc), and the backslash
  // become \xHH: one message stays one line, no terminal takes it for a
  // command, and what a person reads is what stands there.
  FixedText &append_escaped(std::string_view text) {
    while (!text.empty()) {
      text::Escape escape;
      append(text::take_escaped(&text, &escape));
    }
    return *this;
  }

  void clear() {
    bytes_[0] = '\0';
    size_ = 0;
    truncated_ = false;
  }

  [[nodiscard]] const char *c_str() const { return bytes_.data(); }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool truncated() const { return truncated_; }

 private:
  std::array<char, kCapacity + 1> bytes_;
  std::size_t size_;
  bool truncated_;
};

// Returns the part of text from position `from` on, at most `count` bytes;
// leaves out what lies beyond the end.  (string_view::substr throws.)
constexpr std::string_view slice(std::string_view text, std::size_t from,
                                 std::size_t count = std::string_view::npos) {
  if (from > text.size()) {
    return {};
  }
  const std::size_t rest = text.size() - from;
  return {text.data() + from, count < rest ? count : rest};
}

// Takes the text up to the first `end` off *rest, and `end` with it.  Returns
// the text without `end`; all of *rest if that has no `end`.
constexpr std::string_view take_until(char end, std::string_view *rest) {
  const std::string_view taken = slice(*rest, 0, rest->find(end));
  *rest = slice(*rest, taken.size() + 1);
  return taken;
}

// True if there is an ASCII control character in it.
constexpr bool has_control(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return true;
    }
  }
  return false;
}

// True if text is this word of lower-case ASCII, whatever its own case is.
bool is_same_word(std::string_view text, std::string_view lower_case);

// Returns a hash for tables: a party that chooses the texts can make two hashes
// equal.  `before`: the hash of what stands in front.
std::uint64_t quick_hash(std::string_view text, std::uint64_t before = 0);

// Returns nullopt unless text is a number to its last character, which fits.
std::optional<std::uint64_t> parse_number(std::string_view text, int base = 10);

}  // namespace pbstoken

#endif  // PBSTOKEN_TEXT_H_
