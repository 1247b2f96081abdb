// SPDX-License-Identifier: BSD-3-Clause
// tests/bench/counted SUBJECT TIMES: does this so many times inside of a
// function that callgrind counts; tests/bench/count runs it.
#include "core_store.h"
#include "openat2.h"

namespace {

std::function<void()> *subject;

}  // namespace

// By this name callgrind knows what counts.
extern "C" __attribute__((noinline)) void counted() {
  (*subject)();
}

namespace pbstoken::bench {
namespace {

void count(int times, const std::function<void()> &before,
           std::function<void()> body) {
  subject = &body;
  for (int i = 0; i < times; ++i) {
    before();
    counted();
  }
}

void nothing() {}

constexpr const char *kWrongSecret = "ffffffff-ffff-4fff-8fff-ffffffffffff";

int count_subject(std::string_view name, int times) {
  if (name == "hit") {
    Warm warm("cached");
    count(times, nothing, [&] { warm.hit(); });
  } else if (name == "wrong-secret") {
    // Not known as wrong either: what the segment alone has to say.
    Warm warm("cached");
    count(times, nothing, [&] {
      require(!warm.verifier().cache().look_up(kId, kWrongSecret));
    });
  } else if (name == "miss-1000") {
    make_store("miss", 1000);
    const Store store = open_store("miss");
    Verifier verifier(store, load_agreement);
    NewSecrets secrets;
    // The second one reads for all, once the identity of the file has settled.
    source_of_match(&verifier, kCheapId, secrets.next());
    wait_until_old();
    source_of_match(&verifier, kCheapId, secrets.next());
    count(
        times, [&] { secrets.next(); },
        [&] { source_of_match(&verifier, kCheapId, secrets.last()); });
  } else if (name == "rebind-1000") {
    Changing changing("rebind", 1000);
    count(times, [&] { changing.change(); }, [&] { changing.look(); });
  } else {
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace pbstoken::bench

int main(int argc, char **argv) {
  using namespace pbstoken::bench;
  if (argc != 3) {
    return 2;
  }
  make_scene();
  return count_subject(argv[1], std::atoi(argv[2]));
}
