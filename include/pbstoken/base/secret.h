// SPDX-License-Identifier: BSD-3-Clause
// Secret: the bytes that a client must know.
//
// Holds at most kMaxSecret bytes inline, NUL-terminated for crypt(3), and
// wipes them when it goes.  It can be neither copied nor moved: no second
// place remembers them.
//
// Thread safety: one thread per object; any thread may call the functions.
#ifndef PBSTOKEN_SECRET_H_
#define PBSTOKEN_SECRET_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "pbstoken/base/text.h"
#include "pbstoken/base/wipe.h"

namespace pbstoken {

// libxcrypt refuses passphrases of CRYPT_MAX_PASSPHRASE_SIZE (512) bytes and
// more, see crypt(3).
constexpr std::size_t kMaxSecret = 511;

// True if a secret can look like this: 1 to kMaxSecret bytes without NUL or
// another ASCII control character.  Upstream would cut longer ones and stop at
// a NUL; here two different secrets are never the same one.
constexpr bool is_acceptable_secret(std::string_view secret) {
  return !secret.empty() && secret.size() <= kMaxSecret && !has_control(secret);
}

class Secret {
 public:
  Secret() = default;
  Secret(const Secret &) = delete;
  Secret &operator=(const Secret &) = delete;
  ~Secret() { wipe(bytes_.data(), bytes_.size()); }

  // Returns false, and is empty, if secret is longer than kMaxSecret.
  [[nodiscard]] bool assign(std::string_view secret) {
    clear();
    return append(secret);
  }

  // Returns false, and stays as it is, if the whole would be longer than
  // kMaxSecret.
  [[nodiscard]] bool append(std::string_view part) {
    if (part.size() > kMaxSecret - size_) {
      return false;
    }
    if (!part.empty()) {
      std::memcpy(bytes_.data() + size_, part.data(), part.size());
    }
    size_ += part.size();
    return true;
  }

  void clear() {
    wipe(bytes_.data(), bytes_.size());
    size_ = 0;
  }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] const char *c_str() const { return bytes_.data(); }

 private:
  std::array<char, kMaxSecret + 1> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SECRET_H_
