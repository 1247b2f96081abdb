// SPDX-License-Identifier: BSD-3-Clause
// The segment when its bytes are torn, moved, somebody else's or hostile: at
// worst a miss (invariant I4).
#include <array>
#include <atomic>
#include <bit>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "pbstoken/cache/segment.h"
#include "segment_support.h"

namespace pbstoken {
namespace {

using testing::Claimant;
using testing::MemorySegment;
using testing::segment_in;

constexpr std::uint64_t kNow = 4;
constexpr std::size_t kWords = sizeof(Slot) / sizeof(std::uint64_t);
using Words = std::array<std::uint64_t, kWords>;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kStored = "$y$j9T$salt$new";
const std::string kOldStored = "$y$j9T$salt$old";

const Claimant kMatch = {kId, kSecret, kStored, Fact::kMatch};
const Claimant kMismatch = {kId, kWrong, kStored, Fact::kMismatch};
const Claimant kOtherId = {"jane@pbs!t", kSecret, kStored, Fact::kMatch};
const Claimant kOldMatch = {kId, kWrong, kOldStored, Fact::kMatch};

Words words_of(const Slot &slot) {
  return std::bit_cast<Words>(slot);
}

Slot slot_of(const Words &words) {
  return std::bit_cast<Slot>(words);
}

bool same(const Slot &a, const Slot &b) {
  return words_of(a) == words_of(b);
}

// The words of `a` whose bit is set in mask, the others of `b`.
Slot mixed(const Slot &a, const Slot &b, unsigned mask) {
  Words words = words_of(b);
  for (std::size_t i = 0; i < kWords; ++i) {
    if ((mask >> i & 1U) != 0) {
      words[i] = words_of(a)[i];
    }
  }
  return slot_of(words);
}

// Nobody asked for is known: neither in force nor as a fact.
void assert_unknown(const MemorySegment &segment, const Claimant &asked) {
  for (std::uint64_t generation = 0; generation <= 16; ++generation) {
    assert_false(segment.in_force(asked, generation).has_value());
  }
  for (const std::string &stored : {kStored, kOldStored}) {
    Claimant with = asked;
    with.stored = stored;
    assert_false(segment.fact(with).has_value());
  }
}

void find_each_bit_of_a_slot_flipped_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.clear_slots();
    Slot *slot = segment.insert_first(known, kNow);
    const Words whole = words_of(*slot);
    for (std::size_t bit = 0; bit < sizeof(Slot) * 8; ++bit) {
      Words flipped = whole;
      flipped[bit / 64] ^= std::uint64_t{1} << (bit % 64);
      *slot = slot_of(flipped);
      assert_unknown(segment, known);
    }
  }
}

// A re-reader gives a slot a new generation.  It must not make one whose words
// do not belong together good for any generation, least of all for one of which
// nobody knows yet what it will bind.
void rebind_each_bit_of_the_generation_flipped_is_in_no_other(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      segment.clear_slots();
      Slot *slot = segment.insert_first(known, kNow);
      slot->generation ^= std::uint64_t{1} << bit;
      segment.open().rebind(kId, kStored, 8);
      segment.open().rebind(kId, "$y$j9T$salt$revoked", 10);
      for (std::uint64_t later = 10; later <= 256; later += 2) {
        assert_false(segment.in_force(known, later).has_value());
      }
      assert_false(
          segment.in_force(known, 8 ^ std::uint64_t{1} << bit).has_value());
    }
  }
}

void find_slots_of_two_tokens_mixed_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  const std::array<std::array<Claimant, 2>, 4> pairs = {{
      {kMatch, kOtherId},
      {kMatch, kMismatch},
      {kMatch, kOldMatch},
      {kMismatch, kOldMatch},
  }};
  for (const auto &[first, second] : pairs) {
    segment.clear_slots();
    Slot *first_place = segment.insert_first(first, kNow);
    const Slot first_slot = *first_place;
    segment.clear_slots();
    Slot *second_place = segment.insert_first(second, kNow);
    const Slot second_slot = *second_place;
    for (unsigned mask = 1; mask < (1U << kWords) - 1; ++mask) {
      const Slot torn = mixed(first_slot, second_slot, mask);
      if (same(torn, first_slot) || same(torn, second_slot)) {
        continue;  // the words that differ are all one's
      }
      segment.clear_slots();
      *first_place = torn;
      *second_place = torn;
      assert_unknown(segment, first);
      assert_unknown(segment, second);
    }
  }
}

// Two processes store the same fact under two generations, one of them late:
// whatever comes of it is in force under one of the two at most, and never,
// by somebody's later work, under a generation whose stored hash is another.
void rebind_slots_of_two_generations_mixed_are_never_revived(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.clear_slots();
    Slot *place = segment.insert_first(known, 4);
    const Slot late = *place;
    segment.insert(known, 6);
    const Slot in_time = *place;
    for (unsigned mask = 0; mask < 1U << kWords; ++mask) {
      *place = mixed(late, in_time, mask);
      for (std::uint64_t other = 8; other <= 64; ++other) {
        assert_false(segment.in_force(known, other).has_value());
      }
      segment.open().rebind(kId, kStored, 8);
      segment.open().rebind(kId, "$y$j9T$salt$revoked", 10);
      for (std::uint64_t later = 10; later <= 64; ++later) {
        if (segment.in_force(known, later)) {
          fail_msg("revoked, but in force under %ju (words of the late: %#x)",
                   static_cast<uintmax_t>(later), mask);
        }
      }
    }
  }
}

