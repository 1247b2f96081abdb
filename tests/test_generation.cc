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

#include "pbstoken/os/clock.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;

// The store's lock, whose holder alone may take over from a writer.
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

// A word and its note.
struct Words {
  std::uint64_t word;
  std::uint64_t note = 0;
  [[nodiscard]] Generation both() { return {&word, &note}; }
};

std::uint64_t milliseconds() {
  return boottime_now() / kNanosecondsPerMillisecond;
}

// The note of a re-reader that has so many doublings and began that long ago.
std::uint64_t note(std::uint64_t number, std::uint64_t doublings,
                   std::uint64_t ago) {
  return (number & 0xffff) | doublings << 16U | (milliseconds() - ago) << 24U;
}

std::optional<GenerationClaim> reread(Words *words,
                                      const FileLock *lock = nullptr) {
  return GenerationClaim::as_rereader(words->both(), lock);
}

void number_says_whose_it_is(void ** /*state*/) {
  for (const std::uint64_t base :
       {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{1} << 63U}) {
    assert_true(is_in_force(base) && !is_writers(base));
    assert_true(!is_in_force(base + 1) && is_writers(base + 1));
    assert_true(!is_in_force(base + 2) && is_writers(base + 2));
    assert_true(!is_in_force(base + 3) && !is_writers(base + 3));
    for (std::uint64_t claimed = base + 1; claimed < base + 4; ++claimed) {
      assert_true(next_in_force(claimed) == base + 4);
    }
  }
  for (std::uint64_t late = kLastGeneration + 1; late != 0; ++late) {
    assert_false(is_in_force(late) || is_writers(late));
  }
}

