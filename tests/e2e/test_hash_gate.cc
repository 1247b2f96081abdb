// SPDX-License-Identifier: BSD-3-Clause
// How many password hashes the host computes at once, and for whom.
#include "pbstoken/limits/hash_gate.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "e2e/cache_support.h"
#include "e2e/exhausted.h"
#include "pbstoken/limits/named_object.h"

namespace pbstoken {
namespace {

using testing::hash_of;
using testing::in_child;
using testing::make_scene;
using testing::Process;
using testing::remove_scene;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::verdict;
using testing::verdict_text;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
// Services of root, and helpers that run for two users.
const Client kRoot = {};
const Client kAlice = {.rhost = {}, .caller = 1001};
const Client kBob = {.rhost = {}, .caller = 1002};

// What the processes of a test tell each other.
struct Shared {
  std::atomic<int> under_way;
  std::atomic<int> most;
  std::atomic<int> all;
  std::atomic<bool> stay;  // a process that hashes does not come back
  std::atomic<bool> done;
};
Shared *shared = nullptr;

// Of a set.
constexpr unsigned short kFree = 0;
constexpr unsigned short kHeld = 1;

// A hash that takes its time, and counts who is in it.
char *slow_crypt(const char *phrase, const char *setting, void *data,
                 int size) {
  constexpr useconds_t kLong = 10'000;
  const int now = ++shared->under_way;
  ++shared->all;
  for (int most = shared->most; now > most;) {
    shared->most.compare_exchange_weak(most, now);
  }
  do {
    usleep(kLong);
  } while (shared->stay);
  --shared->under_way;
  return crypt_rn(phrase, setting, data, size);
}

CryptFunction load_slow() {
  return slow_crypt;
}

int setup(void **state) {
  shared = static_cast<Shared *>(mmap(nullptr, sizeof(Shared),
                                      PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED || make_scene(state) != 0) {
    return -1;
  }
  scene_in(state).write({{kId, kHash}});
  return 0;
}

int teardown(void **state) {
  const Store &store = scene_in(state).store;
  for (const GateShare share : {GateShare::kRoots, GateShare::kUsers}) {
    static_cast<void>(remove_named(gate_set(store, share)));
  }
  static_cast<void>(remove_named(turns_set(store)));
  static_cast<void>(unlink(limits_path(store).c_str()));
  munmap(shared, sizeof(Shared));
  return remove_scene(state);
}

std::string verdict_for(Verifier *verifier, const Client &client,
                        const std::string &secret) {
  return verdict_text(verifier->verify(*parse_token_id(kId), secret, client));
}

// The set of a share, whose first semaphores are `free` and `held`.
int set_of(const Store &store, GateShare share) {
  return find_named(gate_set(store, share));
}

// A process that is in the middle of a hash when this returns.
Process hashing_for_ever(const Store &store, const Client &client) {
  shared->stay = true;
  const int before = shared->under_way;
  Process process([&store, &client] {
    Verifier verifier(store, load_slow);
    verdict_for(&verifier, client, kWrong);
  });
  while (shared->under_way == before) {
    usleep(1000);
  }
  return process;
}

void wait_for(const std::vector<Process> &processes) {
  for (const Process &process : processes) {
    assert_int_equal(process.wait(), 0);
  }
}

void cold_herd_with_one_secret_hashes_once_a_place(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  // What is hashed before there is a segment in force cannot be inserted.
  Verifier first(scene.store, load_slow);
  require_text_equal(verdict(&first, "john@pbs!none", kSecret), "unknown");
  std::vector<Process> herd;
  for (int i = 0; i < 16; ++i) {
    herd.emplace_back([&scene] {
      Verifier verifier(scene.store, load_slow);
      require_text_equal(verdict(&verifier, kId, kSecret), "match");
    });
  }
  wait_for(herd);
  assert_in_range(shared->all, 1, 2);
}

void flood_of_wrong_secrets_is_never_more_than_the_places(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  constexpr int kProcesses = 16;
  constexpr int kEach = 13;
  std::vector<Process> flood;
  for (int i = 0; i < kProcesses; ++i) {
    flood.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      for (int j = 0; j < kEach; ++j) {
        require_text_equal(
            verdict(&verifier, kId, kWrong + std::to_string(i * kEach + j)),
            "mismatch");
      }
    });
  }
  wait_for(flood);
  assert_int_equal(shared->all, kProcesses * kEach);
  assert_int_equal(shared->most, 2);
}

void killed_holder_gives_its_place_back(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  for (int i = 0; i < 20; ++i) {
    const Process holder = hashing_for_ever(scene.store, kAlice);
    holder.kill();
    static_cast<void>(holder.wait());
    shared->stay = false;
    shared->under_way = 0;
    const auto pass = enter_hash_gate(scene.store, kBob);
    assert_true(static_cast<bool>(pass));
    assert_false(pass->waited);
  }
}

// Of a service whose threads share what semop(2) undoes at their end.
void thread_that_hashes_while_its_service_executes_gives_its_place_back(
    void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  shared->stay = true;
  const Process service([&scene] {
    std::thread([&scene] {
      Verifier verifier(scene.store, load_slow);
      verdict_for(&verifier, kAlice, kWrong);
    }).detach();
    while (!shared->done) {
      usleep(1000);
    }
    execl("/bin/sleep", "sleep", "60", nullptr);
    require(false);
  });
  const int set = *open_named(gate_set(scene.store, GateShare::kUsers));
  while (shared->under_way == 0) {
    usleep(1000);
  }
  assert_int_equal(semctl(set, kHeld, GETVAL), 1);
  shared->done = true;
  for (int i = 0; i < 1000 && semctl(set, kHeld, GETVAL) == 1; ++i) {
    usleep(1000);
  }
  const int held = semctl(set, kHeld, GETVAL);
  service.kill();
  static_cast<void>(service.wait());
  assert_int_equal(held, 0);
}

// Takes kGateSeconds, in which the verification waits.
void stopped_holder_delays_but_does_not_deny(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  const Process holder = hashing_for_ever(scene.store, kAlice);
  holder.signal(SIGSTOP);
  shared->stay = false;
  // Meanwhile root hashes all the time: that says nothing of users' places.
  std::atomic<bool> *done = &shared->done;
  const Process root([&scene, done] {
    while (!*done) {
      const auto pass = enter_hash_gate(scene.store, kRoot);
      require(static_cast<bool>(pass) && !pass->waited);
      usleep(200'000);
    }
  });
  Verifier verifier(scene.store, load_slow);
  const std::string said = verdict_for(&verifier, kBob, kSecret);
  *done = true;
  assert_int_equal(root.wait(), 0);
  assert_text_equal(said, "match");
  // Nor is any other held up by what is known by now.
  assert_text_equal(verdict_for(&verifier, kBob, kSecret), "match");
  // What the stopped one gives back is not its own any more.
  holder.signal(SIGCONT);
  assert_int_equal(holder.wait(), 0);
  const int set = set_of(scene.store, GateShare::kUsers);
  assert_int_equal(semctl(set, kFree, GETVAL), 1);
  assert_int_equal(semctl(set, kHeld, GETVAL), 0);
}

// Takes kGateSeconds.  All that wait go on when the first of them sets the
// places anew, and never more at once than there are places.
void many_that_wait_for_a_stopped_holder_are_all_served(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  const Process holder = hashing_for_ever(scene.store, kAlice);
  holder.signal(SIGSTOP);
  shared->stay = false;
  shared->most = 0;
  shared->under_way = 0;
  std::vector<Process> waiting;
  for (uid_t i = 0; i < 20; ++i) {
    waiting.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      const Client client = {.rhost = {}, .caller = 2000 + i};
      require_text_equal(
          verdict_for(&verifier, client, kWrong + std::to_string(i)),
          "mismatch");
    });
  }
  wait_for(waiting);
  assert_int_equal(shared->most, 1);
  holder.signal(SIGCONT);
  assert_int_equal(holder.wait(), 0);
}

