// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/hash_gate.h"

#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <optional>

#include "pbstoken/limits/root_segment.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

// Between two rounds over all places one waits for a single one of them.
constexpr timespec kRound = {.tv_sec = 0, .tv_nsec = 20'000'000};

struct Gate {
  int set;
  std::uint16_t places;  // that this process may have: the first ones
};

// The caller of semctl(2) has to define this, see there.
union SemaphoreArgument {
  int value;
  semid_ds *status;
};

bool is_trusted(const semid_ds &status) {
  return status.sem_perm.cuid == 0 && status.sem_perm.uid == 0 &&
         (status.sem_perm.mode & (S_IWGRP | S_IWOTH)) == 0;
}

int wanted_places(const Store &store) {
  const auto processors = sysconf(_SC_NPROCESSORS_ONLN);
  const auto standard =
      static_cast<std::uint32_t>(processors > 0 ? processors : 1);
  return static_cast<int>(store.max_hashes.value_or(standard));
}

// Nothing if there is no gate to pass.  Its size is its maker's.
std::optional<Gate> open_gate(const Store &store, GateShare share) {
  if (store.max_hashes == 0U || !is_only_root()) {
    return std::nullopt;
  }
  const key_t key = hash_gate_key(store);
  int set = semget(key, 0, 0);
  if (set < 0) {
    set = semget(key, wanted_places(store), IPC_CREAT | S_IRUSR | S_IWUSR);
  }
  semid_ds status{};
  SemaphoreArgument argument{};
  argument.status = &status;
  if (set < 0 || semctl(set, 0, IPC_STAT, argument) != 0) {
    return std::nullopt;
  }
  if (!is_trusted(status)) {
    // Somebody made it before root did: the next process makes a good one.
    static_cast<void>(semctl(set, 0, IPC_RMID));
    return std::nullopt;
  }
  const auto all = static_cast<unsigned>(status.sem_nsems);
  const unsigned half = all > 1 ? all / 2 : 1;
  return Gate{
      set, static_cast<std::uint16_t>(share == GateShare::kAll ? all : half)};
}

// Takes a place if it is free, or becomes so before the time is over; a null
// time does not wait.
bool take(const Gate &gate, std::uint16_t number, const timespec *time) {
  const auto flags =
      static_cast<std::int16_t>(time == nullptr ? IPC_NOWAIT : 0);
  // Both at once, or neither: wait for 0, and make it 1.
  std::array<sembuf, 2> steps = {
      {{.sem_num = number, .sem_op = 0, .sem_flg = flags},
       {.sem_num = number,
        .sem_op = 1,
        .sem_flg = static_cast<std::int16_t>(flags | SEM_UNDO)}}};
  return semtimedop(gate.set, steps.data(), steps.size(), time) == 0;
}

// From the last one down, so that who may have all of them leaves the first
// ones to those who may not.
std::optional<HashPlace> take_any(const Gate &gate) {
  for (unsigned left = gate.places; left > 0; --left) {
    const auto number = static_cast<std::uint16_t>(left - 1);
    if (take(gate, number, nullptr)) {
      return HashPlace(gate.set, number);
    }
  }
  return std::nullopt;
}

// When a place was last taken or given back, by the kernel's own account; it
// notes a holder's death as well.
std::time_t last_change(const Gate &gate) {
  semid_ds status{};
  SemaphoreArgument argument{};
  argument.status = &status;
  return semctl(gate.set, 0, IPC_STAT, argument) == 0 ? status.sem_otime : 0;
}

}  // namespace

key_t hash_gate_key(const Store &store) {
  return key_beside(store, "pbstoken gate 1");
}

HashPlace::~HashPlace() {
  if (set_ >= 0) {
    sembuf step = {.sem_num = number_,
                   .sem_op = -1,
                   .sem_flg = static_cast<std::int16_t>(IPC_NOWAIT | SEM_UNDO)};
    // Fails if the set is gone, and the place with it.
    static_cast<void>(semop(set_, &step, 1));
  }
}

Result<GatePass> enter_hash_gate(const Store &store, GateShare share) {
  const auto gate = open_gate(store, share);
  if (!gate) {
    return GatePass{};
  }
  if (auto place = take_any(*gate); place) {
    return GatePass{std::move(*place), false};
  }
  const std::time_t before = last_change(*gate);
  const std::uint64_t start = boottime_now();
  const std::uint64_t deadline = start + kGateSeconds * kNanosecondsPerSecond;
  // Who waits spreads over the places.  Without a clock nobody waits: the time
  // would never be over.
  auto turn = static_cast<std::uint64_t>(getpid());
  for (std::uint64_t now = start; now != 0 && now < deadline;
       now = boottime_now(), ++turn) {
    const auto number = static_cast<std::uint16_t>(turn % gate->places);
    if (take(*gate, number, &kRound)) {
      return GatePass{HashPlace(gate->set, number), true};
    }
    if (errno != EAGAIN && errno != EINTR) {
      // The gate is gone, or cannot be used: trying again would not wait.
      return GatePass{};
    }
    if (auto place = take_any(*gate); place) {
      return GatePass{std::move(*place), true};
    }
  }
  if (last_change(*gate) == before) {
    return GatePass{{}, true};
  }
  return plain_error(Errc::kBusy, "cannot hash", {},
                     "too many others do, reason=busy");
}

}  // namespace pbstoken
