/* SPDX-License-Identifier: BSD-3-Clause */
/* A host that forks where it should not. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

static struct dialogue dialogue;
static pid_t child;
static const char *secret_of_child;

static void fork_here(void) {
  child = fork();
  must(child >= 0);
  if (child == 0) {
    dialogue.secret = secret_of_child;
  }
}

static void must_end_well(void) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0) {
    fault("the child has ended with status %#x", (unsigned)status);
  }
}

/* Both sides go on, each with an answer of its own. */
static void fork_with(const char *parents, const char *childs) {
  secret_of_child = childs;
  dialogue.secret = parents;
  dialogue.at_question = fork_here;
  pam_handle_t *handle = start_dialogue(&dialogue);
  must(handle != NULL);
  const int code = pam_authenticate(handle, 0);
  note_code(dialogue.secret, code);
  /* And once more with the same handle. */
  dialogue.at_question = NULL;
  note_code(dialogue.secret, pam_authenticate(handle, 0));
  pam_end(handle, code);
  if (child == 0) {
    try_both();
    _exit(0);
  }
  must_end_well();
}

static void fork_in_conversation(void) {
  for (int i = 0; i < 3; ++i) {
    fork_with(host.secret, host.secret);
    fork_with(host.secret, host.wrong);
    fork_with(host.wrong, host.secret);
  }
}

static void fork_between_start_and_authenticate(void) {
  dialogue.at_question = NULL;
  for (int i = 0; i < 3; ++i) {
    dialogue.secret = host.secret;
    pam_handle_t *handle = start_dialogue(&dialogue);
    must(handle != NULL);
    note_code(dialogue.secret, pam_authenticate(handle, 0));
    child = fork();
    must(child >= 0);
    dialogue.secret = child == 0 ? host.wrong : host.secret;
    const int code = pam_authenticate(handle, 0);
    note_code(dialogue.secret, code);
    pam_end(handle, code);
    if (child == 0) {
      _exit(0);
    }
    must_end_well();
  }
}

/* --- other threads in the middle of it */

static atomic_bool done;
static atomic_int ready;

/* With a handle that was made before: in a child that was forked while another
 * thread was in dlopen(3), which pam_start(3) calls, nobody can call it. */
static pam_handle_t *start_warm(struct dialogue *talk) {
  pam_handle_t *handle = start_dialogue(talk);
  must(handle != NULL);
  note_code(talk->secret, pam_authenticate(handle, 0));
  return handle;
}

static void *authenticate_always(void *secret) {
  struct dialogue talk = {.secret = secret, .at_question = NULL};
  pam_handle_t *handle = start_warm(&talk);
  ++ready;
  while (!done) {
    note_code(talk.secret, pam_authenticate(handle, 0));
  }
  pam_end(handle, PAM_SUCCESS);
  return NULL;
}

/* Whatever they held, it is not held in the child. */
static void fork_while_others_try(char *secret) {
  enum { kThreads = 3, kForks = 40 };
  pthread_t threads[kThreads];
  struct dialogue talk = {.secret = secret, .at_question = NULL};
  pam_handle_t *handle = start_warm(&talk);
  for (int i = 0; i < kThreads; ++i) {
    must(pthread_create(&threads[i], NULL, authenticate_always, secret) == 0);
  }
  while (ready < kThreads) {
    usleep(100);
  }
  for (int i = 0; i < kForks; ++i) {
    usleep(300);
    child = fork();
    must(child >= 0);
    if (child == 0) {
      alarm(20);
      note_code(talk.secret, pam_authenticate(handle, 0));
      _exit(0);
    }
    must_end_well();
  }
  done = true;
  for (int i = 0; i < kThreads; ++i) {
    must(pthread_join(threads[i], NULL) == 0);
  }
  pam_end(handle, PAM_SUCCESS);
  authenticate();
}

static void fork_while_others_authenticate(void) {
  fork_while_others_try(host.secret);
}

/* Each of them logs, if the service is not quiet, and so does the child. */
static void fork_while_others_are_refused(void) {
  fork_while_others_try(host.wrong);
}

/* A child has a copy of every descriptor of the moment, and nobody waits for
 * it. */
static void *fork_always(void *unused) {
  (void)unused;
  const pid_t self = getpid();
  while (!done) {
    const pid_t other = fork();
    if (other == 0) {
      /* Nobody else ends it if the case is killed, be it before this. */
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (getppid() == self) {
        pause();
      }
      _exit(0);
    }
    usleep(2000);
    if (other > 0) {
      kill(other, SIGKILL);
      waitpid(other, NULL, 0);
    }
  }
  return NULL;
}

static void authenticate_while_others_fork(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, fork_always, NULL) == 0);
  for (int i = 0; i < 30; ++i) {
    try_both();
  }
  done = true;
  must(pthread_join(thread, NULL) == 0);
  authenticate();
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("fork_in_conversation", NULL, fork_in_conversation);
  run_case("fork_with_a_handle", NULL, fork_between_start_and_authenticate);
  run_case("fork_among_threads", NULL, fork_while_others_authenticate);
  run_case("fork_among_threads_that_log", NULL, fork_while_others_are_refused);
  run_case("forks_of_other_threads", NULL, authenticate_while_others_fork);
  return end_host();
}
