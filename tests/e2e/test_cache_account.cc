// SPDX-License-Identifier: BSD-3-Clause
// Account verdicts: what user.cfg says, out of the segment where it can be.
#include <sched.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"
#include "pbstoken/cache/generation.h"

namespace pbstoken {
namespace {

using testing::hash_of;
using testing::in_child;
using testing::Process;
using testing::remove_scene;
using testing::require;
using testing::Scene;
using testing::scene_in;

const std::string kId = "john@pbs!client1";
const std::string kOther = "john@pbs!client2";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";

std::string users_path(const Scene &scene) {
  return scene.directory() + "/user.cfg";
}

// The tokens of john@pbs, each with its property lines.
std::string users_text(
    const std::vector<std::pair<std::string, std::string>> &tokens) {
  std::string text = "user: john@pbs\n\n";
  for (const auto &[id, properties] : tokens) {
    text += "token: " + id + "\n" + properties + "\n";
  }
  return text;
}

void write_users(
    const Scene &scene,
    const std::vector<std::pair<std::string, std::string>> &tokens) {
  std::ofstream(users_path(scene), std::ios::binary) << users_text(tokens);
}

void replace_users(
    const Scene &scene,
    const std::vector<std::pair<std::string, std::string>> &tokens) {
  const std::string other = users_path(scene) + ".new";
  std::ofstream(other, std::ios::binary) << users_text(tokens);
  std::filesystem::rename(other, users_path(scene));
}

int setup(void **state) {
  if (testing::make_scene_with_hooks(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}, {kOther, hash_of(kSecret)}});
  scene.store.user_cfg = PathText(users_path(scene));
  write_users(scene, {{kId, ""}, {kOther, ""}});
  return 0;
}

std::string status_text(const Result<AccountVerdict> &verdict) {
  if (!verdict) {
    return "error";
  }
  constexpr const char *kNames[] = {"no user", "no token", "disabled user",
                                    "disabled token", "allowed"};
  return kNames[static_cast<int>(verdict->status)];
}

std::string judge(Verifier *verifier, const std::string &id) {
  return status_text(verifier->judge(*parse_token_id(id)));
}

// What the segment alone says.
std::string look_up(const Store &store, const std::string &id) {
  Cache cache(store, Kind::kAccounts);
  const auto verdict = cache.look_up_account(id);
  return verdict ? status_text(*verdict) : "unknown";
}

void second_verdict_is_from_the_segment(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(look_up(scene.store, kId), "unknown");
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(look_up(scene.store, kId), "allowed");
  assert_text_equal(judge(&verifier, "john@pbs!none"), "no token");
  assert_text_equal(look_up(scene.store, "john@pbs!none"), "no token");
}

void verdict_from_the_segment_reads_no_file(void **state) {
  Scene &scene = scene_in(state);
  scene.store.look = false;
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  // Within cache_ttl nobody looks.
  std::filesystem::remove(users_path(scene));
  assert_text_equal(judge(&verifier, kId), "allowed");
  testing::advance_seconds(scene.store.cache_ttl + 1);
  assert_text_equal(judge(&verifier, kId), "no user");
}

void member_of_the_group_reads_verdicts_but_not_the_file(void **state) {
  const Scene &scene = scene_in(state);
  chmod(users_path(scene).c_str(), S_IRUSR | S_IWUSR);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  in_child([&scene] {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    Verifier mine(scene.store, testing::load_crypt);
    require(judge(&mine, kId) == "allowed");
    require(judge(&mine, kOther) == "error");
  });
}

void change_is_seen_after_the_ttl_without_a_look(void **state) {
  Scene &scene = scene_in(state);
  scene.store.look = false;
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  replace_users(scene, {{kId, "\tenable 0\n"}});
  assert_text_equal(judge(&verifier, kId), "allowed");
  testing::advance_seconds(scene.store.cache_ttl);
  assert_text_equal(judge(&verifier, kId), "disabled token");
}

void change_is_seen_at_once_by_a_look(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  Verifier eager(scene.store, testing::load_crypt);
  for (int i = 0; i < 50; ++i) {
    replace_users(scene, {{kId, ""}});
    assert_text_equal(judge(&eager, kId), "allowed");
    replace_users(scene, {{kId, "\tenable 0\n"}});
    assert_text_equal(judge(&eager, kId), "disabled token");
  }
}

// One process reads the file for all tokens that anybody asked about.
void change_renews_every_verdict_at_once(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(judge(&verifier, kOther), "allowed");
  replace_users(scene, {{kId, "\tenable 0\n"}, {kOther, "\texpire 1\n"}});
  testing::advance_seconds(scene.store.cache_ttl);
  assert_text_equal(judge(&verifier, kId), "disabled token");
  Cache cache(scene.store, Kind::kAccounts);
  const auto other = cache.look_up_account(kOther);
  assert_true(other == (AccountVerdict{.status = AccountStatus::kAllowed,
                                       .expires = 1}));
}

void token_without_section_any_more_is_not_carried_over(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(judge(&verifier, kOther), "allowed");
  replace_users(scene, {{kId, ""}});
  testing::advance_seconds(scene.store.cache_ttl);
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(look_up(scene.store, kOther), "unknown");
  assert_text_equal(judge(&verifier, kOther), "no token");
}

void malformed_file_gives_no_verdict(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  std::ofstream(users_path(scene)) << "nonsense\n";
  testing::advance_seconds(scene.store.cache_ttl);
  assert_text_equal(judge(&verifier, kId), "error");
  assert_text_equal(judge(&verifier, kId), "error");
  // Tokens are another file.
  assert_text_equal(testing::verdict(&verifier, kId, kSecret), "match");
  replace_users(scene, {{kId, ""}});
  assert_text_equal(judge(&verifier, kId), "allowed");
}

void change_while_the_file_is_read_is_found(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  Verifier verifier(scene.store, testing::load_crypt);
  std::function<void()> change = [&scene] {
    replace_users(scene, {{kId, "\tenable 0\n"}});
  };
  testing::after_end_of_file = &change;
  static_cast<void>(judge(&verifier, kId));
  assert_text_equal(judge(&verifier, kId), "disabled token");
}

// The segments of two IPC namespaces count their generations alike: what was
// read under one of them must not be put in force in the other.
void verdict_of_another_ipc_namespace_is_not_in_force(void **state) {
  const Scene &scene = scene_in(state);
  const auto generation = [&scene] {
    return testing::open_segment(scene.store, Kind::kAccounts)
        ->segment.generation();
  };
  in_child([&] {
    Verifier verifier(scene.store, testing::load_crypt);
    require(judge(&verifier, kOther) == "allowed");
    const std::uint64_t before = generation();
    require(unshare(CLONE_NEWIPC) == 0);
    std::function<void()> change = [&scene] {
      replace_users(scene, {{kId, "\tenable 0\n"}, {kOther, ""}});
      const Process changed([&scene] {
        Verifier other(scene.store, testing::load_crypt);
        require(judge(&other, kOther) == "allowed");
      });
      require(changed.wait() == 0);
    };
    testing::after_end_of_file = &change;
    // It began before the change: either answer is right.
    static_cast<void>(judge(&verifier, kId));
    require(testing::after_end_of_file == nullptr && generation() == before);
    Verifier late(scene.store, testing::load_crypt);
    require(judge(&late, kId) == "disabled token");
  });
}

// A process that dies while the bindings are being renewed leaves its number.
void dead_rereader_is_made_up_for(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  {
    auto opened = *testing::open_segment(scene.store, Kind::kAccounts);
    assert_true(
        GenerationClaim::as_rereader(opened.segment.generation_words(), nullptr)
            .has_value());
  }
  assert_text_equal(look_up(scene.store, kId), "unknown");
  assert_text_equal(judge(&verifier, kId), "allowed");
  testing::advance_seconds(1);  // more than it is given
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(look_up(scene.store, kId), "allowed");
}

void other_users_file_has_a_segment_of_its_own(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  Store other = scene.store;
  other.user_cfg = PathText(scene.directory() + "/other.cfg");
  std::ofstream(other.user_cfg.c_str()) << users_text({{kId, "\tenable no\n"}});
  Verifier second(other, testing::load_crypt);
  for (int i = 0; i < 3; ++i) {
    assert_text_equal(judge(&second, kId), "disabled token");
    assert_text_equal(judge(&verifier, kId), "allowed");
  }
  assert_text_equal(look_up(other, kId), "disabled token");
  other.user_cfg = scene.store.user_cfg;
  assert_text_equal(look_up(other, kId), "allowed");
}

void verdicts_do_not_depend_on_the_segment(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache = false;
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(judge(&verifier, kId), "allowed");
  write_users(scene, {{kId, "\tenable 0\n"}});
  assert_text_equal(judge(&verifier, kId), "disabled token");
}

// A change of tokens leaves accounts in force, and the other way round.
void the_two_files_are_watched_apart(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, testing::load_crypt);
  assert_text_equal(testing::verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_true(scene.set(kOther, kSecret, hash_of(kSecret)));
  assert_text_equal(look_up(scene.store, kId), "allowed");
  replace_users(scene, {{kId, ""}});
  assert_text_equal(judge(&verifier, kId), "allowed");
  assert_text_equal(testing::answer(&verifier, kId, kSecret),
                    "match (segment)");
}

void many_processes_agree_while_the_file_changes(void **state) {
  const Scene &scene = scene_in(state);
  std::vector<Process> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&scene] {
      Verifier verifier(scene.store, testing::load_crypt);
      for (int j = 0; j < 2000; ++j) {
        const std::string said = judge(&verifier, kId);
        require(said == "allowed" || said == "disabled token");
        require(judge(&verifier, kOther) == "allowed");
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    replace_users(scene,
                  {{kId, i % 2 == 0 ? "\tenable 0\n" : ""}, {kOther, ""}});
    Verifier verifier(scene.store, testing::load_crypt);
    assert_text_equal(judge(&verifier, kId),
                      i % 2 == 0 ? "disabled token" : "allowed");
  }
  for (const Process &reader : readers) {
    assert_int_equal(reader.wait(), 0);
  }
}

}  // namespace
}  // namespace pbstoken

#define with_users(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_users(second_verdict_is_from_the_segment),
      with_users(verdict_from_the_segment_reads_no_file),
      with_users(member_of_the_group_reads_verdicts_but_not_the_file),
      with_users(change_is_seen_after_the_ttl_without_a_look),
      with_users(change_is_seen_at_once_by_a_look),
      with_users(change_renews_every_verdict_at_once),
      with_users(token_without_section_any_more_is_not_carried_over),
      with_users(malformed_file_gives_no_verdict),
      with_users(change_while_the_file_is_read_is_found),
      with_users(verdict_of_another_ipc_namespace_is_not_in_force),
      with_users(dead_rereader_is_made_up_for),
      with_users(other_users_file_has_a_segment_of_its_own),
      with_users(verdicts_do_not_depend_on_the_segment),
      with_users(the_two_files_are_watched_apart),
      with_users(many_processes_agree_while_the_file_changes),
  };
  return cmocka_run_group_tests_name("cache_account", tests, nullptr, nullptr);
}
