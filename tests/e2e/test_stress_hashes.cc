// SPDX-License-Identifier: BSD-3-Clause
// Sixteen processes that all want to hash, with real yescrypt: how many hashes
// that makes, how many at once, and how much memory.  test_hash_gate.cc has
// the rules of the gate one by one.
#include <sys/wait.h>

#include <array>
#include <fstream>
#include <sstream>
#include <vector>

#include "e2e/stress_support.h"

namespace pbstoken {
namespace {

using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::Shared;
using testing::Token;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";

constexpr std::size_t kProcesses = 16;
constexpr int kPlaces = 2;

// As the helper makes them.
std::string yescrypt_of(const std::string &secret) {
  crypt_data data{};
  return crypt_r(secret.c_str(), "$y$j9T$saltsalt", &data);
}

struct Board {
  std::atomic<int> ready;
  std::atomic<bool> go;
  std::atomic<bool> stay;  // who hashes does not come back
  std::atomic<int> under_way;
  std::atomic<int> most;
  std::atomic<int> all;
  std::atomic<int> busy;
  std::array<std::atomic<std::uint64_t>, kProcesses> at_first;  // KiB
  std::array<std::atomic<std::uint64_t>, kProcesses> at_most;
};
Board *board = nullptr;

char *watched_crypt(const char *phrase, const char *setting, void *data,
                    int size) {
  const int now = ++board->under_way;
  ++board->all;
  for (int most = board->most; now > most;) {
    board->most.compare_exchange_weak(most, now);
  }
  while (board->stay) {
    usleep(1000);
  }
  char *const hash = crypt_rn(phrase, setting, data, size);
  --board->under_way;
  return hash;
}

CryptFunction load_watched() {
  return watched_crypt;
}

int setup(void **state) {
  static const Shared<Board> shared;
  board = new (&*shared) Board{};
  if (testing::make_stress_scene(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.max_hashes = kPlaces;
  scene.write({{kId, yescrypt_of(kSecret)}});
  return 0;
}

// All of them begin at the same moment.
template <typename Body>
std::vector<Process> start_together(std::size_t count, const Body &body) {
  std::vector<Process> processes;
  for (std::size_t i = 0; i < count; ++i) {
    processes.emplace_back([&body, i] {
      testing::limit_life();
      ++board->ready;
      while (!board->go) {
        usleep(50);
      }
      body(i);
    });
  }
  while (board->ready < static_cast<int>(count)) {
    usleep(50);
  }
  board->go = true;
  return processes;
}

void wait_for(const std::vector<Process> &processes) {
  for (const Process &process : processes) {
    assert_int_equal(process.wait(), 0);
  }
}

void herd_of_16_cold_processes_hashes_once_a_place(void **state) {
  const Scene &scene = scene_in(state);
  wait_for(start_together(kProcesses, [&](std::size_t /*number*/) {
    Verifier verifier(scene.store, load_watched);
    require_text_equal(verdict(&verifier, kId, kSecret), "match");
  }));
  assert_in_range(board->all, 1, kPlaces);
  print_message("16 cold processes with one secret: %d hashes\n",
                board->all.load());
}

// Of an id that has a slot, for which nobody passes the gate before the file is
// read.
void herd_of_16_processes_with_a_new_secret_hashes_once_a_place(void **state) {
  const Scene &scene = scene_in(state);
  Verifier first(scene.store, load_watched);
  assert_text_equal(verdict(&first, kId, "wrong-" + kSecret), "mismatch");
  board->all = 0;
  wait_for(start_together(kProcesses, [&](std::size_t /*number*/) {
    Verifier verifier(scene.store, load_watched);
    require_text_equal(verdict(&verifier, kId, kSecret), "match");
  }));
  assert_in_range(board->all, 1, kPlaces);
}

void flood_of_200_wrong_secrets_is_bounded_in_hashes_and_memory(void **state) {
  const Scene &scene = scene_in(state);
  constexpr std::size_t kEach = 13;  // 208 in all
  wait_for(start_together(kProcesses, [&](std::size_t number) {
    Verifier verifier(scene.store, load_watched);
    board->at_first[number] = testing::memory_of_this_process("VmRSS");
    for (std::size_t i = 0; i < kEach; ++i) {
      const std::string said =
          verdict(&verifier, kId,
                  "wrong-" + kSecret + std::to_string(number * kEach + i));
      // Who waited for 5 s while others were served is told so.
      board->busy += said == "error" ? 1 : 0;
      require(said == "mismatch" || said == "error");
    }
    board->at_most[number] = testing::memory_of_this_process("VmHWM");
  }));
  assert_int_equal(board->all + board->busy, kProcesses * kEach);
  assert_in_range(board->most, 1, kPlaces);
  std::uint64_t first = 0;
  std::uint64_t summed = 0;
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < kProcesses; ++i) {
    first += board->at_first[i];
    summed += board->at_most[i];
    largest = std::max(largest, board->at_most[i] - board->at_first[i]);
  }
  // 16 MiB for the one hash that a process computes at a time, and some for
  // whatever else it needs.
  assert_in_range(largest, 1, 20 * 1024);
  const auto most = static_cast<std::uint64_t>(board->most);
  print_message(
      "208 wrong secrets from 16 processes: %d hashed, %d busy, at most %d at "
      "once; resident %ju KiB in all before, VmHWM %ju KiB summed, so at most "
      "%ju KiB at once\n",
      board->all.load(), board->busy.load(), board->most.load(),
      static_cast<uintmax_t>(first), static_cast<uintmax_t>(summed),
      static_cast<uintmax_t>(first + most * largest));
}

// Takes as long as one waits for a place, 5 s: for what nobody knows yet.
void verify_while_both_holders_are_stopped_goes_on(void **state) {
  const Scene &scene = scene_in(state);
  constexpr std::size_t kWaiting = 4;
  std::vector<Token> tokens = {{kId, yescrypt_of(kSecret)}};
  for (std::size_t i = 0; i < kWaiting; ++i) {
    tokens.push_back({"user" + std::to_string(i) + "@pbs!t",
                      yescrypt_of(kSecret + std::to_string(i))});
  }
  scene.replace(tokens);
  Verifier verifier(scene.store, load_watched);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  board->stay = true;
  const std::vector<Process> holders =
      start_together(kPlaces, [&](std::size_t number) {
        Verifier own(scene.store, load_watched);
        verdict(&own, kId, "wrong-" + kSecret + std::to_string(number));
      });
  while (board->under_way < kPlaces) {
    usleep(100);
  }
  for (const Process &holder : holders) {
    holder.stop();
  }
  board->stay = false;
  testing::waits = 0;
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_int_equal(testing::waits, 0);
  board->ready = 0;
  wait_for(start_together(kWaiting, [&](std::size_t number) {
    Verifier own(scene.store, load_watched);
    require_text_equal(
        verdict(&own, tokens[1 + number].id, kSecret + std::to_string(number)),
        "match");
  }));
  for (const Process &holder : holders) {
    holder.kill();
    static_cast<void>(holder.wait());
  }
  testing::waits = 0;
  assert_text_equal(verdict(&verifier, kId, "wrong-" + kSecret), "mismatch");
  assert_int_equal(testing::waits, 0);
}

}  // namespace
}  // namespace pbstoken

#define with_places(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_stress_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_places(herd_of_16_cold_processes_hashes_once_a_place),
      with_places(herd_of_16_processes_with_a_new_secret_hashes_once_a_place),
      with_places(flood_of_200_wrong_secrets_is_bounded_in_hashes_and_memory),
      with_places(verify_while_both_holders_are_stopped_goes_on),
  };
  return cmocka_run_group_tests_name("stress, hashes", tests, nullptr, nullptr);
}
