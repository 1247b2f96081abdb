// SPDX-License-Identifier: BSD-3-Clause
// What answers come from, and how late a change of token.shadow is seen.
#include "pbstoken/cache/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <utility>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::advance_seconds;
using testing::answer;
using testing::counted;
using testing::hash_of;
using testing::hashes_computed;
using testing::in_child;
using testing::leave_settling_time;
using testing::load_crypt;
using testing::open_segment;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::segment_id;
using testing::Token;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);

constexpr std::uint64_t kLong = 3600;  // seconds

std::uint64_t generation_of(const Store &store) {
  return open_segment(store)->segment.generation();
}

// --- where answers come from

void verify_in_a_second_process_costs_no_hash(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  const std::uint64_t hashes = counted(scene.store, Event::kHash);
  const std::uint64_t hits = counted(scene.store, Event::kHit);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
  in_child([&] {
    Verifier second(scene.store, load_crypt);
    require_text_equal(answer(&second, kId, kSecret), "match (segment)");
  });
  assert_int_equal(counted(scene.store, Event::kHash) - hashes, 1);
  assert_int_equal(counted(scene.store, Event::kHit) - hits, 1);
}

void verify_wrong_secret_is_remembered_from_32_bytes_on(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  const std::uint64_t known = counted(scene.store, Event::kKnownMismatch);
  Verifier verifier(scene.store, load_crypt);
  for (const std::size_t size : {1U, 31U, 32U, 36U, 511U}) {
    const std::string wrong(size, 'x');
    assert_text_equal(answer(&verifier, kId, wrong), "mismatch (hash)");
    assert_text_equal(answer(&verifier, kId, wrong),
                      size < 32 ? "mismatch (hash)" : "mismatch (segment)");
  }
  assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
  assert_int_equal(counted(scene.store, Event::kKnownMismatch) - known, 3);
}

void verify_unacceptable_secret_costs_no_hash(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  const int before = hashes_computed;
  for (const std::string &secret :
       {std::string(), std::string(512, 'x'), kSecret + "\n",
        kSecret + std::string(1, '\0')}) {
    assert_text_equal(verdict(&verifier, kId, secret), "unacceptable");
  }
  assert_int_equal(hashes_computed - before, 0);
}

void verify_unknown_token_is_unknown(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "unknown");
  scene.write({{kId, kHash}});
  leave_settling_time();
  advance_seconds(scene.store.cache_ttl);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  for (const char *id : {"john@pbs!client2", "jane@pbs!client1"}) {
    assert_text_equal(verdict(&verifier, id, kSecret), "unknown");
    assert_text_equal(verdict(&verifier, id, kSecret), "unknown");
  }
}

void verify_without_cache_hashes_each_time(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache = false;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  for (int i = 0; i < 3; ++i) {
    assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
    assert_text_equal(answer(&verifier, kId, kOther), "mismatch (hash)");
  }
  assert_false(segment_id(scene.store).has_value());
}

char *failing_crypt(const char * /*phrase*/, const char * /*setting*/,
                    void *data, int /*size*/) {
  static bool star = false;
  star = !star;  // both ways in which libcrypt may say it
  return star ? std::strcpy(static_cast<char *>(data), "*0") : nullptr;
}

// Of yescrypt, which needs memory: of the other methods nothing but impossible
// parameters can make a failure.
void verify_hash_that_fails_is_no_fact(void **state) {
  const Scene &scene = scene_in(state);
  crypt_data data{};
  scene.write({{kId, crypt_r(kSecret.c_str(), "$y$j75$saltsalt", &data)}});
  const std::uint64_t hashes = counted(scene.store, Event::kHash);
  Verifier poor(scene.store, [] { return CryptFunction{failing_crypt}; });
  for (int i = 0; i < 4; ++i) {
    assert_text_equal(verdict(&poor, kId, kSecret), "error");
    assert_text_equal(verdict(&poor, kId, kOther), "error");
  }
  assert_int_equal(counted(scene.store, Event::kHash) - hashes, 0);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
  assert_text_equal(answer(&verifier, kId, kOther), "mismatch (hash)");
}

// --- changes by hand

void change_one_of_fifty(const Scene &scene, bool racy) {
  constexpr std::size_t kTokens = 50;
  constexpr std::size_t kChanged = 17;
  std::vector<Token> tokens;
  std::vector<std::string> secrets;
  for (std::size_t i = 0; i < kTokens; ++i) {
    secrets.push_back(kSecret + std::to_string(i));
    tokens.push_back({"u" + std::to_string(i) + "@pbs!t", hash_of(secrets[i])});
  }
  scene.replace(tokens);
  if (!racy) {
    leave_settling_time();
  }
  Verifier verifier(scene.store, load_crypt);
  const auto verify_all = [&] {
    const int before = hashes_computed;
    for (std::size_t i = 0; i < kTokens; ++i) {
      assert_text_equal(verdict(&verifier, tokens[i].id, secrets[i]), "match");
    }
    return hashes_computed - before;
  };
  assert_int_equal(verify_all(), kTokens);
  assert_int_equal(verify_all(), 0);
  const std::string revoked = std::exchange(secrets[kChanged], kOther);
  tokens[kChanged].stored = kOtherHash;
  scene.replace(tokens);
  if (!racy) {
    leave_settling_time();
  }
  assert_text_equal(answer(&verifier, tokens[kChanged].id, revoked),
                    "mismatch (hash)");
  assert_int_equal(verify_all(), 1);
  assert_int_equal(verify_all(), 0);
  assert_text_equal(verdict(&verifier, tokens[kChanged].id, revoked),
                    "mismatch");
}

