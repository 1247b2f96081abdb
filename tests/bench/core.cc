// SPDX-License-Identifier: BSD-3-Clause
// A cached hit inside the core: in ns, beside its floor, with and without the
// processor's SHA instructions, in several processes, and how many system calls
// it makes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "core_store.h"
#include "workers.h"

#if defined(__x86_64__)
extern "C" std::uint32_t OPENSSL_ia32cap_P[4];
#endif

namespace pbstoken::bench {
namespace {

constexpr int kCalls = 1000;

// --- the floor: what any cache has to do that keeps no plaintext

// One lookup by a plain hash, one HMAC-SHA-256 of token id and secret, one
// comparison.  No generation, no clock, no file to follow; nothing is checked
// that another process could have torn.
class Floor {
 public:
  Floor() {
    SHA256_Init(&inner_);
    SHA256_Init(&outer_);
    std::array<unsigned char, SHA256_CBLOCK> block{};
    block.fill(0x36);
    SHA256_Update(&inner_, block.data(), block.size());
    block.fill(0x5c);
    SHA256_Update(&outer_, block.data(), block.size());
    slot_of(kId)->mac = mac_of(kId, kSecret);
  }

  bool hit(std::string_view id, std::string_view secret) {
    const Mac mac = mac_of(id, secret);
    return CRYPTO_memcmp(mac.data(), slot_of(id)->mac.data(), mac.size()) == 0;
  }

 private:
  using Mac = std::array<unsigned char, SHA256_DIGEST_LENGTH>;
  struct Slot {
    Mac mac;
  };

  Slot *slot_of(std::string_view id) {
    std::uint64_t hash = 14695981039346656037U;
    for (const char c : id) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
    return &slots_[hash % slots_.size()];
  }

  [[nodiscard]] Mac mac_of(std::string_view id, std::string_view secret) const {
    SHA256_CTX state = inner_;
    const std::uint64_t size = id.size();
    SHA256_Update(&state, &size, sizeof(size));
    SHA256_Update(&state, id.data(), id.size());
    SHA256_Update(&state, secret.data(), secret.size());
    Mac mac{};
    SHA256_Final(mac.data(), &state);
    state = outer_;
    SHA256_Update(&state, mac.data(), mac.size());
    SHA256_Final(mac.data(), &state);
    return mac;
  }

  SHA256_CTX inner_{};
  SHA256_CTX outer_{};
  std::array<Slot, 1024> slots_{};
};

void beside_floor(const char *with, double goal) {
  enum { kHit, kWord, kFloor };
  Warm cached("cached");
  Warm word("word");
  Floor floor;
  const Rounds took(rounds(),
                    {[&] { return time_of(kCalls, [&] { cached.hit(); }); },
                     [&] { return time_of(kCalls / 10, [&] { word.hit(); }); },
                     [&] {
                       return time_of(
                           kCalls, [&] { require(floor.hit(kId, kSecret)); });
                     }});
  const std::string suffix = std::string(" ") + with + " SHA instructions";
  row(5, "hit in the core" + suffix, "ns", took.of(kHit), at_most(goal));
  row(5, "its floor" + suffix, "ns", took.of(kFloor));
  row(5, "hit in the core / its floor" + suffix, "ratio",
      took.ratio(kHit, kFloor));
  row(5, "hit in the core and upstream's word" + suffix, "ns", took.of(kWord));
}

// --- this program again, otherwise

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

// libcrypto is told that there are none.  In its third word is what cpuid(7)
// leaves in EBX, see OPENSSL_ia32cap(3).
void without_sha_instructions() {
#if defined(__x86_64__)
  constexpr std::uint32_t kSha = 1U << 29U;
  in_child([] {
    OPENSSL_ia32cap_P[2] &= ~kSha;
    beside_floor("without", 400);
  });
#endif
}

// All calls that a program makes which checks so many times, by strace's table.
double system_calls(int hits) {
  const std::string table = scratch("strace");
  const std::string command = "strace -f -c -o " + table + " " + own_path() +
                              " hits " + std::to_string(hits);
  require(std::system(command.c_str()) == 0);
  // The calls are the fourth column, in a last line that says `total`.
  std::ifstream file(table);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    last = line;
  }
  double calls = 0;
  require(std::sscanf(last.c_str(), "%*s %*s %*s %lf", &calls) == 1);
  return calls;
}

void count_system_calls() {
  constexpr int kHits = 10000;
  in_child([] { Warm warm("cached"); });
  // Without a look at the file, which is due once in cache_ttl.
  append_to("/etc/pbstoken/cached.conf", "cache_ttl = 3600\n");
  row(5, "system calls of 10000 hits (strace -c)", "calls",
      exactly(system_calls(kHits) - system_calls(0)), at_most(0));
}

// --- several processes

Workers::Work make_hits() {
  auto *warm = new Warm("cached");  // for the life of the process
  return [warm] {
    for (int i = 0; i < kCalls; ++i) {
      warm->hit();
    }
  };
}

Workers::Work make_empty_loop() {
  return [] {
    for (volatile int i = 0; i < 100 * kCalls;) {
      i = i + 1;
    }
  };
}

void benchmark() {
  make_scene();
  // Once: the hash is not what is measured.
  for (const char *store : {"cached", "word"}) {
    in_child([=] { Warm warm(store); });
  }
  beside_floor("with", 250);
  without_sha_instructions();
  compare_speed_up("hit in the core", make_hits, "an empty loop",
                   make_empty_loop);
  count_system_calls();
}

}  // namespace
}  // namespace pbstoken::bench

int main(int argc, char **argv) {
  using namespace pbstoken::bench;
  const std::string_view part = argc > 1 ? argv[1] : "";
  require_scratch();
  if (part == "hits" && argc > 2) {
    Warm warm("cached");
    for (int i = 0; i < std::atoi(argv[2]); ++i) {
      warm.hit();
    }
  } else {
    benchmark();
  }
  return 0;
}