// Takes kGateSeconds: others are served all the time, this one is not.
void waiting_while_others_are_served_is_busy(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  const Process holder = hashing_for_ever(scene.store, kAlice);
  const int set = set_of(scene.store, GateShare::kUsers);
  const Process others([set] {
    while (shared->stay) {
      // As if another had a place, for no time.
      sembuf steps[] = {{.sem_num = kHeld, .sem_op = 1, .sem_flg = 0},
                        {.sem_num = kHeld, .sem_op = -1, .sem_flg = 0}};
      require(semop(set, steps, 2) == 0);
      usleep(100'000);
    }
  });
  Verifier verifier(scene.store, load_slow);
  const auto refused = verifier.verify(*parse_token_id(kId), kSecret, kBob);
  shared->stay = false;
  assert_int_equal(others.wait(), 0);
  assert_int_equal(holder.wait(), 0);
  assert_false(static_cast<bool>(refused));
  assert_true(refused.error().code == Errc::kBusy);
  assert_text_equal(verdict_for(&verifier, kBob, kSecret), "match");
}

// Users who run helpers leave half of the places to root.
void helpers_for_users_get_half_of_the_places(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 4;
  std::vector<Process> flood;
  for (uid_t i = 0; i < 8; ++i) {
    flood.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      for (uid_t j = 0; j < 5; ++j) {
        verdict_for(&verifier, {.rhost = {}, .caller = 2000 + i},
                    kWrong + std::to_string(i * 5 + j));
      }
    });
  }
  wait_for(flood);
  assert_int_equal(shared->all, 40);
  assert_int_equal(shared->most, 2);
}

