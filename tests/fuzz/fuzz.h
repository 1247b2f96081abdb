// SPDX-License-Identifier: BSD-3-Clause
// What the fuzzers share: properties, and inputs that a person can read.
//
// A fuzzer is LLVMFuzzerTestOneInput(), by libFuzzer's interface; replay.cc
// gives it a corpus without libFuzzer.  It is quiet, and aborts where a
// property does not hold.
#ifndef PBSTOKEN_TESTS_FUZZ_FUZZ_H_
#define PBSTOKEN_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size);

namespace pbstoken::fuzz {

inline void require(bool holds, const char *property) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", property);
    std::abort();
  }
}

inline std::string_view text_of(const std::uint8_t *data, std::size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

// Takes an input apart from its beginning; what is not there is empty or 0.
class Input {
 public:
  Input(const std::uint8_t *data, std::size_t size)
      : rest_(text_of(data, size)) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  // Without its newline.
  std::string_view take_line() {
    const std::size_t end = rest_.find('\n');
    const std::string_view line = slice(rest_, 0, end);
    rest_ = end == std::string_view::npos ? std::string_view()
                                          : slice(rest_, end + 1);
    return line;
  }

  unsigned take_byte() {
    if (rest_.empty()) {
      return 0;
    }
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  // A small number below limit, which corpora write as a printable character:
  // '0' is 0.
  unsigned take_choice(unsigned limit) {
    return (take_byte() + 256U - '0') % 256U % limit;
  }

 private:
  std::string_view rest_;
};

// In a bit of one of its bytes.
inline void flip_bit(std::string *text, std::size_t bit) {
  const auto byte = static_cast<unsigned char>((*text)[bit / 8]);
  (*text)[bit / 8] = static_cast<char>(byte ^ (1U << (bit % 8)));
}

// As read_whole() makes them: a NUL byte stands behind the text.
inline Buffer terminated(std::string_view text) {
  Buffer buffer;
  require(buffer.append(text) && buffer.terminate(), "there is memory");
  return buffer;
}

}  // namespace pbstoken::fuzz

#endif  // PBSTOKEN_TESTS_FUZZ_FUZZ_H_
