// SPDX-License-Identifier: BSD-3-Clause
// How many password hashes the host computes at once, and for whom.
#include "pbstoken/limits/hash_gate.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include <vector>

#include "e2e/cache_support.h"

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

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);

// What the processes of a test tell each other.
struct Shared {
  std::atomic<int> under_way;
  std::atomic<int> most;
  std::atomic<int> all;
  std::atomic<bool> stay;  // who hashes does not come back
};
Shared *shared = nullptr;

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
  const int set = semget(hash_gate_key(scene_in(state).store), 0, 0);
  if (set >= 0) {
    semctl(set, 0, IPC_RMID);
  }
  munmap(shared, sizeof(Shared));
  return remove_scene(state);
}

// Somebody who is in the middle of a hash when this returns.
Process hashing_for_ever(const Store &store) {
  shared->stay = true;
  const int before = shared->under_way;
  Process process([&store] {
    Verifier verifier(store, load_slow);
    verdict(&verifier, kId, kWrong);
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
    const Process holder = hashing_for_ever(scene.store);
    holder.kill();
    static_cast<void>(holder.wait());
    shared->stay = false;
    shared->under_way = 0;
    Counters counters = Counters::open(scene.store);
    const auto pass = enter_hash_gate(scene.store, GateShare::kAll);
    assert_true(static_cast<bool>(pass));
    assert_false(pass->waited);
  }
}

// Takes kGateSeconds, in which the verification waits.
void stopped_holder_delays_but_does_not_deny(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  const Process holder = hashing_for_ever(scene.store);
  holder.signal(SIGSTOP);
  shared->stay = false;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  // Nor is anybody else held up by what is known by now.
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  holder.signal(SIGCONT);
  assert_int_equal(holder.wait(), 0);
}

// Takes kGateSeconds: others are served all the time, this one is not.  It may
// have one place of three, and that one is held.
void waiting_while_others_are_served_is_busy(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 3;
  const std::vector<Process> holders = {hashing_for_ever(scene.store),
                                        hashing_for_ever(scene.store),
                                        hashing_for_ever(scene.store)};
  holders[0].kill();
  static_cast<void>(holders[0].wait());
  const Process others([&scene] {
    while (shared->stay) {
      const auto pass = enter_hash_gate(scene.store, GateShare::kAll);
      require(static_cast<bool>(pass));
      usleep(1000);
    }
  });
  Verifier verifier(scene.store, load_slow);
  const auto refused = verifier.verify(*parse_token_id(kId), kSecret,
                                       {.rhost = {}, .caller = 33});
  shared->stay = false;
  assert_int_equal(others.wait(), 0);
  assert_int_equal(holders[1].wait(), 0);
  assert_int_equal(holders[2].wait(), 0);
  assert_false(static_cast<bool>(refused));
  assert_true(refused.error().code == Errc::kBusy);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
}

// Who runs helpers for himself leaves half of the places to others.
void helpers_for_users_get_half_of_the_places(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 4;
  std::vector<Process> flood;
  for (int i = 0; i < 8; ++i) {
    flood.emplace_back([&scene, i] {
      Verifier verifier(scene.store, load_slow);
      for (int j = 0; j < 5; ++j) {
        static_cast<void>(verifier.verify(*parse_token_id(kId),
                                          kWrong + std::to_string(i * 5 + j),
                                          {.rhost = {}, .caller = 33}));
      }
    });
  }
  wait_for(flood);
  assert_int_equal(shared->all, 40);
  assert_int_equal(shared->most, 2);
}

// Ids that anybody can make up cost a look at the file, one at a time.
void unknown_ids_pass_the_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Process holder = hashing_for_ever(scene.store);
  holder.signal(SIGSTOP);
  // Waits for the stopped one; what has a slot does not.
  const Process waiting([&scene] {
    Verifier mine(scene.store, load_slow);
    require_text_equal(verdict(&mine, "nobody@pbs!x", kSecret), "unknown");
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

// The one who reads for all does not wait: everybody else depends on it.
void renewing_does_not_pass_the_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Process holder = hashing_for_ever(scene.store);
  scene.replace({{kId, kHash}, {"john@pbs!client2", kHash}});
  scene.store.cache_ttl = 0;
  const int all = shared->all;
  const Process renewing([&scene] {
    Verifier other(scene.store, load_slow);
    require_text_equal(verdict(&other, "nobody@pbs!x", kSecret), "unknown");
    ++shared->all;
  });
  const int set = semget(hash_gate_key(scene.store), 0, 0);
  bool waited = false;
  while (shared->all == all && !waited) {
    waited = semctl(set, 0, GETZCNT) > 0;
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
  const Process holder = hashing_for_ever(scene.store);
  for (int i = 0; i < 100; ++i) {
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  }
  assert_int_equal(shared->under_way, 1);
  shared->stay = false;
  assert_int_equal(holder.wait(), 0);
}

void gate_that_others_made_is_replaced(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 1;
  const key_t key = hash_gate_key(scene.store);
  in_child([&] {
    testing::become(testing::kNobody, testing::kOtherGroup);
    const int set = semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
    sembuf taken = {.sem_num = 0, .sem_op = 1, .sem_flg = 0};
    require(set >= 0 && semop(set, &taken, 1) == 0);
  });
  Counters counters = Counters::open(scene.store);
  for (int i = 0; i < 2; ++i) {
    const auto pass = enter_hash_gate(scene.store, GateShare::kAll);
    assert_true(static_cast<bool>(pass));
    assert_false(pass->waited);
  }
  const int set = semget(key, 0, 0);
  semid_ds status{};
  assert_true(set >= 0 && semctl(set, 0, IPC_STAT, &status) == 0);
  assert_int_equal(status.sem_perm.cuid, 0);
}

void no_limit_makes_no_gate(void **state) {
  Scene &scene = scene_in(state);
  scene.store.max_hashes = 0;
  Verifier verifier(scene.store, load_slow);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_true(semget(hash_gate_key(scene.store), 0, 0) < 0);
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
      with_gate(stopped_holder_delays_but_does_not_deny),
      with_gate(waiting_while_others_are_served_is_busy),
      with_gate(helpers_for_users_get_half_of_the_places),
      with_gate(unknown_ids_pass_the_gate),
      with_gate(renewing_does_not_pass_the_gate),
      with_gate(known_secret_needs_no_place),
      with_gate(gate_that_others_made_is_replaced),
      with_gate(no_limit_makes_no_gate),
  };
  return cmocka_run_group_tests_name("hash_gate", tests, nullptr, nullptr);
}
