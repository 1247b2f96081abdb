// SPDX-License-Identifier: BSD-3-Clause
// Processes that are killed or stopped at random moments while they insert,
// re-read or write: whoever comes next is answered right, hashes once at most,
// waits for nobody, and puts the cache in order by itself (I2, I6).
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include <functional>
#include "e2e/stress_support.h"

#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/generation.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::below;
using testing::hash_of;
using testing::hashes_computed;
using testing::load_crypt;
using testing::Process;
using testing::Random;
using testing::require;
using testing::Rounds;
using testing::Scene;
using testing::scene_in;
using testing::Shared;
using testing::Token;
using testing::verdict;

constexpr int kMoments = 1000;
constexpr int kAccountMoments = 200;
// From the moment at which a victim is at it: some of its rounds.
constexpr std::uint64_t kLongestLife = 1'000'000;  // ns

constexpr std::uint64_t kLong = 3600;  // seconds

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
constexpr std::size_t kSecrets = 3;  // of that token, in turn
constexpr std::size_t kOthers = 40;  // tokens

std::string numbered(std::size_t number) {
  return kSecret + std::to_string(number);
}

// The same for all tests: hashes take their time.
const std::string &stored(std::size_t number) {
  static std::array<std::string, kSecrets> hashes;
  std::string &hash = hashes[number];
  if (hash.empty()) {
    hash = hash_of(numbered(number));
  }
  return hash;
}

std::string other_id(std::size_t number) {
  return "user" + std::to_string(number) + "@pbs!t";
}

std::vector<Token> tokens_with(std::size_t number) {
  std::vector<Token> tokens = {{kId, stored(number)}};
  for (std::size_t i = 0; i < kOthers; ++i) {
    tokens.push_back({other_id(i), stored(0)});
  }
  return tokens;
}

// --- the victims

struct Board {
  std::atomic<bool> at_it;
  std::atomic<int> acknowledged;  // changes that the victim has finished
};

enum class Victim : std::uint8_t { kInserting, kRereading, kWriting };

// Facts of which nobody knows, one after the other: some by hashing, and more
// without, since a hash takes longer than the rest.
void insert_for_ever(const Scene &scene, std::size_t number, Board *board) {
  Store store = scene.store;
  store.cache_ttl = kLong;
  Verifier verifier(store, load_crypt);
  board->at_it = true;
  for (std::size_t i = 0;; ++i) {
    verdict(&verifier, kId, numbered(number));
    const auto snapshot = verifier.cache().read();
    require(static_cast<bool>(snapshot));
    for (std::size_t j = 0; j < kOthers; ++j) {
      verifier.cache().remember(Fact::kMatch, kId, numbered(number),
                                stored(number), *snapshot);
      verifier.cache().remember(Fact::kMismatch, other_id(j),
                                "wrong-" + numbered(i), stored(0), *snapshot);
    }
    verdict(&verifier, other_id(i % kOthers), numbered(0));
  }
}

// The file has just been changed, so it is read every time (the racy rule).
void reread_for_ever(const Scene &scene, std::size_t number, Board *board) {
  Verifier verifier(scene.store, load_crypt);
  board->at_it = true;
  while (true) {
    verdict(&verifier, kId, numbered(number));
  }
}

void write_for_ever(const Scene &scene, std::size_t number, Board *board) {
  board->at_it = true;
  while (true) {
    number = (number + 1) % kSecrets;
    require(scene.set(kId, numbered(number), stored(number)));
    ++board->acknowledged;
  }
}

Process start(Victim victim, const Scene &scene, std::size_t number,
              Board *board) {
  board->at_it = false;
  board->acknowledged = 0;
  return Process([=, &scene] {
    testing::limit_life();
    switch (victim) {
      case Victim::kInserting:
        return insert_for_ever(scene, number, board);
      case Victim::kRereading:
        return reread_for_ever(scene, number, board);
      case Victim::kWriting:
        return write_for_ever(scene, number, board);
    }
  });
}

void wait_until_at_it(const Board &board) {
  while (!board.at_it) {
    usleep(20);
  }
}

// --- who comes next

