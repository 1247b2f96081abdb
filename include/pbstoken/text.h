// SPDX-License-Identifier: BSD-3-Clause
// FixedText: a NUL-terminated string of bounded length, for messages, names
// and paths.
//
// It owns its bytes, allocates nothing and never holds a secret.  What does
// not fit is cut off and remembered: a caller to whom that matters (a path)
// asks truncated().
#ifndef PBSTOKEN_TEXT_H_
#define PBSTOKEN_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pbstoken {

template <std::size_t kCapacity>
class FixedText {
 public:
  FixedText() = default;
  explicit FixedText(std::string_view text) { append(text); }

  FixedText &append(std::string_view text) {
    const std::size_t room = kCapacity - size_;
    const std::size_t count = text.size() < room ? text.size() : room;
    // Not memcpy: an empty string_view may hold a null pointer.
    for (std::size_t i = 0; i < count; ++i) {
      bytes_[size_ + i] = text[i];
    }
    size_ += count;
    bytes_[size_] = '\0';
    truncated_ = truncated_ || count < text.size();
    return *this;
  }

  FixedText &append(std::uint64_t number) {
    std::array<char, 20> digits{};
    std::size_t at = digits.size();
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return append(std::string_view(digits.data() + at, digits.size() - at));
  }

  // For text that someone else chose: control characters, DEL and the
  // backslash become \xHH, so that one message stays one line.
  FixedText &append_escaped(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f && c != '\\') {
        append(std::string_view(&c, 1));
        continue;
      }
      const std::array<char, 4> escape = {'\\', 'x', kHex[byte >> 4U],
                                          kHex[byte & 0xfU]};
      append(std::string_view(escape.data(), escape.size()));
    }
    return *this;
  }

  void clear() {
    size_ = 0;
    bytes_[0] = '\0';
    truncated_ = false;
  }

  [[nodiscard]] const char *c_str() const { return bytes_.data(); }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool truncated() const { return truncated_; }

 private:
  std::array<char, kCapacity + 1> bytes_{};
  std::size_t size_ = 0;
  bool truncated_ = false;
};

// The part of text from position `from` on, at most `count` bytes; what lies
// beyond the end is left out.  (string_view::substr throws.)
constexpr std::string_view slice(std::string_view text, std::size_t from,
                                 std::size_t count = std::string_view::npos) {
  if (from > text.size()) {
    return {};
  }
  const std::size_t rest = text.size() - from;
  return {text.data() + from, count < rest ? count : rest};
}

}  // namespace pbstoken

#endif  // PBSTOKEN_TEXT_H_
