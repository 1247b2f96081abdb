// SPDX-License-Identifier: BSD-3-Clause
// Segments that are flushed or removed under their users, and processes that
// die with the generation in their hands (invariants I1 and I2).
#include <sys/shm.h>

#include <array>
#include <functional>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"
#include "pbstoken/cache/cache.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::hash_of;
using testing::hashes_computed;
using testing::in_child;
using testing::load_crypt;
using testing::mappings;
using testing::open_segment;
using testing::Process;
using testing::require;
using testing::Scene;
using testing::scene_in;
using testing::segment_id;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);

constexpr std::uint64_t kLong = 3600;  // seconds

// A file with one token, and a TTL that no test outlives.
int make_store(void **state) {
  if (testing::make_scene_with_hooks(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.write({{kId, kHash}});
  return 0;
}

std::uint64_t generation_of(const Store &store) {
  return open_segment(store)->segment.generation();
}

// Runs body in a process that is killed at its end.
void die_after(const std::function<void()> &body) {
  const int status = Process([&] {
                       body();
                       raise(SIGKILL);
                     }).wait();
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// The new secret is accepted, the old one is not, and the cache works.
void assert_holds(Verifier *verifier, const std::string &right,
                  const std::string &wrong) {
  assert_text_equal(verdict(verifier, kId, wrong), "mismatch");
  assert_text_equal(verdict(verifier, kId, right), "match");
  assert_text_equal(answer(verifier, kId, right), "match (segment)");
  assert_text_equal(answer(verifier, kId, wrong), "mismatch (segment)");
}

// --- flushed, removed

void flush_by_another_process_moves_the_attached_on(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  const int old_id = *segment_id(scene.store);
  const auto old_segment = open_segment(scene.store);
  testing::in_child([&] {
    const auto lock = FileLock::acquire(scene.store, 0);
    require(lock && testing::flush(scene.store, *lock));
  });
  assert_true(old_segment->segment.generation() == kRetired);
  assert_true(segment_id(scene.store) != old_id);
  // With another key nothing of the old one is known.
  assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
  assert_holds(&verifier, kSecret, kOther);
  assert_text_equal(mappings(scene.store), "r--s rw-s");  // ours: old_segment
}

void flush_many_times_leaves_one_attachment(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  for (int i = 0; i < 100; ++i) {
    {
      const auto lock = FileLock::acquire(scene.store, 0);
      assert_true(testing::flush(scene.store, *lock));
    }
    assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
    assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  }
  assert_text_equal(mappings(scene.store), "r--s");
}

void removed_segment_is_replaced_when_the_stamp_expires(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  scene.remove_segment();
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_true(segment_id(scene.store).has_value());
  assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
  assert_true(scene.set(kId, kOther, kOtherHash));
  const int before = hashes_computed;
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
  assert_int_equal(hashes_computed - before, 0);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
}

// Nobody renews a stamp in a segment that no writer can reach.
void removed_segment_is_not_kept_alive_by_a_look(void **state) {
  Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  auto opened = open_segment(scene.store);
  Stamp stamp = *opened->segment.stamp();
  stamp.first_seen = stamp.time - kSettlingTime;
  opened->segment.set_stamp(stamp);
  scene.store.cache_ttl = 0;
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  scene.remove_segment();
  assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
}

// I1: a writer that finds no segment retires the one that was removed under
// its users, as does whoever makes a new one.
void set_after_the_segment_was_removed_reaches_the_attached(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  scene.remove_segment();
  assert_true(scene.set(kId, kOther, kOtherHash));
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

void set_after_another_made_a_new_segment_reaches_the_attached(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  scene.remove_segment();
  testing::in_child([&] {
    Verifier second(scene.store, load_crypt);
    testing::require_text_equal(answer(&second, kId, kSecret), "match (hash)");
  });
  assert_true(scene.set(kId, kOther, kOtherHash));
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

void set_in_another_store_leaves_a_removed_segment_alone(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  scene.remove_segment();
  Store other = scene.store;
  other.token_shadow = PathText(scene.directory() + "/other.shadow");
  other.lock_file = PathText(scene.directory() + "/other.shadow.lock");
  {
    const auto lock = FileLock::acquire(other, 0);
    assert_true(static_cast<bool>(lock));
    assert_true(static_cast<bool>(testing::claim_for_write(other, *lock)));
    assert_true(CacheWriter(other, Kind::kSecrets, *lock).renew().has_value());
  }
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  shmctl(*segment_id(other), IPC_RMID, nullptr);
}

// --- deaths

void death_with_a_claim_is_repaired_by_the_next(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  for (int i = 0; i < 3; ++i) {
    die_after([&] {
      auto opened = open_segment(scene.store);
      require(GenerationClaim::as_rereader(opened->segment.generation_words(),
                                           nullptr)
                  .has_value());
    });
    assert_false(is_in_force(generation_of(scene.store)));
    // It has its time, and everybody answers meanwhile.
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    testing::advance_seconds(1);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    assert_true(is_in_force(generation_of(scene.store)));
    const int before = hashes_computed;
    assert_holds(&verifier, kSecret, kOther);
    assert_int_equal(hashes_computed - before, 0);
  }
}

// While somebody holds the lock nobody may claim from odd: everybody answers
// all the same, and nobody waits.
void claim_of_a_living_writer_is_left_alone(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  const auto lock = FileLock::acquire(scene.store, 0);
  auto claim = testing::claim_for_write(scene.store, *lock);
  assert_true(claim && *claim);
  const std::uint64_t odd = generation_of(scene.store);
  assert_false(is_in_force(odd));
  const std::uint64_t start = boottime_now();
  const int before = hashes_computed;
  for (int i = 0; i < 10; ++i) {
    assert_text_equal(answer(&verifier, kId, kSecret), "match (fact)");
    assert_text_equal(answer(&verifier, kId, kOther), "mismatch (fact)");
  }
  assert_int_equal(hashes_computed - before, 0);
  assert_true(boottime_now() - start < kNanosecondsPerSecond);
  assert_true(generation_of(scene.store) == odd);
  assert_true((*claim)->end());
}

// Two configurations of one file with two locks: neither takes over the other's
// living writer.  It retires the segment, and the other is told.
void writer_under_another_lock_retires_the_segment(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  const auto lock = FileLock::acquire(scene.store, 0);
  auto claim = testing::claim_for_write(scene.store, *lock);
  assert_true(claim && *claim);
  const auto opened = open_segment(scene.store);
  Store other = scene.store;
  other.lock_file = PathText(scene.directory() + "/other.lock");
  const auto second = FileLock::acquire(other, 0);
  assert_true(static_cast<bool>(second));
  const auto none = testing::claim_for_write(other, *second);
  assert_true(none && !*none);
  assert_true(opened->segment.generation() == kRetired);
  assert_false((*claim)->end());
}

// The stages of a writer that it may die after.
enum class Stage : std::uint8_t { kLocked, kClaimed, kRenamed, kEnded };

void death_of_a_writer_leaves_what_the_file_says(void **state) {
  Scene &scene = scene_in(state);
  for (const std::uint64_t ttl : {kLong, std::uint64_t{0}}) {
    scene.store.cache_ttl = ttl;
    for (const Stage last :
         {Stage::kLocked, Stage::kClaimed, Stage::kRenamed, Stage::kEnded}) {
      scene.replace({{kId, kHash}});
      scene.remove_segment();
      Verifier verifier(scene.store, load_crypt);
      assert_text_equal(verdict(&verifier, kId, kSecret), "match");
      assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
      die_after([&] {
        const auto lock = FileLock::acquire(scene.store, 0);
        require(static_cast<bool>(lock));
        if (last == Stage::kLocked) {
          raise(SIGKILL);
        }
        auto claim = testing::claim_for_write(scene.store, *lock);
        if (last == Stage::kClaimed) {
          raise(SIGKILL);
        }
        scene.replace({{kId, kOtherHash}});
        if (last == Stage::kRenamed) {
          raise(SIGKILL);
        }
        require((*claim)->end());
      });
      const bool renamed = last >= Stage::kRenamed;
      const std::string &right = renamed ? kOther : kSecret;
      const std::string &wrong = renamed ? kSecret : kOther;
      assert_text_equal(verdict(&verifier, kId, wrong), "mismatch");
      assert_text_equal(verdict(&verifier, kId, right), "match");
      Verifier fresh(scene.store, load_crypt);
      assert_text_equal(verdict(&fresh, kId, wrong), "mismatch");
      assert_text_equal(verdict(&fresh, kId, right), "match");
      assert_true(is_in_force(generation_of(scene.store)));
    }
  }
}

// Whoever comes just before the rename must not put the old bindings in force:
// the writer may have no time left to take them out again.
void death_right_after_the_rename_leaves_nothing_old_in_force(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  die_after([&] {
    std::function<void()> somebody_comes = [&] {
      Verifier other(scene.store, load_crypt);
      testing::require_text_equal(verdict(&other, kId, kSecret), "match");
    };
    std::function<void()> die = [] { raise(SIGKILL); };
    testing::before_rename = &somebody_comes;
    testing::after_rename = &die;
    static_cast<void>(scene.set(kId, kOther, kOtherHash));
    _exit(0);
  });
  assert_holds(&verifier, kOther, kSecret);
}

// Nor does it leave users of a removed segment with what they have.
void death_right_after_the_rename_reaches_a_removed_segment(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  scene.remove_segment();
  die_after([&] {
    std::function<void()> die = [] { raise(SIGKILL); };
    testing::after_rename = &die;
    static_cast<void>(scene.set(kId, kOther, kOtherHash));
    _exit(0);
  });
  assert_holds(&verifier, kOther, kSecret);
}

void flush(const Store &store) {
  const auto lock = FileLock::acquire(store, 0);
  require(lock && testing::flush(store, *lock));
}

// The segments of a host count their generations alike: what was read under one
// of them must not be put in force in the next.
void insert_of_what_was_read_before_a_flush_is_not_in_force(void **state) {
  const Scene &scene = scene_in(state);
  static const Scene *flushed = nullptr;
  flushed = &scene;
  const auto load_late_crypt = [] {
    return CryptFunction{[](const char *phrase, const char *setting, void *data,
                            int size) {
      const Scene *once = std::exchange(flushed, nullptr);
      if (once != nullptr) {
        in_child([once] {
          testing::require(once->set(kId, kOther, kOtherHash));
          flush(once->store);
          Verifier other(once->store, load_crypt);
          testing::require_text_equal(verdict(&other, kId, kOther), "match");
        });
      }
      return crypt_rn(phrase, setting, data, size);
    }};
  };
  Verifier late(scene.store, load_late_crypt);
  // It began before the change: either answer is right.
  verdict(&late, kId, kSecret);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
}

// Another process may hold the new one, and write, too.
void writer_whose_lock_was_exchanged_changes_nothing(void **state) {
  const Scene &scene = scene_in(state);
  std::function<void()> exchange = [&scene] {
    const std::string lock(scene.store.lock_file.view());
    std::ofstream(lock + ".other").close();
    std::filesystem::rename(lock + ".other", lock);
  };
  testing::after_end_of_file = &exchange;
  assert_false(scene.set(kId, kOther, kOtherHash));
  assert_null(testing::after_end_of_file);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
}

// Marked as retired, but still named by its key.
void death_while_retiring_leaves_a_segment_that_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_holds(&verifier, kSecret, kOther);
  const int id = *segment_id(scene.store);
  *open_segment(scene.store)->segment.generation_words().word = kRetired;
  assert_holds(&verifier, kSecret, kOther);
  assert_true(segment_id(scene.store) != id);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

void death_of_a_maker_leaves_memory_that_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  const std::size_t size =
      SegmentShape::for_slots(slots_for(scene.store, 0)).size();
  const int id = shmget(key_of(testing::subject_of(scene.store)), size,
                        IPC_CREAT | IPC_EXCL | 0600);
  assert_true(id >= 0);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_holds(&verifier, kSecret, kOther);
  assert_true(segment_id(scene.store) != id);
}

// A writer that is killed at any moment: the file is whole, old or new, and
// nobody accepts what it does not hold.
void death_of_a_writer_at_any_moment_leaves_what_the_file_says(void **state) {
  const Scene &scene = scene_in(state);
  constexpr std::size_t kSecrets = 4;
  std::array<std::string, kSecrets> secrets;
  std::array<std::string, kSecrets> hashes;
  for (std::size_t i = 0; i < kSecrets; ++i) {
    secrets[i] = kSecret + std::to_string(i);
    hashes[i] = hash_of(secrets[i]);
  }
  scene.replace({{kId, hashes[0]}});
  Verifier verifier(scene.store, load_crypt);
  for (int round = 0; round < 100; ++round) {
    const Process writer([&] {
      for (std::size_t i = 0;; i = (i + 1) % kSecrets) {
        require(scene.set(kId, secrets[i], hashes[i]));
      }
    });
    usleep(static_cast<useconds_t>(200 + round * 37 % 1500));
    writer.kill();
    const int status = writer.wait();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const auto shadow = TokenShadow::read(scene.store.token_shadow);
    assert_true(static_cast<bool>(shadow));
    for (std::size_t i = 0; i < kSecrets; ++i) {
      const bool right = shadow->find(kId) == hashes[i];
      assert_text_equal(verdict(&verifier, kId, secrets[i]),
                        right ? "match" : "mismatch");
    }
    // One that died while it renewed the bindings is given its time.
    testing::advance_seconds(1);
    assert_text_equal(verdict(&verifier, "jane@pbs!t", kSecret), "unknown");
    assert_true(is_in_force(generation_of(scene.store)));
  }
}

}  // namespace
}  // namespace pbstoken

#define with_store(test) \
  cmocka_unit_test_setup_teardown(test, make_store, testing::remove_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_store(flush_by_another_process_moves_the_attached_on),
      with_store(flush_many_times_leaves_one_attachment),
      with_store(removed_segment_is_replaced_when_the_stamp_expires),
      with_store(removed_segment_is_not_kept_alive_by_a_look),
      with_store(set_after_the_segment_was_removed_reaches_the_attached),
      with_store(set_after_another_made_a_new_segment_reaches_the_attached),
      with_store(set_in_another_store_leaves_a_removed_segment_alone),
      with_store(death_with_a_claim_is_repaired_by_the_next),
      with_store(claim_of_a_living_writer_is_left_alone),
      with_store(writer_under_another_lock_retires_the_segment),
      with_store(death_of_a_writer_leaves_what_the_file_says),
      with_store(death_right_after_the_rename_leaves_nothing_old_in_force),
      with_store(death_right_after_the_rename_reaches_a_removed_segment),
      with_store(insert_of_what_was_read_before_a_flush_is_not_in_force),
      with_store(writer_whose_lock_was_exchanged_changes_nothing),
      with_store(death_while_retiring_leaves_a_segment_that_is_replaced),
      with_store(death_of_a_maker_leaves_memory_that_is_replaced),
      with_store(death_of_a_writer_at_any_moment_leaves_what_the_file_says),
  };
  return cmocka_run_group_tests_name("cache, repair", tests, nullptr, nullptr);
}
