// SPDX-License-Identifier: BSD-3-Clause
// The segment as a table, as long as everybody keeps to the rules.
#include "pbstoken/cache/segment.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "pbstoken/cache/generation.h"
#include "segment_support.h"

namespace pbstoken {
namespace {

using testing::Claimant;
using testing::MemorySegment;
using testing::segment_in;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOldSecret = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kStored = "$y$j9T$salt$new";
const std::string kOldStored = "$y$j9T$salt$old";

const Claimant kMatch = {kId, kSecret, kStored, Fact::kMatch};
const Claimant kMismatch = {kId, kOldSecret, kStored, Fact::kMismatch};
const Claimant kOldMatch = {kId, kOldSecret, kOldStored, Fact::kMatch};

void format_is_born_claimed_with_a_key_of_its_own(void **state) {
  const MemorySegment &first = segment_in(state);
  const MemorySegment second;
  assert_true(first.view().generation() == kBorn);
  assert_false(first.header()->key == second.header()->key);
  assert_false(first.header()->key == HmacKeyBytes{});
  assert_true(first.view().instance() != second.view().instance());
  assert_true(first.view().origin() == testing::kOrigin);
  assert_int_equal(first.view().slots(), 64);
  assert_int_equal(first.view().slots_in_force(kNeverInForce), 0);
}

void for_slots_has_half_as_many_again_in_whole_halves(void ** /*state*/) {
  struct Expected {
    std::uint32_t slots;
    std::uint64_t match_buckets;
    std::uint64_t mismatch_buckets;
  };
  const std::array<Expected, 6> all = {{{1, 2, 2},
                                        {10, 2, 2},
                                        {11, 4, 2},
                                        {88, 18, 4},
                                        {8192, 1536, 192},
                                        {UINT32_MAX, 805306368, 100663296}}};
  for (const Expected &expected : all) {
    const SegmentShape shape = SegmentShape::for_slots(expected.slots);
    assert_true(shape.match_buckets == expected.match_buckets);
    assert_true(shape.mismatch_buckets == expected.mismatch_buckets);
    assert_true(shape.slots() >= expected.slots);
    assert_true(shape.size() == kSlotsOffset + (expected.match_buckets +
                                                expected.mismatch_buckets) *
                                                   sizeof(Bucket));
    const auto accounts =
        SegmentShape::for_slots(expected.slots, Kind::kAccounts);
    assert_true(accounts.match_buckets == expected.match_buckets);
    assert_true(accounts.mismatch_buckets == 0);
  }
}

void find_what_was_inserted_is_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.insert(known, 4);
    assert_true(segment.in_force(known, 4) == known.fact);
    assert_true(segment.fact(known) == known.fact);
  }
  // Each is still there beside the other.
  assert_true(segment.in_force(kMatch, 4) == Fact::kMatch);
}

void find_in_an_empty_segment_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (std::uint64_t generation = 0; generation < 8; ++generation) {
    assert_false(segment.in_force(kMatch, generation).has_value());
  }
  assert_false(segment.fact(kMatch).has_value());
}

void find_in_force_other_generation_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.insert(known, 4);
    for (const std::uint64_t other :
         {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{3},
          std::uint64_t{5}, std::uint64_t{6}, std::uint64_t{4} << 32U,
          kRetired - 1, kRetired}) {
      assert_false(segment.in_force(known, other).has_value());
    }
    assert_true(segment.fact(known) == known.fact);
  }
}

void find_other_id_or_secret_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    segment.insert(known, 4);
    for (const char *id : {"john@pbs!client2", "John@pbs!client1",
                           "john@pbs!client1 ", "john@pbs!client", ""}) {
      Claimant other = known;
      other.id = id;
      assert_false(segment.in_force(other, 4).has_value());
      assert_false(segment.fact(other).has_value());
    }
    for (const std::string &secret :
         {known.secret + "x", known.secret.substr(1), std::string(),
          known.secret + std::string(1, '\0')}) {
      Claimant other = known;
      other.secret = secret;
      assert_false(segment.in_force(other, 4).has_value());
      assert_false(segment.fact(other).has_value());
    }
  }
}

