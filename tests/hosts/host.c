/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

struct host host;

/* Of the case that runs, told to the program that has started it. */
static struct report {
  atomic_uint right; /* bit N: code N was an answer to the right secret */
  atomic_uint wrong;
  atomic_bool ended;
  atomic_bool faulty;
  char fault[2000];
} *report;

static int cases_not_ok;

/* --- codes */

static const struct {
  const char *name;
  int code;
} codes[] = {
    {"PAM_SUCCESS", PAM_SUCCESS},
    {"PAM_OPEN_ERR", PAM_OPEN_ERR},
    {"PAM_SYMBOL_ERR", PAM_SYMBOL_ERR},
    {"PAM_SERVICE_ERR", PAM_SERVICE_ERR},
    {"PAM_SYSTEM_ERR", PAM_SYSTEM_ERR},
    {"PAM_BUF_ERR", PAM_BUF_ERR},
    {"PAM_PERM_DENIED", PAM_PERM_DENIED},
    {"PAM_AUTH_ERR", PAM_AUTH_ERR},
    {"PAM_CRED_INSUFFICIENT", PAM_CRED_INSUFFICIENT},
    {"PAM_AUTHINFO_UNAVAIL", PAM_AUTHINFO_UNAVAIL},
    {"PAM_USER_UNKNOWN", PAM_USER_UNKNOWN},
    {"PAM_MAXTRIES", PAM_MAXTRIES},
    {"PAM_CONV_ERR", PAM_CONV_ERR},
    {"PAM_IGNORE", PAM_IGNORE},
    {"PAM_ABORT", PAM_ABORT},
    {"PAM_MODULE_UNKNOWN", PAM_MODULE_UNKNOWN},
};
enum { kCodes = sizeof(codes) / sizeof(codes[0]) };

static const char *name_of(int code) {
  for (int i = 0; i < kCodes; ++i) {
    if (codes[i].code == code) {
      return codes[i].name;
    }
  }
  return "another code";
}

/* Of names with '|' between them. */
static unsigned set_of(const char *names) {
  unsigned set = 0;
  char copy[200];
  snprintf(copy, sizeof(copy), "%s", names);
  char *rest = copy;
  for (char *name; (name = strsep(&rest, "|")) != NULL;) {
    int i = 0;
    while (i < kCodes && strcmp(codes[i].name, name) != 0) {
      ++i;
    }
    must(i < kCodes);
    set |= 1U << (unsigned)codes[i].code;
  }
  return set;
}

static void write_set(char *to, size_t size, unsigned set) {
  size_t used = 0;
  *to = '\0';
  for (int code = 0; code < 32; ++code) {
    if ((set & (1U << (unsigned)code)) != 0 && used < size) {
      used += (size_t)snprintf(to + used, size - used, "%s%s",
                               used > 0 ? "|" : "", name_of(code));
    }
  }
}

/* --- the program */

_Noreturn void give_up(const char *what) {
  const int error = errno;
  if (report != NULL) {
    fault("cannot go on: %s: %s", what, strerror(error));
  }
  fprintf(stderr, "cannot go on: %s: %s\n", what, strerror(error));
  _exit(1);
}

static void read_line(char *to) {
  must(fgets(to, kMostSecret, stdin) != NULL);
  to[strcspn(to, "\n")] = '\0';
}

void start_host(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s SERVICE USER\n", argv[0]);
    exit(2);
  }
  host.service = argv[1];
  host.user = argv[2];
  read_line(host.secret);
  read_line(host.wrong);
  setvbuf(stdout, NULL, _IOLBF, 0);
  /* Whatever a case leaves behind comes to us. */
  must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

int end_host(void) {
  return cases_not_ok == 0 ? 0 : 1;
}

static void become_who(void) {
  const char *who = getenv("HOST_WHO");
  unsigned user = 0;
  unsigned group = 0;
  unsigned other = 0;
  if (who == NULL || *who == '\0') {
    return;
  }
  must(sscanf(who, "%u:%u:%u", &user, &group, &other) == 3);
  const gid_t groups[] = {other};
  must(setgroups(1, groups) == 0 && setresgid(group, group, group) == 0);
  must(setresuid(user, user, user) == 0);
}

static bool is_labelled(char *labels) {
  const char *label = getenv("HOST_LABEL");
  for (char *name; (name = strsep(&labels, ",")) != NULL;) {
    if (strcmp(name, "*") == 0 || (label != NULL && strcmp(name, label) == 0)) {
      return true;
    }
  }
  return false;
}

/* The codes that a case may have, in lines of LABEL,... CASE RIGHT WRONG; the
 * last one counts. */
