/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A module that is right about secrets, secret=TEXT being the right one, and a
 * bad guest in the way that its first argument says: what the suite must find.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave_descriptor(void) {
  if (open("/dev/null", O_RDONLY) < 0) {
    abort();
  }
}

static void leave_child(void) {
  if (fork() == 0) {
    _exit(0);
  }
}

static void leave_daemon(void) {
  const pid_t child = fork();
  if (child == 0) {
    if (fork() == 0) {
      sleep(15);
    }
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void ignore_sigchld(void) {
  signal(SIGCHLD, SIG_IGN);
}

static void block_signal(void) {
  sigset_t some;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  sigprocmask(SIG_BLOCK, &some, NULL);
}

static void leave_attachment(void) {
  const int id = shmget(IPC_PRIVATE, 4096, 0600);
  shmat(id, NULL, 0);
  shmctl(id, IPC_RMID, NULL);
}

static void leave_mapping(void) {
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
}

static void change_umask(void) {
  umask(0123);
}

static void change_directory(void) {
  if (chdir("/tmp") != 0) {
    abort();
  }
}

static void change_name(void) {
  prctl(PR_SET_NAME, "another");
}

static void start_timer(void) {
  const struct itimerval often = {.it_interval = {.tv_sec = 100},
                                  .it_value = {.tv_sec = 100}};
  setitimer(ITIMER_REAL, &often, NULL);
}

static void crash(void) {
  abort();
}

static void exit_host(void) {
  exit(0);
}

static void use_much_stack(void) {
  volatile char much[128 * 1024];
  for (size_t i = sizeof(much); i-- > 0;) {
    much[i] = 1;
  }
}

static void take_host_status(void) {
  waitpid(-1, NULL, WNOHANG);
}

static int wait_for_child(void) {
  const pid_t child = fork();
  int status = 0;
  if (child == 0) {
    _exit(0);
  }
  return waitpid(child, &status, 0) == child && status == 0;
}

static const struct {
  const char *name;
  void (*act)(void);
} faults[] = {
    {"descriptor", leave_descriptor},
    {"child", leave_child},
    {"daemon", leave_daemon},
    {"sigchld", ignore_sigchld},
    {"blocked", block_signal},
    {"attachment", leave_attachment},
    {"mapping", leave_mapping},
    {"umask", change_umask},
    {"directory", change_directory},
    {"name", change_name},
    {"timer", start_timer},
    {"crash", crash},
    {"exit", exit_host},
    {"stack", use_much_stack},
    {"status", take_host_status},
};

__attribute__((visibility("default"))) int pam_sm_authenticate(
    pam_handle_t *handle, int flags, int argc, const char **argv) {
  (void)flags;
  const char *given = NULL;
  if (argc != 2 ||
      pam_get_authtok(handle, PAM_AUTHTOK, &given, NULL) != PAM_SUCCESS) {
    return PAM_SERVICE_ERR;
  }
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); ++i) {
    if (strcmp(faults[i].name, argv[0]) == 0) {
      faults[i].act();
    }
  }
  /* As modules with a helper do that trust waitpid(2). */
  if (strcmp(argv[0], "helper") == 0 && !wait_for_child()) {
    return PAM_AUTHINFO_UNAVAIL;
  }
  if (strcmp(argv[0], "open") == 0 && fcntl(0, F_GETFD) < 0) {
    return PAM_SUCCESS;
  }
  return strcmp(given, argv[1] + strlen("secret=")) == 0 ? PAM_SUCCESS
                                                         : PAM_AUTH_ERR;
}

__attribute__((visibility("default"))) int pam_sm_setcred(pam_handle_t *handle,
                                                          int flags, int argc,
                                                          const char **argv) {
  (void)handle;
  (void)flags;
  (void)argc;
  (void)argv;
  return PAM_SUCCESS;
}