void user_with_many_helpers_keeps_no_other_from_its_turn(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  std::vector<Process> flood;
  for (int i = 0; i < 60; ++i) {
    flood.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      verdict_for(&verifier, kAlice, kWrong + std::to_string(i));
    });
  }
  while (shared->all < 3) {
    usleep(1000);
  }
  Verifier verifier(scene.store, load_slow);
  const int before = shared->all;
  assert_text_equal(verdict_for(&verifier, kBob, kSecret), "match");
  assert_in_range(shared->all - before, 1, 8);
  wait_for(flood);
}

// Takes kGateSeconds: what holds a turn may be stopped as well.
void stopped_holder_of_a_turn_delays_its_own_user_alone(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  bool waited = false;
  const auto turn = Turn::wait_for(scene.store, kAlice, 1, &waited);
  assert_false(waited);
  auto pass = enter_hash_gate(scene.store, kBob);
  assert_true(static_cast<bool>(pass));
  assert_false(pass->waited);
  pass->place = HashPlace();
  const auto alices = enter_hash_gate(scene.store, kAlice);
  assert_true(static_cast<bool>(alices));
  assert_true(alices->waited);
}

// Six processes of a user have the turn again and again, too many to come next
// within a second.
std::vector<Process> herd_on_a_turn(const Store &store, const Client &client) {
  std::vector<Process> herd;
  for (int i = 0; i < 6; ++i) {
    herd.emplace_back([&store, client] {
      alarm(20);  // a failed test does not come to kill it
      while (true) {
        bool waited = false;
        const auto turn = Turn::wait_for(store, client, kGateSeconds, &waited);
        usleep(300'000);
      }
    });
  }
  usleep(100'000);
  return herd;
}

// Behind its own user's a process is busy; another user's, whose number leads
// to the same turn, keep it from nothing.
void herd_on_a_turn_denies_its_own_user_alone(void **state) {
  Scene &scene = scene_in(state);
  const Client herds = {.rhost = {}, .caller = *kAlice.caller + kTurns};
  const auto herd = herd_on_a_turn(scene.store, herds);
  bool waited = false;
  assert_true(
      static_cast<bool>(Turn::wait_for(scene.store, kAlice, 1, &waited)));
  assert_true(waited);
  assert_true(Turn::wait_for(scene.store, herds, 1, &waited).error().code ==
              Errc::kBusy);
  for (const Process &process : herd) {
    process.kill();
    static_cast<void>(process.wait());
  }
}

void assert_passes_the_gate(void **state, const std::string &id,
                            const std::string &secret,
                            const std::string &answer) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Process holder = hashing_for_ever(scene.store, kAlice);
  holder.signal(SIGSTOP);
  // Waits for the stopped one; a secret that has a slot does not.
  const Process waiting([&] {
    Verifier mine(scene.store, load_slow);
    require_text_equal(verdict(&mine, kId, kSecret), "match");
    require_text_equal(
        verdict_text(mine.verify(*parse_token_id(id), secret, kBob)), answer);
    ++shared->all;
  });
  const int all = shared->all;
  usleep(500'000);
  assert_int_equal(shared->all, all);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  holder.signal(SIGCONT);
  shared->stay = false;
  assert_int_equal(waiting.wait(), 0);
  assert_int_equal(holder.wait(), 0);
}

// Ids that anybody can make up cost a look at the file, one at a time.
void unknown_ids_pass_the_gate(void **state) {
  assert_passes_the_gate(state, "nobody@pbs!x", kSecret, "unknown");
}

// No failure window would count them.
void unacceptable_secrets_pass_the_gate(void **state) {
  assert_passes_the_gate(state, kId, "", "unacceptable");
}

// The one who reads for all does not wait: everybody else depends on it.
void renewing_does_not_pass_the_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Process holder = hashing_for_ever(scene.store, kAlice);
  scene.replace({{kId, kHash}, {"john@pbs!client2", kHash}});
  scene.store.cache_ttl = 0;
  const int all = shared->all;
  const Process renewing([&scene] {
    Verifier other(scene.store, load_slow);
    require_text_equal(verdict_text(other.verify(
                           *parse_token_id("nobody@pbs!x"), kSecret, kBob)),
                       "unknown");
    ++shared->all;
  });
  const int set = set_of(scene.store, GateShare::kUsers);
  bool waited = false;
  while (shared->all == all && !waited) {
    waited = semctl(set, kFree, GETNCNT) > 0;
  }
  assert_false(waited);
  shared->stay = false;
  assert_int_equal(renewing.wait(), 0);
  assert_int_equal(holder.wait(), 0);
}

void known_secret_needs_no_place(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Process holder = hashing_for_ever(scene.store, kAlice);
  for (int i = 0; i < 100; ++i) {
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  }
  assert_int_equal(shared->under_way, 1);
  shared->stay = false;
  assert_int_equal(holder.wait(), 0);
}

// --- the semaphores themselves

void squat(key_t key, int size) {
  in_child([key, size] {
    testing::become(testing::kNobody, testing::kOtherGroup);
    const int set = semget(key, size, IPC_CREAT | IPC_EXCL | 0666);
    sembuf taken = {.sem_num = 0, .sem_op = 1, .sem_flg = 0};
    require(set >= 0 && semop(set, &taken, 1) == 0);
  });
}

std::size_t sets_in_kernel() {
  std::size_t count = 0;
  static_cast<void>(walk_table<SemaphoreEntry>([&](const SemaphoreEntry &) {
    ++count;
    return true;
  }));
  return count;
}

uid_t maker_under(key_t key) {
  semid_ds status{};
  const int set = semget(key, 0, 0);
  if (set < 0 || semctl(set, 0, IPC_STAT, &status) != 0) {
    fail_msg("no set under the key");
  }
  return status.sem_perm.cuid;
}

void gate_that_others_made_is_replaced(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  const std::size_t before = sets_in_kernel();
  for (const int size : {1, 7}) {
    const NamedSet form = gate_set(scene.store, GateShare::kUsers);
    static_cast<void>(remove_named(form));
    squat(form.key, size);
    for (int i = 0; i < 2; ++i) {
      const auto pass = enter_hash_gate(scene.store, kAlice);
      assert_true(static_cast<bool>(pass));
      assert_false(pass->waited);
      assert_false(pass->no_gate.has_value());
    }
    assert_int_equal(maker_under(form.key), 0);
    // The gate and the turns.
    assert_int_equal(sets_in_kernel(), before + 2);
  }
}

void gate_without_its_key_is_found_by_all(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  const NamedSet form = gate_set(scene.store, GateShare::kUsers);
  squat(form.key, 7);
  const std::size_t before = sets_in_kernel();
  std::vector<Process> flood;
  for (uid_t i = 0; i < 8; ++i) {
    flood.emplace_back([&scene, i] {
      testing::give_up_sys_admin();
      Verifier verifier(scene.store, load_slow);
      const Client client = {.rhost = {}, .caller = 2000 + i};
      require_text_equal(
          verdict_for(&verifier, client, kWrong + std::to_string(i)),
          "mismatch");
      require(!verifier.lost_limit());
    });
  }
  wait_for(flood);
  assert_int_equal(shared->all, 8);
  // Two that make it at once may both have begun.
  assert_in_range(shared->most, 1, 2);
  assert_int_equal(sets_in_kernel(), before + 2);
  assert_int_equal(maker_under(form.key), testing::kNobody);
  // A process that may remove the other's does; then the keyless one goes.
  const auto pass = enter_hash_gate(scene.store, kAlice);
  assert_true(static_cast<bool>(pass));
  assert_int_equal(maker_under(form.key), 0);
  assert_int_equal(sets_in_kernel(), before + 1);
}

// Of no places if there is none.
GateState gate_of_users(const Scene &scene) {
  return look_at_gate(scene.store, GateShare::kUsers)
      .value_or(GateState{.held = 0, .places = 0});
}

// It takes the key again whenever it is free for a moment.
void squatter_that_comes_again_takes_no_limit_away(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 2;
  const NamedSet form = gate_set(scene.store, GateShare::kUsers);
  for (int i = 0; i < 20; ++i) {
    static_cast<void>(remove_named(form));
    shared->done = false;
    shared->under_way = 0;
    const Process squatter([&form] {
      testing::become(testing::kNobody, testing::kOtherGroup);
      for (int tries = 0; tries < 10'000'000 && !shared->done; ++tries) {
        static_cast<void>(semget(form.key, 7, IPC_CREAT | IPC_EXCL | 0666));
      }
    });
    std::vector<Process> others;
    for (uid_t j = 0; j < 4; ++j) {
      others.emplace_back([&scene, j] {
        const auto pass =
            enter_hash_gate(scene.store, {.rhost = {}, .caller = 2000 + j});
        require(pass && !pass->no_gate);
      });
    }
    wait_for(others);
    shared->done = true;
    assert_int_equal(squatter.wait(), 0);
    assert_int_equal(gate_of_users(scene).places, 1);
  }
}

void makers_at_once_and_one_that_died_make_one_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 6;
  const NamedSet form = gate_set(scene.store, GateShare::kUsers);
  const std::size_t before = sets_in_kernel();
  for (const bool is_begun : {false, true}) {
    static_cast<void>(remove_named(form));
    // A maker that came no further.
    assert_true(!is_begun || semget(form.key, 7, IPC_CREAT | 0600) >= 0);
    std::vector<Process> makers;
    for (int i = 0; i < 20; ++i) {
      makers.emplace_back(
          [&form] { require(static_cast<bool>(open_named(form))); });
    }
    wait_for(makers);
    assert_int_equal(gate_of_users(scene).places, 3);
    assert_int_equal(sets_in_kernel(), before + 1);
  }
}

