// SPDX-License-Identifier: BSD-3-Clause
// cache_slots = auto: a segment has room for the tokens of its file, when it is
// made and when the file has outgrown it.
#include <sys/shm.h>

#include <array>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::hash_of;
using testing::hashes_computed;
using testing::load_crypt;
using testing::open_segment;
using testing::Scene;
using testing::scene_in;
using testing::segment_id;
using testing::Token;
using testing::verdict;

const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kWrongHash = hash_of(kWrong);

constexpr unsigned kLeast = 8192;
constexpr std::uint64_t kMinute = 60;

std::string id_of(unsigned number) {
  return "u" + std::to_string(number) + "@pbs!t";
}

std::vector<Token> tokens_of(unsigned count) {
  std::vector<Token> tokens;
  for (unsigned i = 0; i < count; ++i) {
    tokens.push_back({id_of(i), kHash});
  }
  return tokens;
}

void write_users(const Scene &scene, unsigned count) {
  std::ofstream file(scene.store.user_cfg.c_str());
  for (unsigned i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    file << "user: u" << number << "@pbs\n\ntoken: " << id_of(i) << "\n\n";
  }
}

int setup(void **state) {
  if (testing::make_scene_with_hooks(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.user_cfg = PathText(scene.directory() + "/user.cfg");
  scene.store.user_lock = PathText(scene.directory() + "/.user.lck");
  scene.write(tokens_of(5));
  write_users(scene, 5);
  return 0;
}

std::uint64_t slots(const Scene &scene, Kind kind = Kind::kSecrets) {
  return open_segment(scene.store, kind)->segment.slots();
}

bool is_allowed(Verifier *verifier, unsigned number) {
  const auto judged = verifier->judge(*parse_token_id(id_of(number)));
  return judged && judged->status == AccountStatus::kAllowed;
}

// Five secrets and accounts that the segments know, and a mismatch.
void warm(Verifier *verifier) {
  for (unsigned i = 0; i < 5; ++i) {
    assert_text_equal(verdict(verifier, id_of(i), kSecret), "match");
    assert_true(is_allowed(verifier, i));
  }
  assert_text_equal(verdict(verifier, id_of(0), kWrong), "mismatch");
}

void assert_warm(Verifier *verifier) {
  for (unsigned i = 0; i < 5; ++i) {
    assert_text_equal(answer(verifier, id_of(i), kSecret), "match (segment)");
  }
  assert_text_equal(answer(verifier, id_of(0), kWrong), "mismatch (segment)");
}

// Known by one reading of the file: 20,000 misses would read it as often.
void made_for_20000_tokens_finds_each_again(void **state) {
  constexpr unsigned kTokens = 20000;
  const Scene &scene = scene_in(state);
  scene.write(tokens_of(kTokens));
  write_users(scene, kTokens);
  Cache cache(scene.store, Kind::kSecrets);
  assert_false(cache.look_up(id_of(0), kSecret).has_value());
  const auto snapshot = cache.read();
  assert_true(snapshot && snapshot->permit);
  for (unsigned i = 0; i < kTokens; ++i) {
    cache.remember(Fact::kMatch, id_of(i), kSecret, kHash, *snapshot);
  }
  Verifier verifier(scene.store, load_crypt);
  hashes_computed = 0;
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < kTokens; ++i) {
      assert_text_equal(verdict(&verifier, id_of(i), kSecret), "match");
    }
  }
  assert_int_equal(hashes_computed, 0);
  assert_true(is_allowed(&verifier, 0));
  assert_true(slots(scene) >= std::uint64_t{2} * kTokens);
  assert_true(slots(scene, Kind::kAccounts) >= std::uint64_t{2} * kTokens);
}

void made_for_few_tokens_has_room_for_8192(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  assert_int_equal(slots(scene), kLeast);
  assert_int_equal(slots(scene, Kind::kAccounts), kLeast);
}

// The segment before, which somebody still has attached, says nothing any more.
void outgrown_grows_and_takes_all_along(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  const auto before = open_segment(scene.store);
  const auto *old = reinterpret_cast<SegmentHeader *>(before->prefix());
  const HmacKeyBytes key = old->key;
  const std::uint64_t generation = old->prefix.generation;
  testing::advance_seconds(kMinute);
  hashes_computed = 0;
  scene.replace(tokens_of(kLeast + 1));
  Verifier other(scene.store, load_crypt);
  assert_text_equal(answer(&other, id_of(0), kSecret), "match (fact)");
  const auto after = open_segment(scene.store);
  const auto *grown = reinterpret_cast<SegmentHeader *>(after->prefix());
  assert_true(after->segment.slots() >= std::uint64_t{2} * (kLeast + 1));
  assert_true(grown->key == key);
  assert_true(grown->instance != old->instance);
  assert_true(grown->prefix.generation > generation);
  assert_true(old->prefix.generation == kRetired);
  assert_warm(&other);
  assert_warm(&verifier);
  assert_int_equal(hashes_computed, 0);
}

void outgrown_accounts_grow(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  testing::advance_seconds(kMinute);
  write_users(scene, kLeast + 1);
  assert_true(is_allowed(&verifier, 0));
  assert_true(slots(scene, Kind::kAccounts) >= std::uint64_t{2} * (kLeast + 1));
  Cache cache(scene.store, Kind::kAccounts);
  for (unsigned i = 0; i < 5; ++i) {
    assert_true(cache.look_up_account(id_of(i)).has_value());
  }
}

