// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/ipc_room.h"

#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>

#include "pbstoken/base/vector.h"
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {

namespace {

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

// What the kernel counts, in one table.
struct Count {
  const char *path;
  const char *what;
  std::uint64_t used;
  std::uint64_t wanted;
  std::uint64_t limit;

  [[nodiscard]] bool is_short() const {
    return used > limit || wanted > limit - used;
  }
};

template <typename Entry>
Shortage describe(const Count &count) {
  Shortage shortage{.path = count.path, .what = {}};
  if (count.wanted == 1) {
    shortage.what.append("all ")
        .append(count.limit)
        .append(" ")
        .append(count.what);
    shortage.what.append(" are taken");
  } else {
    shortage.what.append(count.limit).append(" ").append(count.what);
    shortage.what.append(" are allowed, ").append(count.used);
    shortage.what.append(" are taken, ").append(count.wanted);
    shortage.what.append(" are wanted");
  }
  const auto maker =
      count.used != 0 ? busiest_maker<Entry>() : std::optional<Maker>();
  if (maker) {
    shortage.what.append(", ")
        .append(maker->objects)
        .append(" objects are of uid ")
        .append(std::uint64_t{maker->uid});
  }
  shortage.what.append("; raise it, or remove some with ipcrm(1)");
  return shortage;
}

template <typename Entry>
std::optional<Shortage> first_short(std::initializer_list<Count> counts) {
  for (const Count &count : counts) {
    if (count.is_short()) {
      return describe<Entry>(count);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Shortage> shortage_of_segments(std::uint64_t size) {
  shm_info used{};
  shminfo most{};
  if (shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&used)) < 0 ||
      shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds *>(&most)) < 0) {
    return std::nullopt;
  }
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return first_short<SegmentEntry>(
      {{"/proc/sys/kernel/shmmni", "shared-memory segments",
        static_cast<std::uint64_t>(used.used_ids), 1, most.shmmni},
       {"/proc/sys/kernel/shmmax", "bytes of one shared-memory segment", 0,
        size, most.shmmax},
       {"/proc/sys/kernel/shmall", "pages of shared memory", used.shm_tot,
        (size + page - 1) / page, most.shmall}});
}

std::optional<Shortage> shortage_of_sets(std::uint64_t semaphores) {
  constexpr const char *kPath = "/proc/sys/kernel/sem";
  seminfo used{};
  seminfo most{};
  SemaphoreArgument argument{};
  argument.info = &used;
  if (semctl(0, 0, SEM_INFO, argument) < 0) {
    return std::nullopt;
  }
  argument.info = &most;
  if (semctl(0, 0, IPC_INFO, argument) < 0) {
    return std::nullopt;
  }
  return first_short<SemaphoreEntry>(
      {{kPath, "sets of semaphores", static_cast<std::uint64_t>(used.semusz), 1,
        static_cast<std::uint64_t>(most.semmni)},
       {kPath, "semaphores of one set", 0, semaphores,
        static_cast<std::uint64_t>(most.semmsl)},
       {kPath, "semaphores", static_cast<std::uint64_t>(used.semaem),
        semaphores, static_cast<std::uint64_t>(most.semmns)}});
}

}  // namespace pbstoken
