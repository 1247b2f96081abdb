// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {

int SegmentEntry::last(int *out_used) {
  shm_info info{};
  const int last = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  *out_used = info.used_ids;
  return last;
}

SegmentEntry SegmentEntry::at(int place) {
  SegmentEntry entry;
  entry.id = shmctl(place, SHM_STAT_ANY, &entry.status);
  return entry;
}

int SemaphoreEntry::last(int *out_used) {
  seminfo info{};
  SemaphoreArgument argument{};
  argument.info = &info;
  const int last = semctl(0, 0, SEM_INFO, argument);
  *out_used = info.semusz;
  return last;
}

SemaphoreEntry SemaphoreEntry::at(int place) {
  SemaphoreEntry entry;
  SemaphoreArgument argument{};
  argument.status = &entry.status;
  entry.id = semctl(place, 0, SEM_STAT_ANY, argument);
  return entry;
}

}  // namespace pbstoken