void changed_max_hashes_takes_effect(void **state) {
  Scene &scene = scene_in(state);
  for (const auto &[all, users] : {std::pair{4U, 2U}, {16U, 8U}, {6U, 3U}}) {
    scene.store.max_hashes = all;
    const auto pass = enter_hash_gate(scene.store, kAlice);
    assert_true(static_cast<bool>(pass));
    assert_int_equal(gate_of_users(scene).places, users);
    assert_int_equal(gate_of_users(scene).held, 1);
  }
  // Places that are held now go when they are given back.
  {
    const auto first = enter_hash_gate(scene.store, kAlice);
    const auto second = enter_hash_gate(scene.store, kBob);
    scene.store.max_hashes = 2;
    assert_true(static_cast<bool>(first) && static_cast<bool>(second));
  }
  const auto pass = enter_hash_gate(scene.store, kAlice);
  assert_int_equal(gate_of_users(scene).places, 1);
}

// --- no semaphores left

// Where no file can stand in for them.
class NoLimitsFile {
 public:
  explicit NoLimitsFile(const Store &store) : path_(limits_path(store).view()) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  NoLimitsFile(const NoLimitsFile &) = delete;
  NoLimitsFile &operator=(const NoLimitsFile &) = delete;
  ~NoLimitsFile() { std::filesystem::remove_all(path_); }

