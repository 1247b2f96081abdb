// SPDX-License-Identifier: BSD-3-Clause
// As many secrets, and accounts, as a segment was made for are found again.
#include <array>
#include <cstdint>
#include <string>

#include "pbstoken/cache/segment.h"
#include "segment_support.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::Claimant;
using testing::MemorySegment;

constexpr std::uint64_t kGeneration = 8;
constexpr AccountVerdict kAllowed = {.status = AccountStatus::kAllowed};

std::string id_of(unsigned number) {
  return "u" + std::to_string(number) + "@pbs!t";
}

Claimant token_of(unsigned number) {
  return {.id = id_of(number),
          .secret = "5b5d4a3e-8f6c-4f0a-9a57-" + std::to_string(number),
          .stored = "$y$j9T$" + std::to_string(number)};
}

// Uses tokens in turn, as a service does: who is not found is hashed and
// stored.  Returns how many were not found in the last of the rounds.
template <typename Use>
unsigned misses_in_turn(unsigned tokens, Use use) {
  constexpr int kRounds = 4;
  unsigned misses = 0;
  for (int round = 0; round < kRounds; ++round) {
    misses = 0;
    for (unsigned i = 0; i < tokens; ++i) {
      misses += use(i) ? 0U : 1U;
    }
  }
  return misses;
}

unsigned secrets_missed(const MemorySegment &segment, unsigned tokens) {
  return misses_in_turn(tokens, [&segment](unsigned i) {
    const Claimant token = token_of(i);
    const bool found = segment.in_force(token, kGeneration).has_value();
    if (!found) {
      segment.insert(token, kGeneration);
    }
    return found;
  });
}

unsigned accounts_missed(const MemorySegment &segment, unsigned tokens) {
  return misses_in_turn(tokens, [&segment](unsigned i) {
    const std::string id = id_of(i);
    const bool found = segment.view().find_account(id, kGeneration).has_value();
    if (!found) {
      segment.open().insert_account(id, kAllowed, kGeneration);
    }
    return found;
  });
}

void put_in_force(const MemorySegment &segment) {
  *segment.open().generation_words().word = kGeneration;
}

// One in a thousand may be missed.
struct Room {
  std::uint32_t slots;
  unsigned tokens;
};
constexpr std::array<Room, 7> kRooms = {{{1, 1},
                                         {8, 8},
                                         {16, 16},
                                         {100, 100},
                                         {8192, 4096},
                                         {8192, 8192},
                                         {40000, 20000}}};

void room_secrets_in_turn_are_found_again(void ** /*state*/) {
  for (const Room &room : kRooms) {
    auto *segment = new MemorySegment(room.slots);
    put_in_force(*segment);
    const unsigned missed = secrets_missed(*segment, room.tokens);
    print_message("%u secrets of %u: %u missed\n", room.tokens, room.slots,
                  missed);
    assert_true(missed <= room.tokens / 1000);
    delete segment;
  }
}

void room_accounts_in_turn_are_found_again(void ** /*state*/) {
  for (const Room &room : kRooms) {
    auto *segment = new MemorySegment(room.slots, testing::kAccountsSubject);
    put_in_force(*segment);
    const unsigned missed = accounts_missed(*segment, room.tokens);
    print_message("%u accounts of %u: %u missed\n", room.tokens, room.slots,
                  missed);
    assert_true(missed <= room.tokens / 1000);
    delete segment;
  }
}

// What was revoked, or of tokens that are gone, takes nobody's place.
void room_full_of_what_is_out_of_force_is_room(void ** /*state*/) {
  constexpr unsigned kTokens = 8192;
  auto *segment = new MemorySegment(kTokens);
  put_in_force(*segment);
  for (unsigned i = 0; i < 4 * kTokens; ++i) {
    segment->insert(token_of(kTokens + i), kGeneration - 4);
  }
  assert_int_equal(secrets_missed(*segment, kTokens), 0);
  delete segment;
}

void room_mismatches_beside_a_full_table_are_found_again(void ** /*state*/) {
  constexpr unsigned kTokens = 8192;
  auto *segment = new MemorySegment(kTokens);
  put_in_force(*segment);
  assert_int_equal(secrets_missed(*segment, kTokens), 0);
  const auto revoked = [segment](unsigned i) {
    Claimant token = token_of(i);
    token.secret += "-revoked";
    token.fact = Fact::kMismatch;
    const bool found = segment->in_force(token, kGeneration).has_value();
    if (!found) {
      segment->insert(token, kGeneration);
    }
    return found;
  };
  assert_int_equal(misses_in_turn(kTokens / 8, revoked), 0);
  misses_in_turn(kTokens, revoked);  // more than there is room for
  assert_int_equal(secrets_missed(*segment, kTokens), 0);
  delete segment;
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(room_secrets_in_turn_are_found_again),
      cmocka_unit_test(room_accounts_in_turn_are_found_again),
      cmocka_unit_test(room_full_of_what_is_out_of_force_is_room),
      cmocka_unit_test(room_mismatches_beside_a_full_table_are_found_again),
  };
  return cmocka_run_group_tests_name("segment, room", tests, nullptr, nullptr);
}
