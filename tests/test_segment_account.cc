// SPDX-License-Identifier: BSD-3-Clause
// Account verdicts in the segment: found whole and in force, or not at all.
#include <array>
#include <string>

#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"
#include "segment_support.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::MemorySegment;
using testing::segment_in;

const std::string kId = "john@pbs!client1";
constexpr AccountVerdict kUntil = {.status = AccountStatus::kAllowed,
                                   .expires = 1'700'000'000};
constexpr AccountVerdict kDisabled = {.status = AccountStatus::kDisabledToken};
constexpr std::array<AccountVerdict, 6> kAll = {
    {{.status = AccountStatus::kAllowed},
     kUntil,
     kDisabled,
     {.status = AccountStatus::kDisabledUser},
     {.status = AccountStatus::kNoUser},
     {.status = AccountStatus::kNoToken}}};

AccountSlot *only_slot(const MemorySegment &segment) {
  AccountSlot *found = nullptr;
  for (AccountSlot &slot : segment.accounts()) {
    if (slot.tag != 0) {
      assert_null(found);
      found = &slot;
    }
  }
  assert_non_null(found);
  return found;
}

void account_that_was_inserted_is_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const AccountVerdict &verdict : kAll) {
    segment.open().insert_account(kId, verdict, 4);
    assert_true(segment.view().find_account(kId, 4) == verdict);
    only_slot(segment);  // the same one each time
  }
}

void account_of_another_token_or_generation_is_not_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().insert_account(kId, kUntil, 4);
  assert_false(segment.view().find_account("john@pbs!client2", 4).has_value());
  for (const std::uint64_t generation : {0U, 2U, 5U, 6U}) {
    assert_false(segment.view().find_account(kId, generation).has_value());
  }
}

// The tag alone does not make a slot somebody's.
void account_slot_moved_to_another_token_is_not_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  const std::string other = "mary@pbs!client1";
  segment.open().insert_account(other, kDisabled, 4);
  const std::uint64_t tag = only_slot(segment)->tag;
  segment.clear_slots();
  segment.open().insert_account(kId, kUntil, 4);
  AccountSlot moved = *only_slot(segment);
  moved.tag = tag;
  for (AccountSlot &slot : segment.accounts()) {
    slot = moved;
  }
  assert_false(segment.view().find_account(other, 4).has_value());
}

void account_with_any_word_changed_is_not_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().insert_account(kId, kUntil, 4);
  auto *words = reinterpret_cast<std::uint64_t *>(only_slot(segment));
  for (std::size_t i = 0; i < sizeof(AccountSlot) / sizeof(*words); ++i) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      words[i] ^= std::uint64_t{1} << bit;
      assert_false(segment.view().find_account(kId, 4).has_value());
      words[i] ^= std::uint64_t{1} << bit;
    }
  }
  assert_true(segment.view().find_account(kId, 4) == kUntil);
}

// What two processes stored at the same time: words of either.
void account_mixed_of_two_is_one_of_them_or_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().insert_account(kId, kUntil, 4);
  AccountSlot *slot = only_slot(segment);
  const AccountSlot allowed = *slot;
  segment.open().insert_account(kId, kDisabled, 6);
  const AccountSlot disabled = *slot;
  const auto *first = reinterpret_cast<const std::uint64_t *>(&allowed);
  const auto *second = reinterpret_cast<const std::uint64_t *>(&disabled);
  auto *words = reinterpret_cast<std::uint64_t *>(slot);
  constexpr std::size_t kWords = sizeof(AccountSlot) / sizeof(*words);
  for (unsigned mix = 0; mix < 1U << kWords; ++mix) {
    for (std::size_t i = 0; i < kWords; ++i) {
      words[i] = (mix >> i & 1U) != 0 ? second[i] : first[i];
    }
    const auto found = segment.view().find_account(kId, 6);
    assert_true(!found || *found == kDisabled);
  }
}