 private:
  std::string path_;
};

void processes_hash_one_at_a_time_without_semaphores(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 4;
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  std::vector<Process> flood;
  for (int i = 0; i < 6; ++i) {
    flood.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      require_text_equal(verdict(&verifier, kId, kWrong + std::to_string(i)),
                         "mismatch");
      require(verifier.lost_limit().has_value());
    });
  }
  wait_for(flood);
  assert_int_equal(shared->all, 6);
  assert_int_equal(shared->most, 1);
  // Root may still not have any user's process hold up the others.
  const auto alices = enter_hash_gate(scene.store, kAlice);
  assert_true(alices && alices->only);
}

void herd_with_one_secret_hashes_once_without_semaphores(void **state) {
  Scene &scene = scene_in(state);
  Verifier first(scene.store, load_slow);
  require_text_equal(verdict(&first, "john@pbs!none", kSecret), "unknown");
  static_cast<void>(remove_named(gate_set(scene.store, GateShare::kRoots)));
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  std::vector<Process> herd;
  for (int i = 0; i < 4; ++i) {
    herd.emplace_back([&scene] {
      Verifier verifier(scene.store, load_slow);
      require_text_equal(verdict(&verifier, kId, kSecret), "match");
    });
  }
  wait_for(herd);
  assert_int_equal(shared->all, 1);
}