// Which secret token.shadow holds.
std::size_t number_in_file(const Scene &scene) {
  const auto shadow = TokenShadow::read(scene.store.token_shadow);
  assert_true(static_cast<bool>(shadow));
  const auto found = shadow->find(kId);
  assert_true(found.has_value());
  std::size_t number = 0;
  while (number < kSecrets && stored(number) != *found) {
    ++number;
  }
  assert_true(number < kSecrets);
  assert_int_equal(shadow->entries().size(), 1 + kOthers);
  return number;
}

// Whatever has happened: right, at once, and for one hash each at most.
void assert_answers(Verifier *verifier, std::size_t number) {
  testing::waits = 0;
  const int hashes = hashes_computed;
  assert_text_equal(verdict(verifier, kId, numbered(number)), "match");
  assert_true(hashes_computed - hashes <= 1);
  for (std::size_t other = 0; other < kSecrets; ++other) {
    if (other != number) {
      const int before = hashes_computed;
      assert_text_equal(verdict(verifier, kId, numbered(other)), "mismatch");
      assert_true(hashes_computed - before <= 1);
    }
  }
  assert_int_equal(testing::waits, 0);
}

// A re-reader that is dead or stopped is given its time, 10 s at most.
void await_that(const std::function<bool()> &is_so) {
  const std::uint64_t end = boottime_now() + 12 * kNanosecondsPerSecond;
  while (!is_so()) {
    assert_true(boottime_now() < end);
    usleep(5000);
  }
}

// And without anybody's help the cache is in force again.
void assert_cached(const Scene &scene, std::size_t number) {
  Store store = scene.store;
  store.cache_ttl = kLong;
  Verifier verifier(store, load_crypt);
  const std::string wrong = numbered((number + 1) % kSecrets);
  await_that([&] {
    return answer(&verifier, kId, numbered(number)) == "match (segment)";
  });
  // Many others may have had its place.
  assert_text_equal(verdict(&verifier, kId, wrong), "mismatch");
  assert_text_equal(answer(&verifier, kId, wrong), "mismatch (segment)");
}

bool is_lock_free(const Scene &scene, Kind kind = Kind::kSecrets) {
  return static_cast<bool>(
      FileLock::acquire(scene.store, lock_path_of(kind, scene.store), 0));
}

// The most moments of a test that has met no victim where it is to be met: by
// chance one may be a long time coming.
constexpr int kMostMoments = 10000;

bool goes_on(Rounds *rounds, bool has_met) {
  return rounds->next() || (!has_met && rounds->number() < kMostMoments);
}

// What the victims were at, over all moments of a test: without that it would
// show little.
struct Tally {
  int odd = 0;     // with the generation claimed
  int locked = 0;  // and stopped: with the store's lock

  void add(const Scene &scene, Kind kind = Kind::kSecrets) {
    const auto opened = testing::open_segment(scene.store, kind);
    odd += opened && !is_in_force(opened->segment.generation()) ? 1 : 0;
  }
  void print(const char *what, int moments) const {
    print_message("%s: %d moments, %d in a claim, %d in the lock\n", what,
                  moments, odd, locked);
  }
};

// The first file.  Beside a writer nobody looks at it afterwards: what the
// writer does to the segment must do, whatever moment it dies at.
void prepare(Scene *scene, Victim victim) {
  if (victim == Victim::kWriting) {
    scene->store.cache_ttl = kLong;
  }
  scene->write(tokens_with(0));
}

// The next secret: as writers do it, or by hand, which the cache has not heard
// of.
void change(const Scene &scene, Victim victim, std::size_t number) {
  if (victim == Victim::kWriting) {
    assert_true(scene.set(kId, numbered(number), stored(number)));
    return;
  }
  scene.replace(tokens_with(number));
  if (victim == Victim::kInserting) {
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, "nobody@pbs!x", kSecret), "unknown");
  }
}

