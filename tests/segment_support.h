// SPDX-License-Identifier: BSD-3-Clause
// A segment in plain memory, with all of its words in reach.
#ifndef PBSTOKEN_TESTS_SEGMENT_SUPPORT_H_
#define PBSTOKEN_TESTS_SEGMENT_SUPPORT_H_

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "pbstoken/cache/writable_segment.h"
#include "support.h"

namespace pbstoken::testing {

constexpr View kView = {.directory_device = 1, .directory_inode = 2, .name = 3};
constexpr Subject kSecretsSubject = {Kind::kSecrets, kView};
constexpr Subject kAccountsSubject = {Kind::kAccounts, kView};
constexpr SegmentOrigin kOrigin = {
    .lock_device = 4, .lock_inode = 5, .time_namespace = 6, .readers = 7};

// A token whose secret somebody has verified, or has not.
struct Claimant {
  std::string id;
  std::string secret;
  std::string stored;
  Fact fact = Fact::kMatch;
};

// Owned by a fixture: a failed assertion longjmps past destructors.
class MemorySegment {
 public:
  explicit MemorySegment(std::uint32_t slots = 64,
                         const Subject &subject = kSecretsSubject)
      : subject_(subject),
        shape_(SegmentShape::for_slots(slots, subject.kind)),
        address_(static_cast<std::byte *>(
            std::aligned_alloc(kSlotsOffset, whole_pages(size())))) {
    if (address_ == nullptr) {
      std::abort();
    }
    std::memset(address_, 0, size());
    if (!WritableSegment::format(address_, shape_, subject_, kOrigin)) {
      std::abort();
    }
  }
  MemorySegment(const MemorySegment &) = delete;
  MemorySegment &operator=(const MemorySegment &) = delete;
  ~MemorySegment() { std::free(address_); }

  [[nodiscard]] std::byte *address() const { return address_; }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(shape_.size());
  }
  [[nodiscard]] SegmentHeader *header() const {
    return reinterpret_cast<SegmentHeader *>(address_);
  }

  [[nodiscard]] Segment view() const {
    return *Segment::open(address_, size(), subject_);
  }
  [[nodiscard]] WritableSegment open() const {
    return *WritableSegment::open(address_, size(), subject_);
  }

  // The matches' slots, the mismatches', and both.
  [[nodiscard]] std::span<Slot> part(Fact fact) const {
    const std::size_t matches = slots_of(shape_.match_buckets);
    return fact == Fact::kMatch ? slots().first(matches)
                                : slots().subspan(matches);
  }
  [[nodiscard]] std::span<Slot> slots() const {
    return {reinterpret_cast<Slot *>(address_ + kSlotsOffset),
            slots_of(shape_.match_buckets + shape_.mismatch_buckets)};
  }
  [[nodiscard]] std::span<AccountSlot> accounts() const {
    return {reinterpret_cast<AccountSlot *>(address_ + kSlotsOffset),
            slots_of(shape_.match_buckets)};
  }

  void insert(const Claimant &known, std::uint64_t generation) const {
    WritableSegment segment = open();
    segment.insert(known.fact, known.id, known.secret,
                   segment.binding_of(known.id, known.stored), generation);
  }

  // Inserts into a segment that is empty so far, and takes out where to.
  Slot *insert_first(const Claimant &known, std::uint64_t generation) const {
    insert(known, generation);
    Slot *found = nullptr;
    for (Slot &slot : slots()) {
      if (slot.tag != 0) {
        assert_null(found);
        found = &slot;
      }
    }
    assert_non_null(found);
    return found;
  }

  void clear_slots() const {
    std::memset(address_ + kSlotsOffset, 0, size() - kSlotsOffset);
  }

  [[nodiscard]] std::optional<Fact> in_force(const Claimant &asked,
                                             std::uint64_t generation) const {
    return view().find_in_force(asked.id, asked.secret, generation);
  }
  [[nodiscard]] std::optional<Fact> fact(const Claimant &asked) const {
    const Segment segment = view();
    return segment.find_fact(asked.id, asked.secret,
                             segment.binding_of(asked.id, asked.stored));
  }

 private:
  static std::size_t slots_of(std::uint64_t buckets) {
    return static_cast<std::size_t>(buckets) * kWays;
  }

  // aligned_alloc wants a multiple of the alignment.
  static std::size_t whole_pages(std::size_t size) {
    return (size + kSlotsOffset - 1) / kSlotsOffset * kSlotsOffset;
  }

  Subject subject_;
  SegmentShape shape_;
  std::byte *address_;
};

inline int make_segment(void **state) {
  *state = new MemorySegment;
  return 0;
}

inline int make_accounts(void **state) {
  *state = new MemorySegment(64, kAccountsSubject);
  return 0;
}

inline int make_smallest_accounts(void **state) {
  *state = new MemorySegment(kWays, kAccountsSubject);
  return 0;
}

// All token ids share the two buckets of each part.
inline int make_smallest_segment(void **state) {
  *state = new MemorySegment(kWays);
  return 0;
}

inline int remove_segment(void **state) {
  delete static_cast<MemorySegment *>(*state);
  return 0;
}

inline const MemorySegment &segment_in(void **state) {
  return *static_cast<MemorySegment *>(*state);
}

}  // namespace pbstoken::testing

#define with_segment(test)                                               \
  cmocka_unit_test_setup_teardown(test, pbstoken::testing::make_segment, \
                                  pbstoken::testing::remove_segment)
#define with_smallest_segment(test)                                         \
  cmocka_unit_test_setup_teardown(test,                                     \
                                  pbstoken::testing::make_smallest_segment, \
                                  pbstoken::testing::remove_segment)

#define with_accounts(test)                                               \
  cmocka_unit_test_setup_teardown(test, pbstoken::testing::make_accounts, \
                                  pbstoken::testing::remove_segment)
#define with_smallest_accounts(test)                                         \
  cmocka_unit_test_setup_teardown(test,                                      \
                                  pbstoken::testing::make_smallest_accounts, \
                                  pbstoken::testing::remove_segment)

#endif  // PBSTOKEN_TESTS_SEGMENT_SUPPORT_H_