// What goes with the growth was changed or removed: no secret comes back.
void growth_revives_no_secret(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  testing::advance_seconds(kMinute);
  std::vector<Token> tokens = tokens_of(kLeast + 3);
  tokens.erase(tokens.begin());
  tokens[0].stored = kWrongHash;
  scene.replace(tokens);
  assert_text_equal(verdict(&verifier, id_of(0), kSecret), "unknown");
  assert_true(slots(scene) > kLeast);
  assert_text_equal(verdict(&verifier, id_of(1), kSecret), "mismatch");
  assert_text_equal(answer(&verifier, id_of(2), kSecret), "match (segment)");
  assert_text_equal(verdict(&verifier, id_of(0), kSecret), "unknown");
}

// At most one making a minute; then any miss finds that it is too small.
// Another process may retire the segment just before: one that holds another
// lock, or retires a store whose file has the same name.  What its last number
// was is not known then, and a slot could come into force in the new one.
void growth_takes_nothing_from_what_others_have_retired(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  const Subject subject = {Kind::kSecrets, *view_of(scene.store.token_shadow)};
  const auto found = find_segment(subject);
  auto outgrown = attach_for_writing(found->identity.id, subject,
                                     found->segment.instance());
  scene.write(tokens_of(kLeast + 1));
  const auto lock = FileLock::acquire(scene.store, 10);
  __atomic_store_n(
      &reinterpret_cast<SegmentPrefix *>(outgrown->attachment.address())
           ->generation,
      kRetired, __ATOMIC_SEQ_CST);
  const auto grown = grow_segment(scene.store, subject, *lock, *outgrown);
  assert_true(grown && *grown);
  hashes_computed = 0;
  Verifier another(scene.store, load_crypt);
  assert_text_equal(verdict(&another, id_of(0), kSecret), "match");
  assert_int_equal(hashes_computed, 1);
}

void outgrown_within_a_minute_grows_later(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  scene.replace(tokens_of(kLeast + 1));
  assert_text_equal(verdict(&verifier, id_of(5), kSecret), "match");
  assert_int_equal(slots(scene), kLeast);
  testing::advance_seconds(kMinute);
  assert_text_equal(verdict(&verifier, id_of(6), kSecret), "match");
  assert_true(slots(scene) > kLeast);
  assert_warm(&verifier);
}

void outgrown_grows_with_a_change_of_ours(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  testing::advance_seconds(kMinute);
  scene.replace(tokens_of(kLeast));
  warm(&verifier);
  assert_int_equal(slots(scene), kLeast);
  assert_true(scene.set("new@pbs!t", kWrong, kWrongHash));
  assert_true(slots(scene) > kLeast);
  assert_text_equal(answer(&verifier, "new@pbs!t", kWrong), "match (segment)");
  assert_warm(&verifier);
}

void outgrown_with_a_number_stays(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_slots = 16;
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  const auto id = segment_id(scene.store);
  testing::advance_seconds(kMinute);
  scene.replace(tokens_of(100));
  for (unsigned i = 0; i < 100; ++i) {
    assert_text_equal(verdict(&verifier, id_of(i), kSecret), "match");
  }
  assert_true(segment_id(scene.store) == id);
}

// Whoever may take no lock leaves it to others.
void outgrown_is_left_alone_by_who_takes_no_lock(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  testing::advance_seconds(kMinute);
  scene.replace(tokens_of(kLeast + 1));
  Cache cache(scene.store, Kind::kSecrets);
  cache.take_no_lock();
  assert_false(cache.look_up(id_of(0), kSecret).has_value());
  assert_true(static_cast<bool>(cache.read()));
  assert_int_equal(slots(scene), kLeast);
  assert_warm(&verifier);
}

// The old one stays, and nobody tries again at once.
void outgrown_without_room_for_a_larger_one_stays(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  warm(&verifier);
  const auto id = segment_id(scene.store);
  testing::advance_seconds(kMinute);
  scene.replace(tokens_of(kLeast + 1));
  std::ofstream("/proc/sys/kernel/shmmni") << 0;
  assert_text_equal(verdict(&verifier, id_of(0), kSecret), "match");
  std::ofstream("/proc/sys/kernel/shmmni") << 4096;
  assert_warm(&verifier);
  assert_text_equal(verdict(&verifier, id_of(5), kSecret), "match");
  assert_true(segment_id(scene.store) == id);
  testing::advance_seconds(kMinute);
  assert_text_equal(verdict(&verifier, id_of(6), kSecret), "match");
  assert_true(segment_id(scene.store) != id);
  assert_warm(&verifier);
}

}  // namespace
}  // namespace pbstoken

#define GROWTH_TEST(name) \
  cmocka_unit_test_setup_teardown(name, setup, pbstoken::testing::remove_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      GROWTH_TEST(made_for_20000_tokens_finds_each_again),
      GROWTH_TEST(made_for_few_tokens_has_room_for_8192),
      GROWTH_TEST(outgrown_grows_and_takes_all_along),
      GROWTH_TEST(outgrown_accounts_grow),
      GROWTH_TEST(growth_revives_no_secret),
      GROWTH_TEST(growth_takes_nothing_from_what_others_have_retired),
      GROWTH_TEST(outgrown_within_a_minute_grows_later),
      GROWTH_TEST(outgrown_grows_with_a_change_of_ours),
      GROWTH_TEST(outgrown_with_a_number_stays),
      GROWTH_TEST(outgrown_is_left_alone_by_who_takes_no_lock),
      GROWTH_TEST(outgrown_without_room_for_a_larger_one_stays),
  };
  return cmocka_run_group_tests_name("cache, growth", tests, nullptr, nullptr);
}
