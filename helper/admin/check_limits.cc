// SPDX-License-Identifier: BSD-3-Clause
// What check says of the gate, the turns and the windows, which are made when
// they are first needed: that one is missing is a problem only where it cannot
// be made.
#include <fcntl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>

#include "admin/check.h"
#include "pbstoken/base/vector.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

// --- what the host has room for

struct Room {
  const char *path;  // of the limit
  const char *what;
  std::uint64_t used = 0;
  std::uint64_t limit = 0;

  // For one more; what a limit of size is short of shows as no id left, too.
  [[nodiscard]] bool is_full() const { return used >= limit; }
};

Room room_for_sets() {
  seminfo used{};
  seminfo most{};
  SemaphoreArgument argument{};
  argument.info = &used;
  const bool known = semctl(0, 0, SEM_INFO, argument) >= 0;
  argument.info = &most;
  if (!known || semctl(0, 0, IPC_INFO, argument) < 0) {
    return {"/proc/sys/kernel/sem", "", 0, 1};
  }
  const bool is_short =
      used.semaem + static_cast<int>(NamedSet::kMostSemaphores) > most.semmns;
  return {"/proc/sys/kernel/sem",
          is_short ? "semaphores" : "sets of semaphores",
          static_cast<std::uint64_t>(is_short ? most.semmns : used.semusz),
          static_cast<std::uint64_t>(is_short ? most.semmns : most.semmni)};
}

Room room_for_segments() {
  shm_info used{};
  shminfo most{};
  const bool known =
      shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&used)) >= 0 &&
      shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds *>(&most)) >= 0;
  return {"/proc/sys/kernel/shmmni", "shared-memory segments",
          known ? static_cast<std::uint64_t>(used.used_ids) : 0,
          known ? most.shmmni : 1};
}

struct Maker {
  uid_t uid;
  std::uint64_t objects;
};

// The user that has made the most; nullopt if that cannot be told.
template <typename Entry>
std::optional<Maker> busiest_maker() {
  List<Maker> makers;
  const auto walked = walk_table<Entry>([&makers](const Entry &entry) {
    for (Maker &maker : makers.mutable_items()) {
      if (maker.uid == entry.owner().cuid) {
        ++maker.objects;
        return true;
      }
    }
    return makers.append({.uid = entry.owner().cuid, .objects = 1});
  });
  const auto all = makers.items();
  const auto most = std::max_element(all.begin(), all.end(),
                                     [](const Maker &left, const Maker &right) {
                                       return left.objects < right.objects;
                                     });
  return walked && most != all.end() ? std::optional(*most) : std::nullopt;
}

template <typename Entry>
void check_room(const Room &room, Problems *problems) {
  if (!room.is_full()) {
    return;
  }
  ProblemText what("all ");
  what.append(room.limit).append(" ").append(room.what).append(" are taken");
  if (const auto maker = busiest_maker<Entry>(); maker) {
    what.append(", ")
        .append(maker->objects)
        .append(" objects are of uid ")
        .append(std::uint64_t{maker->uid});
  }
  problems->add(room.path, what.view());
}

// See proc_sys_kernel(5).
void check_removal(Problems *problems) {
  constexpr const char *kPath = "/proc/sys/kernel/shm_rmid_forced";
  const UniqueFd file(open(kPath, O_RDONLY | O_CLOEXEC));
  char digit = '0';
  if (read(file.get(), &digit, 1) == 1 && digit != '0') {
    problems->add(
        kPath,
        "is not 0: the kernel removes a segment with the last process "
        "that uses it, and the cache with it");
  }
}

// --- what the store has

// `kind` is sem or shm, `purpose` what for.
template <typename Object>
void check_object(const Object &object, const Room &room, std::string_view kind,
                  std::string_view purpose, Problems *problems) {
  if (find_named(object) >= 0) {
    return;
  }
  ProblemText what(purpose);
  ipc_perm owner{};
  const int id = object.get(object.key, 0);
  if (id >= 0 && object.owner_of(id, &owner) && owner.cuid != 0) {
    what.append(": uid ")
        .append(std::uint64_t{owner.cuid})
        .append(" has made its key's, which the next helper replaces");
  } else if (room.is_full()) {
    what.append(" is not there and cannot be made");
  } else {
    return;
  }
  problems->add(name_of(kind, object.key).view(), what.view());
}

void check_places(const Store &store, GateShare share, Problems *problems) {
  const unsigned wanted = wanted_places(store, share);
  const auto places = places_in_gate(store, share);
  if (places && *places != wanted) {
    ProblemText what("the gate has ");
    what.append(std::uint64_t{*places})
        .append(" places and is to have ")
        .append(std::uint64_t{wanted})
        .append(": the next hash changes it");
    problems->add(name_of("sem", gate_set(store, share).key).view(),
                  what.view());
  }
}

}  // namespace

void check_limits(const Store &store, Problems *problems) {
  const Room sets = room_for_sets();
  const Room segments = room_for_segments();
  if (store.max_hashes != 0U) {
    for (const GateShare share : {GateShare::kRoots, GateShare::kUsers}) {
      check_object(gate_set(store, share), sets, "sem",
                   "the gate of max_hashes", problems);
      check_places(store, share, problems);
    }
    check_object(turns_set(store), sets, "sem", "the turns of users", problems);
  }
  if (store.fail_limit != 0) {
    check_object(failures_segment(store), segments, "shm",
                 "the windows of fail_limit", problems);
  }
  check_removal(problems);
  check_room<SemaphoreEntry>(sets, problems);
  check_room<SegmentEntry>(segments, problems);
}

}  // namespace pbstoken
