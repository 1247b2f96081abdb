/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host in another place than everybody else: other namespaces, another root.
 * In the environment, $HOST_ROOT is a directory with the libraries and the
 * services of PAM, and the module where it was, and nothing of its own.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

static void leave_ipc(void) {
  must(unshare(CLONE_NEWIPC) == 0);
}

/* The module has seen the other one. */
static void leave_ipc_later(void) {
  warm_up();
  leave_ipc();
}

static void leave_network(void) {
  must(unshare(CLONE_NEWNET | CLONE_NEWUTS) == 0);
}

static void leave_cgroup(void) {
  must(unshare(CLONE_NEWCGROUP) == 0);
}

/* In a pid namespace of its own it is its first process. */
static void authenticate_as_init(void) {
  const pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    authenticate();
    _exit(0);
  }
  int status = 0;
  must(waitpid(child, &status, 0) == child);
  if (status != 0) {
    fault("ended with status %#x", (unsigned)status);
  }
}

static void leave_pids(void) {
  must(unshare(CLONE_NEWPID) == 0);
}

static void unmount(const char *place) {
  must(unshare(CLONE_NEWNS) == 0 &&
       mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
  must(mount("none", place, "tmpfs", 0, NULL) == 0);
}

static void lose_proc(void) {
  unmount("/proc");
}

static void lose_dev(void) {
  unmount("/dev");
}

static void lose_run(void) {
  unmount("/run");
}

static void enter_root(void) {
  const char *root = getenv("HOST_ROOT");
  must(root != NULL && chroot(root) == 0 && chdir("/") == 0);
}

static void enter_root_later(void) {
  warm_up();
  enter_root();
}

/* Read-only, all of it. */
static void have_nothing_to_write(void) {
  must(unshare(CLONE_NEWNS) == 0 &&
       mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
  static const char *const places[] = {"/etc", "/run", "/tmp", "/dev"};
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); ++i) {
    must(mount(places[i], places[i], NULL, MS_BIND | MS_REC, NULL) == 0 &&
         mount(NULL, places[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) ==
             0);
  }
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("ipc_namespace", leave_ipc, NULL);
  run_case("ipc_namespace_later", leave_ipc_later, NULL);
  run_case("network_namespace", leave_network, NULL);
  run_case("cgroup_namespace", leave_cgroup, NULL);
  run_case("pid_namespace", leave_pids, authenticate_as_init);
  run_case("without_proc", lose_proc, NULL);
  run_case("without_dev", lose_dev, NULL);
  run_case("without_run", lose_run, NULL);
  run_case("read_only", have_nothing_to_write, NULL);
  run_case("chroot", enter_root, NULL);
  run_case("chroot_later", enter_root_later, NULL);
  return end_host();
}