void change_of_one_token_costs_the_others_no_hash(void **state) {
  scene_in(state).store.cache_ttl = 0;
  change_one_of_fifty(scene_in(state), /*racy=*/false);
}

void change_of_one_token_just_now_costs_the_others_no_hash(void **state) {
  scene_in(state).store.cache_ttl = 0;
  change_one_of_fifty(scene_in(state), /*racy=*/true);
}

void malformed_file_is_an_error_until_it_is_restored(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
  const int before = hashes_computed;
  for (const char *text : {"{", "[]", "", "{\"john@pbs!client1\":"}) {
    scene.write(text);
    for (int i = 0; i < 3; ++i) {
      assert_text_equal(verdict(&verifier, kId, kSecret), "error");
      assert_text_equal(verdict(&verifier, kId, kOther), "error");
    }
    in_child([&] {
      Verifier second(scene.store, load_crypt);
      require_text_equal(verdict(&second, kId, kSecret), "error");
    });
  }
  scene.write({{kId, kHash}});
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
  assert_int_equal(hashes_computed - before, 0);
}

void removed_file_has_no_tokens(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  std::filesystem::remove(scene.path());
  assert_text_equal(verdict(&verifier, kId, kSecret), "unknown");
  assert_text_equal(verdict(&verifier, kId, kSecret), "unknown");
  scene.write({{kId, kHash}});
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  scene.write("null");
  assert_text_equal(verdict(&verifier, kId, kSecret), "unknown");
}

void unreadable_kind_of_file_is_an_error(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  std::filesystem::rename(scene.path(), scene.directory() + "/real");
  std::filesystem::create_symlink(scene.directory() + "/real", scene.path());
  assert_text_equal(verdict(&verifier, kId, kSecret), "error");
}

void same_size_edits_with_times_restored_are_all_seen(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  scene.write({{kId, kHash}});
  assert_int_equal(kHash.size(), kOtherHash.size());
  struct stat first = {};
  assert_int_equal(stat(scene.path().c_str(), &first), 0);
  const std::array<timespec, 2> times = {first.st_atim, first.st_mtim};
  Verifier verifier(scene.store, load_crypt);
  for (int i = 0; i < 200; ++i) {
    const bool other = i % 2 != 0;
    scene.write({{kId, other ? kOtherHash : kHash}});
    assert_int_equal(utimensat(AT_FDCWD, scene.path().c_str(), times.data(), 0),
                     0);
    assert_text_equal(verdict(&verifier, kId, other ? kSecret : kOther),
                      "mismatch");
    assert_text_equal(verdict(&verifier, kId, other ? kOther : kSecret),
                      "match");
  }
}

// --- changes by the writer

void set_is_effective_at_once_whatever_the_ttl(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.write({{kId, kHash}, {"jane@pbs!t", kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(verdict(&verifier, "jane@pbs!t", kSecret), "match");
  in_child([&] { testing::require(scene.set(kId, kOther, kOtherHash)); });
  const int before = hashes_computed;
  assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
  assert_text_equal(answer(&verifier, "jane@pbs!t", kSecret),
                    "match (segment)");
  assert_int_equal(hashes_computed - before, 0);
  assert_text_equal(answer(&verifier, kId, kSecret), "mismatch (hash)");
  assert_text_equal(answer(&verifier, kId, kSecret), "mismatch (segment)");
}

// What was wrong may be right now: that it was is remembered of the old hash.
void known_mismatch_that_becomes_the_secret_matches_at_once(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  for (const bool by_hand : {false, true}) {
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(answer(&verifier, kId, kOther), "mismatch (hash)");
    assert_text_equal(answer(&verifier, kId, kOther), "mismatch (segment)");
    if (by_hand) {
      scene.replace({{kId, kOtherHash}});
      advance_seconds(kLong);
    } else {
      in_child([&] { testing::require(scene.set(kId, kOther, kOtherHash)); });
    }
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  }
}

void set_without_a_segment_makes_one(void **state) {
  Scene &scene = scene_in(state);
  assert_true(scene.set(kId, kSecret, kHash));
  assert_true(is_in_force(generation_of(scene.store)));
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_hooks(verify_in_a_second_process_costs_no_hash),
      with_hooks(verify_wrong_secret_is_remembered_from_32_bytes_on),
      with_hooks(verify_unacceptable_secret_costs_no_hash),
      with_hooks(verify_unknown_token_is_unknown),
      with_hooks(verify_without_cache_hashes_each_time),
      with_hooks(verify_hash_that_fails_is_no_fact),
      with_hooks(change_of_one_token_costs_the_others_no_hash),
      with_hooks(change_of_one_token_just_now_costs_the_others_no_hash),
      with_hooks(malformed_file_is_an_error_until_it_is_restored),
      with_hooks(removed_file_has_no_tokens),
      with_hooks(unreadable_kind_of_file_is_an_error),
      with_hooks(same_size_edits_with_times_restored_are_all_seen),
      with_hooks(set_is_effective_at_once_whatever_the_ttl),
      with_hooks(known_mismatch_that_becomes_the_secret_matches_at_once),
      with_hooks(set_without_a_segment_makes_one),
  };
  return cmocka_run_group_tests_name("cache", tests, nullptr, nullptr);
}
