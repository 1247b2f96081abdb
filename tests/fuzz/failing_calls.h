// SPDX-License-Identifier: BSD-3-Clause
// System calls that fail as an input says: the functions of libc that the
// module calls are defined here, in the program, in front of libc's own.
//
// Include it in one file of a program.  Memory never fails: the allocator is
// the sanitizer's.  Nor does what gives something back: close(2), shmdt(2),
// semop(2) and LOCK_UN fail only if it is gone.
#ifndef PBSTOKEN_TESTS_FUZZ_FAILING_CALLS_H_
#define PBSTOKEN_TESTS_FUZZ_FAILING_CALLS_H_

#include <dlfcn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include "fuzz.h"

namespace pbstoken::fuzz {

struct FailingCalls {
  bool armed = false;
  unsigned seen = 0;
  unsigned first = 0;  // the calls that fail, counted from 0
  unsigned count = 0;
  int error = 0;
  bool any_failed = false;
};
inline constinit FailingCalls failing;

inline void arm(Input *input) {
  constexpr std::array<int, 10> kErrors = {
      EIO, EACCES, ENOMEM, EINTR, ENOENT, EMFILE, EINVAL, EAGAIN, EPERM, EIDRM};
  failing = {};
  failing.count = input->take_choice(6);
  if (failing.count != 0) {
    failing.first = input->take_byte() % 160;
    failing.error = kErrors[input->take_choice(kErrors.size())];
    // From there on; not what is tried again as it is.
    if (failing.count == 5 && failing.error != EINTR &&
        failing.error != EAGAIN) {
      failing.count = 1000;
    }
  }
  failing.armed = true;
}

// Whether anything failed.
inline bool disarm() {
  failing.armed = false;
  return failing.any_failed;
}

inline bool is_to_fail() {
  if (!failing.armed) {
    return false;
  }
  const unsigned number = failing.seen++;
  if (number < failing.first || number - failing.first >= failing.count) {
    return false;
  }
  failing.any_failed = true;
  errno = failing.error;
  return true;
}

}  // namespace pbstoken::fuzz

// Under the names that libc has for them, which are declared otherwise by its
// headers: noexcept, variadic, with attributes.
#define PBSTOKEN_FAILING(result, name, failure, parameters, arguments)      \
  extern "C" [[gnu::visibility("default"),                                  \
               gnu::used]] result failing_##name parameters __asm__(#name); \
  extern "C" result failing_##name parameters {                             \
    static const auto next =                                                \
        reinterpret_cast<result(*) parameters>(dlsym(RTLD_NEXT, #name));    \
    return pbstoken::fuzz::is_to_fail() ? failure : next arguments;         \
  }

PBSTOKEN_FAILING(int, open, -1, (const char *path, int flags, mode_t mode),
                 (path, flags, mode))
PBSTOKEN_FAILING(int, openat, -1,
                 (int at, const char *path, int flags, mode_t mode),
                 (at, path, flags, mode))
PBSTOKEN_FAILING(ssize_t, read, -1, (int fd, void *to, std::size_t size),
                 (fd, to, size))
PBSTOKEN_FAILING(ssize_t, pread, -1,
                 (int fd, void *to, std::size_t size, off_t at),
                 (fd, to, size, at))
PBSTOKEN_FAILING(int, fstat, -1, (int fd, struct stat *out), (fd, out))
PBSTOKEN_FAILING(int, stat, -1, (const char *path, struct stat *out),
                 (path, out))
PBSTOKEN_FAILING(int, lstat, -1, (const char *path, struct stat *out),
                 (path, out))
PBSTOKEN_FAILING(int, fcntl, -1, (int fd, int command, long argument),
                 (fd, command, argument))
PBSTOKEN_FAILING(int, faccessat, -1,
                 (int at, const char *path, int mode, int flags),
                 (at, path, mode, flags))
PBSTOKEN_FAILING(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
PBSTOKEN_FAILING(int, fchown, -1, (int fd, uid_t uid, gid_t gid),
                 (fd, uid, gid))
PBSTOKEN_FAILING(int, linkat, -1,
                 (int from, const char *old, int to, const char *fresh,
                  int flags),
                 (from, old, to, fresh, flags))
PBSTOKEN_FAILING(int, shmget, -1, (key_t key, std::size_t size, int flags),
                 (key, size, flags))
PBSTOKEN_FAILING(void *, shmat, reinterpret_cast<void *>(-1),
                 (int id, const void *at, int flags), (id, at, flags))
PBSTOKEN_FAILING(int, shmctl, -1, (int id, int command, struct shmid_ds *data),
                 (id, command, data))
PBSTOKEN_FAILING(int, semget, -1, (key_t key, int count, int flags),
                 (key, count, flags))
PBSTOKEN_FAILING(int, semctl, -1, (int id, int which, int command, void *data),
                 (id, which, command, data))
PBSTOKEN_FAILING(int, semtimedop, -1,
                 (int id, struct sembuf *operations, std::size_t count,
                  const struct timespec *timeout),
                 (id, operations, count, timeout))
PBSTOKEN_FAILING(ssize_t, getrandom, -1,
                 (void *to, std::size_t size, unsigned flags),
                 (to, size, flags))
PBSTOKEN_FAILING(int, socket, -1, (int family, int type, int protocol),
                 (family, type, protocol))
PBSTOKEN_FAILING(int, socketpair, -1,
                 (int family, int type, int protocol, int *out),
                 (family, type, protocol, out))
PBSTOKEN_FAILING(int, connect, -1,
                 (int fd, const struct sockaddr *address, unsigned size),
                 (fd, address, size))

// Not the wall clock, which libFuzzer asks in its alarms, at any time.
extern "C" [[gnu::visibility("default"), gnu::used]] int failing_clock(
    clockid_t clock, struct timespec *out) __asm__("clock_gettime");
extern "C" int failing_clock(clockid_t clock, struct timespec *out) {
  static const auto next = reinterpret_cast<int (*)(clockid_t, timespec *)>(
      dlsym(RTLD_NEXT, "clock_gettime"));
  return clock == CLOCK_BOOTTIME && pbstoken::fuzz::is_to_fail()
             ? -1
             : next(clock, out);
}

extern "C" [[gnu::visibility("default"), gnu::used]] int failing_flock(
    int fd, int operation) __asm__("flock");
extern "C" int failing_flock(int fd, int operation) {
  static const auto next =
      reinterpret_cast<int (*)(int, int)>(dlsym(RTLD_NEXT, "flock"));
  return operation != LOCK_UN && pbstoken::fuzz::is_to_fail()
             ? -1
             : next(fd, operation);
}

#endif  // PBSTOKEN_TESTS_FUZZ_FAILING_CALLS_H_