void find_slot_copied_elsewhere_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.clear_slots();
    const Slot copy = *segment.insert_first(known, kNow);
    std::set<std::ptrdiff_t> buckets;  // where it is found
    for (Slot &place : segment.slots()) {
      segment.clear_slots();
      place = copy;
      const auto found = segment.in_force(known, kNow);
      assert_true(found == segment.fact(known));
      assert_unknown(segment, kOtherId);
      if (found) {
        assert_true(*found == known.fact);
        buckets.insert((&place - segment.slots().data()) /
                       static_cast<std::ptrdiff_t>(kWays));
      }
    }
    // Elsewhere in its own two it would say no other thing.
    assert_int_equal(buckets.size(), kHalves);
  }
}

// The slot that a token gets, alone in the segment, and where.
struct Placed {
  Slot *place;
  Slot slot;
};

Placed place_alone(const MemorySegment &segment, const Claimant &known) {
  segment.clear_slots();
  Slot *place = segment.insert_first(known, kNow);
  return {place, *place};
}

void find_slots_swapped_between_tokens_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  const Placed first = place_alone(segment, kMatch);
  Claimant other = kOtherId;
  Placed second = place_alone(segment, other);
  // Of the first one's bucket either slot would be in its right place.
  while (std::abs(second.place - first.place) <
         static_cast<std::ptrdiff_t>(kWays)) {
    other.id += "x";
    second = place_alone(segment, other);
  }
  for (const bool keep_tags : {false, true}) {
    *first.place = second.slot;
    *second.place = first.slot;
    if (keep_tags) {
      first.place->tag = first.slot.tag;
      second.place->tag = second.slot.tag;
    }
    assert_unknown(segment, kMatch);
    assert_unknown(segment, other);
  }
}

// All buckets are one here, so that only the digests tell the parts apart.
void find_slot_copied_into_the_other_part_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    const Fact other =
        known.fact == Fact::kMatch ? Fact::kMismatch : Fact::kMatch;
    segment.clear_slots();
    const Slot slot = *segment.insert_first(known, kNow);
    segment.clear_slots();
    for (Slot &place : segment.part(other)) {
      place = slot;
    }
    assert_unknown(segment, known);
    segment.clear_slots();
    segment.part(known.fact)[0] = slot;
    assert_true(segment.in_force(known, kNow) == known.fact);
  }
}

void find_in_garbage_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  const MemorySegment foreign;  // same shape, other key
  foreign.insert(kMatch, kNow);
  foreign.insert(kMismatch, kNow);
  segment.insert(kMatch, kNow);
  const std::uint64_t tag = segment.insert_first(kMatch, kNow)->tag;
  std::mt19937_64 random(20240229);
  const std::array<void (*)(Slot *, std::mt19937_64 *), 3> fillings = {
      [](Slot *slot, std::mt19937_64 * /*random*/) {
        std::memset(slot, 0, sizeof(*slot));
      },
      [](Slot *slot, std::mt19937_64 * /*random*/) {
        std::memset(slot, 0xff, sizeof(*slot));
      },
      [](Slot *slot, std::mt19937_64 *source) {
        Words words{};
        for (std::uint64_t &word : words) {
          word = (*source)();
        }
        *slot = slot_of(words);
      },
  };
  // With the right tag every slot is compared.
  for (const bool right_tag : {false, true}) {
    for (const auto filling : fillings) {
      for (Slot &slot : segment.slots()) {
        filling(&slot, &random);
        slot.tag = right_tag ? tag : slot.tag;
        slot.generation = right_tag ? kNow : slot.generation;
      }
      assert_unknown(segment, kMatch);
      assert_unknown(segment, kMismatch);
      segment.open().rebind(kId, kStored, kNow);
      assert_unknown(segment, kMatch);
    }
    for (std::size_t i = 0; i < segment.slots().size(); ++i) {
      segment.slots()[i] = foreign.slots()[i];
      segment.slots()[i].tag = right_tag ? tag : foreign.slots()[i].tag;
    }
    assert_unknown(segment, kMatch);
    assert_unknown(segment, kMismatch);
  }
}

// Three writers tear one slot as much as they can, while somebody reads.
void find_in_force_while_slots_are_torn_never_lies(void **state) {
  const MemorySegment &segment = segment_in(state);
  constexpr int kRounds = 50'000;
  std::atomic<bool> stop = false;
  std::vector<std::thread> writers;
  writers.emplace_back([&] {
    while (!stop.load()) {
      segment.insert(kMatch, 6);
    }
  });
  writers.emplace_back([&] {
    while (!stop.load()) {
      segment.insert(kOldMatch, 4);
    }
  });
  writers.emplace_back([&] {
    while (!stop.load()) {
      segment.open().rebind(kId, kStored, 6);
    }
  });
  int wrong = 0;
  const Segment view = segment.view();
  for (int i = 0; i < kRounds; ++i) {
    // Under 6 the stored hash is the new one, under 4 the old one.
    wrong += view.find_in_force(kId, kWrong, 6) ? 1 : 0;
    wrong += view.find_in_force(kId, kSecret, 4) ? 1 : 0;
  }
  stop = true;
  for (std::thread &writer : writers) {
    writer.join();
  }
  assert_int_equal(wrong, 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_segment(find_each_bit_of_a_slot_flipped_misses),
      with_segment(rebind_each_bit_of_the_generation_flipped_is_in_no_other),
      with_segment(find_slots_of_two_tokens_mixed_misses),
      with_segment(rebind_slots_of_two_generations_mixed_are_never_revived),
      with_segment(find_slot_copied_elsewhere_misses),
      with_segment(find_slots_swapped_between_tokens_misses),
      with_smallest_segment(find_slot_copied_into_the_other_part_misses),
      with_segment(find_in_garbage_misses),
      with_segment(find_in_force_while_slots_are_torn_never_lies),
  };
  return cmocka_run_group_tests_name("segment, hostile", tests, nullptr,
                                     nullptr);
}