// However long they are, nothing is cut off before it counts.
void find_last_byte_of_long_ids_and_secrets_counts(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const std::size_t size :
       {1U, 8U, 55U, 56U, 63U, 64U, 65U, 72U, 73U, 128U, 511U, 65536U}) {
    const Claimant known = {.id = std::string(size, 'i'),
                            .secret = std::string(size, 's'),
                            .stored = kMatch.stored};
    segment.insert(known, 4);
    assert_true(segment.in_force(known, 4) == Fact::kMatch);
    for (std::string Claimant::*const field :
         {&Claimant::id, &Claimant::secret}) {
      for (const int change : {-1, 0, 1}) {  // one shorter, other, one longer
        Claimant other = known;
        (other.*field).resize(size + static_cast<std::size_t>(change), 'x');
        if (change == 0) {
          (other.*field).back() = 'x';
        }
        assert_false(segment.in_force(other, 4).has_value());
        assert_false(segment.fact(other).has_value());
      }
    }
  }
}

void find_fact_other_stored_hash_misses(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, 4);
  Claimant other = kMatch;
  other.stored = kOldStored;
  assert_false(segment.fact(other).has_value());
}

// Each bit of it: two stored hashes may be alike in a part of their digests.
void find_fact_each_bit_of_the_binding_counts(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, 4);
  const Segment view = segment.view();
  const Binding right = view.binding_of(kMatch.id, kMatch.stored);
  for (std::size_t bit = 0; bit < 8 * sizeof(Binding); ++bit) {
    Binding other = right;
    other[bit / 64] ^= std::uint64_t{1} << (bit % 64);
    assert_false(view.find_fact(kMatch.id, kMatch.secret, other).has_value());
  }
}

void rebind_each_bit_of_the_binding_counts(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (std::size_t bit = 0; bit < 8 * sizeof(Binding); ++bit) {
    segment.clear_slots();
    WritableSegment writable = segment.open();
    Binding other = writable.binding_of(kMatch.id, kMatch.stored);
    other[bit / 64] ^= std::uint64_t{1} << (bit % 64);
    writable.insert(kMatch.fact, kMatch.id, kMatch.secret, other, 4);
    writable.rebind(kMatch.id, kMatch.stored, 6);
    assert_false(segment.in_force(kMatch, 6).has_value());
  }
}

void insert_fact_alone_is_never_in_force(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, kNeverInForce);
  for (std::uint64_t generation = 2; generation < 100; generation += 2) {
    assert_false(segment.in_force(kMatch, generation).has_value());
  }
  assert_true(segment.fact(kMatch) == Fact::kMatch);
}

// --- places

void insert_rotated_token_uses_its_one_slot(void **state) {
  const MemorySegment &segment = segment_in(state);
  std::vector<Claimant> neighbours;
  for (std::size_t i = 1; i < kHalves * kWays; ++i) {
    neighbours.push_back(
        {"n" + std::to_string(i) + "@pbs!t", kSecret, kStored, Fact::kMatch});
    segment.insert(neighbours.back(), 4);
  }
  for (int i = 0; i < 100; ++i) {
    const std::string text = std::to_string(i);
    const Claimant rotated = {kId, kSecret + text, kStored + text,
                              Fact::kMatch};
    segment.insert(rotated, 4);
    assert_true(segment.in_force(rotated, 4) == Fact::kMatch);
    assert_int_equal(segment.view().slots_in_force(4), kHalves * kWays);
  }
  for (const Claimant &neighbour : neighbours) {
    assert_true(segment.in_force(neighbour, 4) == Fact::kMatch);
  }
}

void insert_same_mismatch_again_takes_no_other_slot(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const std::uint64_t generation : {4U, 4U, 6U}) {
    segment.insert(kMismatch, generation);
  }
  int used = 0;
  for (const Slot &slot : segment.part(Fact::kMismatch)) {
    used += slot.tag != 0 ? 1 : 0;
  }
  assert_int_equal(used, 1);
  assert_true(segment.in_force(kMismatch, 6) == Fact::kMismatch);
}

