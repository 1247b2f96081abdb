// SPDX-License-Identifier: BSD-3-Clause
#include "confine/strangers.h"

#include <sys/sem.h>
#include <sys/shm.h>

#include "pbstoken/limits/counters.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"

namespace pbstoken {

namespace {

bool is_strangers(const ipc_perm &owner) {
  return owner.cuid != 0 && owner.uid != 0;
}

// A failure leaves nothing worse than no cache: who cannot trust an object
// goes without.
void remove_memory(key_t key) {
  const int id = shmget(key, 0, 0);
  shmid_ds status{};
  if (id >= 0 && shmctl(id, IPC_STAT, &status) == 0 &&
      is_strangers(status.shm_perm)) {
    static_cast<void>(shmctl(id, IPC_RMID, nullptr));
  }
}

void remove_semaphores(key_t key) {
  // The caller of semctl(2) has to define this, see there.
  union {
    int value;
    semid_ds *status;
  } argument{};
  const int id = semget(key, 0, 0);
  semid_ds status{};
  argument.status = &status;
  if (id >= 0 && semctl(id, 0, IPC_STAT, argument) == 0 &&
      is_strangers(status.sem_perm)) {
    static_cast<void>(semctl(id, 0, IPC_RMID));
  }
}

}  // namespace

void remove_strangers(const Store &store) {
  remove_memory(store.shm_key);
  remove_memory(counters_key(store));
  remove_memory(failures_key(store));
  remove_semaphores(hash_gate_key(store));
}

}  // namespace pbstoken
