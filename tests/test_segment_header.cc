// SPDX-License-Identifier: BSD-3-Clause
// The segment's header and stamp when they lie: refused, or none (I4).
#include <array>
#include <bit>
#include <random>
#include <vector>

#include "pbstoken/cache/segment.h"
#include "segment_support.h"

namespace pbstoken {
namespace {

using testing::kSecretsSubject;
using testing::MemorySegment;
using testing::segment_in;

void assert_refused(std::byte *address, std::size_t size) {
  assert_false(Segment::open(address, size, kSecretsSubject).has_value());
  assert_false(
      WritableSegment::open(address, size, kSecretsSubject).has_value());
}

void open_hostile_bucket_counts_is_refused(void **state) {
  const MemorySegment &segment = segment_in(state);
  SegmentHeader *header = segment.header();
  const std::uint64_t match = header->match_buckets;
  const std::uint64_t mismatch = header->mismatch_buckets;
  // 2^55 buckets are 2^64 bytes: products that wrap to the right size.
  constexpr std::uint64_t kWrap = std::uint64_t{1} << 55U;
  const std::vector<std::array<std::uint64_t, 2>> all = {
      {0, mismatch},
      {match, 0},
      {0, 0},
      {0, match + mismatch},
      {match + mismatch, 0},
      {match + 1, mismatch},
      {match, mismatch + 1},
      {match - 1, mismatch},
      {match - 1, mismatch + 1},  // halves of a bucket
      {match + 1, mismatch - 1},
      {match + mismatch - 1, 1},
      {1, match + mismatch - 1},
      {UINT64_MAX, mismatch},
      {match, UINT64_MAX},
      {UINT64_MAX, UINT64_MAX},
      {UINT64_MAX, match + mismatch + 1},
      {match + mismatch + 1, UINT64_MAX},
      {match + kWrap, mismatch},
      {match, mismatch + kWrap},
      {match + kWrap, mismatch + kWrap},
      {kWrap, match + mismatch},
      {match + mismatch, kWrap},
      {std::uint64_t{1} << 63U, (std::uint64_t{1} << 63U) + match + mismatch},
  };
  for (const auto &[first, second] : all) {
    header->match_buckets = first;
    header->mismatch_buckets = second;
    assert_refused(segment.address(), segment.size());
  }
  header->match_buckets = match;
  header->mismatch_buckets = mismatch;
  assert_true(segment.open().slots() == 64);
}

void open_other_size_than_the_header_says_is_refused(void **state) {
  const MemorySegment &segment = segment_in(state);
  const std::size_t size = segment.size();
  for (const std::size_t lie :
       {std::size_t{0}, std::size_t{1}, kSlotsOffset, size - 1, size + 1,
        size - sizeof(Bucket), size + sizeof(Bucket), SIZE_MAX}) {
    segment.header()->prefix.size = lie;
    assert_refused(segment.address(), size);
    // Neither does it help to say the truth about a wrong size.
    if (lie <= size) {
      assert_refused(segment.address(), lie);
    }
  }
}

void open_less_than_a_header_is_refused_unread(void ** /*state*/) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1},
                                 sizeof(SegmentPrefix), kSlotsOffset - 1}) {
    // Exactly so many bytes: a sanitizer sees a read beyond them.
    std::vector<std::uint64_t> words(size / sizeof(std::uint64_t) + 1);
    words[0] = kSegmentMagic;
    assert_refused(reinterpret_cast<std::byte *>(words.data()), size);
  }
}

void open_other_magic_or_version_is_refused(void **state) {
  const MemorySegment &segment = segment_in(state);
  SegmentPrefix *prefix = &segment.header()->prefix;
  for (const std::uint64_t version :
       {std::uint64_t{0}, kLayoutVersion + 1, UINT64_MAX}) {
    prefix->layout_version = version;
    assert_refused(segment.address(), segment.size());
  }
  prefix->layout_version = kLayoutVersion;
  for (const std::uint64_t magic : {std::uint64_t{0}, kSegmentMagic + 1}) {
    prefix->magic = magic;
    assert_refused(segment.address(), segment.size());
  }
}

void open_random_bytes_is_refused(void **state) {
  const MemorySegment &segment = segment_in(state);
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 100; ++i) {
    for (std::size_t at = 0; at < segment.size(); at += 8) {
      const std::uint64_t word = random();
      std::memcpy(segment.address() + at, &word, sizeof(word));
    }
    assert_refused(segment.address(), segment.size());
    // Nor with a good prefix, short of the right counts and path.
    segment.header()->prefix.magic = kSegmentMagic;
    segment.header()->prefix.layout_version = kLayoutVersion;
    segment.header()->prefix.size = segment.size();
    assert_refused(segment.address(), segment.size());
  }
}

// --- stamp

const Stamp kStamp = {.generation = 4,
                      .time = 5,
                      .device = 6,
                      .inode = 7,
                      .size = 8,
                      .modified = 9,
                      .changed = 10,
                      .first_seen = 11};
const Stamp kOtherStamp = {.generation = 14,
                           .time = 15,
                           .device = 16,
                           .inode = 17,
                           .size = 18,
                           .modified = 19,
                           .changed = 20,
                           .first_seen = 21};
