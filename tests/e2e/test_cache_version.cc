// SPDX-License-Identifier: BSD-3-Clause
// The cache beside daemons of upstream's that keep a word of their own.
#include "pbstoken/store/version_word.h"

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"
#include "pbstoken/cache/cache.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::hash_of;
using testing::in_child;
using testing::load_crypt;
using testing::Process;
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

// A page of upstream's layout beside the store, and a TTL that never ends.
void follow_a_page(Scene *scene) {
  std::string page(4096, '\0');
  page.replace(0, 8, "\x19\xc6\xa8\xe6\x9a\x84\x8f\x83");
  scene->store.version_cache = PathText(scene->directory() + "/versions");
  scene->store.cache_ttl = kLong;
  std::ofstream(scene->store.version_cache.c_str(), std::ios::binary) << page;
  chmod(scene->store.version_cache.c_str(), S_IRUSR | S_IWUSR);
  scene->write({{kId, kHash}, {kOtherId, kHash}});
}

// That of token.shadow, at offset 32.
std::uint64_t word(const Scene &scene) {
  std::uint64_t value = UINT64_MAX;
  std::ifstream page(scene.store.version_cache.c_str(), std::ios::binary);
  page.seekg(32).read(reinterpret_cast<char *>(&value), sizeof(value));
  return value;
}

// Nobody reads the word: a hit is the same beside such daemons as elsewhere.
void word_that_rises_changes_nothing(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  for (int i = 0; i < 3; ++i) {
    assert_true(static_cast<bool>(bump_version_word(
        scene.store.version_cache, VersionWord::kTokenShadow)));
    assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  }
}

// Six services after one edit: nobody has died, so the daemons hear nothing,
// and none drops what it remembers.
void rereaders_tell_upstream_nothing(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  for (int round = 0; round < 20; ++round) {
    scene.replace({{kId, kHash}, {kOtherId, kHash}});
    std::vector<Process> services;
    for (int i = 0; i < 6; ++i) {
      services.emplace_back([&scene] {
        Verifier service(scene.store, load_crypt);
        testing::require_text_equal(verdict(&service, kId, kSecret), "match");
      });
    }
    for (const Process &service : services) {
      assert_int_equal(service.wait(), 0);
    }
  }
  assert_int_equal(word(scene), 0);
}

void set_tells_upstream_once(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  assert_true(scene.set(kId, kOther, kOtherHash));
  assert_int_equal(word(scene), 1);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kOther), "match (segment)");
  assert_int_equal(word(scene), 1);
}

// A writer of the other secret, who has told nobody.
void die_after_the_rename(const Scene &scene) {
  const Process writer([&] {
    std::function<void()> die = [] { raise(SIGKILL); };
    testing::after_rename = &die;
    static_cast<void>(scene.set(kId, kOther, kOtherHash));
  });
  static_cast<void>(writer.wait());
  assert_int_equal(word(scene), 0);
}

void death_between_rename_and_word_is_made_up_for(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  die_after_the_rename(scene);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_int_equal(word(scene), 1);
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
  assert_int_equal(word(scene), 1);
}

// Even by a writer who cannot rename: he ends the number that would have told
// the next one.
void death_is_made_up_for_by_a_writer_who_fails(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  die_after_the_rename(scene);
  std::function<void()> take_temporary_away = [&scene] {
    for (const auto &entry :
         std::filesystem::directory_iterator(scene.directory())) {
      if (entry.path().filename().string().starts_with("token.shadow.tmp_")) {
        std::filesystem::remove(entry.path());
      }
    }
  };
  testing::before_rename = &take_temporary_away;
  assert_false(scene.set(kOtherId, kOther, kOtherHash));
  assert_int_equal(word(scene), 1);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
}

void member_who_may_not_read_the_word_goes_by_the_ttl(void **state) {
  Scene &scene = scene_in(state);
  follow_a_page(&scene);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  in_child([&] {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    Verifier member(scene.store, load_crypt);
    testing::require_text_equal(answer(&member, kId, kSecret),
                                "match (segment)");
  });
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_hooks(word_that_rises_changes_nothing),
      with_hooks(rereaders_tell_upstream_nothing),
      with_hooks(set_tells_upstream_once),
      with_hooks(death_between_rename_and_word_is_made_up_for),
      with_hooks(death_is_made_up_for_by_a_writer_who_fails),
      with_hooks(member_who_may_not_read_the_word_goes_by_the_ttl),
  };
  return cmocka_run_group_tests_name("cache, version word", tests, nullptr,
                                     nullptr);
}
