/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer SERVICE USER COUNT wait|abort|keep: a host that knows of a secret only
 * what its conversation reads, straight into the response; for those who look
 * through its memory afterwards.
 *
 * Reads an answer, a line of standard input, for each of COUNT authentications,
 * and prints the codes.  Then it waits for the end of its input, or aborts.
 * With keep, it has a copy.
 */
#define _GNU_SOURCE
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int keeps;
static char *kept;

static int read_answer(int count, const struct pam_message **messages,
                       struct pam_response **out_responses, void *data) {
  enum { kMost = 600 };
  (void)messages;
  (void)data;
  struct pam_response *responses = calloc((size_t)count, sizeof(*responses));
  for (int i = 0; i < count; ++i) {
    char *at = responses[i].resp = calloc(1, kMost);
    while (at < responses[i].resp + kMost - 1 &&
           read(STDIN_FILENO, at, 1) == 1 && *at != '\n') {
      ++at;
    }
    *at = '\0';
    if (keeps) {
      kept = strdup(responses[i].resp);
    }
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

int main(int argc, char **argv) {
  const struct pam_conv conv = {.conv = read_answer, .appdata_ptr = NULL};
  if (argc != 5) {
    return 2;
  }
  keeps = strcmp(argv[4], "keep") == 0;
  for (int i = atoi(argv[3]); i > 0; --i) {
    pam_handle_t *handle = NULL;
    if (pam_start(argv[1], argv[2], &conv, &handle) != PAM_SUCCESS) {
      return 3;
    }
    const int code = pam_authenticate(handle, 0);
    pam_end(handle, code);
    printf("%d\n", code);
    fflush(stdout);
  }
  if (strcmp(argv[4], "abort") == 0) {
    abort();
  }
  char end;
  return read(STDIN_FILENO, &end, 1) == 0 ? 0 : 1;
}