constexpr std::size_t kStampWords =
    sizeof(CheckedStamp) / sizeof(std::uint64_t);
using StampWords = std::array<std::uint64_t, kStampWords>;

void put_stamp(const MemorySegment &segment, const StampWords &words) {
  segment.header()->stamp = std::bit_cast<CheckedStamp>(words);
}

StampWords stamp_words(const MemorySegment &segment, const Stamp &stamp) {
  segment.open().set_stamp(stamp);
  return std::bit_cast<StampWords>(segment.header()->stamp);
}

void stamp_that_was_set_is_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  Segment reader = segment.view();
  for (const Stamp &stamp : {kStamp, kOtherStamp, kStamp}) {
    segment.open().set_stamp(stamp);
    assert_true(reader.stamp() == stamp);
    assert_true(reader.stamp() == stamp);
  }
}

void stamp_never_set_is_none(void **state) {
  assert_false(segment_in(state).view().stamp().has_value());
}

void stamp_each_bit_flipped_is_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  const StampWords whole = stamp_words(segment, kStamp);
  Segment reader = segment.view();  // remembers the last good one
  for (std::size_t bit = 0; bit < kStampWords * 64; ++bit) {
    StampWords flipped = whole;
    flipped[bit / 64] ^= std::uint64_t{1} << (bit % 64);
    put_stamp(segment, flipped);
    assert_false(reader.stamp().has_value());
    assert_false(segment.view().stamp().has_value());
    put_stamp(segment, whole);
    assert_true(reader.stamp() == kStamp);
  }
}

void stamp_two_mixed_are_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  const StampWords first = stamp_words(segment, kStamp);
  const StampWords second = stamp_words(segment, kOtherStamp);
  Segment reader = segment.view();
  assert_true(reader.stamp() == kOtherStamp);
  for (unsigned mask = 1; mask < (1U << kStampWords) - 1; ++mask) {
    StampWords mix = second;
    for (std::size_t i = 0; i < kStampWords; ++i) {
      mix[i] = (mask >> i & 1U) != 0 ? first[i] : second[i];
    }
    put_stamp(segment, mix);
    assert_false(reader.stamp().has_value());
  }
}

// The instance is part of it, not just the key.
void stamp_of_another_instance_is_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().set_stamp(kStamp);
  segment.header()->instance += 1;
  assert_false(segment.view().stamp().has_value());
}

void stamp_of_another_segment_is_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  const MemorySegment foreign;
  put_stamp(segment, stamp_words(foreign, kStamp));
  assert_false(segment.view().stamp().has_value());
  put_stamp(segment, StampWords{UINT64_MAX});
  assert_false(segment.view().stamp().has_value());
}

// --- the copy of the lease

void lease_that_was_set_is_found(void **state) {
  const MemorySegment &segment = segment_in(state);
  assert_false(segment.view().lease().has_value());
  segment.open().set_lease(1000);
  assert_true(segment.view().lease() == 1000U);
}

void lease_only_grows(void **state) {
  const MemorySegment &segment = segment_in(state);
  for (const std::uint64_t asked : {1000U, 999U, 0U, 1000U}) {
    segment.open().set_lease(asked);
    assert_true(segment.view().lease() == 1000U);
  }
  segment.open().set_lease(1001);
  assert_true(segment.view().lease() == 1001U);
}

// A reader that has found the lease whole before, too; and the next one that is
// stored counts again.
void lease_each_bit_flipped_is_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().set_lease(1000);
  Segment reader = segment.view();
  assert_true(reader.lease() == 1000U);
  auto *bytes = reinterpret_cast<unsigned char *>(&segment.header()->lease);
  for (std::size_t bit = 0; bit < 8 * sizeof(CheckedLease); ++bit) {
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1U << bit % 8);
    assert_false(reader.lease().has_value());
    assert_false(segment.view().lease().has_value());
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1U << bit % 8);
  }
  segment.header()->lease.term = UINT64_MAX;
  segment.open().set_lease(1001);
  assert_true(reader.lease() == 1001U);
}

// A larger segment has the key of the former one.
void lease_of_another_instance_is_none(void **state) {
  const MemorySegment &segment = segment_in(state);
  segment.open().set_lease(1000);
  ++segment.header()->instance;
  assert_false(segment.view().lease().has_value());
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_segment(open_hostile_bucket_counts_is_refused),
      with_segment(open_other_size_than_the_header_says_is_refused),
      cmocka_unit_test(open_less_than_a_header_is_refused_unread),
      with_segment(open_other_magic_or_version_is_refused),
      with_segment(open_random_bytes_is_refused),
      with_segment(stamp_that_was_set_is_found),
      with_segment(stamp_never_set_is_none),
      with_segment(stamp_each_bit_flipped_is_none),
      with_segment(stamp_two_mixed_are_none),
      with_segment(stamp_of_another_instance_is_none),
      with_segment(stamp_of_another_segment_is_none),
      with_segment(lease_that_was_set_is_found),
      with_segment(lease_only_grows),
      with_segment(lease_each_bit_flipped_is_none),
      with_segment(lease_of_another_instance_is_none),
  };
  return cmocka_run_group_tests_name("segment, header", tests, nullptr,
                                     nullptr);
}