void kill_at_random_moments(Scene *state, Victim victim, const char *what) {
  prepare(state, victim);
  const Scene &scene = *state;
  Random random(testing::seed());
  const Shared<Board> board;
  Verifier verifier(scene.store, load_crypt);
  Tally tally;
  std::size_t number = 0;
  Rounds rounds(kMoments);
  while (goes_on(&rounds, tally.odd > 0 || victim == Victim::kInserting)) {
    if (victim != Victim::kWriting || rounds.number() == 0) {
      number = (number + 1) % kSecrets;
      change(scene, victim, number);
    }
    const Process process = start(victim, scene, number, &*board);
    wait_until_at_it(*board);
    testing::spin(below(kLongestLife, &random));
    process.kill();
    const int status = process.wait();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    tally.add(scene);
    const std::size_t found = number_in_file(scene);
    // What was acknowledged is there; one change more may be.
    const auto done = static_cast<std::size_t>(board->acknowledged);
    assert_true(found == (number + done) % kSecrets ||
                (victim == Victim::kWriting &&
                 found == (number + done + 1) % kSecrets));
    number = found;
    assert_answers(&verifier, number);
    assert_cached(scene, number);
  }
  tally.print(what, rounds.number());
  assert_true(victim == Victim::kInserting || tally.odd > 0);
}

void kill_of_an_inserting_process_at_1000_moments_costs_a_hash(void **state) {
  kill_at_random_moments(&scene_in(state), Victim::kInserting,
                         "killed while inserting");
}

void kill_of_a_rereading_process_at_1000_moments_costs_a_hash(void **state) {
  kill_at_random_moments(&scene_in(state), Victim::kRereading,
                         "killed while re-reading");
}

void kill_of_a_writing_process_at_1000_moments_costs_a_hash(void **state) {
  kill_at_random_moments(&scene_in(state), Victim::kWriting,
                         "killed while writing");
}

// --- stopped

// One who is stopped, holds nothing that a writer needs, and goes on after the
// file has changed: nothing of what it does by then is in force.
void change_behind_its_back(const Scene &scene, Verifier *verifier,
                            const Process &process, std::size_t number,
                            std::uint64_t time) {
  assert_true(scene.set(kId, numbered(number), stored(number)));
  assert_answers(verifier, number);
  assert_cached(scene, number);
  process.signal(SIGCONT);
  testing::spin(time);
}

void stop_at_random_moments(Scene *state, Victim victim, const char *what) {
  prepare(state, victim);
  const Scene &scene = *state;
  Random random(testing::seed());
  const Shared<Board> board;
  Verifier verifier(scene.store, load_crypt);
  Tally tally;
  std::size_t number = 0;
  Rounds rounds(kMoments);
  while (goes_on(&rounds, tally.odd > 0 || victim == Victim::kInserting)) {
    number = (number + 1) % kSecrets;
    change(scene, victim, number);
    const Process process = start(victim, scene, number, &*board);
    wait_until_at_it(*board);
    testing::spin(below(kLongestLife, &random));
    process.stop();
    tally.add(scene);
    number = number_in_file(scene);
    assert_answers(&verifier, number);
    if (is_lock_free(scene)) {
      assert_cached(scene, number);
      number = (number + 1) % kSecrets;
      change_behind_its_back(scene, &verifier, process, number,
                             below(kLongestLife / 4, &random));
      if (victim != Victim::kWriting) {  // which changes the file itself
        assert_answers(&verifier, number);
      }
    } else {
      ++tally.locked;
      assert_answers(&verifier, number);
    }
    process.kill();
    static_cast<void>(process.wait());
    number = number_in_file(scene);
    assert_answers(&verifier, number);
    assert_cached(scene, number);
  }
  tally.print(what, rounds.number());
  assert_true(victim == Victim::kInserting || tally.odd > 0);
  assert_true(victim != Victim::kWriting || tally.locked > 0);
}

void stop_of_an_inserting_process_at_1000_moments_holds_up_nobody(
    void **state) {
  stop_at_random_moments(&scene_in(state), Victim::kInserting,
                         "stopped while inserting");
}

void stop_of_a_rereading_process_at_1000_moments_holds_up_nobody(void **state) {
  stop_at_random_moments(&scene_in(state), Victim::kRereading,
                         "stopped while re-reading");
}

void stop_of_a_writing_process_at_1000_moments_holds_up_nobody(void **state) {
  stop_at_random_moments(&scene_in(state), Victim::kWriting,
                         "stopped while writing");
}

// --- accounts

void replace_users(const Scene &scene, bool enabled) {
  const std::string path(scene.store.user_cfg.view());
  std::string text = "user: john@pbs\n\ntoken: " + kId + "\n" +
                     (enabled ? "" : "\tenable 0\n") + "\n";
  for (std::size_t i = 0; i < kOthers; ++i) {
    text += "token: john@pbs!t" + std::to_string(i) + "\n\n";
  }
  std::ofstream(path + ".new", std::ios::binary) << text;
  std::filesystem::rename(path + ".new", path);
}

