// SPDX-License-Identifier: BSD-3-Clause
// The interleavings that matter, one by one: a process is held up between two
// steps of the protocol, and others do theirs.  test_cache_stamp.cc and
// test_cache_repair.cc have some more.
#include <sys/shm.h>

#include <array>
#include <functional>
#include <utility>

#include "e2e/cache_hooks.h"
#include "e2e/stress_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/generation.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::hash_of;
using testing::hashes_computed;
using testing::in_child;
using testing::leave_settling_time;
using testing::load_crypt;
using testing::open_segment;
using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::run_once;
using testing::Scene;
using testing::scene_in;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kOtherId = "jane@pbs!t";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);

constexpr std::uint64_t kLong = 3600;  // seconds

// Each runs once: when a hash has been computed, and before the segment is
// attached for writing.
std::function<void()> *after_hash = nullptr;
std::function<void()> *before_insert = nullptr;

CryptFunction load_hooked() {
  return [](const char *phrase, const char *setting, void *data, int size) {
    char *const hash = crypt_rn(phrase, setting, data, size);
    run_once(&after_hash);
    return hash;
  };
}

// Two tokens of one secret; a TTL that no test outlives.
int setup(void **state) {
  if (testing::make_stress_scene(state) != 0) {
    return -1;
  }
  testing::ahead = {};
  after_hash = nullptr;
  before_insert = nullptr;
  testing::after_look = nullptr;
  testing::after_end_of_file = nullptr;
  testing::before_rename = nullptr;
  testing::after_rename = nullptr;
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.write({{kId, kHash}, {kOtherId, kHash}});
  return 0;
}

void set(const Scene &scene, const std::string &secret) {
  in_child([&] { require(scene.set(kId, secret, hash_of(secret))); });
}

void remove(const Scene &scene) {
  in_child([&] {
    Cache cache(scene.store, Kind::kSecrets);
    const auto written = write_token(scene.store, &cache,
                                     {.token_id = *parse_token_id(kId),
                                      .stored_hash = std::nullopt,
                                      .secret = {},
                                      .expected_hash = std::nullopt});
    require(written && *written == Outcome::kDone);
  });
}

// --- between hash and insert

void delete_between_hash_and_insert_is_final(void **state) {
  const Scene &scene = scene_in(state);
  std::function<void()> deleted = [&] { remove(scene); };
  for (std::function<void()> **when : {&after_hash, &before_insert}) {
    scene.remove_segment();
    scene.replace({{kId, kHash}, {kOtherId, kHash}});
    Verifier late(scene.store, load_hooked);
    assert_text_equal(verdict(&late, kOtherId, kSecret), "match");
    *when = &deleted;
    // It began before: either answer is right.
    static_cast<void>(verdict(&late, kId, kSecret));
    assert_null(*when);
    for (int i = 0; i < 2; ++i) {
      Verifier fresh(scene.store, load_crypt);
      assert_text_equal(verdict(&late, kId, kSecret), "unknown");
      assert_text_equal(verdict(&fresh, kId, kSecret), "unknown");
    }
    // A token of that name with another secret is another one.
    set(scene, kOther);
    assert_text_equal(verdict(&late, kId, kSecret), "mismatch");
    assert_text_equal(answer(&late, kId, kOther), "match (segment)");
  }
}

// Deleted and set again to what it was: right once more, and known.
void delete_and_set_again_between_hash_and_insert_is_a_match(void **state) {
  const Scene &scene = scene_in(state);
  Verifier late(scene.store, load_hooked);
  assert_text_equal(verdict(&late, kOtherId, kSecret), "match");
  std::function<void()> there_and_back = [&] {
    remove(scene);
    set(scene, kSecret);
  };
  after_hash = &there_and_back;
  assert_text_equal(verdict(&late, kId, kSecret), "match");
  assert_null(after_hash);
  assert_text_equal(answer(&late, kId, kSecret), "match (segment)");
}

// --- two inserts on one slot

// A token has one slot for its match: what was found out before a change comes
// after what was found out since.
void insert_after_a_later_one_on_its_slot_is_dropped(void **state) {
  const Scene &scene = scene_in(state);
  Verifier late(scene.store, load_crypt);
  assert_text_equal(verdict(&late, kOtherId, kSecret), "match");
  std::function<void()> changed = [&] { set(scene, kOther); };
  before_insert = &changed;
  assert_text_equal(verdict(&late, kId, kSecret), "match");  // it began before
  assert_null(before_insert);
  assert_text_equal(answer(&late, kId, kOther), "match (segment)");
  assert_text_equal(verdict(&late, kId, kSecret), "mismatch");
}

