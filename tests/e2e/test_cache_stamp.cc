// SPDX-License-Identifier: BSD-3-Clause
// For how long, and for what, the stamp is good.
#include "pbstoken/cache/cache.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <array>
#include <functional>
#include <map>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::advance_seconds;
using testing::after_end_of_file;
using testing::after_look;
using testing::ahead;
using testing::answer;
using testing::hash_of;
using testing::leave_settling_time;
using testing::load_crypt;
using testing::open_segment;
using testing::Scene;
using testing::scene_in;
using testing::stamp_of_file;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);

constexpr std::uint64_t kLong = 3600;  // seconds

// By an edit in place, by one that renames, and for a file that goes and comes.
void hand_edit_is_seen_at_once_by_a_look(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.replace({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  scene.replace({{kId, kOtherHash}});
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
  assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
  std::filesystem::remove(scene.path());
  assert_text_equal(verdict(&verifier, kId, kOther), "unknown");
  scene.write({{kId, kHash}});
  assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
}

void hand_edit_without_a_look_is_seen_when_the_ttl_is_over(void **state) {
  Scene &scene = scene_in(state);
  scene.store.look = false;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  scene.replace({{kId, kOtherHash}});
  // Hits in between do not prolong it.
  std::uint64_t waited = 0;
  while (verdict(&verifier, kId, kSecret) == "match") {
    advance_seconds(1);
    ++waited;
    assert_true(waited <= scene.store.cache_ttl);
  }
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

// A process that is stopped when it has read the content: what it has read is
// as old as that, and a later edit within the same tick may hide behind it.
void stamp_was_first_seen_before_the_content_was_read(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  scene.write({{kId, kHash}});
  std::function<void()> stop = [] { advance_seconds(60); };
  after_end_of_file = &stop;
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_null(after_end_of_file);
  const Stamp stamp = *open_segment(scene.store)->segment.stamp();
  assert_true(stamp.first_seen >= stamp.time);
  assert_true(stamp.first_seen < stamp.time + 60 * kNanosecondsPerSecond);
}

// A process that is stopped before it looks: what it finds then may have come
// just before.
void stamp_was_first_seen_after_the_look(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  std::map<std::uint64_t, std::uint64_t> grown;  // when, by the size
  testing::before_fstat = [&] {
    std::ofstream(scene.path(), std::ios::app) << ' ';
    advance_seconds(1);
    grown[std::filesystem::file_size(scene.path())] = boottime_now();
  };
  Verifier verifier(scene.store, load_crypt);
  const std::string said = verdict(&verifier, kId, kSecret);
  testing::before_fstat = nullptr;
  assert_text_equal(said, "match");
  const Stamp stamp = *open_segment(scene.store)->segment.stamp();
  assert_int_equal(grown.count(stamp.size), 1);
  assert_true(stamp.first_seen >= grown[stamp.size]);
}

// Writes the file and has it read twice, with the time between in which its
// identity settles.
void settle(const Scene &scene, Verifier *verifier) {
  scene.write({{kId, kHash}});
  assert_text_equal(verdict(verifier, kId, kSecret), "match");
  leave_settling_time();
  assert_text_equal(verdict(verifier, kId, kSecret), "match");
  assert_text_equal(answer(verifier, kId, kSecret), "match (segment)");
}

void stamp_of_an_unchanged_file_is_renewed_by_a_look(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  auto opened = open_segment(scene.store);
  const Stamp before = *opened->segment.stamp();
  assert_true(is_settled(before));
  advance_seconds(scene.store.cache_ttl);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  const Stamp after = *opened->segment.stamp();
  assert_true(after.time >=
              before.time + scene.store.cache_ttl * kNanosecondsPerSecond);
  assert_true(after.generation == before.generation);
  assert_true(after.first_seen == before.first_seen);
}

// The helper looks at two files for one request: the stamp of the second is a
// little younger, and must not need a request of its own when it expires.
void stamp_is_renewed_when_half_of_its_time_is_over(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  auto opened = open_segment(scene.store);
  const std::uint64_t before = opened->segment.stamp()->time;
  advance_seconds(scene.store.cache_ttl / 2 - 1);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(opened->segment.stamp()->time == before);
  advance_seconds(2);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(opened->segment.stamp()->time > before);
}

struct stat status_of(const Scene &scene) {
  struct stat status = {};
  assert_int_equal(stat(scene.path().c_str(), &status), 0);
  return status;
}

// Outside of the racy window the change time tells, which nobody can set back.
// Another file over token.shadow for a moment: what was read of it must not
// outlive it, though the first one comes back with the identity it had.
void stamp_of_a_file_that_comes_back_covers_no_other(void **state) {
  const Scene &scene = scene_in(state);
  const std::string jane = "jane@pbs!t";
  scene.write({{kId, kHash}, {jane, kHash}});
  leave_settling_time();
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, jane, kSecret), "match");
  const std::string other = scene.directory() + "/other";
  std::ofstream(other) << testing::shadow_text({{kId, kOtherHash}});
  assert_int_equal(
      mount(other.c_str(), scene.path().c_str(), nullptr, MS_BIND, nullptr), 0);
  const std::string meanwhile = verdict(&verifier, kId, kOther);
  assert_int_equal(umount(scene.path().c_str()), 0);
  assert_text_equal(meanwhile, "match");
  advance_seconds(scene.store.cache_ttl);
  assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
}

void stamp_of_an_edit_that_changed_ctime_alone_is_not_renewed(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  const struct stat before = status_of(scene);
  const std::array<timespec, 2> times = {before.st_atim, before.st_mtim};
  struct stat after = {};
  do {  // until the file system's clock has ticked
    scene.write({{kId, kOtherHash}});
    assert_int_equal(utimensat(AT_FDCWD, scene.path().c_str(), times.data(), 0),
                     0);
    after = status_of(scene);
  } while (nanoseconds(after.st_ctim) == nanoseconds(before.st_ctim));
  assert_true(nanoseconds(after.st_mtim) == nanoseconds(before.st_mtim));
  assert_true(after.st_size == before.st_size && after.st_ino == before.st_ino);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

// What changes once more within the same tick of the file's clock looks the
// same: until it has settled it is read again, once.
void stamp_of_what_was_first_seen_just_now_is_not_renewed(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  auto opened = open_segment(scene.store);
  const Stamp before = *opened->segment.stamp();
  assert_false(is_settled(before));
  advance_seconds(1);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(opened->segment.stamp() == before);
  advance_seconds(1);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (fact)");
  const Stamp after = *opened->segment.stamp();
  assert_true(after.generation > before.generation);
  assert_true(after.first_seen == before.first_seen && is_settled(after));
  advance_seconds(kLong);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(opened->segment.stamp()->generation == after.generation);
}

// Puts other tokens into the file without a trace: within one tick of the
// file's clock, as far as anybody can see who looks.
void change_unseen(const Scene &scene, const std::string &stored) {
  auto opened = open_segment(scene.store);
  Stamp stamp = *opened->segment.stamp();
  scene.write({{kId, stored}});
  const FileIdentity identity = *look_at(scene.store.token_shadow);
  stamp.modified = identity.modified;
  stamp.changed = identity.changed;
  opened->segment.set_stamp(stamp);
}

void change_within_a_tick_counts_when_the_stamp_settles(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  change_unseen(scene, kOtherHash);
  // I3: within 2 s for those who look.
  advance_seconds(2);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

// A file server's clock is not ours: neither one that is ahead by minutes nor
// one that is behind makes a revoked secret last, or the file be read for ever.
void stamp_settles_whatever_the_wall_clock_says(void **state) {
  Scene &scene = scene_in(state);
  for (const std::uint64_t ttl : {std::uint64_t{5}, std::uint64_t{0}}) {
    scene.store.cache_ttl = ttl;
    for (const std::uint64_t off : {std::uint64_t{0}, kLong, -kLong}) {
      ahead = {.boottime = 0, .realtime = off * kNanosecondsPerSecond};
      scene.replace({{kId, kHash}});
      scene.remove_segment();
      Verifier verifier(scene.store, load_crypt);
      assert_text_equal(verdict(&verifier, kId, kSecret), "match");
      change_unseen(scene, kOtherHash);
      advance_seconds(2);
      assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
      assert_text_equal(verdict(&verifier, kId, kOther), "match");
      const std::uint64_t generation =
          open_segment(scene.store)->segment.generation();
      for (int i = 0; i < 10; ++i) {
        assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
      }
      assert_true(open_segment(scene.store)->segment.generation() ==
                  generation);
    }
  }
}

// With cache_ttl 0 nobody goes by an unsettled stamp, and nobody claims because
// of it.
void unsettled_stamp_with_a_ttl_of_0_is_read_beside(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const std::uint64_t generation =
      open_segment(scene.store)->segment.generation();
  for (int i = 0; i < 5; ++i) {
    assert_text_equal(answer(&verifier, kId, kSecret), "match (fact)");
  }
  assert_true(open_segment(scene.store)->segment.generation() == generation);
}

// Errors of a look: ESTALE is tried once more, what forbids it makes a service
// trust the stamp for the TTL, anything else is a miss.
void look_that_fails_is_judged_by_its_error(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  struct Case {
    std::vector<int> errors;
    const char *answer;
    std::size_t looks;
  };
  const std::array<Case, 5> cases = {{
      {{ESTALE}, "match (segment)", 2},
      {{ESTALE, ESTALE}, "match (fact)", 2},
      {{EIO}, "match (fact)", 1},
      {{EACCES}, "match (segment)", 1},
      {{EPERM}, "match (segment)", 1},
  }};
  for (const Case &c : cases) {
    Verifier fresh(scene.store, load_crypt);
    testing::look_errors = c.errors;
    testing::looks = 0;
    assert_text_equal(answer(&fresh, kId, kSecret), c.answer);
    assert_int_equal(testing::looks, c.looks);
    assert_true(testing::look_errors.empty());
  }
  // What a service may not look at it trusts for the TTL, and no longer.
  advance_seconds(scene.store.cache_ttl + 1);
  testing::look_errors = {EACCES};
  assert_false(verifier.cache().look_up(kId, kSecret).has_value());
}

void stamp_in_the_future_is_expired(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 2 * kLong;
  scene.store.look = false;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  auto opened = open_segment(scene.store);
  Stamp stamp = *opened->segment.stamp();
  stamp.time += kLong * kNanosecondsPerSecond;
  opened->segment.set_stamp(stamp);
  scene.replace({{kId, kOtherHash}});
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

// Else the file would be read for each request until that time has come.
void first_seen_in_the_future_is_not_carried_over(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  auto opened = open_segment(scene.store);
  Stamp stamp = *opened->segment.stamp();
  stamp.first_seen += kLong * kNanosecondsPerSecond;
  opened->segment.set_stamp(stamp);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  leave_settling_time();
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(is_settled(*opened->segment.stamp()));
}

// Somebody sets the clock: the TTL is neither over by that nor without an end.
void stamp_lasts_its_ttl_whatever_the_wall_clock_says(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.store.look = false;
  constexpr std::uint64_t kYear = 365 * 24 * kLong * kNanosecondsPerSecond;
  for (const std::uint64_t step : {kYear, -kYear}) {
    ahead = {};
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    scene.replace({{kId, kOtherHash}});
    ahead.realtime += step;
    assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    ahead.boottime += kLong * kNanosecondsPerSecond;
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
  }
}

void stamp_of_another_generation_does_not_count(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.store.look = false;
  for (const std::uint64_t distance : {UINT64_MAX - 3, std::uint64_t{4}}) {
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    scene.replace({{kId, kOtherHash}});
    auto opened = open_segment(scene.store);
    opened->segment.set_stamp(
        stamp_of_file(scene.store, opened->segment.generation() + distance));
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
  }
}

void look_up_while_a_writer_comes_and_goes_finds_nothing(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier verifier(scene.store, load_crypt);
  settle(scene, &verifier);
  // The file has just been found unchanged, the slot not yet been compared.
  std::function<void()> write = [&] {
    const auto lock = FileLock::acquire(scene.store, 0);
    auto claim = testing::claim_for_write(scene.store, *lock);
    scene.replace({{kId, kOtherHash}});
    (*claim)->end();
  };
  after_look = &write;
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_null(after_look);
}

// Rule 5 of generation.h: what was read before a change is never inserted
// under a generation that began after it.
void insert_of_what_was_read_before_a_change_is_not_in_force(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  std::function<void()> change = [&] {
    assert_true(scene.set(kId, kOther, kOtherHash));
  };
  static std::function<void()> *before_hash = nullptr;
  const auto load_slow_crypt = []() -> CryptFunction {
    testing::run_once(&before_hash);
    return load_crypt();
  };
  for (std::function<void()> **when : {&after_end_of_file, &before_hash}) {
    scene.remove_segment();
    scene.replace({{kId, kHash}, {"jane@pbs!t", kHash}});
    Verifier verifier(scene.store, load_slow_crypt);
    assert_text_equal(verdict(&verifier, "jane@pbs!t", kSecret), "match");
    *when = &change;
    // It began before the change: either answer is right.
    verdict(&verifier, kId, kSecret);
    assert_null(*when);
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_hooks(hand_edit_is_seen_at_once_by_a_look),
      with_hooks(hand_edit_without_a_look_is_seen_when_the_ttl_is_over),
      with_hooks(stamp_was_first_seen_before_the_content_was_read),
      with_hooks(stamp_was_first_seen_after_the_look),
      with_hooks(stamp_of_an_unchanged_file_is_renewed_by_a_look),
      with_hooks(stamp_is_renewed_when_half_of_its_time_is_over),
      with_hooks(stamp_of_a_file_that_comes_back_covers_no_other),
      with_hooks(stamp_of_an_edit_that_changed_ctime_alone_is_not_renewed),
      with_hooks(stamp_of_what_was_first_seen_just_now_is_not_renewed),
      with_hooks(change_within_a_tick_counts_when_the_stamp_settles),
      with_hooks(stamp_settles_whatever_the_wall_clock_says),
      with_hooks(unsettled_stamp_with_a_ttl_of_0_is_read_beside),
      with_hooks(look_that_fails_is_judged_by_its_error),
      with_hooks(stamp_in_the_future_is_expired),
      with_hooks(first_seen_in_the_future_is_not_carried_over),
      with_hooks(stamp_lasts_its_ttl_whatever_the_wall_clock_says),
      with_hooks(stamp_of_another_generation_does_not_count),
      with_hooks(look_up_while_a_writer_comes_and_goes_finds_nothing),
      with_hooks(insert_of_what_was_read_before_a_change_is_not_in_force),
  };
  return cmocka_run_group_tests_name("cache, stamp", tests, nullptr, nullptr);
}
