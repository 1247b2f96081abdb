/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images DIRECTORY PROGRAM ARGUMENT...: runs a program, and leaves in the
 * directory an image of every process that it was or has started, from the
 * moment before it ends: NAME.PID.image has all of its memory that can be read,
 * what is kept out of core dumps included; NAME.PID.maps says at what offset
 * which mapping starts.
 *
 * To be run as root, so that setuid programs stay that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;

static void give_up(const char *what) {
  perror(what);
  exit(126);
}

static void copy_range(int from, FILE *to, unsigned long first,
                       unsigned long last) {
  static char bytes[1 << 16];
  while (first < last) {
    const unsigned long left = last - first;
    const ssize_t count = pread(
        from, bytes, left < sizeof(bytes) ? left : sizeof(bytes), (off_t)first);
    if (count <= 0) {
      return; /* the kernel's own, or a file that has become shorter */
    }
    fwrite(bytes, 1, (size_t)count, to);
    first += (unsigned long)count;
  }
}

static void take_image(pid_t pid) {
  char path[300];
  char name[32] = "unnamed";
  char line[600];
  snprintf(path, sizeof(path), "/proc/%d/comm", pid);
  FILE *comm = fopen(path, "re");
  if (comm != NULL && fgets(name, sizeof(name), comm) != NULL) {
    name[strcspn(name, "\n/")] = '\0';
  }
  if (comm != NULL) {
    fclose(comm);
  }
  snprintf(path, sizeof(path), "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "re");
  snprintf(path, sizeof(path), "/proc/%d/mem", pid);
  const int memory = open(path, O_RDONLY | O_CLOEXEC);
  snprintf(path, sizeof(path), "%s/%s.%d.image", directory, name, pid);
  FILE *image = fopen(path, "we");
  snprintf(path, sizeof(path), "%s/%s.%d.maps", directory, name, pid);
  FILE *offsets = fopen(path, "we");
  if (maps == NULL || memory < 0 || image == NULL || offsets == NULL) {
    give_up("cannot take an image");
  }
  while (fgets(line, sizeof(line), maps) != NULL) {
    unsigned long first = 0;
    unsigned long last = 0;
    char mode = 0;
    if (sscanf(line, "%lx-%lx %c", &first, &last, &mode) == 3 && mode == 'r') {
      fprintf(offsets, "%ld %s", ftell(image), line);
      copy_range(memory, image, first, last);
    }
  }
  fclose(offsets);
  fclose(maps);
  close(memory);
  if (fclose(image) != 0) {
    give_up("cannot write an image");
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    return 2;
  }
  directory = argv[1];
  const pid_t first = fork();
  if (first == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0) {
      give_up("ptrace");
    }
    execv(argv[2], argv + 2);
    give_up(argv[2]);
  }
  int status = 0;
  int result = 1;
  waitpid(first, &status, 0);
  if (ptrace(PTRACE_SETOPTIONS, first, NULL,
             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) !=
      0) {
    give_up("ptrace");
  }
  ptrace(PTRACE_CONT, first, NULL, NULL);
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) {
      if (pid == first) {
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
      }
      continue;
    }
    const int event = status >> 16;
    if (event == PTRACE_EVENT_EXIT) {
      take_image(pid);
    }
    /* A new one starts with a SIGSTOP, which is ours. */
    const int number = WSTOPSIG(status);
    const int deliver =
        event != 0 || number == SIGSTOP || number == SIGTRAP ? 0 : number;
    ptrace(PTRACE_CONT, pid, NULL, deliver);
  }
  return result;
}