void insert_after_the_same_one_on_its_slot_changes_nothing(void **state) {
  const Scene &scene = scene_in(state);
  Verifier late(scene.store, load_crypt);
  assert_text_equal(verdict(&late, kOtherId, kSecret), "match");
  std::function<void()> same = [&] {
    in_child([&] {
      Verifier other(scene.store, load_crypt);
      require_text_equal(answer(&other, kId, kSecret), "match (hash)");
      require_text_equal(answer(&other, kId, kOther), "mismatch (hash)");
    });
  };
  before_insert = &same;
  assert_text_equal(answer(&late, kId, kSecret), "match (hash)");
  assert_null(before_insert);
  assert_text_equal(answer(&late, kId, kSecret), "match (segment)");
  assert_text_equal(answer(&late, kId, kOther), "mismatch (segment)");
}

// Two tokens, and a segment that has room for less than both want.
void insert_of_another_token_on_its_slot_is_no_answer_for_either(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_slots = 1;
  std::vector<testing::Token> tokens = {{kId, kHash}};
  for (std::size_t i = 0; i < 2 * kHalves * kWays; ++i) {
    tokens.push_back({"user" + std::to_string(i) + "@pbs!t", kOtherHash});
  }
  scene.replace(tokens);
  Verifier late(scene.store, load_crypt);
  assert_text_equal(verdict(&late, "no@pbs!t", kSecret), "unknown");
  std::function<void()> others = [&] {
    in_child([&] {
      Verifier other(scene.store, load_crypt);
      for (std::size_t i = 1; i < tokens.size(); ++i) {
        require_text_equal(verdict(&other, tokens[i].id, kOther), "match");
      }
    });
  };
  before_insert = &others;
  assert_text_equal(answer(&late, kId, kSecret), "match (hash)");
  assert_null(before_insert);
  assert_text_equal(verdict(&late, kId, kOther), "mismatch");
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    assert_text_equal(verdict(&late, tokens[i].id, kSecret), "mismatch");
    assert_text_equal(verdict(&late, tokens[i].id, kOther), "match");
  }
  assert_text_equal(verdict(&late, kId, kSecret), "match");
}

// --- repair while somebody reads

