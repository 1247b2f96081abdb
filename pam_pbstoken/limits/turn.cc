// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/turn.h"

#include <array>
#include <ctime>

#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

// Waits until the semaphore is 0 and makes it 1.  time: the longest wait in ns;
// nullopt: it does not wait.
bool take(int set, std::uint16_t number, std::optional<std::uint64_t> time) {
  const int flags = time ? 0 : IPC_NOWAIT;
  std::array<sembuf, 2> steps = {
      {{.sem_num = number,
        .sem_op = 0,
        .sem_flg = static_cast<std::int16_t>(flags)},
       {.sem_num = number,
        .sem_op = 1,
        .sem_flg = static_cast<std::int16_t>(SEM_UNDO | flags)}}};
  const timespec left = timespec_of(time.value_or(0));
  return semtimedop(set, steps.data(), steps.size(), time ? &left : nullptr) ==
         0;
}

}  // namespace

Error busy_error(const char *why) {
  return plain_error(Errc::kBusy, "cannot hash", {}, why);
}

NamedSet turns_set(const Store &store) {
  return {store, "pbstoken turns 2", std::size_t{2} * kTurns};
}

Result<Turn> Turn::wait_for(const Store &store, const Client &client,
                            unsigned seconds, bool *out_waited) {
  const auto set = open_named(turns_set(store));
  if (!set) {
    return Turn();
  }
  const auto number = static_cast<std::uint16_t>(*client.caller % kTurns);
  // The number stands beside the turn, and is never 0.
  const auto last_user = static_cast<std::uint16_t>(kTurns + number);
  SemaphoreArgument user{};
  user.value = static_cast<int>(1 + *client.caller % (kMostInSemaphore - 1U));
  const int before = semctl(*set, number, GETPID);
  const std::uint64_t deadline = deadline_in(seconds);
  bool taken = take(*set, number, std::nullopt);
  while (!taken) {
    if (errno != EAGAIN && errno != EINTR) {
      return Turn();
    }
    if (client.has_gone != nullptr && client.has_gone()) {
      return busy_error("nobody waits for it any more");
    }
    const std::uint64_t left = time_left(deadline);
    if (left == 0) {
      break;
    }
    *out_waited = true;
    taken = take(*set, number, left);
  }
  if (taken) {
    static_cast<void>(semctl(*set, last_user, SETVAL, user));
    return Turn(*set, number);
  }
  if (semctl(*set, number, GETPID) == before ||
      semctl(*set, last_user, GETVAL) != user.value) {
    return Turn();
  }
  return busy_error("too many others of this user do, reason=busy");
}

Turn::~Turn() {
  if (set_ >= 0) {
    sembuf step = {
        .sem_num = number_, .sem_op = -1, .sem_flg = SEM_UNDO | IPC_NOWAIT};
    // Fails if the set is gone, and the turn with it.
    static_cast<void>(semop(set_, &step, 1));
  }
}

}  // namespace pbstoken