// Each takes the next number of its own kind above the present one.
void claim_from_each_kind_of_number(void **state) {
  struct Step {
    std::uint64_t from;
    std::uint64_t rereader;
    std::uint64_t writer;
  };
  const std::array<Step, 9> steps = {{
      {0, 3, 1},
      {1, 3, 5},
      {2, 3, 5},
      {3, 7, 5},
      {4, 7, 5},
      {5, 7, 9},
      {6, 7, 9},
      {7, 11, 9},
      {std::uint64_t{1} << 40U, (std::uint64_t{1} << 40U) + 3,
       (std::uint64_t{1} << 40U) + 1},
  }};
  for (const Step &step : steps) {
    for (const bool as_writer : {false, true}) {
      Words words = {step.from, note(step.from, 0, 60'000)};
      auto claim =
          as_writer ? GenerationClaim::as_writer(words.both(), lock_of(state))
                    : reread(&words, &lock_of(state));
      assert_true(claim.has_value());
      assert_true(words.word == (as_writer ? step.writer : step.rereader));
      assert_true(claim->is_ours());
      assert_true(claim->next() % 4 == 0 && claim->next() > words.word);
      const std::uint64_t next = claim->next();
      assert_true(claim->end());
      assert_true(words.word == next);
      assert_false(claim->is_ours());
      assert_false(claim->end());
    }
  }
}

// Only its lock's holder knows that a writer is dead.
void as_rereader_of_a_writers_number_takes_the_lock(void **state) {
  for (const std::uint64_t number : {1U, 2U, 5U, 6U}) {
    Words words = {number, note(number, 0, 60'000)};
    assert_false(reread(&words).has_value());
    assert_true(words.word == number);
    assert_true(reread(&words, &lock_of(state)).has_value());
  }
}

void as_rereader_twice_only_the_first_claims(void ** /*state*/) {
  Words words = {4};
  const auto first = reread(&words);
  assert_true(first.has_value());
  assert_false(reread(&words).has_value());
  assert_true(first->is_ours());
  assert_true(words.word == 7);
}

// 50 ms, doubled with each take-over, and 10 s at most.
void as_rereader_leaves_a_living_one_its_time(void **state) {
  for (const FileLock *lock :
       {static_cast<const FileLock *>(nullptr), &lock_of(state)}) {
    struct Case {
      std::uint64_t doublings;
      std::uint64_t ago;
      bool is_late;
    };
    const std::array<Case, 8> cases = {{
        {0, 0, false},
        {0, 30, false},
        {0, 60, true},
        {1, 60, false},
        {1, 120, true},
        {6, 3000, false},
        {8, 9900, false},
        {8, 10'100, true},
    }};
    for (const Case &c : cases) {
      Words words = {7, note(7, c.doublings, c.ago)};
      assert_true(reread(&words, lock).has_value() == c.is_late);
      assert_true(words.word == (c.is_late ? 11U : 7U));
      if (c.is_late) {
        assert_true((words.note >> 16U & 0xffU) ==
                    std::min<std::uint64_t>(c.doublings + 1, 8));
      }
    }
  }
}

// Nobody knows since when a number stands whose note is another's: it has its
// time from then on.  The doublings stay: else re-readers that are slower than
// the first time would take over from each other without end.
void as_rereader_finds_no_note_and_begins_one(void ** /*state*/) {
  for (const std::uint64_t foreign :
       {std::uint64_t{0}, note(11, 3, 60'000),
        note(7, 2, 0) + (std::uint64_t{9} << 40U)}) {
    Words words = {7, foreign};
    assert_false(reread(&words).has_value());
    assert_true(words.word == 7);
    assert_true((words.note & 0xffffU) == 7);
    assert_true((words.note >> 16U & 0xffU) == (foreign >> 16U & 0xffU));
    assert_true(words.note >> 24U <= milliseconds());
    assert_false(reread(&words).has_value());
  }
}

// Its maker never ends the first number: the first that comes takes it over.
void as_rereader_of_a_new_segment_claims_at_once(void ** /*state*/) {
  Words words = {kBorn, kBorn};
  assert_true(reread(&words).has_value());
  assert_true(words.word == kBorn + 4);
}

void claim_of_a_retired_word_is_refused(void **state) {
  for (std::uint64_t late = kLastGeneration + 1; late != 0; ++late) {
    Words words = {late, note(late, 0, 60'000)};
    assert_false(reread(&words, &lock_of(state)).has_value());
    assert_false(
        GenerationClaim::as_writer(words.both(), lock_of(state)).has_value());
    assert_true(words.word == late);
  }
}

// Only a hostile word comes near the end of the numbers: it must neither
// become kRetired, which says something else, nor wrap to a number that was
// used before.
void claim_near_the_last_number_never_retires_nor_wraps(void **state) {
  for (std::uint64_t start = kRetired - 40; start != 0; ++start) {
    for (const bool ends : {true, false}) {
      Words words = {start};
      std::uint64_t last = start;
      for (int i = 0; i < 40; ++i) {
        words.note = note(words.word, 0, 60'000);
        auto claim = i % 2 == 0 ? reread(&words, &lock_of(state))
                                : GenerationClaim::as_writer(words.both(),
                                                             lock_of(state));
        if (!claim) {
          assert_true(words.word == last);
          continue;
        }
        assert_true(start <= kLastGeneration);
        assert_true(words.word > last && words.word < kRetired);
        assert_true(claim->next() > words.word && claim->next() < kRetired);
        if (ends) {
          assert_true(claim->end());
        }
        last = words.word;
      }
    }
  }
}

void end_after_a_take_over_leaves_the_word_alone(void **state) {
  Words words = {4};
  auto slow = reread(&words);
  auto next = GenerationClaim::as_writer(words.both(), lock_of(state));
  assert_true(slow && next);
  assert_true(words.word == 9);
  assert_false(slow->is_ours());
  assert_false(slow->end());
  assert_true(words.word == 9);
  assert_true(next->is_ours());
  assert_true(next->end());
  assert_true(words.word == 12);
  assert_false(slow->end());
  assert_true(words.word == 12);
}

void end_after_retirement_leaves_the_word_alone(void ** /*state*/) {
  Words words = {4};
  auto claim = reread(&words);
  assert_true(claim.has_value());
  words.word = kRetired;
  assert_false(claim->is_ours());
  assert_false(claim->end());
  assert_true(words.word == kRetired);
}

void dropped_claim_leaves_its_number(void ** /*state*/) {
  Words words = {4};
  {
    const auto dead = reread(&words);
    assert_true(dead.has_value());
  }
  assert_true(words.word == 7);
}

constexpr int kClaimers = 6;
constexpr int kClaimsEach = 2000;
constexpr int kDiesAfter = 50;

// What one of many claimers saw: the numbers that its own end with, and whether
// an end that succeeded was ever followed by a word that is not beyond it.
struct Claimed {
  std::vector<std::uint64_t> numbers;
  bool went_back = false;

  void add(std::uint64_t *word, std::uint64_t number, GenerationClaim *claim,
           bool ends) {
    numbers.push_back(number);
    if (ends && claim->end() && load_acquire(word) < claim->next()) {
      went_back = true;
    }
  }
};

// As it is in use: any number claim as re-readers, some of them die before they
// end, and one, the holder of the lock, claims as a writer from whatever it
// finds.  Re-readers' numbers are late at once here.
void claim_by_many_threads_gives_no_number_twice(void **state) {
  Words words = {kBorn, kBorn};
  std::atomic<int> running = kClaimers;
  std::array<Claimed, kClaimers + 1> seen;
  std::vector<std::thread> threads;
  const auto number_of = [](const GenerationClaim &claim, bool writer) {
    return claim.next() - (writer ? 3 : 1);
  };
  for (std::size_t i = 0; i < kClaimers; ++i) {
    threads.emplace_back([&, &mine = seen[i]] {
      for (int done = 0; done < kClaimsEach;) {
        if (auto claim = reread(&words); claim) {
          mine.add(&words.word, number_of(*claim, false), &*claim,
                   /*ends=*/++done % kDiesAfter != 0);
        } else {
          std::this_thread::yield();
        }
      }
      --running;
    });
  }
  const FileLock &lock = lock_of(state);
  while (running.load() > 0) {
    if (auto claim = GenerationClaim::as_writer(words.both(), lock); claim) {
      seen.back().add(&words.word, number_of(*claim, true), &*claim,
                      /*ends=*/true);
    }
    std::this_thread::yield();
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  std::vector<std::uint64_t> all;
  for (const Claimed &claimed : seen) {
    assert_false(claimed.went_back);
    assert_true(std::is_sorted(claimed.numbers.begin(), claimed.numbers.end()));
    all.insert(all.end(), claimed.numbers.begin(), claimed.numbers.end());
  }
  assert_true(all.size() > kClaimers * kClaimsEach);
  std::sort(all.begin(), all.end());
  assert_true(std::adjacent_find(all.begin(), all.end()) == all.end());
  assert_true(std::none_of(all.begin(), all.end(), is_in_force));
  assert_true(load_acquire(&words.word) <= all.back() + 3);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(number_says_whose_it_is),
      cmocka_unit_test(claim_from_each_kind_of_number),
      cmocka_unit_test(as_rereader_of_a_writers_number_takes_the_lock),
      cmocka_unit_test(as_rereader_twice_only_the_first_claims),
      cmocka_unit_test(as_rereader_leaves_a_living_one_its_time),
      cmocka_unit_test(as_rereader_finds_no_note_and_begins_one),
      cmocka_unit_test(as_rereader_of_a_new_segment_claims_at_once),
      cmocka_unit_test(claim_of_a_retired_word_is_refused),
      cmocka_unit_test(claim_near_the_last_number_never_retires_nor_wraps),
      cmocka_unit_test(end_after_a_take_over_leaves_the_word_alone),
      cmocka_unit_test(end_after_retirement_leaves_the_word_alone),
      cmocka_unit_test(dropped_claim_leaves_its_number),
      cmocka_unit_test(claim_by_many_threads_gives_no_number_twice),
  };
  return cmocka_run_group_tests_name("generation", tests, take_lock,
                                     release_lock);
}