// A writer that dies right after its rename.
void die_writing(const Scene &scene) {
  const Process writer([&] {
    std::function<void()> die = [] { raise(SIGKILL); };
    testing::after_rename = &die;
    static_cast<void>(scene.set(kId, kOther, kOtherHash));
  });
  const int status = writer.wait();
  require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// By somebody who asks about another token, so that the slots of this one stay
// as they are.
void repair(const Scene &scene) {
  in_child([&] {
    Verifier other(scene.store, load_crypt);
    require_text_equal(verdict(&other, kOtherId, kSecret), "match");
  });
}

// One who has found the file unchanged, and is about to compare.
void repair_while_a_slot_is_looked_up_is_noticed(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier reader(scene.store, load_crypt);
  for (int i = 0; i < 3; ++i) {
    assert_text_equal(verdict(&reader, kId, kSecret), "match");
    leave_settling_time();
  }
  std::function<void()> killed_and_repaired = [&] {
    die_writing(scene);
    repair(scene);
  };
  testing::after_look = &killed_and_repaired;
  assert_text_equal(verdict(&reader, kId, kSecret), "mismatch");
  assert_null(testing::after_look);
  assert_text_equal(verdict(&reader, kId, kOther), "match");
}

// One who has read the file for all, and does not know yet that somebody has
// taken over: nothing of what it read comes into force.
void repair_while_the_file_is_read_for_all_wins(void **state) {
  Scene &scene = scene_in(state);
  for (const bool dies : {false, true}) {
    scene.store.cache_ttl = 0;
    scene.replace({{kId, kHash}, {kOtherId, kHash}});
    Verifier reader(scene.store, load_crypt);
    assert_text_equal(verdict(&reader, kId, kSecret), "match");
    assert_text_equal(verdict(&reader, kOtherId, kSecret), "match");
    std::uint64_t taken_over = 0;
    std::function<void()> changed = [&] {
      if (dies) {
        die_writing(scene);
        repair(scene);
      } else {
        set(scene, kOther);
      }
      taken_over = open_segment(scene.store)->segment.generation();
    };
    testing::leave_settling_time();  // not settled so far: it is read again
    testing::after_end_of_file = &changed;
    static_cast<void>(verdict(&reader, kId, kSecret));  // it began before
    assert_null(testing::after_end_of_file);
    auto opened = open_segment(scene.store);
    assert_true(is_in_force(taken_over));
    assert_true(opened->segment.generation() == taken_over);
    assert_true(opened->segment.stamp()->generation == taken_over);
    scene.store.cache_ttl = kLong;
    Verifier fresh(scene.store, load_crypt);
    assert_text_equal(verdict(&fresh, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&fresh, kId, kOther), "match");
    // Nor does it put out of force what the other has carried over.
    assert_text_equal(answer(&fresh, kOtherId, kSecret), "match (segment)");
  }
}

// One who repairs, and is held up in it, holds the lock: a second one goes on
// without the cache, and what it hashes is known afterwards.
void repair_that_is_held_up_is_not_repeated(void **state) {
  const Scene &scene = scene_in(state);
  Verifier reader(scene.store, load_crypt);
  assert_text_equal(verdict(&reader, kId, kSecret), "match");
  die_writing(scene);
  std::function<void()> second = [&] {
    auto segment = open_segment(scene.store);
    const std::uint64_t odd = segment->segment.generation();
    assert_false(is_in_force(odd));
    // It has the longest time, whatever hashes take on a busy host (rule 2).
    constexpr std::uint64_t kMostDoublings = 8;
    *segment->segment.generation_words().note |= kMostDoublings << 16U;
    in_child([&] {
      testing::waits = 0;
      Verifier other(scene.store, load_crypt);
      require_text_equal(answer(&other, kId, kOther), "match (hash)");
      require_text_equal(answer(&other, kId, kOther), "match (fact)");
      require_text_equal(answer(&other, kOtherId, kSecret), "match (hash)");
      require(testing::waits == 0);
    });
    assert_true(open_segment(scene.store)->segment.generation() == odd);
  };
  testing::after_end_of_file = &second;
  const int hashes = hashes_computed;
  assert_text_equal(answer(&reader, kId, kOther), "match (fact)");
  assert_null(testing::after_end_of_file);
  assert_text_equal(answer(&reader, kId, kOther), "match (segment)");
  assert_text_equal(verdict(&reader, kOtherId, kSecret), "match");
  assert_text_equal(answer(&reader, kOtherId, kSecret), "match (segment)");
  assert_int_equal(hashes_computed - hashes, 0);
  assert_text_equal(verdict(&reader, kId, kSecret), "mismatch");
}

// --- the end of the numbers

// Only a hostile word gets there.  Wherever it stands: a change counts at once,
// and in the end a new segment is in force.
void generation_near_its_end_is_never_wrong_and_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  for (std::uint64_t start = kLastGeneration - 8; start != 0; ++start) {
    scene.replace({{kId, kHash}, {kOtherId, kHash}});
    scene.remove_segment();
    {
      Verifier first(scene.store, load_crypt);
      assert_text_equal(verdict(&first, kId, kSecret), "match");
    }
    *open_segment(scene.store)->segment.generation_words().word = start;
    const int before = *testing::segment_id(scene.store);
    for (int i = 0; i < 4; ++i) {
      assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
      assert_text_equal(verdict(&verifier, kId, kSecret), "match");
      set(scene, kOther);
      assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
      assert_text_equal(verdict(&verifier, kId, kOther), "match");
      assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
      set(scene, kSecret);
      assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
      assert_text_equal(verdict(&verifier, kId, kSecret), "match");
      assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    }
    // Eight changes, of two numbers each and more.
    assert_true(*testing::segment_id(scene.store) != before);
    assert_true(open_segment(scene.store)->segment.generation() < 1000);
  }
}

// --- the same of accounts

std::string judge(Verifier *verifier) {
  const auto verdict = verifier->judge(*parse_token_id(kId));
  return !verdict                                           ? "error"
         : verdict->status == AccountStatus::kAllowed       ? "allowed"
         : verdict->status == AccountStatus::kDisabledToken ? "disabled"
                                                            : "other";
}

void replace_users(const Scene &scene, bool enabled) {
  const std::string path(scene.store.user_cfg.view());
  std::ofstream(path + ".new") << "user: john@pbs\n\ntoken: " + kId + "\n" +
                                      (enabled ? "" : "\tenable 0\n");
  std::filesystem::rename(path + ".new", path);
}