void insert_into_full_bucket_takes_what_is_out_of_force_first(void **state) {
  const MemorySegment &segment = segment_in(state);
  *segment.open().generation_words().word = 4;
  std::vector<Claimant> known;
  constexpr std::size_t kPlaces = kHalves * kWays;
  for (std::size_t i = 0; i < kPlaces + kPlaces / 2; ++i) {
    known.push_back(
        {"u" + std::to_string(i) + "@pbs!t", kSecret, kStored, Fact::kMatch});
  }
  // They fill the buckets, the first half of them is bound anew.
  for (std::size_t i = 0; i < kPlaces; ++i) {
    segment.insert(known[i], 2);
  }
  for (std::size_t i = 0; i < kPlaces / 2; ++i) {
    segment.insert(known[i], 4);
  }
  for (std::size_t i = kPlaces; i < known.size(); ++i) {
    segment.insert(known[i], 4);
  }
  for (std::size_t i = 0; i < known.size(); ++i) {
    const bool kept = i < kPlaces / 2 || i >= kPlaces;
    assert_true(segment.in_force(known[i], 4).has_value() == kept);
  }
}

void insert_into_full_bucket_evicts_and_never_lies(void **state) {
  const MemorySegment &segment = segment_in(state);
  constexpr int kTokens = 1000;
  for (int i = 0; i < kTokens; ++i) {
    const std::string text = std::to_string(i);
    segment.insert({"u" + text + "@pbs!t", kSecret + text, kStored,
                    i % 2 == 0 ? Fact::kMatch : Fact::kMismatch},
                   4);
    assert_true(
        segment.in_force({"u" + text + "@pbs!t", kSecret + text, kStored}, 4)
            .has_value());
  }
  int found = 0;
  for (int i = 0; i < kTokens; ++i) {
    const std::string text = std::to_string(i);
    const std::string other = std::to_string(kTokens - 1 - i);
    const auto right =
        segment.in_force({"u" + text + "@pbs!t", kSecret + text, kStored}, 4);
    if (right) {
      assert_true(*right == (i % 2 == 0 ? Fact::kMatch : Fact::kMismatch));
      ++found;
    }
    assert_false(
        segment.in_force({"u" + text + "@pbs!t", kSecret + other, kStored}, 4)
            .has_value());
  }
  assert_int_equal(found, 2 * kHalves * kWays);
}

// Into which bucket an id goes when nothing else is there.
std::size_t bucket_of(const MemorySegment &segment, const std::string &id) {
  segment.clear_slots();
  Claimant claimant = kMatch;
  claimant.id = id;
  const Slot *slot = segment.insert_first(claimant, 4);
  return static_cast<std::size_t>(slot - segment.slots().data()) / kWays;
}

// Nobody can choose ids that drive a token out, without the key.
void insert_ids_of_one_bucket_are_spread_under_another_key(void **state) {
  const MemorySegment &first = segment_in(state);
  const MemorySegment second;
  const std::size_t bucket = bucket_of(first, kMatch.id);
  std::set<std::size_t> buckets;
  for (int i = 0, found = 0; found < 40; ++i) {
    const std::string id = "u" + std::to_string(i) + "@pbs!t";
    if (bucket_of(first, id) == bucket) {
      ++found;
      buckets.insert(bucket_of(second, id));
    }
  }
  assert_true(buckets.size() > 1);
}

void insert_flood_of_mismatches_evicts_no_match(void **state) {
  const MemorySegment &segment = segment_in(state);
  constexpr int kTokens = 32;
  constexpr int kFlood = 100'000;
  std::vector<Claimant> known;
  for (int i = 0; i < kTokens; ++i) {
    known.push_back(
        {"u" + std::to_string(i) + "@pbs!t", kSecret, kStored, Fact::kMatch});
    segment.insert(known.back(), 4);
  }
  const auto is_found = [&](const Claimant &match) {
    return segment.in_force(match, 4).has_value();
  };
  const auto before = std::count_if(known.begin(), known.end(), is_found);
  assert_int_equal(before, kTokens);
  WritableSegment writable = segment.open();
  for (int i = 0; i < kFlood; ++i) {
    const Claimant &target = known[static_cast<std::size_t>(i % kTokens)];
    writable.insert(Fact::kMismatch, target.id, "wrong" + std::to_string(i),
                    writable.binding_of(target.id, target.stored), 4);
  }
  assert_int_equal(std::count_if(known.begin(), known.end(), is_found), before);
}

// --- generations

