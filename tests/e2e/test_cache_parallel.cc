// SPDX-License-Identifier: BSD-3-Clause
// Many threads and processes at once: no answer is wrong, and none comes late.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "e2e/cache_support.h"
#include "pbstoken/cache/cache.h"

namespace pbstoken {
namespace {

using testing::become;
using testing::counted;
using testing::hash_of;
using testing::kNobody;
using testing::kVerifyGroup;
using testing::load_crypt;
using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherId = "jane@pbs!t";

constexpr std::uint64_t kLong = 3600;  // seconds

// What processes tell each other.
struct Progress {
  std::atomic<int> started;
  std::atomic<int> published;
  std::atomic<bool> stop;
};

// Owned by the fixture.
struct Stage : Scene {
  Stage()
      : progress(static_cast<Progress *>(
            mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  Stage(const Stage &) = delete;
  Stage &operator=(const Stage &) = delete;
  ~Stage() { munmap(progress, sizeof(Progress)); }

  Progress *progress;
};

int make_stage(void **state) {
  if (geteuid() != 0 || std::getenv("SCRATCH") == nullptr) {
    return -1;
  }
  *state = new Stage;
  return 0;
}

int remove_stage(void **state) {
  delete static_cast<Stage *>(*state);
  return 0;
}

Stage &stage_in(void **state) {
  return *static_cast<Stage *>(*state);
}

void verify_by_many_threads_is_right_in_each(void **state) {
  const Scene &scene = stage_in(state);
  constexpr int kThreads = 8;
  constexpr int kRounds = 200;
  scene.write({{kId, kHash}, {kOtherId, hash_of(kWrong)}});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&scene, &wrong, i] {
      Store store = scene.store;
      store.cache_ttl = i % 2 == 0 ? 0 : 1;
      for (int round = 0; round < kRounds; ++round) {
        // As PAM handles come and go.
        Verifier verifier(store, load_crypt);
        wrong += verdict(&verifier, kId, kSecret) != "match" ? 1 : 0;
        wrong += verdict(&verifier, kId, kWrong) != "mismatch" ? 1 : 0;
        wrong += verdict(&verifier, kOtherId, kWrong) != "match" ? 1 : 0;
        wrong += verdict(&verifier, "no@pbs!one", kSecret) != "unknown" ? 1 : 0;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  assert_int_equal(wrong.load(), 0);
}

// What one thread attaches another one lets go of.
void find_beside_a_flush_in_another_thread_is_safe(void **state) {
  const Scene &scene = stage_in(state);
  constexpr int kFlushes = 3000;
  scene.write({{kId, kHash}});
  const Subject subject = testing::subject_of(scene.store);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        static_cast<void>(find_segment(subject));
      }
    });
  }
  for (int i = 0; i < kFlushes; ++i) {
    const auto lock = FileLock::acquire(scene.store, 1);
    assert_true(lock &&
                CacheWriter(scene.store, Kind::kSecrets, *lock).flush());
  }
  stop = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
}

// Another token changes all the time, by hand and by the writer.
void verify_while_another_token_changes_is_never_wrong(void **state) {
  Stage &stage = stage_in(state);
  constexpr int kRounds = 2000;
  stage.write({{kId, kHash}, {kOtherId, kHash}});
  for (const std::uint64_t ttl : {std::uint64_t{0}, std::uint64_t{5}}) {
    stage.store.cache_ttl = ttl;
    stage.progress->stop = false;
    std::vector<Process> verifiers;
    for (int i = 0; i < 2; ++i) {
      verifiers.emplace_back([&] {
        Verifier verifier(stage.store, load_crypt);
        for (int round = 0; round < kRounds; ++round) {
          require_text_equal(verdict(&verifier, kId, kSecret), "match");
          if (round % 4 == 0) {
            require_text_equal(verdict(&verifier, kId, kWrong), "mismatch");
            require_text_equal(verdict(&verifier, "no@pbs!one", kWrong),
                               "unknown");
          }
        }
      });
    }
    const Process writer([&] {
      for (int i = 0; !stage.progress->stop; ++i) {
        const std::string secret = kWrong + std::to_string(i % 100);
        const std::string stored = hash_of(secret);
        if (i % 2 == 0) {
          stage.replace({{kOtherId, stored}, {kId, kHash}});
        } else {
          require(stage.set(kOtherId, secret, stored));
        }
      }
    });
    for (const Process &verifier : verifiers) {
      assert_int_equal(verifier.wait(), 0);
    }
    stage.progress->stop = true;
    assert_int_equal(writer.wait(), 0);
  }
}

// I1, as a client can see it.  The secrets of one token are numbered; before
// each change the writer says which one it starts with, after it which one is
// now set.
constexpr int kChanges = 400;

std::string numbered(int number) {
  return kSecret + std::to_string(number);
}

// `may_fail`: this process cannot read token.shadow.
void read_while_it_changes(const Stage &stage, bool may_fail) {
  Verifier verifier(stage.store, load_crypt);
  const Progress &progress = *stage.progress;
  while (!progress.stop) {
    const int set = progress.published;
    const std::string current = verdict(&verifier, kId, numbered(set));
    if (progress.started == set) {
      require(current == "match" || (may_fail && current == "error"));
    }
    const int before = std::max(progress.published - 1, 0);
    if (before + 1 <= progress.published) {
      require(verdict(&verifier, kId, numbered(before)) != "match");
    }
  }
}

void set_is_effective_when_it_returns_in_every_process(void **state) {
  Stage &stage = stage_in(state);
  stage.store.cache_ttl = kLong;
  std::vector<std::string> hashes;
  for (int i = 0; i <= kChanges; ++i) {
    hashes.push_back(hash_of(numbered(i)));
  }
  stage.write({{kId, hashes[1]}});
  stage.progress->started = 1;
  stage.progress->published = 1;
  std::vector<Process> readers;
  for (int i = 0; i < 3; ++i) {
    const bool member = i == 2;
    readers.emplace_back([&] {
      if (member) {
        become(kNobody, kVerifyGroup);
      }
      read_while_it_changes(stage, member);
    });
  }
  bool all_set = true;
  for (int i = 2; i <= kChanges; ++i) {
    stage.progress->started = i;
    all_set = all_set &&
              stage.set(kId, numbered(i), hashes[static_cast<std::size_t>(i)]);
    stage.progress->published = i;
    std::this_thread::yield();
  }
  stage.progress->stop = true;
  for (const Process &reader : readers) {
    assert_int_equal(reader.wait(), 0);
  }
  assert_true(all_set);
}

// A herd with one secret and a warm segment: nobody hashes, whatever else goes
// on.
void verify_by_a_herd_after_a_change_costs_no_hash(void **state) {
  Stage &stage = stage_in(state);
  stage.store.cache_ttl = 0;
  constexpr int kTokens = 20;
  std::vector<testing::Token> tokens;
  for (int i = 0; i < kTokens; ++i) {
    tokens.push_back(
        {"u" + std::to_string(i) + "@pbs!t", hash_of(numbered(i))});
  }
  stage.write(tokens);
  Verifier verifier(stage.store, load_crypt);
  for (int i = 0; i < kTokens; ++i) {
    const auto at = static_cast<std::size_t>(i);
    assert_text_equal(verdict(&verifier, tokens[at].id, numbered(i)), "match");
  }
  const std::uint64_t hashes = counted(stage.store, Event::kHash);
  for (int change = 0; change < 20; ++change) {
    tokens[0].stored = hash_of(kWrong + std::to_string(change));
    stage.replace(tokens);
    std::vector<Process> herd;
    for (int member = 0; member < 4; ++member) {
      herd.emplace_back([&] {
        Verifier own(stage.store, load_crypt);
        for (int i = 1; i < kTokens; ++i) {
          const auto at = static_cast<std::size_t>(i);
          require_text_equal(verdict(&own, tokens[at].id, numbered(i)),
                             "match");
        }
      });
    }
    for (const Process &member : herd) {
      assert_int_equal(member.wait(), 0);
    }
  }
  assert_int_equal(counted(stage.store, Event::kHash) - hashes, 0);
}

}  // namespace
}  // namespace pbstoken

#define with_stage(test) \
  cmocka_unit_test_setup_teardown(test, make_stage, remove_stage)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_stage(verify_by_many_threads_is_right_in_each),
      with_stage(find_beside_a_flush_in_another_thread_is_safe),
      with_stage(verify_while_another_token_changes_is_never_wrong),
      with_stage(set_is_effective_when_it_returns_in_every_process),
      with_stage(verify_by_a_herd_after_a_change_costs_no_hash),
  };
  return cmocka_run_group_tests_name("cache, parallel", tests, nullptr,
                                     nullptr);
}