int setup_users(void **state) {
  if (setup(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.user_cfg = PathText(scene.directory() + "/user.cfg");
  replace_users(scene, true);
  return 0;
}

bool is_known(const Store &store) {
  Cache cache(store, Kind::kAccounts);
  return cache.look_up_account(kId).has_value();
}

// Each of several processes that read the file for all is overtaken by one that
// comes later.
void account_reread_that_is_overtaken_changes_nothing(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier reader(scene.store, load_crypt);
  assert_text_equal(judge(&reader), "allowed");
  testing::leave_settling_time();
  std::function<void()> changed = [&] {
    replace_users(scene, false);
    in_child([&] {  // finds the number of one that has had its time
      testing::advance_seconds(1);
      Verifier other(scene.store, load_crypt);
      require(judge(&other) == "disabled");
    });
  };
  testing::after_end_of_file = &changed;
  static_cast<void>(judge(&reader));  // it began before
  assert_null(testing::after_end_of_file);
  scene.store.cache_ttl = kLong;
  testing::advance_seconds(1);  // as the other's clock has it
  assert_true(is_known(scene.store));
  Verifier fresh(scene.store, load_crypt);
  assert_text_equal(judge(&fresh), "disabled");
}

// A change between reading and storing, by one that then reads for all.
void account_insert_after_a_later_one_is_dropped(void **state) {
  Scene &scene = scene_in(state);
  Verifier late(scene.store, load_crypt);
  const auto none = late.judge(*parse_token_id("john@pbs!none"));
  assert_true(none && none->status == AccountStatus::kNoToken);
  std::function<void()> changed = [&] {
    replace_users(scene, false);
    in_child([&] {
      Store eager = scene.store;
      eager.cache_ttl = 0;
      Verifier other(eager, load_crypt);
      require(judge(&other) == "disabled");
    });
  };
  before_insert = &changed;
  assert_text_equal(judge(&late), "allowed");  // it began before
  assert_null(before_insert);
  assert_true(is_known(scene.store));
  assert_text_equal(judge(&late), "disabled");
}

// Whoever sets the word back leaves verdicts of generations that are none yet:
// they must not stand in the way of those that are.
void account_of_a_generation_to_come_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(judge(&verifier), "allowed");
  {
    auto opened = *open_segment(scene.store, Kind::kAccounts);
    WritableSegment &segment = opened.segment;
    const std::uint64_t now = segment.generation();
    segment.insert_account(
        kId, {.status = AccountStatus::kAllowed, .expires = 0}, now + 1000);
  }
  assert_text_equal(judge(&verifier), "allowed");
  assert_true(is_known(scene.store));
}

void account_generation_near_its_end_is_never_wrong_and_is_replaced(
    void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  for (std::uint64_t start = kLastGeneration - 8; start != 0; ++start) {
    scene.remove_segment(Kind::kAccounts);
    replace_users(scene, true);
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(judge(&verifier), "allowed");
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    *open_segment(scene.store, Kind::kAccounts)
         ->segment.generation_words()
         .word = start;
    for (int i = 0; i < 8; ++i) {
      replace_users(scene, i % 2 != 0);
      assert_text_equal(judge(&verifier), i % 2 != 0 ? "allowed" : "disabled");
      assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    }
    Store store = scene.store;
    store.cache_ttl = kLong;
    // A number that some re-reader seems to have is given its time, and may be
    // followed by the last.
    for (int i = 0; i < 2; ++i) {
      testing::advance_seconds(1);
      assert_text_equal(judge(&verifier), "allowed");
    }
    assert_true(is_known(store));
    Verifier fresh(store, load_crypt);
    assert_text_equal(verdict(&fresh, kId, kSecret), "match");
    assert_text_equal(answer(&fresh, kId, kSecret), "match (segment)");
  }
}

}  // namespace
}  // namespace pbstoken

extern "C" void *shmat(int id, const void *address, int flags) noexcept {
  if ((flags & SHM_RDONLY) == 0) {
    pbstoken::testing::run_once(&pbstoken::before_insert);
  }
  // What the kernel says is an address, or an error that libc makes -1 of.
  return reinterpret_cast<void *>(syscall(SYS_shmat, id, address, flags));
}

#define with_store(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_stress_scene)
#define with_users(test)                             \
  cmocka_unit_test_setup_teardown(test, setup_users, \
                                  testing::remove_stress_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_store(delete_between_hash_and_insert_is_final),
      with_store(delete_and_set_again_between_hash_and_insert_is_a_match),
      with_store(insert_after_a_later_one_on_its_slot_is_dropped),
      with_store(insert_after_the_same_one_on_its_slot_changes_nothing),
      with_store(insert_of_another_token_on_its_slot_is_no_answer_for_either),
      with_store(repair_while_a_slot_is_looked_up_is_noticed),
      with_store(repair_while_the_file_is_read_for_all_wins),
      with_store(repair_that_is_held_up_is_not_repeated),
      with_store(generation_near_its_end_is_never_wrong_and_is_replaced),
      with_users(account_reread_that_is_overtaken_changes_nothing),
      with_users(account_insert_after_a_later_one_is_dropped),
      with_users(account_of_a_generation_to_come_is_replaced),
      with_users(
          account_generation_near_its_end_is_never_wrong_and_is_replaced),
  };
  return cmocka_run_group_tests_name("stress, schedule", tests, nullptr,
                                     nullptr);
}