// Each takes kGateSeconds: a process of root may be in a user's cgroup.
void stopped_holder_of_the_file_delays_but_does_not_deny(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  const Process holder = hashing_for_ever(scene.store, kRoot);
  holder.signal(SIGSTOP);
  std::vector<Process> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.emplace_back([&scene] {
      const auto pass = enter_hash_gate(scene.store, kRoot);
      require(pass && pass->only && pass->waited);
    });
  }
  wait_for(waiting);
  holder.signal(SIGKILL);
  static_cast<void>(holder.wait());
  in_child([&scene] {
    const auto pass = enter_hash_gate(scene.store, kRoot);
    require(pass && !pass->only && !pass->waited);
  });
}

void wait_for_the_file_in_vain_while_others_have_it_is_busy(void **state) {
  Scene &scene = scene_in(state);
  using enum LimitsFile::Waited;
  LimitsFile holder = LimitsFile::open(scene.store);
  bool waited = false;
  assert_true(holder.lock_until(deadline_in(1), &waited) == kHasLock);
  assert_false(waited);
  LimitsFile other = LimitsFile::open(scene.store);
  assert_true(other.lock_until(deadline_in(1), &waited) == kNoLock);
  assert_true(waited);
  // A next holder that comes between two looks.
  std::thread next([&holder] {
    usleep(300'000);
    bool own_wait = false;
    require(holder.lock_until(deadline_in(1), &own_wait) == kHasLock);
  });
  assert_true(other.lock_until(deadline_in(1), &waited) == kOthersHad);
  next.join();
}

void child_that_was_forked_does_not_keep_the_file(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  auto pass = enter_hash_gate(scene.store, kRoot);
  assert_true(pass && !pass->only);
  shared->done = false;
  const Process child([] {
    for (int i = 0; i < 10'000 && !shared->done; ++i) {
      usleep(1000);
    }
  });
  pass->file = LimitsFile();
  const auto next = enter_hash_gate(scene.store, kRoot);
  assert_true(next && !next->only && !next->waited);
  shared->done = true;
  assert_int_equal(child.wait(), 0);
}

void file_that_others_may_have_opened_is_not_used(void **state) {
  Scene &scene = scene_in(state);
  const std::string path(limits_path(scene.store).view());
  for (const bool is_strangers : {false, true}) {
    std::filesystem::remove(path);
    std::ofstream{path};
    assert_int_equal(chmod(path.c_str(), is_strangers ? 0600 : 0640), 0);
    assert_int_equal(chown(path.c_str(), is_strangers ? testing::kNobody : 0,
                           testing::kOtherGroup),
                     0);
    LimitsFile file = LimitsFile::open(scene.store);
    bool waited = false;
    assert_null(file.windows());
    assert_true(file.lock_until(deadline_in(1), &waited) ==
                LimitsFile::Waited::kNoLock);
    assert_int_equal(std::filesystem::file_size(path), 0);
  }
  // Nor one that has another name.
  std::filesystem::remove(path);
  std::ofstream{path};
  assert_int_equal(chmod(path.c_str(), 0600), 0);
  std::filesystem::create_hard_link(path, path + ".link");
  assert_null(LimitsFile::open(scene.store).windows());
  std::filesystem::remove(path + ".link");
  assert_non_null(LimitsFile::open(scene.store).windows());
}

// As of a service with ProtectSystem=strict: the lock takes no right to write.
void file_that_can_only_be_read_is_a_lock(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  {
    const auto made = enter_hash_gate(scene.store, kRoot);
  }
  in_child([&scene] {
    require(unshare(CLONE_NEWNS) == 0);
    require(mount("/run", "/run", nullptr, MS_BIND, nullptr) == 0 &&
            mount(nullptr, "/run", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                  nullptr) == 0);
    const auto pass = enter_hash_gate(scene.store, kRoot);
    require(pass && !pass->only && pass->file.windows() == nullptr);
    LimitsFile other = LimitsFile::open(scene.store);
    bool waited = false;
    require(other.lock_until(deadline_in(0), &waited) ==
            LimitsFile::Waited::kNoLock);
    require(waited);
  });
}

// A file that grows beyond it would end the service by SIGXFSZ.
void service_that_may_write_no_file_lives_on(void **state) {
  Scene &scene = scene_in(state);
  in_child([&scene] {
    const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    require(setrlimit(RLIMIT_FSIZE, &none) == 0);
    LimitsFile file = LimitsFile::open(scene.store);
    bool waited = false;
    require(file.windows() == nullptr);
    require(file.lock_until(deadline_in(1), &waited) ==
            LimitsFile::Waited::kHasLock);
  });
}

void threads_hash_one_at_a_time_without_semaphores(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 4;
  const NoLimitsFile no_file(scene.store);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  const Process service([&scene] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&scene, i] {
        Verifier verifier(scene.store, load_slow);
        require_text_equal(verdict(&verifier, kId, kWrong + std::to_string(i)),
                           "mismatch");
        require(verifier.lost_limit() &&
                verifier.lost_limit()->saved_errno == ENOSPC);
      });
    }
    for (std::thread &thread : threads) {
      thread.join();
    }
  });
  assert_int_equal(service.wait(), 0);
  assert_int_equal(shared->all, 4);
  assert_int_equal(shared->most, 1);
}

