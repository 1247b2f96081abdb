/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host does about its children, none of which are a module's. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

enum { kRounds = 10 };

static void set_sigchld(void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  must(sigaction(SIGCHLD, &action, NULL) == 0);
}

static void leave_sigchld(void) {
  set_sigchld(SIG_DFL, 0);
}

static void ignore_sigchld(void) {
  set_sigchld(SIG_IGN, 0);
}

static void keep_no_child(void) {
  set_sigchld(SIG_DFL, SA_NOCLDWAIT);
}

static void reap_all(int number) {
  const int error = errno;
  (void)number;
  while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) {
  }
  errno = error;
}

static void reap_in_handler(void) {
  set_sigchld(reap_all, SA_RESTART);
}

static void reap_in_handler_without_restart(void) {
  set_sigchld(reap_all, 0);
}

/* --- a thread that takes every status that it can get */

static atomic_bool done;

static void *reap_always(void *options) {
  while (!done) {
    if (waitpid(-1, NULL, *(const int *)options) < 0) {
      usleep(50);
    }
  }
  return NULL;
}

static void authenticate_with_reaper(int options) {
  pthread_t reaper;
  remember_state();
  must(pthread_create(&reaper, NULL, reap_always, &options) == 0);
  for (int i = 0; i < kRounds; ++i) {
    try_both();
  }
  done = true;
  must(pthread_join(reaper, NULL) == 0);
  compare_state(false);
}

static void reap_in_thread(void) {
  authenticate_with_reaper(0);
}

static void reap_in_thread_of_all_kinds(void) {
  authenticate_with_reaper(__WALL);
}

/* --- children of the host's own */

static pid_t make_child(int status) {
  const pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    _exit(status);
  }
  return child;
}

/* Their statuses are for the host, before and after. */
static void keep_own_children(void) {
  const pid_t early = make_child(41);
  siginfo_t info;
  must(waitid(P_PID, (id_t)early, &info, WEXITED | WNOWAIT) == 0);
  const pid_t late = make_child(42);
  authenticate();
  int status = 0;
  if (waitpid(early, &status, 0) != early || WEXITSTATUS(status) != 41 ||
      waitpid(late, &status, 0) != late || WEXITSTATUS(status) != 42) {
    fault("a child of the host was taken from it");
  }
}

static atomic_int noticed;

static void notice(int number) {
  (void)number;
  ++noticed;
}

/* No signal for what is not the host's child. */
static void hear_of_no_child(void) {
  set_sigchld(notice, SA_RESTART);
  authenticate();
  if (noticed != 0) {
    fault("%d times SIGCHLD", noticed);
  }
}

/* In each child, a thread reaps, and SIGCHLD is ignored. */
static void ignore_and_reap(void) {
  ignore_sigchld();
  authenticate_with_reaper(__WALL);
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("sigchld_default", leave_sigchld, NULL);
  run_case("sigchld_ignored", ignore_sigchld, NULL);
  run_case("sigchld_nocldwait", keep_no_child, NULL);
  run_case("sigchld_reaping_handler", reap_in_handler, NULL);
  run_case("sigchld_handler_no_restart", reap_in_handler_without_restart, NULL);
  run_case("reaper_thread", NULL, reap_in_thread);
  run_case("reaper_thread_of_all_kinds", NULL, reap_in_thread_of_all_kinds);
  run_case("reaper_thread_and_ignored", NULL, ignore_and_reap);
  run_case("own_children_kept", NULL, keep_own_children);
  run_case("no_sigchld_for_the_host", NULL, hear_of_no_child);
  return end_host();
}