static void find_expected(const char *name, unsigned *right, unsigned *wrong) {
  const char *path = getenv("HOST_EXPECTED");
  char line[400];
  char labels[150];
  char of[100];
  char rights[150];
  char wrongs[150];
  *right = set_of("PAM_SUCCESS");
  *wrong = set_of("PAM_AUTH_ERR");
  if (path == NULL || *path == '\0') {
    return;
  }
  FILE *file = fopen(path, "re");
  must(file != NULL);
  while (fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "%149s %99s %149s %149s", labels, of, rights, wrongs) ==
            4 &&
        strcmp(of, name) == 0 && is_labelled(labels)) {
      *right = set_of(rights);
      *wrong = set_of(wrongs);
    }
  }
  fclose(file);
}

/* --- a case */

/* Seconds. */
static int patience(void) {
  const char *seconds = getenv("HOST_PATIENCE");
  return seconds != NULL ? atoi(seconds) : 60;
}

/* Its status, or -1 when it hangs, and then it is killed. */
static int wait_for_case(pid_t child) {
  struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0),
                         .events = POLLIN};
  must(ended.fd >= 0);
  const bool in_time = poll(&ended, 1, patience() * 1000) == 1;
  close(ended.fd);
  if (!in_time) {
    kill(child, SIGKILL);
  }
  int status = 0;
  must(waitpid(child, &status, 0) == child);
  return in_time ? status : -1;
}

/* What the case has left: nobody, before long. */
static bool somebody_is_left(void) {
  enum { kSeconds = 3 };
  const time_t end = time(NULL) + kSeconds;
  while (time(NULL) <= end) {
    if (waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD) {
      return false;
    }
    usleep(10000);
  }
  return true;
}

static void judge(const char *name, int status) {
  unsigned right = 0;
  unsigned wrong = 0;
  char rights[200];
  char wrongs[200];
  find_expected(name, &right, &wrong);
  if (status == -1) {
    fault("hangs");
  } else if (WIFSIGNALED(status)) {
    fault("ended by signal %d", WTERMSIG(status));
  } else if (!report->ended) {
    fault("has not come to its end");
  }
  if (somebody_is_left()) {
    fault("somebody is left");
  }
  write_set(rights, sizeof(rights), report->right);
  write_set(wrongs, sizeof(wrongs), report->wrong);
  if (report->right == 0 || report->wrong == 0) {
    fault("a secret was not even tried");
  }
  if ((report->wrong & (1U << PAM_SUCCESS)) != 0) {
    fault("the wrong secret was accepted");
  }
  if ((report->right & ~right) != 0 || (report->wrong & ~wrong) != 0) {
    fault("not the codes that are expected");
  }
  const char *label = getenv("HOST_LABEL");
  printf("%s %s%s%s right:%s wrong:%s\n",
         report->faulty ? "[  FAILED  ]" : "[       OK ]", name,
         label != NULL ? " " : "", label != NULL ? label : "", rights, wrongs);
  if (report->faulty) {
    printf("%s: %s\n", name, report->fault);
    ++cases_not_ok;
  }
}

void run_case(const char *name, act prepare, act body) {
  const char *only = getenv("HOST_CASE");
  if (only != NULL && strcmp(only, name) != 0) {
    return;
  }
  report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(report != MAP_FAILED);
  fflush(NULL);
  const pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    if (prepare != NULL) {
      prepare();
    }
    become_who();
    if (body != NULL) {
      body();
    } else {
      authenticate();
    }
    report->ended = true;
    _exit(0);
  }
  judge(name, wait_for_case(child));
  munmap(report, sizeof(*report));
  report = NULL;
}

void fault(const char *format, ...) {
  if (!atomic_exchange(&report->faulty, true)) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->fault, sizeof(report->fault), format, arguments);
    va_end(arguments);
  }
}

/* --- authenticating */

