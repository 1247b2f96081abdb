// SPDX-License-Identifier: BSD-3-Clause
// Our check of a secret against a stored hash, beside libcrypt itself: a match
// is a match there, and what matches there matches here.
//
// Input: a choice of what the stored hash is made of, a line with the secret,
// and the hash or setting.  Expensive settings are never computed, here or
// there.
#include <crypt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/base/secret.h"
#include "pbstoken/store/stored_hash.h"

namespace pbstoken::fuzz {
namespace {

// By the setting alone: whether libcrypt says something at once.  Those that
// are not here take milliseconds.
bool is_cheap(std::string_view setting) {
  if (setting.starts_with("$3$") || setting.starts_with("$1$")) {
    return true;
  }
  // Rounds in four characters, the lowest first.
  if (setting.starts_with('_')) {
    return setting.size() >= 5 && setting.substr(2, 3) == "...";
  }
  constexpr std::string_view kSha1 = "$sha1$";
  if (setting.starts_with(kSha1)) {
    const std::string_view rounds = setting.substr(
        kSha1.size(), setting.find('$', kSha1.size()) - kSha1.size());
    return rounds.size() <= 1;
  }
  return !setting.starts_with('$');
}

int computed = 0;

// In place of what is expensive: a method whose hash is never right.
char *crypt_cheaply(const char *phrase, const char *setting, void *data,
                    int size) {
  ++computed;
  if (is_cheap(setting)) {
    return crypt_rn(phrase, setting, data, size);
  }
  return std::strcpy(static_cast<char *>(data), "$no$");
}

// What libcrypt makes of it: nothing if it makes nothing.
std::string crypt_directly(const std::string &secret,
                           const std::string &setting) {
  static auto *data = new crypt_data();
  const char *hash = crypt_r(secret.c_str(), setting.c_str(), data);
  return hash == nullptr || hash[0] == '*' ? std::string() : hash;
}

// Of what stands behind the last '$'.
std::size_t tail_size(const std::string &hash) {
  return hash.size() - hash.rfind('$');
}

void test(const std::string &secret, const std::string &stored) {
  Secret phrase;
  require(phrase.assign(secret), "the secret is not too long");
  computed = 0;
  const auto check = compare_with_hash(crypt_cheaply, phrase, stored);
  require(computed <= 1, "one hash at most is computed");
  const std::string_view method = hash_method(stored);
  if (!check || *check) {
    require(!method.empty() && computed == 1, "what has no method is not used");
  }
  if (method.empty()) {
    require(check && !*check && computed == 0,
            "what has no method costs nothing");
  }
  if (stored.find('\0') != std::string::npos) {
    require(method.empty(), "no hash has a NUL");
    return;
  }
  if (!is_cheap(stored)) {
    require(!check || *check != Fact::kMatch, "a match is computed");
    return;
  }
  const std::string direct = crypt_directly(secret, stored);
  const bool matches = !direct.empty() && direct == stored;
  require((check && *check == Fact::kMatch) == matches,
          "what matches for libcrypt, and nothing else, matches");
  if (check && *check == Fact::kMismatch) {
    require(!direct.empty(), "a mismatch was computed to its end");
    require(stored[0] != '$' || tail_size(stored) == tail_size(direct),
            "what is cut off is no mismatch");
  }
}

std::string changed(std::string hash, Input *input) {
  if (!hash.empty()) {
    const std::size_t at = input->take_byte() % hash.size();
    flip_bit(&hash, at * 8 + input->take_byte() % 8);
  }
  return hash;
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken;
  using namespace pbstoken::fuzz;
  Input input(data, size);
  const unsigned how = input.take_choice(4);
  const std::string secret(input.take_line());
  if (!is_acceptable_secret(secret)) {
    return 0;
  }
  if (how == 0) {
    test(secret, std::string(input.rest()));
    return 0;
  }
  const std::string setting(input.take_line());
  if (!is_cheap(setting) || setting.find('\0') != std::string::npos) {
    return 0;
  }
  std::string hash = crypt_directly(secret, setting);
  if (how == 2) {
    hash = changed(hash, &input);
  } else if (how == 3) {  // cut off, or with more behind it
    hash.resize(input.take_byte() % (hash.size() + 1));
    hash.append(input.rest());
  }
  test(secret, hash);
  return 0;
}
