// SPDX-License-Identifier: BSD-3-Clause
// What the tests share: cmocka for C++, a directory that cleans up after
// itself, views and strings.
#ifndef PBSTOKEN_TESTS_SUPPORT_H_
#define PBSTOKEN_TESTS_SUPPORT_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

// After the C++ headers: cmocka has a macro fail().
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

// Fails with both texts, as cmocka's own assertions do.
#define assert_text_equal(actual, expected)        \
  assert_string_equal(std::string(actual).c_str(), \
                      std::string(expected).c_str())

namespace pbstoken::testing {

// A failed assertion longjmps past destructors, so a fixture owns it: use
// make_temp_dir and remove_temp_dir as setup and teardown.
class TempDir {
 public:
  TempDir() {
    std::string name =
        (std::filesystem::temp_directory_path() / "pbstoken-test-XXXXXX")
            .string();
    path_ = mkdtemp(name.data());
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string path_;
};

inline int make_temp_dir(void **state) {
  *state = new TempDir;
  return 0;
}

inline int remove_temp_dir(void **state) {
  delete static_cast<TempDir *>(*state);
  return 0;
}

// A code point in UTF-8, also one that must not be there.
inline std::string utf8(char32_t c) {
  const auto tail = [c](unsigned shift) {
    return static_cast<char>(0x80U | ((c >> shift) & 0x3fU));
  };
  if (c < 0x80) {
    return {static_cast<char>(c)};
  }
  if (c < 0x800) {
    return {static_cast<char>(0xc0U | (c >> 6U)), tail(0)};
  }
  if (c < 0x10000) {
    return {static_cast<char>(0xe0U | (c >> 12U)), tail(6), tail(0)};
  }
  return {static_cast<char>(0xf0U | (c >> 18U)), tail(12), tail(6), tail(0)};
}

// For tests of all of them, from 0 on.  Valgrind follows every access, at forty
// times the price, and none differs by a value: there so few of those that
// stand in no table are enough.
inline char32_t next_code_point(char32_t c) {
  static const bool under_valgrind = [] {
    const char *preloaded = std::getenv("LD_PRELOAD");
    return preloaded != nullptr && std::string_view(preloaded).find(
                                       "vgpreload") != std::string_view::npos;
  }();
  constexpr char32_t kTables = 0x3100;
  constexpr char32_t kStep = 61;
  return c + (under_valgrind && c >= kTables ? kStep : 1);
}

// A buffer as read_whole() makes them: a NUL byte stands behind the text.
inline Buffer terminated(std::string_view text) {
  Buffer buffer;
  if (!buffer.append(text) || !buffer.terminate()) {
    std::abort();
  }
  return buffer;
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_SUPPORT_H_
