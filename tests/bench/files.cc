// SPDX-License-Identifier: BSD-3-Clause
// What a large token.shadow costs, inside the core and without any hash: a
// miss, which reads the file, and the first look after a change, which reads it
// for all and puts the cached slots in force again.
#include "core_store.h"

namespace pbstoken::bench {
namespace {

// Fewer where one takes a tenth of a second.
int rounds_for(int tokens) {
  return tokens > 20000 ? std::max(1, rounds() / 5) : rounds();
}

void hash_alone() {
  static crypt_data data;
  const char *hash = crypt_rn(kCheapSecret, kCheapHash, &data, sizeof(data));
  require(hash != nullptr && std::strcmp(hash, kCheapHash) == 0);
}

void miss(int tokens, const Goal &goal) {
  const std::string name = "miss" + std::to_string(tokens);
  make_store(name, tokens);
  wait_until_old();
  const Store store = open_store(name);
  Verifier verifier(store, load_crypt);
  NewSecrets secrets;
  const auto miss_once = [&] {
    const Source source = source_of_match(&verifier, kCheapId, secrets.next());
    require(source == Source::kHash);
  };
  miss_once();
  enum { kMiss, kHash };
  const int calls = tokens <= 1000 ? 5 : 1;
  const Rounds took(rounds_for(tokens),
                    {[&] { return cpu_time_of(calls, miss_once); },
                     [] { return cpu_time_of(5, hash_alone); }});
  row(4,
      "miss in the core with " + std::to_string(tokens) + " tokens - its hash",
      "us", took.difference(kMiss, kHash, kMicrosecond), goal);
}

void rebind(int tokens, const Goal &goal) {
  Changing changing("rebind" + std::to_string(tokens), tokens);
  const Rounds took(rounds_for(tokens), {[&] {
                      changing.change();
                      return cpu_time_of(1, [&] { changing.look(); });
                    }});
  row(4,
      "first look after a change of " + std::to_string(tokens) + " tokens; " +
          std::to_string(changing.cached()) + " slots re-bound",
      "us", took.of(0, kMicrosecond), goal);
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  const Goal none;
  miss(10, at_most(100));
  miss(1000, none);
  miss(20000, at_most(8000));
  miss(100000, none);
  rebind(10, none);
  rebind(1000, none);
  rebind(20000, at_most(8000));
  rebind(100000, none);
  return 0;
}
