/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host of a PAM module, any module, that is not at its best: what all
 * programs of the suite share.
 *
 * PROGRAM SERVICE USER, with the right secret and a wrong one on standard
 * input, each on a line.  In the environment: HOST_WHO, UID:GID:GROUP, is who
 * authenticates (else who started the program); HOST_EXPECTED, a file, says
 * which codes a case may have for the runs with the label HOST_LABEL, other
 * than PAM_SUCCESS for the right secret and PAM_AUTH_ERR for the wrong one;
 * HOST_CASE is the only case to run.
 *
 * A case is a child of the program, so that it may do to itself what it likes.
 * It is not ok if a secret was answered otherwise than is expected, a wrong one
 * with PAM_SUCCESS in particular; if it was killed by a signal, or hangs; if
 * anything is not as it was: descriptors, children, signals, timers, mappings,
 * threads, umask, working directory.
 */
#ifndef PBSTOKEN_TESTS_HOSTS_HOST_H_
#define PBSTOKEN_TESTS_HOSTS_HOST_H_

#include <security/pam_appl.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
#define _Noreturn [[noreturn]]
#endif

enum { kMostSecret = 640 };

struct host {
  const char *service;
  const char *user;
  char secret[kMostSecret];
  char wrong[kMostSecret];
};
extern struct host host;

typedef void (*act)(void);

void start_host(int argc, char **argv);

/*
 * One case: prepare() runs with the privileges of the program, body() with
 * those of HOST_WHO.  Either may be null: nothing to prepare; authenticate(),
 * twice.
 */
void run_case(const char *name, act prepare, act body);

/* How the program is to end: not 0 if a case was not ok. */
int end_host(void);

/* --- for a case */

/*
 * pam_start(3), pam_authenticate(3) and pam_end(3), with a conversation that
 * gives `secret`; the code is noted as the answer to it.
 */
int try_secret(const char *secret);
/* The right one, then the wrong one. */
void try_both(void);
/* The same, as long as all is well: everything is loaded, and cached, that will
 * be.  The codes are not those of the case. */
void warm_up(void);
/* Twice, and the second time leaves nothing behind that the first one had not;
 * but for mappings, which the first one may make. */
void authenticate(void);

/* The same in pieces. */
struct dialogue {
  const char *secret;
  act at_question; /* null, or called by the conversation */
};
pam_handle_t *start_dialogue(struct dialogue *dialogue);
void note_code(const char *secret, int code);

/* The case is not ok.  The first one counts. */
__attribute__((format(printf, 1, 2))) void fault(const char *format, ...);

/* What there must not be more of; to be compared with what it was before. */
void remember_state(void);
void compare_state(bool with_mappings);

/* A call that must not fail. */
#define must(condition) ((condition) ? (void)0 : give_up(#condition))
_Noreturn void give_up(const char *what);

#endif /* PBSTOKEN_TESTS_HOSTS_HOST_H_ */
