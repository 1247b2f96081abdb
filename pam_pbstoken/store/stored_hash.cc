// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/stored_hash.h"

#include <crypt.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "pbstoken/base/text.h"
#include "pbstoken/base/wipe.h"
#include "pbstoken/store/yescrypt_setting.h"

namespace pbstoken {

namespace {

// A method by its prefix, by how many '$' a complete hash has after that, at
// least, and by how many characters of its alphabet stand after the last one.
struct Method {
  std::string_view prefix;
  std::ptrdiff_t separators;
  std::size_t tail;
  std::string_view name;
};

constexpr std::array<Method, 13> kMethods = {{
    {"$y$", 2, 43, "yescrypt"},
    {"$gy$", 2, 43, "gost-yescrypt"},
    {"$7$", 1, 43, "scrypt"},
    {"$2b$", 1, 53, "bcrypt"},
    {"$2a$", 1, 53, "bcrypt-a"},
    {"$2x$", 1, 53, "bcrypt-x"},
    {"$2y$", 1, 53, "bcrypt-y"},
    {"$6$", 1, 86, "sha512crypt"},
    {"$5$", 1, 43, "sha256crypt"},
    {"$sha1$", 2, 28, "sha1crypt"},
    {"$md5", 2, 22, "sunmd5"},
    {"$1$", 1, 22, "md5crypt"},
    {"$3$", 1, 32, "nt"},
}};

// The methods from before '$': nothing but characters of the alphabet.
constexpr std::size_t kDescrypt = 13;
constexpr std::size_t kBsdicrypt = 20;  // with its leading '_'
constexpr std::size_t kBigcryptBlock = 11;
constexpr std::size_t kBigcrypt = 178;  // at most

bool is_hash_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '.' && c <= '9');  // '.', '/' and the digits
  });
}

// crypt(5): never white space, ':', ';', '*', '!', '\\' or anything outside
// of printable ASCII.
bool is_setting_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    constexpr std::string_view kForbidden = ":;*!\\";
    return c > ' ' && c < 0x7f && kForbidden.find(c) == std::string_view::npos;
  });
}

std::string_view dollarless_method(std::string_view stored) {
  if (stored.size() == kBsdicrypt && stored.front() == '_' &&
      is_hash_text(slice(stored, 1))) {
    return "bsdicrypt";
  }
  if (stored.size() < kDescrypt || stored.size() > kBigcrypt ||
      !is_hash_text(stored)) {
    return {};
  }
  if (stored.size() == kDescrypt) {
    return "descrypt";
  }
  return (stored.size() - kDescrypt) % kBigcryptBlock == 0
             ? std::string_view("bigcrypt")
             : std::string_view();
}

// The memory-hard methods allocate; a failure of theirs cannot be told from
// impossible parameters.
bool needs_memory(std::string_view method) {
  return method.ends_with("yescrypt") || method == "scrypt";
}

// What stands between the prefix of the method and the hash proper.
std::string_view setting_of(std::string_view stored, std::string_view prefix) {
  return slice(stored, prefix.size(), stored.rfind('$') - prefix.size());
}

// For a hash that has all its parts: true if libcrypt would compute one by its
// setting, as far as its text tells.
bool has_possible_setting(std::string_view stored, const Method &method) {
  const std::string_view setting = setting_of(stored, method.prefix);
  if (method.name.ends_with("yescrypt")) {
    return parse_yescrypt_setting(setting).has_value();
  }
  return method.name != "scrypt" || is_scrypt_setting(setting);
}

// crypt_data is 32 KiB: too much for a guest's stack.
struct CryptDataDeleter {
  void operator()(crypt_data *data) const {
    wipe(data, sizeof(*data));
    std::free(data);
  }
};
using CryptData = std::unique_ptr<crypt_data, CryptDataDeleter>;

// Returns nullopt where libcrypt makes no hash: an error is of our own memory.
Result<std::optional<Buffer>> compute(CryptFunction crypt, const Secret &secret,
                                      const char *setting) {
  const CryptData data(
      static_cast<crypt_data *>(std::calloc(1, sizeof(crypt_data))));
  if (!data) {
    return no_memory("cannot hash");
  }
  const char *computed = crypt(secret.c_str(), setting, data.get(),
                               static_cast<int>(sizeof(crypt_data)));
  // crypt_rn(3) gives a null pointer on failure, its older relatives a text
  // that starts with '*'.
  if (computed == nullptr || computed[0] == '*') {
    return std::optional<Buffer>();
  }
  Buffer hash;
  if (!hash.append(computed)) {
    return no_memory("cannot hash");
  }
  return std::optional<Buffer>(std::move(hash));
}

}  // namespace

std::string_view hash_method(std::string_view stored) {
  if (stored.empty() || stored.size() >= CRYPT_OUTPUT_SIZE ||
      !is_setting_text(stored)) {
    return {};
  }
  if (stored.front() != '$') {
    return dollarless_method(stored);
  }
  for (const Method &method : kMethods) {
    if (!stored.starts_with(method.prefix)) {
      continue;
    }
    // The characters are counted, because a hash that was cut off behind its
    // salt may end in as many characters as a complete one.
    const std::string_view rest = slice(stored, method.prefix.size());
    const std::size_t tail = rest.rfind('$') + 1;
    const bool complete =
        std::count(rest.begin(), rest.end(), '$') >= method.separators &&
        rest.size() - tail == method.tail && is_hash_text(slice(rest, tail)) &&
        has_possible_setting(stored, method);
    return complete ? method.name : std::string_view();
  }
  return {};
}

bool is_old_hash(std::string_view stored) {
  const std::string_view method = hash_method(stored);
  if (method != "yescrypt") {
    return method == "sha256crypt";
  }
  const auto cost = parse_yescrypt_setting(setting_of(stored, "$y$"));
  return cost && cost->is_below_default();
}

Result<Buffer> compute_hash(CryptFunction crypt, const Secret &secret,
                            const char *setting) {
  auto computed = compute(crypt, secret, setting);
  if (!computed) {
    return computed.error();
  }
  // The setting is well formed, so what is left is the memory that the method
  // needs (libxcrypt says EINVAL for that, too).
  if (!*computed) {
    return no_memory("cannot hash");
  }
  return std::move(**computed);
}

Result<std::optional<Fact>> compare_with_hash(CryptFunction crypt,
                                              const Secret &secret,
                                              std::string_view stored) {
  const std::string_view method = hash_method(stored);
  if (method.empty()) {
    return std::optional<Fact>();
  }
  // It becomes a C string, and has no NUL inside: hash_method() has seen to
  // that.
  Buffer setting;
  if (!setting.append(stored) || !setting.terminate()) {
    return no_memory("cannot hash");
  }
  const auto computed = compute(crypt, secret, setting.data());
  if (!computed) {
    return computed.error();
  }
  if (!*computed) {
    // What needs no memory has failed for impossible parameters.
    if (!needs_memory(method)) {
      return std::optional<Fact>();
    }
    return no_memory("cannot hash");
  }
  return std::optional(equal_in_constant_time((*computed)->view(), stored)
                           ? Fact::kMatch
                           : Fact::kMismatch);
}

}  // namespace pbstoken