static int converse(int count, const struct pam_message **messages,
                    struct pam_response **out_responses, void *data) {
  const struct dialogue *dialogue = data;
  (void)messages;
  if (dialogue->at_question != NULL) {
    dialogue->at_question();
  }
  struct pam_response *responses = calloc((size_t)count, sizeof(*responses));
  if (responses == NULL) {
    return PAM_BUF_ERR;
  }
  for (int i = 0; i < count; ++i) {
    responses[i].resp = strdup(dialogue->secret);
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

pam_handle_t *start_dialogue(struct dialogue *dialogue) {
  /* libpam keeps a copy. */
  const struct pam_conv conv = {.conv = converse, .appdata_ptr = dialogue};
  pam_handle_t *handle = NULL;
  const int code = pam_start(host.service, host.user, &conv, &handle);
  return code == PAM_SUCCESS ? handle : NULL;
}

void note_code(const char *secret, int code) {
  atomic_uint *codes_of_it =
      strcmp(secret, host.secret) == 0 ? &report->right : &report->wrong;
  atomic_fetch_or(codes_of_it, 1U << (unsigned)code);
}

int try_secret(const char *secret) {
  struct dialogue dialogue = {.secret = secret, .at_question = NULL};
  int code = PAM_ABORT;
  pam_handle_t *handle = start_dialogue(&dialogue);
  if (handle != NULL) {
    code = pam_authenticate(handle, 0);
    pam_end(handle, code);
  }
  note_code(secret, code);
  return code;
}

void try_both(void) {
  try_secret(host.secret);
  try_secret(host.wrong);
}

void warm_up(void) {
  const bool good = try_secret(host.secret) == PAM_SUCCESS &&
                    try_secret(host.wrong) != PAM_SUCCESS;
  if (!good) {
    fault("wrong answers from the start");
  }
  report->right = report->wrong = 0;
}

void authenticate(void) {
  remember_state();
  try_both();
  compare_state(false);
  remember_state();
  try_both();
  compare_state(true);
}

/* --- what is left behind */

enum { kMostState = 256 * 1024, kDescriptors = 4096, kMapsDescriptor = 500 };

static char state[kMostState];
static char mappings[kMostState];

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t *used,
                                                      const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  *used +=
      (size_t)vsnprintf(text + *used, kMostState - *used, format, arguments);
  va_end(arguments);
}

static void write_state(char *text) {
  size_t used = 0;
  closelog(); /* libc's descriptor, for as long as syslog(3) is in use */
  add(text, &used, "descriptors");
  for (int fd = 0; fd < kDescriptors; ++fd) {
    if (fd != kMapsDescriptor && fcntl(fd, F_GETFD) >= 0) {
      char link[64];
      char name[200] = "";
      snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
      add(text, &used, " %d", fd);
      if (readlink(link, name, sizeof(name) - 1) > 0) {
        add(text, &used, " (%s)", name);
      }
    }
  }
  sigset_t mask;
  /* Set by libc whenever sigaction(2) is called, and of no effect. */
  const int restorer = 0x04000000;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0) {
      add(text, &used, "\nsignal %d %p %x%s", number,
          (void *)action.sa_sigaction, (unsigned)(action.sa_flags & ~restorer),
          sigismember(&mask, number) == 1 ? " blocked" : "");
    }
  }
  const mode_t old = umask(0);
  umask(old);
  struct stat directory = {0};
  stat(".", &directory);
  struct itimerval timer = {0};
  getitimer(ITIMER_REAL, &timer);
  siginfo_t child;
  const bool children =
      waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
  add(text, &used, "\n%s children", children ? "with" : "without");
  add(text, &used, "\numask %o\ndirectory %ju\ntimer every %ld.%06ld s\n",
      (unsigned)old, (uintmax_t)directory.st_ino, timer.it_interval.tv_sec,
      timer.it_interval.tv_usec);
  add(text, &used, "dumpable %d\nno_new_privs %d\nname ",
      prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  add(text, &used, "%s\nlocale variable %s\n", name,
      getenv("LANG") != NULL ? getenv("LANG") : "none");
}

/*
 * Those with a name, and how many there are without: the heap grows and shrinks
 * as it likes.  Through one descriptor, opened before any could be missing.
 */
static void write_mappings(char *text) {
  static char maps[kMostState];
  size_t size = 0;
  ssize_t count = 0;
  while ((count = pread(kMapsDescriptor, maps + size, sizeof(maps) - 1 - size,
                        (off_t)size)) > 0) {
    size += (size_t)count;
  }
  maps[size] = '\0';
  size_t used = 0;
  int without_name = 0;
  char *rest = maps;
  for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
    const char *name = strpbrk(line, "/[");
    const char *mode = strchr(line, ' ');
    if (name == NULL) {
      without_name += *line != '\0' ? 1 : 0;
    } else if (strncmp(name, "[heap]", 6) != 0 &&
               strncmp(name, "[stack]", 7) != 0) {
      /* Wherever it is: what is unloaded comes back elsewhere. */
      add(text, &used, "%.5s %s\n", mode, name);
    }
  }
  add(text, &used, "%d without a name\n", without_name);
}

static void open_mappings(void) {
  if (fcntl(kMapsDescriptor, F_GETFD) < 0) {
    const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps >= 0) {
      dup3(maps, kMapsDescriptor, O_CLOEXEC);
      close(maps);
    }
  }
}

void remember_state(void) {
  open_mappings();
  write_state(state);
  write_mappings(mappings);
}

/* The first line that is another one. */
static void compare(const char *before, const char *after) {
  while (*before != '\0' && *before == *after) {
    const size_t line = strcspn(before, "\n");
    if (strncmp(before, after, line + 1) != 0) {
      break;
    }
    before += line + 1;
    after += line + 1;
  }
  if (*before != *after || *before != '\0') {
    fault("what was \"%.*s\" is \"%.*s\"", (int)strcspn(before, "\n"), before,
          (int)strcspn(after, "\n"), after);
  }
}

void compare_state(bool with_mappings) {
  static char now[kMostState];
  write_state(now);
  compare(state, now);
  if (with_mappings) {
    write_mappings(now);
    compare(mappings, now);
  }
}