void fork_while_a_thread_hashes_holds_nothing(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 4;
  const NoLimitsFile no_file(scene.store);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  const Process service([&scene] {
    const auto pass = enter_hash_gate(scene.store, kRoot);
    require(pass && pass->only);
    in_child([&scene] {
      const auto own = enter_hash_gate(scene.store, kRoot);
      require(own && own->only && !own->waited);
    });
  });
  assert_int_equal(service.wait(), 0);
}

// Each request of the remote host would have a process of its own.
void helper_for_a_remote_host_is_busy_without_semaphores(void **state) {
  Scene &scene = scene_in(state);
  const testing::NoMoreObjects exhausted(testing::kSemaphoreLimit);
  Client client = kAlice;
  client.one_shot = true;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict_for(&verifier, client, kSecret), "match");
  client.rhost = "192.0.2.1";
  const auto busy = verifier.verify(*parse_token_id(kId), kWrong, client);
  assert_false(static_cast<bool>(busy));
  assert_true(busy.error().code == Errc::kBusy);
}

void no_limit_makes_no_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 0;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_true(set_of(scene.store, GateShare::kRoots) < 0);
}

}  // namespace
}  // namespace pbstoken

#define with_gate(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_gate(cold_herd_with_one_secret_hashes_once_a_place),
      with_gate(flood_of_wrong_secrets_is_never_more_than_the_places),
      with_gate(killed_holder_gives_its_place_back),
      with_gate(
          thread_that_hashes_while_its_service_executes_gives_its_place_back),
      with_gate(stopped_holder_delays_but_does_not_deny),
      with_gate(many_that_wait_for_a_stopped_holder_are_all_served),
      with_gate(waiting_while_others_are_served_is_busy),
      with_gate(helpers_for_users_get_half_of_the_places),
      with_gate(user_with_many_helpers_keeps_no_other_from_its_turn),
      with_gate(stopped_holder_of_a_turn_delays_its_own_user_alone),
      with_gate(herd_on_a_turn_denies_its_own_user_alone),
      with_gate(unknown_ids_pass_the_gate),
      with_gate(unacceptable_secrets_pass_the_gate),
      with_gate(renewing_does_not_pass_the_gate),
      with_gate(known_secret_needs_no_place),
      with_gate(gate_that_others_made_is_replaced),
      with_gate(gate_without_its_key_is_found_by_all),
      with_gate(squatter_that_comes_again_takes_no_limit_away),
      with_gate(makers_at_once_and_one_that_died_make_one_gate),
      with_gate(changed_max_hashes_takes_effect),
      with_gate(processes_hash_one_at_a_time_without_semaphores),
      with_gate(herd_with_one_secret_hashes_once_without_semaphores),
      with_gate(stopped_holder_of_the_file_delays_but_does_not_deny),
      with_gate(wait_for_the_file_in_vain_while_others_have_it_is_busy),
      with_gate(child_that_was_forked_does_not_keep_the_file),
      with_gate(file_that_others_may_have_opened_is_not_used),
      with_gate(file_that_can_only_be_read_is_a_lock),
      with_gate(service_that_may_write_no_file_lives_on),
      with_gate(threads_hash_one_at_a_time_without_semaphores),
      with_gate(fork_while_a_thread_hashes_holds_nothing),
      with_gate(helper_for_a_remote_host_is_busy_without_semaphores),
      with_gate(no_limit_makes_no_gate),
  };
  return cmocka_run_group_tests_name("hash_gate", tests, nullptr, nullptr);
}
