// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/turn.h"

#include <array>
#include <ctime>

#include "pbstoken/limits/named_object.h"

namespace pbstoken {

namespace {

constexpr std::int16_t kUndo = SEM_UNDO;
constexpr std::int16_t kUndoAtOnce = SEM_UNDO | IPC_NOWAIT;

// Waits until it is 0 and makes it 1.
std::array<sembuf, 2> take(std::uint16_t number, bool at_once) {
  return {{{.sem_num = number,
            .sem_op = 0,
            .sem_flg = static_cast<std::int16_t>(at_once ? IPC_NOWAIT : 0)},
           {.sem_num = number,
            .sem_op = 1,
            .sem_flg = at_once ? kUndoAtOnce : kUndo}}};
}

}  // namespace

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
  // Beside the turn, and never 0.
  const auto last_user = static_cast<std::uint16_t>(kTurns + number);
  SemaphoreArgument user{};
  user.value = static_cast<int>(1 + *client.caller % (kMostInSemaphore - 1U));
  auto steps = take(number, /*at_once=*/true);
  if (semop(*set, steps.data(), steps.size()) == 0) {
    static_cast<void>(semctl(*set, last_user, SETVAL, user));
    return Turn(*set, number);
  }
  *out_waited = true;
  const int before = semctl(*set, number, GETPID);
  steps = take(number, /*at_once=*/false);
  // In rounds: a process whose caller has gone is not to wait on.
  constexpr timespec kRound = {.tv_sec = 1, .tv_nsec = 0};
  for (unsigned round = 0; round < seconds; ++round) {
    if (semtimedop(*set, steps.data(), steps.size(), &kRound) == 0) {
      static_cast<void>(semctl(*set, last_user, SETVAL, user));
      return Turn(*set, number);
    }
    if (errno != EAGAIN && errno != EINTR) {
      return Turn();
    }
    if (client.has_gone != nullptr && client.has_gone()) {
      return plain_error(Errc::kBusy, "cannot hash", {},
                         "nobody waits for it any more");
    }
  }
  if (semctl(*set, number, GETPID) == before ||
      semctl(*set, last_user, GETVAL) != user.value) {
    return Turn();
  }
  return plain_error(Errc::kBusy, "cannot hash", {},
                     "too many others of this user do, reason=busy");
}

Turn::~Turn() {
  if (set_ >= 0) {
    sembuf step = {.sem_num = number_, .sem_op = -1, .sem_flg = kUndoAtOnce};
    // Fails if the set is gone, and the turn with it.
    static_cast<void>(semop(set_, &step, 1));
  }
}

}  // namespace pbstoken