void account_inserted_late_leaves_what_is_newer(void **state) {
  const MemorySegment &segment = segment_in(state);
  *segment.open().generation_words().word = 6;
  segment.open().insert_account(kId, kDisabled, 6);
  segment.open().insert_account(kId, kUntil, 4);
  assert_true(segment.view().find_account(kId, 6) == kDisabled);
  // But not for a number that somebody made up.
  only_slot(segment)->generation = UINT64_MAX;
  segment.open().insert_account(kId, kUntil, 4);
  assert_true(segment.view().find_account(kId, 4) == kUntil);
}

void rebind_account_changes_only_what_has_a_slot(void **state) {
  const MemorySegment &segment = segment_in(state);
  WritableSegment writing = segment.open();
  writing.rebind_account(kId, kUntil, 4);
  assert_false(segment.view().find_account(kId, 4).has_value());
  writing.insert_account(kId, kUntil, 4);
  writing.rebind_account(kId, kDisabled, 6);
  assert_true(segment.view().find_account(kId, 6) == kDisabled);
  assert_false(segment.view().find_account(kId, 4).has_value());
}

// All token ids share two buckets here.
void accounts_beyond_the_ways_push_out_the_oldest(void **state) {
  const MemorySegment &segment = segment_in(state);
  WritableSegment writing = segment.open();
  *writing.generation_words().word = 80;
  for (std::uint64_t i = 0; i < kHalves * kWays; ++i) {
    writing.insert_account(kId + std::to_string(i), kUntil, 4 + 4 * i);
  }
  writing.insert_account(kId, kDisabled, 80);
  assert_true(segment.view().find_account(kId, 80) == kDisabled);
  assert_false(segment.view().find_account(kId + "0", 4).has_value());
  for (std::uint64_t i = 1; i < kHalves * kWays; ++i) {
    assert_true(segment.view().find_account(kId + std::to_string(i),
                                            4 + 4 * i) == kUntil);
  }
}

// What was never used ends a bucket.  Damage may make such a slot in front of
// one that is used.
void account_behind_a_gap_is_inserted_into_it(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const std::string &id : {kId + "0", kId + "1", kId}) {
    segment.open().insert_account(id, kUntil, 4);  // to the buckets in turn
  }
  assert_true(segment.accounts()[1].tag != 0);
  segment.accounts()[0].tag = 0;
  segment.open().insert_account(kId, kDisabled, 4);
  assert_true(segment.view().find_account(kId, 4) == kDisabled);
  segment.open().rebind_account(kId, kUntil, 6);
  assert_true(segment.view().find_account(kId, 6) == kUntil);
}

// One of accounts is no segment of secrets, and says nothing to who asks it as
// one.
void accounts_are_not_secrets(void **state) {
  const MemorySegment &segment = segment_in(state);
  assert_false(
      Segment::open(segment.address(), segment.size(), testing::kSecretsSubject)
          .has_value());
  segment.header()->prefix.kind = static_cast<std::uint64_t>(Kind::kSecrets);
  assert_false(
      Segment::open(segment.address(), segment.size(), testing::kSecretsSubject)
          .has_value());
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_accounts(account_that_was_inserted_is_found),
      with_accounts(account_of_another_token_or_generation_is_not_found),
      with_smallest_accounts(account_slot_moved_to_another_token_is_not_found),
      with_accounts(account_with_any_word_changed_is_not_found),
      with_accounts(account_mixed_of_two_is_one_of_them_or_none),
      with_accounts(account_inserted_late_leaves_what_is_newer),
      with_accounts(rebind_account_changes_only_what_has_a_slot),
      with_smallest_accounts(accounts_beyond_the_ways_push_out_the_oldest),
      with_smallest_accounts(account_behind_a_gap_is_inserted_into_it),
      with_accounts(accounts_are_not_secrets),
  };
  return cmocka_run_group_tests_name("segment_account", tests, nullptr,
                                     nullptr);
}
