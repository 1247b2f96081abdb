// SPDX-License-Identifier: BSD-3-Clause
// The core without PAM around it, on a store of the scene.
#ifndef PBSTOKEN_TESTS_BENCH_CORE_STORE_H_
#define PBSTOKEN_TESTS_BENCH_CORE_STORE_H_

#include <crypt.h>

#include <optional>
#include <string>

#include "pbstoken/verify/verifier.h"
#include "scene.h"

namespace pbstoken::bench {

// --- hashes

inline CryptFunction load_crypt() {
  return crypt_rn;
}

// Matches whatever it is asked: for slots that nobody wants to wait for.
inline char *agree(const char * /*phrase*/, const char *setting, void *data,
                   int size) {
  require(size == sizeof(crypt_data));
  return std::strcpy(static_cast<crypt_data *>(data)->output, setting);
}
inline CryptFunction load_agreement() {
  return agree;
}

// For who must not hash.
inline CryptFunction load_nothing() {
  return nullptr;
}

// Secrets that nobody has seen before, of one stored hash.
class NewSecrets {
 public:
  const char *next() {
    text_ = kCheapSecret + std::to_string(++count_);
    return last();
  }
  [[nodiscard]] const char *last() const { return text_.c_str(); }

 private:
  std::string text_;
  int count_ = 0;
};

// --- verifiers

inline Store open_store(const std::string &name) {
  const std::string path = "/etc/pbstoken/" + name + ".conf";
  const auto store = load_store(name, PathText(path));
  require(static_cast<bool>(store));
  return *store;
}

inline Source source_of_match(Verifier *verifier, const char *id,
                              std::string_view secret) {
  const auto token_id = parse_token_id(id);
  require(token_id.has_value());
  const auto answer = verifier->verify(*token_id, secret);
  require(answer && answer->outcome == Outcome::kMatch);
  return answer->source;
}

// One that has kSecret in its segment.
class Warm {
 public:
  explicit Warm(const std::string &store)
      : store_(open_store(store)), verifier_(store_, load_crypt) {
    source_of_match(&verifier_, kId, kSecret);
    hit();
  }

  // Twice in cache_ttl a process reads the file to renew the stamp.
  void hit() {
    const auto answer = verifier_.verify(id_, kSecret);
    require(answer && answer->outcome == Outcome::kMatch &&
            (answer->source == Source::kSegment ||
             answer->source == Source::kFact));
  }
  [[nodiscard]] Verifier &verifier() { return verifier_; }

 private:
  Store store_;
  Verifier verifier_;
  TokenId id_ = *parse_token_id(kId);
};

// A store of which so many tokens, a thousand at most, are cached, and whose
// file changes.
class Changing {
 public:
  Changing(const std::string &name, int tokens)
      : path_(shadow_of(name)), cached_(std::min(tokens, 1000)) {
    make_store(name, cached_);
    wait_until_old();
    store_ = open_store(name);
    Verifier verifier(store_, load_agreement);
    for (int i = 2; i < cached_; ++i) {
      source_of_match(&verifier, other_id(i).c_str(), kSecret);
    }
    source_of_match(&verifier, kId, kSecret);
    // Two files that differ in one token take each other's place.
    write_file(path_ + ".0", shadow_text(tokens), 0640);
    write_file(path_ + ".1", shadow_text(tokens, "xxYH7TYgEKz2Q"), 0640);
    store_.cache_ttl = 0;
    verifier_.emplace(store_, load_nothing);
  }

  void change() {
    turn_ = 1 - turn_;
    const std::string fresh = path_ + ".new";
    std::filesystem::create_hard_link(path_ + "." + std::to_string(turn_),
                                      fresh);
    std::filesystem::rename(fresh, path_);
  }

  void look() {
    require(source_of_match(&*verifier_, kId, kSecret) == Source::kFact);
  }

  // One of them is the token that changes, which is not cached.
  [[nodiscard]] int cached() const { return cached_ - 1; }

 private:
  std::string path_;
  int cached_;
  Store store_;
  std::optional<Verifier> verifier_;
  int turn_ = 0;
};

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_CORE_STORE_H_
