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
  return {store, "pbstoken turns 1", kTurns};
}

Turn Turn::wait_for(const Store &store, uid_t uid, unsigned seconds,
                    bool *out_waited) {
  const auto set = open_named(turns_set(store));
  if (!set) {
    return {};
  }
  const auto number = static_cast<std::uint16_t>(uid % kTurns);
  auto steps = take(number, /*at_once=*/true);
  if (semop(*set, steps.data(), steps.size()) == 0) {
    return {*set, number};
  }
  *out_waited = true;
  steps = take(number, /*at_once=*/false);
  const timespec time = {.tv_sec = static_cast<std::time_t>(seconds),
                         .tv_nsec = 0};
  return semtimedop(*set, steps.data(), steps.size(), &time) == 0
             ? Turn(*set, number)
             : Turn();
}

Turn::~Turn() {
  if (set_ >= 0) {
    sembuf step = {.sem_num = number_, .sem_op = -1, .sem_flg = kUndoAtOnce};
    // Fails if the set is gone, and the turn with it.
    static_cast<void>(semop(set_, &step, 1));
  }
}

}  // namespace pbstoken
