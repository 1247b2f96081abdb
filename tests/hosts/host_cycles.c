/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pam_start(3) to pam_end(3), again and again: a host that lives for months.
 * $HOST_CYCLES is how often, 20000 if it is not set.
 *
 * In $HOST_MODULE, the file of the module, if the program may replace it, by
 * rename(2), as a package manager does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

enum { kLooks = 10 };

struct size {
  size_t in_use; /* bytes of the heap */
  long resident; /* KiB */
  long own;      /* KiB that no other process shares */
  int mappings;
  int attachments; /* of System V shared memory */
};

static long number_after(const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at != NULL ? atol(at + strlen(name)) : -1;
}

static struct size look(void) {
  static char text[256 * 1024];
  struct size size = {0};
  for (int i = 0; i < 2; ++i) {
    const int fd = open(i == 0 ? "/proc/self/smaps_rollup" : "/proc/self/maps",
                        O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t count = 0;
    while ((count = read(fd, text + used, sizeof(text) - 1 - used)) > 0) {
      used += (size_t)count;
    }
    close(fd);
    text[used] = '\0';
    if (i == 0) {
      size.resident = number_after(text, "\nRss:");
      size.own = number_after(text, "\nPrivate_Dirty:");
      continue;
    }
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; ++at) {
      ++size.mappings;
    }
    for (const char *at = text; (at = strstr(at, "/SYSV")) != NULL; ++at) {
      ++size.attachments;
    }
  }
  size.in_use = mallinfo2().uordblks;
  return size;
}

static void print_size(long done, const struct size *size) {
  printf(
      "# %8ld cycles: %7ld KiB resident, %6ld KiB its own, %8zu bytes in use, "
      "%d mappings, %d attachments\n",
      done, size->resident, size->own, size->in_use, size->mappings,
      size->attachments);
}

static bool is_more(const struct size *now, const struct size *before) {
  return now->in_use > before->in_use || now->resident > before->resident ||
         now->own > before->own || now->mappings != before->mappings ||
         now->attachments != before->attachments;
}

static void cycle(long times) {
  for (long i = 0; i < times; i += 2) {
    try_both();
  }
}

static void cycle_often(void) {
  const char *wanted = getenv("HOST_CYCLES");
  const long cycles = wanted != NULL ? atol(wanted) : 20000;
  const long warm_up = cycles / 4;
  puts("#"); /* standard output has a buffer, too */
  cycle(warm_up);
  look();
  remember_state();
  const struct size first = look();
  print_size(warm_up, &first);
  for (int i = 1; i <= kLooks; ++i) {
    cycle(cycles / kLooks);
    const struct size now = look();
    print_size(warm_up + cycles / kLooks * i, &now);
    if (is_more(&now, &first)) {
      fault("more after %ld cycles", warm_up + cycles / kLooks * i);
    }
  }
  compare_state(true);
}

/* --- the file of the module */

static void copy(const char *from, const char *to) {
  static char bytes[1 << 16];
  const int in = open(from, O_RDONLY | O_CLOEXEC);
  const int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  ssize_t count = 0;
  must(in >= 0 && out >= 0);
  while ((count = read(in, bytes, sizeof(bytes))) > 0) {
    must(write(out, bytes, (size_t)count) == count);
  }
  must(count == 0 && close(in) == 0 && close(out) == 0);
}

static void replace_module(void) {
  const char *module = getenv("HOST_MODULE");
  char fresh[600];
  must(module != NULL);
  snprintf(fresh, sizeof(fresh), "%s.dpkg-new", module);
  unlink(fresh);
  copy(module, fresh);
  must(rename(fresh, module) == 0);
}

static struct dialogue dialogue;
static pam_handle_t *handle;

/* Handles of the old file and of the new one, beside one another. */
static void replace_between(void) {
  enum { kTimes = 3 };
  try_both();
  for (int i = 0; i < kTimes; ++i) {
    dialogue.secret = host.secret;
    dialogue.at_question = i == 1 ? replace_module : NULL;
    handle = start_dialogue(&dialogue);
    must(handle != NULL);
    note_code(dialogue.secret, pam_authenticate(handle, 0));
    dialogue.at_question = NULL;
    replace_module();
    try_both();
    dialogue.secret = host.wrong;
    note_code(dialogue.secret, pam_authenticate(handle, 0));
    pam_end(handle, PAM_AUTH_ERR);
    authenticate();
  }
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("cycles", NULL, cycle_often);
  if (getenv("HOST_MODULE") != NULL) {
    run_case("module_replaced_between", NULL, replace_between);
  }
  return end_host();
}
