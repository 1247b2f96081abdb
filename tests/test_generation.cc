// SPDX-License-Identifier: BSD-3-Clause
// The generation word: who may claim from where, and what an end is worth.
#include "pbstoken/cache/generation.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;

// The store's lock, whose holder alone may claim from odd.
struct LockHolder {
  TempDir dir;
  Store store;
  std::optional<FileLock> lock;
};

int take_lock(void **state) {
  auto *holder = new LockHolder;
  *state = holder;
  holder->store.lock_file = PathText(holder->dir.write("lock", ""));
  auto lock = FileLock::acquire(holder->store, 0);
  if (!lock) {
    return -1;
  }
  holder->lock.emplace(std::move(*lock));
  return 0;
}

int release_lock(void **state) {
  delete static_cast<LockHolder *>(*state);
  return 0;
}

const FileLock &lock_of(void **state) {
  return *static_cast<LockHolder *>(*state)->lock;
}

void from_even_of_an_even_word_claims_the_next_number(void ** /*state*/) {
  for (const std::uint64_t even :
       {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{4},
        std::uint64_t{1} << 32U, std::uint64_t{1} << 63U}) {
    std::uint64_t word = even;
    auto claim = GenerationClaim::from_even(&word);
    assert_true(claim.has_value());
    assert_true(word == even + 1);
    assert_true(claim->is_ours());
    assert_true(claim->next() == even + 2);
    assert_true(claim->end());
    assert_true(word == even + 2);
    assert_false(claim->is_ours());
  }
}

void from_even_of_an_odd_word_is_refused(void ** /*state*/) {
  for (const std::uint64_t odd :
       {kBorn, std::uint64_t{3}, (std::uint64_t{1} << 63U) + 1, kRetired}) {
    std::uint64_t word = odd;
    assert_false(GenerationClaim::from_even(&word).has_value());
    assert_true(word == odd);
  }
}

void from_even_twice_only_the_first_claims(void ** /*state*/) {
  std::uint64_t word = 2;
  const auto first = GenerationClaim::from_even(&word);
  assert_true(first.has_value());
  assert_false(GenerationClaim::from_even(&word).has_value());
  assert_true(first->is_ours());
  assert_true(word == 3);
}

void under_lock_claims_from_even_and_from_odd(void **state) {
  struct Step {
    std::uint64_t from;
    std::uint64_t odd;
  };
  const std::array<Step, 6> steps = {{
      {0, 1},
      {kBorn, 3},
      {2, 3},
      {3, 5},
      {1000, 1001},
      {1001, 1003},
  }};
  for (const Step &step : steps) {
    std::uint64_t word = step.from;
    auto claim = GenerationClaim::under_lock(&word, lock_of(state));
    assert_true(claim.has_value());
    assert_true(word == step.odd);
    assert_true(claim->is_ours());
    assert_true(claim->next() == step.odd + 1);
    assert_true(claim->end());
    assert_true(word == step.odd + 1);
  }
}

void under_lock_of_a_retired_word_is_refused(void **state) {
  std::uint64_t word = kRetired;
  assert_false(GenerationClaim::under_lock(&word, lock_of(state)).has_value());
  assert_true(word == kRetired);
}

// Only a hostile word comes near the end of the numbers: it must neither
// become kRetired, which says something else, nor wrap to a number that was
// used before.
void claim_near_the_last_number_never_retires_nor_wraps(void **state) {
  for (std::uint64_t start = kRetired - 40; start != 0; ++start) {
    for (const bool ends : {true, false}) {
      std::uint64_t word = start;
      std::uint64_t last = start;
      for (int i = 0; i < 40; ++i) {
        auto claim = is_in_force(word) && i % 2 == 0
                         ? GenerationClaim::from_even(&word)
                         : GenerationClaim::under_lock(&word, lock_of(state));
        if (!claim) {
          assert_true(word == last);
          continue;
        }
        assert_true(start != kRetired);
        assert_true(word > last && word < kRetired);
        assert_true(claim->next() > word && claim->next() < kRetired);
        if (ends) {
          assert_true(claim->end());
        }
        last = word;
      }
    }
  }
}

