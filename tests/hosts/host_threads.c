/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads on small stacks, and threads that end in the middle. */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"

enum { kThreads = 8, kRounds = 12, kSmall = 64 * 1024, kUntouched = 0xa5 };

static size_t small_stack(void) {
  return kSmall < PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : kSmall;
}

/* --- in parallel */

static atomic_int waiting;

static void *authenticate_often(void *unused) {
  (void)unused;
  ++waiting;
  while (waiting < kThreads) {
  }
  for (int i = 0; i < kRounds; ++i) {
    try_both();
  }
  return NULL;
}

/*
 * A stack of our own making, so that it can be seen how far down it was used; a
 * guard page below turns what does not fit into a signal.
 */
struct stack {
  unsigned char *lowest;
  pthread_t thread;
};

static void start_on_small_stack(struct stack *stack, void *(*run)(void *)) {
  const size_t guard = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *at = mmap(NULL, guard + small_stack(), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(at != MAP_FAILED && mprotect(at, guard, PROT_NONE) == 0);
  stack->lowest = at + guard;
  memset(stack->lowest, kUntouched, small_stack());
  pthread_attr_t attributes;
  must(pthread_attr_init(&attributes) == 0);
  must(pthread_attr_setstack(&attributes, stack->lowest, small_stack()) == 0);
  must(pthread_create(&stack->thread, &attributes, run, NULL) == 0);
  pthread_attr_destroy(&attributes);
}

/* How many bytes of it were in use at some time. */
static size_t end_of_small_stack(const struct stack *stack) {
  must(pthread_join(stack->thread, NULL) == 0);
  size_t untouched = 0;
  while (stack->lowest[untouched] == kUntouched) {
    ++untouched;
  }
  return small_stack() - untouched;
}

static void authenticate_on_small_stacks(void) {
  struct stack stacks[kThreads];
  size_t most = 0;
  remember_state();
  for (int i = 0; i < kThreads; ++i) {
    start_on_small_stack(&stacks[i], authenticate_often);
  }
  for (int i = 0; i < kThreads; ++i) {
    const size_t used = end_of_small_stack(&stacks[i]);
    most = used > most ? used : most;
  }
  printf("# of a stack of %zu bytes %zu were used\n", small_stack(), most);
  compare_state(false);
}

/* --- ended in the conversation, which is a place to wait */

static sem_t asked;
static pam_handle_t *handle;

static void wait_for_the_end(void) {
  sem_post(&asked);
  for (;;) {
    pause();
  }
}

static void leave_thread(void) {
  pthread_exit(NULL);
}

static struct dialogue dialogue;

static void *authenticate_once(void *unused) {
  (void)unused;
  handle = start_dialogue(&dialogue);
  must(handle != NULL);
  pam_authenticate(handle, 0);
  fault("the thread has gone on");
  return NULL;
}

/* The handle is lost: libpam takes every later call for one of the module's,
 * and refuses it.  Nothing else is. */
static void end_in_conversation(act at_question) {
  pthread_t thread;
  dialogue.secret = host.secret;
  dialogue.at_question = at_question;
  must(pthread_create(&thread, NULL, authenticate_once, NULL) == 0);
  if (at_question == wait_for_the_end) {
    while (sem_wait(&asked) != 0) {
    }
    must(pthread_cancel(thread) == 0);
  }
  void *result = &thread;
  must(pthread_join(thread, &result) == 0);
  if (result != (at_question == wait_for_the_end ? PTHREAD_CANCELED : NULL)) {
    fault("the thread was not ended by the conversation");
  }
}

/* The first time, for what libc loads to unwind a stack. */
static void end_often_in_conversation(act at_question) {
  must(sem_init(&asked, 0, 0) == 0);
  end_in_conversation(at_question);
  try_both();
  remember_state();
  for (int i = 0; i < kRounds; ++i) {
    end_in_conversation(at_question);
    try_both();
  }
  compare_state(false);
}

static void cancel_in_conversation(void) {
  end_often_in_conversation(wait_for_the_end);
}

static void exit_in_conversation(void) {
  end_often_in_conversation(leave_thread);
}

/* --- cancelled later on, wherever the module is then */

/* libpam itself may be cancelled where it holds the descriptor of a file: so
 * not before the conversation.  After the module it writes to the audit log;
 * what libaudit holds is closed here. */
static void allow_cancelling(void) {
  must(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
  sem_post(&asked);
}

static void close_audit_descriptors(void) {
  for (int fd = 3; fd < 64; ++fd) {
    char link[40];
    char name[100] = "";
    int domain = 0;
    socklen_t size = sizeof(domain);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if ((getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         domain == AF_NETLINK) ||
        (readlink(link, name, sizeof(name) - 1) > 0 &&
         strstr(name, "/status") != NULL)) {
      close(fd);
    }
  }
}

static void *authenticate_on_and_on(void *unused) {
  (void)unused;
  for (;;) {
    must(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    struct dialogue talk = {.secret = host.secret,
                            .at_question = allow_cancelling};
    handle = start_dialogue(&talk);
    must(handle != NULL);
    const int code = pam_authenticate(handle, 0);
    must(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    pam_end(handle, code);
    note_code(talk.secret, code);
  }
  return NULL;
}

/*
 * What a thread holds when it ends in the module must be nothing that others
 * wait for, no descriptor, and nobody to be waited for.
 */
static void cancel_anywhere(void) {
  enum { kCancels = 150, kMostMicroseconds = 2500 };
  must(sem_init(&asked, 0, 0) == 0);
  try_both();
  remember_state();
  for (unsigned i = 0; i < kCancels; ++i) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, authenticate_on_and_on, NULL) == 0);
    while (sem_wait(&asked) != 0) {
    }
    const unsigned microseconds = i * 3571 % kMostMicroseconds;
    if (microseconds > 50) {
      usleep(microseconds);
    }
    must(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    close_audit_descriptors();
    compare_state(false);
    while (sem_trywait(&asked) == 0) {
    }
  }
  try_both();
  compare_state(false);
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("threads_on_small_stacks", NULL, authenticate_on_small_stacks);
  run_case("cancelled_in_conversation", NULL, cancel_in_conversation);
  run_case("thread_exits_in_conversation", NULL, exit_in_conversation);
  run_case("cancelled_anywhere", NULL, cancel_anywhere);
  return end_host();
}
