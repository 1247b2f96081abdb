// SPDX-License-Identifier: BSD-3-Clause
// The kernel's tables of System V objects, for what no key leads to.
//
// A place of a table may be empty.  A removed segment keeps its place until the
// last process lets go of it.  To look asks for no permission.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_IPC_TABLE_H_
#define PBSTOKEN_IPC_TABLE_H_

#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <cstdint>

#include "pbstoken/base/result.h"

namespace pbstoken {

// semctl(2) has its caller define this.
union SemaphoreArgument {
  int value;
  semid_ds *status;
  std::uint16_t *values;
  seminfo *info;
};

// Sets *out_status to the status of a set of semaphores.  Returns false, with
// errno, if the kernel does not tell it.
inline bool get_status(int id, semid_ds *out_status) {
  SemaphoreArgument argument{};
  argument.status = out_status;
  return semctl(id, 0, IPC_STAT, argument) == 0;
}

struct SegmentEntry {
  static constexpr const char *kCannotList =
      "cannot list the shared-memory segments";

  int id = -1;
  shmid_ds status{};

  // The last place in use, -1 if the table cannot be had, and how many are.
  static int last(int *out_used);
  static SegmentEntry at(int place);
  [[nodiscard]] const ipc_perm &owner() const { return status.shm_perm; }
};

struct SemaphoreEntry {
  static constexpr const char *kCannotList = "cannot list the semaphores";

  int id = -1;
  semid_ds status{};

  static int last(int *out_used);
  static SemaphoreEntry at(int place);
  [[nodiscard]] const ipc_perm &owner() const { return status.sem_perm; }
};

// Calls visit(entry) for each entry of the table until that returns false.  An
// entry that the kernel does not show (a security module may refuse) is an
// error, after all others were visited: a writer must have seen every segment.
template <typename Entry, typename Visit>
Result<void> walk_table(Visit visit) {
  int used = 0;
  const int last = Entry::last(&used);
  if (last < 0) {
    return system_error(Entry::kCannotList, {});
  }
  Result<void> result;
  bool is_empty = true;
  for (int place = 0; place <= last; ++place) {
    const Entry entry = Entry::at(place);
    if (entry.id >= 0) {
      is_empty = false;
      if (!visit(entry)) {
        return result;
      }
      continue;
    }
    // EINVAL: nothing is at this place; EIDRM: it has just gone.
    if (errno != EINVAL && errno != EIDRM && result) {
      result = system_error(Entry::kCannotList, {});
    }
  }
  // In Linux before 4.17 each place is EINVAL.
  if (is_empty && used > 1) {
    return plain_error(Errc::kSystem, Entry::kCannotList, {},
                       "the kernel is too old");
  }
  return result;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_IPC_TABLE_H_