void insert_late_leaves_what_is_in_force(void **state) {
  const MemorySegment &segment = segment_in(state);
  *segment.open().generation_words().word = 6;
  segment.insert(kMatch, 6);
  for (const std::uint64_t late : {std::uint64_t{4}, kNeverInForce}) {
    segment.insert(kOldMatch, late);
    assert_true(segment.in_force(kMatch, 6) == Fact::kMatch);
    assert_false(segment.in_force(kOldMatch, 6).has_value());
  }
  segment.insert(kMismatch, 6);
  segment.insert(kMismatch, 4);
  assert_true(segment.in_force(kMismatch, 6) == Fact::kMismatch);
}

void insert_over_what_is_out_of_force_replaces_it(void **state) {
  const MemorySegment &segment = segment_in(state);
  *segment.open().generation_words().word = 8;
  segment.insert(kMatch, 6);
  segment.insert(kOldMatch, 4);  // late, too, but nothing in force is lost
  assert_true(segment.fact(kOldMatch) == Fact::kMatch);
  assert_false(segment.in_force(kOldMatch, 8).has_value());
  assert_false(segment.in_force(kMatch, 8).has_value());
}

void rebind_same_stored_hash_carries_over(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, 4);
  segment.insert(kMismatch, 4);
  segment.open().rebind(kId, kStored, 6);
  for (const Claimant &known : {kMatch, kMismatch}) {
    assert_true(segment.in_force(known, 6) == known.fact);
    assert_false(segment.in_force(known, 4).has_value());
    assert_true(segment.fact(known) == known.fact);
  }
}

void rebind_other_stored_hash_drops_and_keeps_the_fact(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kOldMatch, 4);
  segment.open().rebind(kId, kStored, 6);
  assert_false(segment.in_force(kOldMatch, 6).has_value());
  assert_true(segment.fact(kOldMatch) == Fact::kMatch);
  // Back again, as an administrator's second thought: nobody hashes.
  segment.open().rebind(kId, kOldStored, 8);
  assert_true(segment.in_force(kOldMatch, 8) == Fact::kMatch);
}

// What was never used ends a bucket.  Damage may make such a slot in front of
// one that is used.
void insert_behind_a_gap_fills_it_and_rebind_finds_it(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch}) {
    Claimant other = known;
    for (const char *id : {"john@pbs!other", "john@pbs!third"}) {
      other.id = id;  // one to each bucket
      segment.insert(other, 4);
    }
    segment.insert(known, 4);
    assert_true(segment.part(known.fact)[1].tag != 0);
    segment.part(known.fact)[0].tag = 0;
    segment.insert(known, 4);
  }
  segment.open().rebind(kId, kStored, 6);
  assert_true(segment.in_force(kMatch, 6) == Fact::kMatch);
  assert_true(segment.in_force(kMismatch, 6) == Fact::kMismatch);
}

void rebind_token_that_is_gone_is_not_carried_over(void **state) {
  const MemorySegment &segment = segment_in(state);
  const Claimant other = {"jane@pbs!t", kSecret, kStored, Fact::kMatch};
  segment.insert(kMatch, 4);
  segment.insert(other, 4);
  segment.open().rebind(other.id, other.stored, 6);
  assert_false(segment.in_force(kMatch, 6).has_value());
  assert_true(segment.fact(kMatch) == Fact::kMatch);
  assert_true(segment.in_force(other, 6) == Fact::kMatch);
}

void rebind_one_fact_alone_puts_it_in_force(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, kNeverInForce);
  segment.open().rebind(kId, kStored, 6);
  assert_true(segment.in_force(kMatch, 6) == Fact::kMatch);
}

void rebind_duplicate_names_last_one_counts(void **state) {
  const MemorySegment &segment = segment_in(state);
  struct Order {
    std::vector<std::string> stored;  // in the order of the file
    bool match_counts;
  };
  const std::array<Order, 6> orders = {{
      {{kStored, kOldStored}, false},
      {{kOldStored, kStored}, true},
      {{kStored, "x", kOldStored}, false},
      {{kStored, kOldStored, kStored}, true},
      {{kStored, kStored, kOldStored}, false},
      {{kOldStored, kStored, kStored}, true},
  }};
  for (const Order &order : orders) {
    segment.clear_slots();
    segment.insert(kMatch, 4);
    segment.insert(kMismatch, 4);
    for (const std::string &stored : order.stored) {
      segment.open().rebind(kId, stored, 6);
    }
    for (const Claimant &known : {kMatch, kMismatch}) {
      assert_true(segment.in_force(known, 6).has_value() == order.match_counts);
      assert_true(segment.fact(known) == known.fact);
      assert_false(segment.in_force(known, 8).has_value());
    }
  }
}