void end_after_a_take_over_leaves_the_word_alone(void **state) {
  std::uint64_t word = 2;
  auto slow = GenerationClaim::from_even(&word);
  auto next = GenerationClaim::under_lock(&word, lock_of(state));
  assert_true(slow && next);
  assert_true(word == 5);
  assert_false(slow->is_ours());
  assert_false(slow->end());
  assert_true(word == 5);
  assert_true(next->is_ours());
  assert_true(next->end());
  assert_true(word == 6);
  assert_false(slow->end());
  assert_true(word == 6);
}

void end_after_retirement_leaves_the_word_alone(void ** /*state*/) {
  std::uint64_t word = 2;
  auto claim = GenerationClaim::from_even(&word);
  assert_true(claim.has_value());
  word = kRetired;
  assert_false(claim->is_ours());
  assert_false(claim->end());
  assert_true(word == kRetired);
}

void end_twice_counts_once(void ** /*state*/) {
  std::uint64_t word = 2;
  auto claim = GenerationClaim::from_even(&word);
  assert_true(claim.has_value());
  assert_true(claim->end());
  assert_false(claim->end());
  assert_true(word == 4);
}

void dropped_claim_leaves_the_word_odd(void ** /*state*/) {
  std::uint64_t word = 2;
  {
    const auto dead = GenerationClaim::from_even(&word);
    assert_true(dead.has_value());
  }
  assert_true(word == 3);
}

constexpr int kClaimers = 6;
constexpr int kClaimsEach = 2000;
constexpr int kDiesAfter = 50;

// What one of many claimers saw: its own odd numbers, and whether an end that
// succeeded was ever followed by a word that is not beyond it.
struct Claimed {
  std::vector<std::uint64_t> odd;
  bool went_back = false;

  void add(std::uint64_t *word, GenerationClaim *claim, bool ends) {
    odd.push_back(claim->next() - 1);
    if (ends && claim->end() && load_acquire(word) < claim->next()) {
      went_back = true;
    }
  }
};

// As it is in use: any number claim from even, some of them die before they
// end, and one, the holder of the lock, claims from whatever it finds.
void claim_by_many_threads_gives_no_number_twice(void **state) {
  std::uint64_t word = kBorn;
  std::atomic<int> running = kClaimers;
  std::array<Claimed, kClaimers + 1> seen;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClaimers; ++i) {
    threads.emplace_back([&word, &running, &mine = seen[i]] {
      for (int done = 0; done < kClaimsEach;) {
        if (auto claim = GenerationClaim::from_even(&word); claim) {
          mine.add(&word, &*claim, /*ends=*/++done % kDiesAfter != 0);
        } else {
          std::this_thread::yield();
        }
      }
      --running;
    });
  }
  const FileLock &lock = lock_of(state);
  while (running.load() > 0) {
    if (auto claim = GenerationClaim::under_lock(&word, lock); claim) {
      seen.back().add(&word, &*claim, /*ends=*/true);
    }
    std::this_thread::yield();
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  std::vector<std::uint64_t> all;
  for (const Claimed &claimed : seen) {
    assert_false(claimed.went_back);
    assert_true(std::is_sorted(claimed.odd.begin(), claimed.odd.end()));
    all.insert(all.end(), claimed.odd.begin(), claimed.odd.end());
  }
  assert_true(all.size() > kClaimers * kClaimsEach);
  std::sort(all.begin(), all.end());
  assert_true(std::adjacent_find(all.begin(), all.end()) == all.end());
  assert_true(std::none_of(all.begin(), all.end(), is_in_force));
  assert_true(load_acquire(&word) <= all.back() + 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(from_even_of_an_even_word_claims_the_next_number),
      cmocka_unit_test(from_even_of_an_odd_word_is_refused),
      cmocka_unit_test(from_even_twice_only_the_first_claims),
      cmocka_unit_test(under_lock_claims_from_even_and_from_odd),
      cmocka_unit_test(under_lock_of_a_retired_word_is_refused),
      cmocka_unit_test(claim_near_the_last_number_never_retires_nor_wraps),
      cmocka_unit_test(end_after_a_take_over_leaves_the_word_alone),
      cmocka_unit_test(end_after_retirement_leaves_the_word_alone),
      cmocka_unit_test(end_twice_counts_once),
      cmocka_unit_test(dropped_claim_leaves_the_word_odd),
      cmocka_unit_test(claim_by_many_threads_gives_no_number_twice),
  };
  return cmocka_run_group_tests_name("generation", tests, take_lock,
                                     release_lock);
}
