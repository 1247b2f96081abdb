/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process inherits, or has set, and a module must neither mind nor
 * change. */
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "host.h"

static void have_umask_of_all(void) {
  umask(0777);
}

static void lose_directory(void) {
  char directory[] = "/tmp/host-XXXXXX";
  must(mkdtemp(directory) != NULL && chdir(directory) == 0 &&
       rmdir(directory) == 0);
}

static void clear_environment(void) {
  must(clearenv() == 0);
}

static void have_hostile_environment(void) {
  static const char *const variables[][2] = {
      {"LD_PRELOAD", "/nonexistent.so"},
      {"LD_LIBRARY_PATH", "/nonexistent"},
      {"GLIBC_TUNABLES", "glibc.malloc.check=3:glibc.malloc.tcache_count=0"},
      {"GCONV_PATH", "/tmp"},
      {"OPENSSL_CONF", "/tmp/openssl.cnf"},
      {"OPENSSL_ia32cap", "0"},
      {"PATH", "/tmp"},
      {"IFS", "/"},
      {"LANG", "tr_TR.UTF-8"},
      {"LC_ALL", "tr_TR.UTF-8"},
      {"TZ", ":/tmp/tz"},
      {"TMPDIR", "/nonexistent"},
      {"PBSTOKEN_ID", "root@pam!somebody"},
  };
  for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); ++i) {
    must(setenv(variables[i][0], variables[i][1], 1) == 0);
  }
  setlocale(LC_ALL, "");
}

static void be_not_dumpable(void) {
  must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

/* Again, since a change of the uids sets it as the system has it. */
static void authenticate_not_dumpable(void) {
  be_not_dumpable();
  authenticate();
}

static void take_no_privileges(void) {
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static void block_all_signals(void) {
  sigset_t all;
  sigfillset(&all);
  must(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
}

static void ignore_all_signals(void) {
  for (int number = 1; number < NSIG; ++number) {
    signal(number, SIG_IGN); /* some cannot be */
  }
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number) {
  (void)number;
  ++alarms;
}

/* Calls that the handler interrupts are not restarted. */
static void authenticate_interrupted(void) {
  const struct sigaction action = {.sa_handler = count_alarm};
  const struct itimerval often = {.it_interval = {.tv_usec = 300},
                                  .it_value = {.tv_usec = 300}};
  const struct itimerval never = {.it_value = {0}};
  must(sigaction(SIGALRM, &action, NULL) == 0);
  must(setitimer(ITIMER_REAL, &often, NULL) == 0);
  for (int i = 0; i < 20; ++i) {
    authenticate();
  }
  must(setitimer(ITIMER_REAL, &never, NULL) == 0);
  if (alarms == 0) {
    fault("no alarm came");
  }
}

static void authenticate_rounding(void) {
  must(fesetround(FE_UPWARD) == 0);
  feraiseexcept(FE_OVERFLOW);
  authenticate();
  if (fegetround() != FE_UPWARD || fetestexcept(FE_OVERFLOW) == 0) {
    fault("another floating-point environment");
  }
}

/* Named, as daemons do; and with more arguments than it ever had. */
static void rename_process(void) {
  must(prctl(PR_SET_NAME, "(sd-pam) )") == 0);
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("nothing_special", NULL, NULL);
  run_case("umask_of_all", have_umask_of_all, NULL);
  run_case("directory_gone", lose_directory, NULL);
  run_case("environment_empty", clear_environment, NULL);
  run_case("environment_hostile", have_hostile_environment, NULL);
  run_case("not_dumpable", NULL, authenticate_not_dumpable);
  run_case("no_new_privs", take_no_privileges, NULL);
  run_case("signals_blocked", block_all_signals, NULL);
  run_case("signals_ignored", ignore_all_signals, NULL);
  run_case("calls_interrupted", NULL, authenticate_interrupted);
  run_case("rounding_upward", NULL, authenticate_rounding);
  run_case("name_odd", rename_process, NULL);
  return end_host();
}
