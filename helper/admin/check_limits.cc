// SPDX-License-Identifier: BSD-3-Clause
// What check says of the gate, the turns and the windows, which are made when
// they are first needed: that one is missing is a problem only where it cannot
// be made.
#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include "admin/check.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/turn.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/os/ipc_room.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

void check_shortage(const std::optional<Shortage> &shortage,
                    Problems *problems) {
  if (shortage) {
    problems->add_once(shortage->path, shortage->what.view());
  }
}

void check_removal(Problems *problems) {
  if (kernel_removes_segments()) {
    problems->add(
        kForcedRemoval,
        "is not 0: the kernel removes a segment with the last process that "
        "uses it: the cache, and the windows of fail_limit, without which "
        "services that are not root have no secret hashed for a remote host");
  }
}

// --- what the store has

constexpr std::string_view kGate = "the gate of max_hashes";
constexpr std::string_view kWindows = "the windows of fail_limit";

// Returns nullopt if the object is there, or can be made.
template <typename Object>
std::optional<ProblemText> problem_of(const Object &object,
                                      std::string_view purpose) {
  if (find_named(object) >= 0) {
    return std::nullopt;
  }
  ProblemText what(purpose);
  ipc_perm owner{};
  const int id = object.get(object.key, 0);
  if (id >= 0 && object.owner_of(id, &owner) && owner.cuid != 0) {
    what.append(": uid ")
        .append(owner.cuid)
        .append(" has made its key's, which the next helper replaces");
  } else if (object.shortage()) {
    what.append(" is not there and cannot be made");
  } else if (id >= 0) {
    what.append(": another program of root has made its key's");
  } else {
    return std::nullopt;
  }
  return what;
}

// `kind` is sem or shm, `purpose` what for.
template <typename Object>
void check_object(const Object &object, std::string_view kind,
                  std::string_view purpose, Problems *problems) {
  const auto problem = problem_of(object, purpose);
  if (!problem) {
    return;
  }
  if (!is_key_taken(object)) {
    check_shortage(object.shortage(), problems);
  }
  problems->add(name_of(kind, object.key).view(), problem->view());
}

void check_places(const Store &store, GateShare share, Problems *problems) {
  const unsigned wanted = wanted_places(store, share);
  const auto gate = look_at_gate(store, share);
  if (gate && gate->places != wanted) {
    ProblemText what("the gate has ");
    what.append(gate->places)
        .append(" places and is to have ")
        .append(wanted)
        .append(": the next hash changes it");
    problems->add(name_of("sem", gate_set(store, share).key).view(),
                  what.view());
  }
}

}  // namespace

std::optional<ProblemText> problem_of_gate(const Store &store,
                                           GateShare share) {
  return problem_of(gate_set(store, share), kGate);
}

std::optional<ProblemText> problem_of_windows(const Store &store) {
  return problem_of(failures_segment(store), kWindows);
}

bool kernel_removes_segments() {
  const UniqueFd file(open(kForcedRemoval, O_RDONLY | O_CLOEXEC));
  char digit = '0';
  return read(file.get(), &digit, 1) == 1 && digit != '0';
}

void check_limits(const Store &store, Problems *problems) {
  if (store.max_hashes != 0U) {
    for (const GateShare share : {GateShare::kRoots, GateShare::kUsers}) {
      check_object(gate_set(store, share), "sem", kGate, problems);
      check_places(store, share, problems);
    }
    check_object(turns_set(store), "sem", "the turns of users", problems);
  }
  if (store.fail_limit != 0) {
    check_object(failures_segment(store), "shm", kWindows, problems);
  }
  check_object(use_segment(store), "shm", "the record of use", problems);
  check_removal(problems);
  check_shortage(shortage_of_sets(1, NamedSet::kMostSteps), problems);
  check_shortage(shortage_of_segments(1), problems);
}

}  // namespace pbstoken
