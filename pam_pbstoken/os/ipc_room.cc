// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/ipc_room.h"

#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>

#include "pbstoken/base/list.h"
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {

namespace {

// What the kernel counts, in one table.
struct Count {
  const char *path;
  const char *what;
  const char *unit;  // of what a user has made
  std::uint64_t used;
  std::uint64_t wanted;
  std::uint64_t limit;

  [[nodiscard]] bool is_short() const {
    return used > limit || wanted > limit - used;
  }
};

struct Maker {
  uid_t uid;
  std::uint64_t units;
};

// The user that has made the most; nullopt if that cannot be told.  A unit is
// what units_of(entry) counts.
template <typename Entry, typename UnitsOf>
std::optional<Maker> busiest_maker(UnitsOf units_of) {
  List<Maker> makers;
  const auto walked = walk_table<Entry>([&](const Entry &entry) {
    for (Maker &maker : makers.mutable_items()) {
      if (maker.uid == entry.owner().cuid) {
        maker.units += units_of(entry);
        return true;
      }
    }
    return makers.append({.uid = entry.owner().cuid, .units = units_of(entry)});
  });
  const auto all = makers.items();
  const auto most = std::max_element(all.begin(), all.end(),
                                     [](const Maker &left, const Maker &right) {
                                       return left.units < right.units;
                                     });
  return walked && most != all.end() ? std::optional(*most) : std::nullopt;
}

// A limit of all objects together; units_of as above.
template <typename Entry, typename UnitsOf>
std::optional<Shortage> shortage_of_all(const Count &count, UnitsOf units_of) {
  if (!count.is_short()) {
    return std::nullopt;
  }
  Shortage shortage{.path = count.path};
  auto &what = shortage.what;
  if (count.wanted == 1) {
    what.append("all ").append(count.limit).append(" ").append(count.what);
    what.append(" are taken");
  } else {
    what.append(count.limit).append(" ").append(count.what);
    what.append(" are allowed, ").append(count.used).append(" are taken, ");
    what.append(count.wanted).append(" are wanted");
  }
  if (const auto maker = busiest_maker<Entry>(units_of); maker) {
    what.append(", ").append(maker->units).append(" ").append(count.unit);
    what.append(" are of uid ").append(maker->uid);
  }
  what.append("; raise it, or remove some with ipcrm(1)");
  return shortage;
}

// A limit of each object.
std::optional<Shortage> shortage_of_one(const char *path, const char *what,
                                        std::uint64_t wanted,
                                        std::uint64_t limit) {
  if (wanted <= limit) {
    return std::nullopt;
  }
  Shortage shortage{.path = path};
  shortage.what.append(limit).append(" ").append(what);
  shortage.what.append(" are allowed, ").append(wanted);
  shortage.what.append(" are wanted; raise it");
  return shortage;
}

// Counts the objects.
constexpr auto kOne = [](const auto & /*entry*/) { return std::uint64_t{1}; };

}  // namespace

std::optional<Shortage> shortage_of_segments(std::uint64_t size) {
  shm_info used{};
  shminfo most{};
  if (shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&used)) < 0 ||
      shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds *>(&most)) < 0) {
    return std::nullopt;
  }
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const auto pages_in = [page](std::uint64_t bytes) {
    return (bytes + page - 1) / page;
  };
  if (auto ids = shortage_of_all<SegmentEntry>(
          {"/proc/sys/kernel/shmmni", "shared-memory segments", "objects",
           static_cast<std::uint64_t>(used.used_ids), 1, most.shmmni},
          kOne);
      ids) {
    return ids;
  }
  if (auto bytes = shortage_of_one("/proc/sys/kernel/shmmax",
                                   "bytes of one shared-memory segment", size,
                                   most.shmmax);
      bytes) {
    return bytes;
  }
  return shortage_of_all<SegmentEntry>(
      {"/proc/sys/kernel/shmall", "pages of shared memory", "pages",
       used.shm_tot, pages_in(size), most.shmall},
      [&](const SegmentEntry &entry) {
        return pages_in(entry.status.shm_segsz);
      });
}

std::optional<Shortage> shortage_of_sets(std::uint64_t semaphores,
                                         std::uint64_t operations) {
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
  const auto number = [](int count) {
    return static_cast<std::uint64_t>(count);
  };
  if (auto sets = shortage_of_all<SemaphoreEntry>(
          {kPath, "sets of semaphores", "objects", number(used.semusz), 1,
           number(most.semmni)},
          kOne);
      sets) {
    return sets;
  }
  if (auto one = shortage_of_one(kPath, "semaphores of one set", semaphores,
                                 number(most.semmsl));
      one) {
    return one;
  }
  if (auto call = shortage_of_one(kPath, "operations of one semop(2)",
                                  operations, number(most.semopm));
      call) {
    return call;
  }
  return shortage_of_all<SemaphoreEntry>(
      {kPath, "semaphores", "semaphores", number(used.semaem), semaphores,
       number(most.semmns)},
      [](const SemaphoreEntry &entry) {
        return std::uint64_t{entry.status.sem_nsems};
      });
}

}  // namespace pbstoken