void slots_in_force_counts_matches_of_one_generation(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.insert(kMatch, 4);
  segment.insert(kMismatch, 4);
  segment.insert({"jane@pbs!t", kSecret, kStored, Fact::kMatch}, 4);
  segment.insert({"jim@pbs!t", kSecret, kStored, Fact::kMatch}, kNeverInForce);
  assert_int_equal(segment.view().slots_in_force(4), 2);
  segment.open().rebind(kId, kStored, 6);
  assert_int_equal(segment.view().slots_in_force(6), 1);
  assert_int_equal(segment.view().slots_in_force(4), 1);
  assert_int_equal(segment.view().slots_in_force(8), 0);
}

// --- whose it is, and what it holds

void open_about_another_subject_is_refused(void **state) {
  const MemorySegment &segment = segment_in(state);
  const Subject right = testing::kSecretsSubject;
  assert_true(
      Segment::open(segment.address(), segment.size(), right).has_value());
  std::array<Subject, 4> others = {right, right, right, right};
  others[0].kind = Kind::kAccounts;
  others[1].view.directory_device += 1;
  others[2].view.directory_inode += 1;
  others[3].view.name += 1;
  for (const Subject &other : others) {
    assert_false(
        Segment::open(segment.address(), segment.size(), other).has_value());
  }
}

void insert_leaves_no_secret_and_no_stored_hash(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const Claimant &known : {kMatch, kMismatch, kOldMatch}) {
    segment.insert(known, 4);
  }
  const std::string_view whole(
      reinterpret_cast<const char *>(segment.address()), segment.size());
  for (const std::string &text : {kId, kSecret, kOldSecret, kStored}) {
    for (std::size_t from = 0; from + 8 <= text.size(); from += 4) {
      assert_true(whole.find(text.substr(from, 8)) == std::string_view::npos);
    }
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_segment(format_is_born_claimed_with_a_key_of_its_own),
      cmocka_unit_test(for_slots_has_half_as_many_again_in_whole_halves),
      with_segment(find_what_was_inserted_is_found),
      with_segment(find_in_an_empty_segment_misses),
      with_segment(find_in_force_other_generation_misses),
      with_segment(find_other_id_or_secret_misses),
      with_segment(find_last_byte_of_long_ids_and_secrets_counts),
      with_segment(find_fact_other_stored_hash_misses),
      with_segment(find_fact_each_bit_of_the_binding_counts),
      with_segment(rebind_each_bit_of_the_binding_counts),
      with_segment(insert_fact_alone_is_never_in_force),
      with_smallest_segment(insert_rotated_token_uses_its_one_slot),
      with_segment(insert_same_mismatch_again_takes_no_other_slot),
      with_smallest_segment(
          insert_into_full_bucket_takes_what_is_out_of_force_first),
      with_smallest_segment(insert_into_full_bucket_evicts_and_never_lies),
      with_segment(insert_ids_of_one_bucket_are_spread_under_another_key),
      with_segment(insert_flood_of_mismatches_evicts_no_match),
      with_segment(insert_late_leaves_what_is_in_force),
      with_segment(insert_over_what_is_out_of_force_replaces_it),
      with_segment(rebind_same_stored_hash_carries_over),
      with_segment(rebind_other_stored_hash_drops_and_keeps_the_fact),
      with_smallest_segment(insert_behind_a_gap_fills_it_and_rebind_finds_it),
      with_segment(rebind_token_that_is_gone_is_not_carried_over),
      with_segment(rebind_one_fact_alone_puts_it_in_force),
      with_segment(rebind_duplicate_names_last_one_counts),
      with_segment(slots_in_force_counts_matches_of_one_generation),
      with_segment(open_about_another_subject_is_refused),
      with_segment(insert_leaves_no_secret_and_no_stored_hash),
  };
  return cmocka_run_group_tests_name("segment", tests, nullptr, nullptr);
}
