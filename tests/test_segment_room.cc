// SPDX-License-Identifier: BSD-3-Clause
// As many secrets, and accounts, as a segment was made for are found again.
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"
#include "segment_support.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::Claimant;
using testing::MemorySegment;

constexpr std::uint64_t kGeneration = 8;
constexpr unsigned kSmall = 64;
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
  constexpr int kRounds = 2;
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
constexpr std::array<Room, 6> kRooms = {
    {{1, 1}, {8, 8}, {16, 16}, {100, 100}, {8192, 4096}, {8192, 8192}}};

template <typename Missed>
void assert_found_again(const Subject &subject, Missed count_missed) {
  for (const Room &room : kRooms) {
    auto *segment = new MemorySegment(room.slots, subject);
    put_in_force(*segment);
    const unsigned missed = count_missed(*segment, room.tokens);
    print_message("%u of %u: %u missed\n", room.tokens, room.slots, missed);
    assert_true(missed <= room.tokens / 1000);
    delete segment;
  }
}

void room_secrets_in_turn_are_found_again(void ** /*state*/) {
  assert_found_again(testing::kSecretsSubject, secrets_missed);
}

void room_accounts_in_turn_are_found_again(void ** /*state*/) {
  assert_found_again(testing::kAccountsSubject, accounts_missed);
}

// What was revoked, or of tokens that are gone, takes nobody's place.
void room_full_of_what_is_out_of_force_is_room(void ** /*state*/) {
  constexpr unsigned kTokens = 8192;
  auto *segment = new MemorySegment(kTokens);
  put_in_force(*segment);
  for (unsigned i = 0; i < 2 * kTokens; ++i) {
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

// --- a larger one in its place

// Formats the memory of another segment anew, as the maker of a larger one.
void take_place(const MemorySegment &larger, const Segment &before,
                const Subject &subject, std::uint64_t last_generation) {
  const std::size_t size = larger.size();
  std::memset(larger.address(), 0, size);
  const Predecessor predecessor = {before, last_generation};
  const auto shape = SegmentShape::for_slots(4 * kSmall, subject.kind);
  assert_true(WritableSegment::format(larger.address(), shape, subject,
                                      testing::kOrigin, &predecessor));
  larger.open().take_over(before);
}

void growth_takes_secrets_along_and_puts_none_in_force(void ** /*state*/) {
  auto *before = new MemorySegment(kSmall);
  put_in_force(*before);
  for (unsigned i = 0; i < kSmall; ++i) {
    Claimant token = token_of(i);
    // A re-reader of the last generation was just storing some.
    before->insert(token, i % 2 == 0 ? kGeneration : kGeneration + 4);
    token.fact = Fact::kMismatch;
    token.secret += "-revoked";
    before->insert(token, kGeneration);
  }
  auto *larger = new MemorySegment(4 * kSmall);
  take_place(*larger, before->view(), testing::kSecretsSubject,
             kGeneration + 3);
  const std::uint64_t born = larger->view().generation();
  assert_int_equal(born % 4, kBorn);
  assert_true(born > kGeneration + 4);
  const std::uint64_t next = next_in_force(born);
  for (unsigned i = 0; i < kSmall; ++i) {
    assert_false(larger->in_force(token_of(i), next).has_value());
    assert_true(larger->fact(token_of(i)) == Fact::kMatch);
    larger->open().rebind(token_of(i).id, token_of(i).stored, next);
    assert_true(larger->in_force(token_of(i), next) == Fact::kMatch);
    Claimant revoked = token_of(i);
    revoked.secret += "-revoked";
    assert_true(!larger->fact(revoked) ||
                larger->in_force(revoked, next) == Fact::kMismatch);
  }
  delete larger;
  delete before;
}

void growth_takes_accounts_along_and_puts_none_in_force(void ** /*state*/) {
  auto *before = new MemorySegment(kSmall, testing::kAccountsSubject);
  put_in_force(*before);
  for (unsigned i = 0; i < kSmall; ++i) {
    before->open().insert_account(id_of(i), kAllowed, kGeneration);
  }
  auto *larger = new MemorySegment(4 * kSmall, testing::kAccountsSubject);
  take_place(*larger, before->view(), testing::kAccountsSubject, kGeneration);
  const std::uint64_t next = next_in_force(larger->view().generation());
  for (unsigned i = 0; i < kSmall; ++i) {
    assert_false(larger->view().find_account(id_of(i), next).has_value());
    assert_true(larger->view().has_slot(id_of(i)));
    larger->open().rebind_account(id_of(i), kAllowed, next);
    assert_true(larger->view().find_account(id_of(i), next) == kAllowed);
  }
  delete larger;
  delete before;
}

void growth_from_garbage_takes_nothing_that_is_found(void ** /*state*/) {
  auto *before = new MemorySegment(kSmall);
  std::mt19937_64 random(20240229);
  for (Slot &slot : before->slots()) {
    slot.tag = random();
    slot.generation = random() % 32;
  }
  auto *larger = new MemorySegment(4 * kSmall);
  take_place(*larger, before->view(), testing::kSecretsSubject, kGeneration);
  for (unsigned i = 0; i < kSmall; ++i) {
    assert_false(larger->fact(token_of(i)).has_value());
  }
  delete larger;
  delete before;
}

void replacement_begins_once_a_minute(void ** /*state*/) {
  constexpr std::uint64_t kMinute = 60'000'000'000;
  auto *segment = new MemorySegment(kSmall);
  const std::uint64_t made = segment->header()->sized;
  assert_true(made != 0);
  assert_false(segment->open().begin_replacement(0));  // no clock
  assert_false(segment->open().begin_replacement(made + kMinute - 1));
  assert_true(segment->open().begin_replacement(made + kMinute));
  assert_false(segment->open().begin_replacement(made + kMinute));
  assert_false(segment->open().begin_replacement(made + 2 * kMinute - 1));
  assert_true(segment->open().begin_replacement(made + 2 * kMinute));
  assert_true(
      segment->open().begin_replacement(made));  // that was another clock's
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
      cmocka_unit_test(growth_takes_secrets_along_and_puts_none_in_force),
      cmocka_unit_test(growth_takes_accounts_along_and_puts_none_in_force),
      cmocka_unit_test(growth_from_garbage_takes_nothing_that_is_found),
      cmocka_unit_test(replacement_begins_once_a_minute),
  };
  return cmocka_run_group_tests_name("segment, room", tests, nullptr, nullptr);
}
