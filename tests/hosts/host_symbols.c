/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host that exports functions under the names that others have for theirs,
 * and with another meaning: comparisons that find everything equal, digests
 * that are all the same, a wipe that does not, a crypt(3) whose result is its
 * setting, an allocator of its own.
 *
 * To be linked with -rdynamic, so that its functions come first.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

static int calls;
static const char *called;

/* Returns what a function of that name gives when all is well. */
#define NOT_FOR_A_MODULE(name, result)   \
  __attribute__((used)) int name(void) { \
    ++calls;                             \
    called = #name;                      \
    return result;                       \
  }

/* libcrypto's. */
NOT_FOR_A_MODULE(CRYPTO_memcmp, 0)
NOT_FOR_A_MODULE(OPENSSL_cleanse, 0)
NOT_FOR_A_MODULE(SHA256_Init, 1)
NOT_FOR_A_MODULE(SHA256_Update, 1)
NOT_FOR_A_MODULE(SHA256_Final, 1)
NOT_FOR_A_MODULE(SHA256_Transform, 1)
NOT_FOR_A_MODULE(sha256_block_data_order, 1)
NOT_FOR_A_MODULE(OPENSSL_cpuid_setup, 0)
NOT_FOR_A_MODULE(OPENSSL_ia32cap_P, 0)
NOT_FOR_A_MODULE(OPENSSL_init_crypto, 1)
NOT_FOR_A_MODULE(HMAC, 1)
NOT_FOR_A_MODULE(EVP_MAC_final, 1)
/* What else a module might call its own functions. */
NOT_FOR_A_MODULE(authenticate_user, 0)
NOT_FOR_A_MODULE(verify, 0)
NOT_FOR_A_MODULE(lookup, 0)
NOT_FOR_A_MODULE(log_failure, 0)
/* The C++ runtime's. */
NOT_FOR_A_MODULE(_Znwm, 0)
NOT_FOR_A_MODULE(_ZdlPv, 0)
NOT_FOR_A_MODULE(_ZdlPvm, 0)
NOT_FOR_A_MODULE(__cxa_throw, 0)
NOT_FOR_A_MODULE(__cxa_begin_catch, 0)
NOT_FOR_A_MODULE(__cxa_guard_acquire, 0)
NOT_FOR_A_MODULE(__cxa_pure_virtual, 0)
NOT_FOR_A_MODULE(__gxx_personality_v0, 0)
NOT_FOR_A_MODULE(_ZSt9terminatev, 0)

/* libcrypt's: what is compared with the stored hash is the stored hash. */
static char setting_again[512];

static char *give_back(const char *setting) {
  ++calls;
  called = "crypt";
  snprintf(setting_again, sizeof(setting_again), "%s", setting);
  return setting_again;
}

__attribute__((used)) char *crypt(const char *key, const char *setting) {
  (void)key;
  return give_back(setting);
}
__attribute__((used)) char *crypt_r(const char *key, const char *setting,
                                    void *data) {
  (void)key;
  (void)data;
  return give_back(setting);
}
__attribute__((used)) char *crypt_rn(const char *key, const char *setting,
                                     void *data, int size) {
  (void)key;
  (void)data;
  (void)size;
  return give_back(setting);
}
__attribute__((used)) char *crypt_ra(const char *key, const char *setting,
                                     void **data, int *size) {
  (void)key;
  (void)data;
  (void)size;
  return give_back(setting);
}

/* --- the allocator: never gives a place twice, and knows its own */

enum { kArena = 64 * 1024 * 1024, kHead = 16 };
static const uint64_t kMark = 0x6d61726b6d61726bU;

static unsigned char *arena;
static size_t used;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static long live;

static uint64_t *head_of(const void *at) {
  return (uint64_t *)((uintptr_t)at - kHead);
}

static void *take(size_t alignment, size_t size) {
  pthread_mutex_lock(&one);
  if (arena == NULL) {
    arena = mmap(NULL, kArena, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  const size_t at = (used + kHead + alignment - 1) / alignment * alignment;
  void *result = NULL;
  if (arena != MAP_FAILED && size < kArena && at + size <= kArena) {
    used = at + size;
    result = arena + at;
    /* Not zero, as memory may be. */
    memset(result, 0xdb, size);
    head_of(result)[0] = kMark;
    head_of(result)[1] = size;
    ++live;
  }
  pthread_mutex_unlock(&one);
  return result;
}

void *malloc(size_t size) {
  return take(kHead, size);
}

void free(void *at) {
  if (at == NULL) {
    return;
  }
  pthread_mutex_lock(&one);
  if (head_of(at)[0] != kMark) {
    abort(); /* freed twice, or not from here */
  }
  head_of(at)[0] = 0;
  memset(at, 0xdc, head_of(at)[1]);
  --live;
  pthread_mutex_unlock(&one);
}

void *calloc(size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) {
    return NULL;
  }
  void *result = take(kHead, count * size);
  if (result != NULL) {
    memset(result, 0, count * size);
  }
  return result;
}

void *realloc(void *old, size_t size) {
  void *result = take(kHead, size);
  if (result != NULL && old != NULL) {
    const size_t before = head_of(old)[1];
    memcpy(result, old, before < size ? before : size);
    free(old);
  }
  return result;
}

void *aligned_alloc(size_t alignment, size_t size) {
  return take(alignment < kHead ? kHead : alignment, size);
}

void *memalign(size_t alignment, size_t size) {
  return aligned_alloc(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = aligned_alloc(alignment, size);
  return *out != NULL ? 0 : 12;
}

/* --- the cases */

static void authenticate_with_own_functions(void) {
  authenticate();
  if (calls != 0) {
    fault("%d calls of the host's functions, the last of %s", calls, called);
  }
}

/* As many blocks as before, once everything is loaded. */
static void free_what_was_taken(void) {
  authenticate();
  const long before = live;
  for (int i = 0; i < 50; ++i) {
    try_both();
  }
  if (live != before) {
    fault("%ld blocks have become %ld", before, live);
  }
}

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("functions_of_the_host", NULL, authenticate_with_own_functions);
  run_case("allocator_of_the_host", NULL, free_what_was_taken);
  return end_host();
}
