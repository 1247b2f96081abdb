// SPDX-License-Identifier: BSD-3-Clause
// Under Valgrind: no branch and no address depends on a secret, on the digest
// of one that a slot holds, or on a stored hash, where one is compared.
//
// Such bytes are marked as undefined, and Memcheck tells of every jump and
// every address that depends on them.  What may be known is declared so in two
// places: the verdict of CRYPTO_memcmp (this program is linked with --wrap= of
// it and of strlen) and, for who is told that two texts are equal, the texts.
// Lengths are public.
//
// With the argument `leaky`, this is a program whose sources were built with
// memcmp(3) in the place of CRYPTO_memcmp, and each comparison must be told of.
#include <valgrind/memcheck.h>

#include <array>
#include <cstdio>
#include <functional>
#include <string>

#include "pbstoken/base/wipe.h"
#include "pbstoken/cache/generation.h"
#include "pbstoken/store/stored_hash.h"
#include "segment_support.h"

extern "C" {
int __real_CRYPTO_memcmp(const void *a, const void *b, std::size_t size);

int __wrap_CRYPTO_memcmp(const void *a, const void *b, std::size_t size) {
  int different = __real_CRYPTO_memcmp(a, b, size);
  VALGRIND_MAKE_MEM_DEFINED(&different, sizeof(different));
  if (different == 0) {
    VALGRIND_MAKE_MEM_DEFINED(a, size);
    VALGRIND_MAKE_MEM_DEFINED(b, size);
  }
  return different;
}

// A C string is looked through for its end; from then on it is secret.
std::size_t __real_strlen(const char *text);

static const char *the_computed_hash = nullptr;

std::size_t __wrap_strlen(const char *text) {
  const std::size_t size = __real_strlen(text);
  if (text == the_computed_hash) {
    VALGRIND_MAKE_MEM_UNDEFINED(text, size);
  }
  return size;
}
}

namespace pbstoken {
namespace {

using testing::Claimant;
using testing::MemorySegment;

constexpr std::uint64_t kGeneration = 42;
const std::string kId = "john@pbs!client1";
const std::string kSecret = "0f1e2d3c-4b5a-4697-8877-665544332211";
const std::string kStored =
    "$5$saltSALT./0$lefDTLH0tD5bgiDELk6yarkzMt1CuqoKl8nH.GWYUc/";

// --- secrets

void hide(void *bytes, std::size_t size) {
  VALGRIND_MAKE_MEM_UNDEFINED(bytes, size);
}

std::string hidden(std::string text) {
  hide(text.data(), text.size());
  return text;
}

void declare_known(const void *bytes, std::size_t size) {
  VALGRIND_MAKE_MEM_DEFINED(bytes, size);
}

// With a match and a mismatch in it, whose digests nobody is to know.
void fill(const MemorySegment &segment) {
  segment.insert(
      {.id = kId, .secret = kSecret, .stored = kStored, .fact = Fact::kMatch},
      kGeneration);
  segment.insert({.id = kId,
                  .secret = std::string(36, 'w'),
                  .stored = kStored,
                  .fact = Fact::kMismatch},
                 kGeneration);
  for (Slot &slot : segment.slots()) {
    if (slot.tag != 0) {
      hide(&slot.fact, sizeof(slot.fact));
    }
  }
}

bool finds(const std::string &secret, std::optional<Fact> expected) {
  const MemorySegment segment;
  fill(segment);
  const std::string given = hidden(secret);
  return segment.view().find_in_force(kId, given, kGeneration) == expected;
}

// By a binding, which members of the group may read as it is.
bool finds_by_binding(const std::string &secret, std::optional<Fact> expected) {
  const MemorySegment segment;
  fill(segment);
  const Segment view = segment.view();
  const std::string given = hidden(secret);
  const std::string stored = hidden(kStored);
  const Binding binding = view.binding_of(kId, stored);
  declare_known(&binding, sizeof(binding));
  return view.find_fact(kId, given, binding) == expected;
}

// What crypt_rn(3) would give: of its own ways this is no proof.
const char *the_result = nullptr;

char *result_of(const char * /*phrase*/, const char * /*setting*/, void *data,
                int size) {
  auto *out = static_cast<char *>(data);
  std::snprintf(out, static_cast<std::size_t>(size), "%s", the_result);
  the_computed_hash = out;
  return out;
}

bool checks(const std::string &result, Fact expected) {
  Secret secret;
  the_result = result.c_str();
  if (!secret.assign(kSecret)) {
    return false;
  }
  const auto check = compare_with_hash(result_of, secret, kStored);
  the_computed_hash = nullptr;
  return check && *check == expected;
}

// --- the cases

std::string differing_at(std::string text, std::size_t at) {
  text[at] = text[at] == 'x' ? 'y' : 'x';
  return text;
}

struct Case {
  const char *name;
  std::function<bool()> act;
};

const Case kCases[] = {
    {"right_secret", [] { return finds(kSecret, Fact::kMatch); }},
    {"wrong_in_its_first_byte",
     [] { return finds(differing_at(kSecret, 0), std::nullopt); }},
    {"wrong_in_its_last_byte",
     [] { return finds(differing_at(kSecret, 35), std::nullopt); }},
    {"wrong_length", [] { return finds(kSecret + "x", std::nullopt); }},
    {"known_mismatch",
     [] { return finds(std::string(36, 'w'), Fact::kMismatch); }},
    {"right_secret_by_binding",
     [] { return finds_by_binding(kSecret, Fact::kMatch); }},
    {
        "wrong_secret_by_binding",
        [] { return finds_by_binding(differing_at(kSecret, 8), std::nullopt); },
    },
    {
        "stored_hash_equal",
        [] { return checks(kStored, Fact::kMatch); },
    },
    {
        "stored_hash_differs_at_once",
        [] { return checks(differing_at(kStored, 20), Fact::kMismatch); },
    },
    {
        "stored_hash_differs_at_its_end",
        [] { return checks(differing_at(kStored, 57), Fact::kMismatch); },
    },
};

// Whether anything that the case has done depends on a secret.
bool is_told_of(const Case &test, bool *out_right) {
  const unsigned before = VALGRIND_COUNT_ERRORS;
  *out_right = test.act();
  return VALGRIND_COUNT_ERRORS != before;
}

int run(bool leaky) {
  int failed = 0;
  for (const Case &test : kCases) {
    bool right = false;
    const bool told = is_told_of(test, &right);
    const bool good = right && told == leaky;
    std::printf("[%s] %s%s\n", good ? "       OK " : "  FAILED  ", test.name,
                leaky ? "_with_memcmp" : "");
    if (!good) {
      std::printf("%s: %s\n", test.name,
                  !right  ? "a wrong answer"
                  : leaky ? "nothing was noticed"
                          : "something depends on a secret");
      failed = 1;
    }
  }
  return failed;
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  // Elsewhere nothing would be noticed.
  if (!RUNNING_ON_VALGRIND) {
    std::puts("[  FAILED  ] not_under_valgrind");
    return 1;
  }
  return pbstoken::run(argc == 2 && std::string_view(argv[1]) == "leaky");
}
