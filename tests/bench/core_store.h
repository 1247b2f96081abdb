// SPDX-License-Identifier: BSD-3-Clause
// The core without PAM around it, on a store of the scene.
#ifndef PBSTOKEN_TESTS_BENCH_CORE_STORE_H_
#define PBSTOKEN_TESTS_BENCH_CORE_STORE_H_

#include <crypt.h>

#include <string>

#include "pbstoken/verifier.h"
#include "scene.h"

namespace pbstoken::bench {

inline CryptFunction load_crypt() {
  return crypt_rn;
}

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
  require(answer && answer->verdict == Verdict::kMatch);
  return answer->source;
}

// A verifier that has kSecret in its segment.
class Warm {
 public:
  explicit Warm(const std::string &store)
      : store_(open_store(store)), verifier_(store_, load_crypt) {
    source_of_match(&verifier_, kId, kSecret);
    hit();
  }

  void hit() {
    const auto answer = verifier_.verify(id_, kSecret);
    require(answer && answer->verdict == Verdict::kMatch &&
            answer->source == Source::kSegment);
  }
  [[nodiscard]] Verifier &verifier() { return verifier_; }

 private:
  Store store_;
  Verifier verifier_;
  TokenId id_ = *parse_token_id(kId);
};

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_CORE_STORE_H_