AccountStatus judge(Verifier *verifier) {
  const auto verdict = verifier->judge(*parse_token_id(kId));
  return verdict ? verdict->status : AccountStatus::kNoUser;
}

void assert_judged(const Scene &scene, Verifier *verifier, bool enabled) {
  const AccountStatus right =
      enabled ? AccountStatus::kAllowed : AccountStatus::kDisabledToken;
  testing::waits = 0;
  assert_true(judge(verifier) == right);
  assert_int_equal(testing::waits, 0);
  // A process that was stopped while it made the segment has the lock.
  if (is_lock_free(scene, Kind::kAccounts)) {
    Store store = scene.store;
    store.cache_ttl = kLong;
    Cache cache(store, Kind::kAccounts);
    await_that([&] {
      const auto known = cache.look_up_account(kId);
      assert_true(!known || known->status == right);
      assert_true(judge(verifier) == right);
      return known.has_value();
    });
  }
}

void judge_for_ever(const Scene &scene, Board *board) {
  testing::limit_life();
  Verifier verifier(scene.store, load_crypt);
  board->at_it = true;
  while (true) {
    judge(&verifier);
  }
}

void judge_at_random_moments(Scene *scene, bool kill, const char *what) {
  scene->store.user_cfg = PathText(scene->directory() + "/user.cfg");
  scene->write(tokens_with(0));
  Random random(testing::seed());
  const Shared<Board> board;
  replace_users(*scene, true);
  Verifier verifier(scene->store, load_crypt);
  Tally tally;
  Rounds rounds(kAccountMoments);
  while (goes_on(&rounds, tally.odd > 0)) {
    const bool enabled = rounds.number() % 2 == 0;
    replace_users(*scene, enabled);
    board->at_it = false;
    const Process process([&] { judge_for_ever(*scene, &*board); });
    wait_until_at_it(*board);
    testing::spin(below(kLongestLife, &random));
    if (kill) {
      process.kill();
      static_cast<void>(process.wait());
    } else {
      process.stop();
    }
    tally.add(*scene, Kind::kAccounts);
    assert_judged(*scene, &verifier, enabled);
    if (!kill) {
      replace_users(*scene, !enabled);
      assert_judged(*scene, &verifier, !enabled);
      process.signal(SIGCONT);
      testing::spin(below(kLongestLife / 4, &random));
      process.kill();
      static_cast<void>(process.wait());
      assert_judged(*scene, &verifier, !enabled);
    }
  }
  tally.print(what, rounds.number());
  assert_true(tally.odd > 0);
}

void kill_of_a_judging_process_at_200_moments_is_made_up_for(void **state) {
  judge_at_random_moments(&scene_in(state), true, "killed while judging");
}

void stop_of_a_judging_process_at_200_moments_holds_up_nobody(void **state) {
  judge_at_random_moments(&scene_in(state), false, "stopped while judging");
}

// Everybody looks every time, so that a change by hand counts at once.
int setup(void **state) {
  if (testing::make_stress_scene(state) != 0) {
    return -1;
  }
  scene_in(state).store.cache_ttl = 0;
  return 0;
}

}  // namespace
}  // namespace pbstoken

#define with_victims(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_stress_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_victims(kill_of_an_inserting_process_at_1000_moments_costs_a_hash),
      with_victims(kill_of_a_rereading_process_at_1000_moments_costs_a_hash),
      with_victims(kill_of_a_writing_process_at_1000_moments_costs_a_hash),
      with_victims(
          stop_of_an_inserting_process_at_1000_moments_holds_up_nobody),
      with_victims(stop_of_a_rereading_process_at_1000_moments_holds_up_nobody),
      with_victims(stop_of_a_writing_process_at_1000_moments_holds_up_nobody),
      with_victims(kill_of_a_judging_process_at_200_moments_is_made_up_for),
      with_victims(stop_of_a_judging_process_at_200_moments_holds_up_nobody),
  };
  return cmocka_run_group_tests_name("stress, signals", tests,
                                     testing::print_seed, nullptr);
}
