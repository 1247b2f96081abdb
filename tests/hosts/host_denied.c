/* SPDX-License-Identifier: BSD-3-Clause */
/* A host that has taken system calls from itself: they fail, with EPERM or with
 * ENOSYS, and nobody is killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

enum { kMostCalls = 10 };

static const struct denied {
  const char *name;
  int calls[kMostCalls]; /* up to a 0 */
} groups[] = {
    {"shmget", {SYS_shmget}},
    {"shmat", {SYS_shmat}},
    {"shm", {SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt}},
    {"sem", {SYS_semget, SYS_semctl, SYS_semop, SYS_semtimedop}},
    {"sysvipc",
     {SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_semget, SYS_semctl,
      SYS_semop, SYS_semtimedop, SYS_msgget}},
    {"execve", {SYS_execve, SYS_execveat}},
    {"clone",
     {SYS_clone, SYS_clone3
#ifdef SYS_fork
      ,
      SYS_fork, SYS_vfork
#endif
     }},
    {"socket", {SYS_socket, SYS_socketpair, SYS_connect}},
    {"madvise", {SYS_madvise, SYS_mlock, SYS_mlock2}},
    {"getrandom", {SYS_getrandom}},
    {"prctl", {SYS_prctl}},
    {"wait", {SYS_wait4, SYS_waitid}},
    {"sigaction", {SYS_rt_sigaction, SYS_rt_sigprocmask}},
    {"setresuid", {SYS_setresuid, SYS_setuid, SYS_setreuid}},
    {"close_range", {SYS_close_range}},
};
enum { kGroups = sizeof(groups) / sizeof(groups[0]) };

static const struct denied *denied;
static unsigned error;

/* As whoever has started the program: without no_new_privs that is root. */
static void deny(void) {
  struct sock_filter filter[kMostCalls + 3];
  unsigned short count = 0;
  unsigned left = 0;
  while (left < kMostCalls && denied->calls[left] != 0) {
    ++left;
  }
  filter[count++] = (struct sock_filter)BPF_STMT(
      BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; left > 0; ++i, --left) {
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                   (unsigned)denied->calls[i],
                                                   (unsigned char)left, 0);
  }
  filter[count++] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[count++] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
  const struct sock_fprog program = {.len = count, .filter = filter};
  must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

/* What was loaded and attached before is kept. */
static void authenticate_then_deny(void) {
  warm_up();
  deny();
  authenticate();
}

/* Root's only: nobody else may set such a filter without no_new_privs, and who
 * becomes somebody else after that needs the calls. */
static bool is_for_root_only(const struct denied *group) {
  return group->calls[0] == SYS_setresuid;
}

int main(int argc, char **argv) {
  char name[60];
  start_host(argc, argv);
  const char *who = getenv("HOST_WHO");
  const bool is_root = who == NULL || *who == '\0';
  for (int i = 0; i < kGroups; ++i) {
    denied = &groups[i];
    if (!is_root && is_for_root_only(denied)) {
      continue;
    }
    error = EPERM;
    snprintf(name, sizeof(name), "denied_%s", denied->name);
    run_case(name, deny, NULL);
    error = ENOSYS;
    snprintf(name, sizeof(name), "without_%s", denied->name);
    run_case(name, deny, NULL);
    error = EPERM;
    snprintf(name, sizeof(name), "denied_later_%s", denied->name);
    if (is_root) {
      run_case(name, NULL, authenticate_then_deny);
    }
  }
  return end_host();
}
