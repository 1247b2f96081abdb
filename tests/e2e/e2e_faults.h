// SPDX-License-Identifier: BSD-3-Clause
// Faults at a chosen call: the functions of libc that the module and libpam
// call are defined here, in the program, in front of libc's own.
//
// Include it in one file of a program.  Only what happens between arm() and
// disarm() is counted and fails; a child of the process goes on with a count of
// its own.
#ifndef PBSTOKEN_TESTS_E2E_FAULTS_H_
#define PBSTOKEN_TESTS_E2E_FAULTS_H_

#include <dlfcn.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pbstoken::testing {

struct Fault {
  const char *name;
  int error;
  bool of_memory;  // allocations, else system calls
  bool onward;     // every later one fails, too
};

struct Faults {
  Fault fault{};
  int at = 0;  // the call that fails, from 1
  long long seen = 0;
  bool armed = false;
  // Shared with the children: whether it came to a fault.
  int *hit = nullptr;
};

inline constinit Faults faults;

inline void arm(const Fault &fault, int at) {
  if (faults.hit == nullptr) {
    faults.hit =
        static_cast<int *>(mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  *faults.hit = 0;
  faults.fault = fault;
  faults.at = at;
  faults.seen = 0;
  faults.armed = true;
}

// Whether anything failed.
inline bool disarm() {
  faults.armed = false;
  return *faults.hit != 0;
}

inline bool is_to_fail(bool is_memory) {
  if (!faults.armed || faults.fault.of_memory != is_memory) {
    return false;
  }
  ++faults.seen;
  if (faults.seen != faults.at &&
      !(faults.fault.onward && faults.seen > faults.at)) {
    return false;
  }
  *faults.hit = 1;
  errno = faults.fault.error;
  return true;
}

template <typename Function>
Function *of_libc(Function ** /*type*/, const char *name) {
  return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

}  // namespace pbstoken::testing

// Under the names that libc has for them, which are declared otherwise by its
// headers: noexcept, variadic, with attributes.
#define PBSTOKEN_FAULTY(result, name, failure, parameters, arguments)       \
  extern "C" [[gnu::visibility("default"),                                  \
               gnu::used]] result faulty_##name parameters __asm__(#name);  \
  extern "C" result faulty_##name parameters {                              \
    static result(*next) parameters = nullptr;                              \
    if (next == nullptr) {                                                  \
      next = pbstoken::testing::of_libc(&next, #name);                      \
    }                                                                       \
    return pbstoken::testing::is_to_fail(false) ? failure : next arguments; \
  }

PBSTOKEN_FAULTY(int, open, -1, (const char *path, int flags, mode_t mode),
                (path, flags, mode))
PBSTOKEN_FAULTY(int, openat, -1,
                (int at, const char *path, int flags, mode_t mode),
                (at, path, flags, mode))
PBSTOKEN_FAULTY(std::FILE *, fopen, nullptr,
                (const char *path, const char *mode), (path, mode))
PBSTOKEN_FAULTY(int, fgetgrent_r, errno,
                (std::FILE * file, struct group *entry, char *line,
                 std::size_t size, struct group **found),
                (file, entry, line, size, found))
PBSTOKEN_FAULTY(int, fgetpwent_r, errno,
                (std::FILE * file, struct passwd *entry, char *line,
                 std::size_t size, struct passwd **found),
                (file, entry, line, size, found))
PBSTOKEN_FAULTY(ssize_t, read, -1, (int fd, void *to, std::size_t size),
                (fd, to, size))
PBSTOKEN_FAULTY(ssize_t, pread, -1,
                (int fd, void *to, std::size_t size, off_t at),
                (fd, to, size, at))
PBSTOKEN_FAULTY(int, fstat, -1, (int fd, struct stat *out), (fd, out))
PBSTOKEN_FAULTY(int, stat, -1, (const char *path, struct stat *out),
                (path, out))
PBSTOKEN_FAULTY(int, lstat, -1, (const char *path, struct stat *out),
                (path, out))
PBSTOKEN_FAULTY(int, fcntl, -1, (int fd, int command, long argument),
                (fd, command, argument))
PBSTOKEN_FAULTY(int, flock, -1, (int fd, int operation), (fd, operation))
PBSTOKEN_FAULTY(int, faccessat, -1,
                (int at, const char *path, int mode, int flags),
                (at, path, mode, flags))
PBSTOKEN_FAULTY(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
PBSTOKEN_FAULTY(int, fchown, -1, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
PBSTOKEN_FAULTY(int, linkat, -1,
                (int from, const char *old, int to, const char *fresh,
                 int flags),
                (from, old, to, fresh, flags))
PBSTOKEN_FAULTY(void *, mmap, MAP_FAILED,
                (void *at, std::size_t size, int protection, int flags, int fd,
                 off_t offset),
                (at, size, protection, flags, fd, offset))
PBSTOKEN_FAULTY(int, shmget, -1, (key_t key, std::size_t size, int flags),
                (key, size, flags))
PBSTOKEN_FAULTY(void *, shmat, MAP_FAILED, (int id, const void *at, int flags),
                (id, at, flags))
PBSTOKEN_FAULTY(int, shmctl, -1, (int id, int command, struct shmid_ds *data),
                (id, command, data))
PBSTOKEN_FAULTY(int, semget, -1, (key_t key, int count, int flags),
                (key, count, flags))
PBSTOKEN_FAULTY(int, semctl, -1, (int id, int which, int command, void *data),
                (id, which, command, data))
// Not semop(2), by which a place at the gate is given back: as with close(2)
// and shmdt(2) that fails only if it is gone.
PBSTOKEN_FAULTY(int, semtimedop, -1,
                (int id, struct sembuf *operations, std::size_t count,
                 const struct timespec *timeout),
                (id, operations, count, timeout))
PBSTOKEN_FAULTY(int, clock_gettime, -1, (int clock, struct timespec *out),
                (clock, out))
PBSTOKEN_FAULTY(ssize_t, getrandom, -1,
                (void *to, std::size_t size, unsigned flags), (to, size, flags))
PBSTOKEN_FAULTY(int, socket, -1, (int family, int type, int protocol),
                (family, type, protocol))
PBSTOKEN_FAULTY(int, socketpair, -1,
                (int family, int type, int protocol, int *out),
                (family, type, protocol, out))
PBSTOKEN_FAULTY(int, connect, -1,
                (int fd, const struct sockaddr *address, unsigned size),
                (fd, address, size))
PBSTOKEN_FAULTY(ssize_t, send, -1,
                (int fd, const void *bytes, std::size_t size, int flags),
                (fd, bytes, size, flags))
PBSTOKEN_FAULTY(ssize_t, recv, -1,
                (int fd, void *to, std::size_t size, int flags),
                (fd, to, size, flags))
PBSTOKEN_FAULTY(int, poll, -1,
                (struct pollfd * fds, unsigned long count, int timeout),
                (fds, count, timeout))
PBSTOKEN_FAULTY(pid_t, waitpid, -1, (pid_t pid, int *status, int options),
                (pid, status, options))
PBSTOKEN_FAULTY(int, dup2, -1, (int from, int to), (from, to))
PBSTOKEN_FAULTY(int, close_range, -1,
                (unsigned first, unsigned last, int flags),
                (first, last, flags))
PBSTOKEN_FAULTY(int, execve, -1,
                (const char *path, char *const *argv, char *const *environment),
                (path, argv, environment))

// libc's own strdup(3), fopen(3) and dlopen(3) come here as well.
extern "C" {
void *__libc_malloc(std::size_t size);
void *__libc_calloc(std::size_t count, std::size_t size);
void *__libc_realloc(void *old, std::size_t size);

[[gnu::visibility("default"), gnu::used]] void *faulty_malloc(
    std::size_t size) __asm__("malloc");
void *faulty_malloc(std::size_t size) {
  return pbstoken::testing::is_to_fail(true) ? nullptr : __libc_malloc(size);
}

[[gnu::visibility("default"), gnu::used]] void *faulty_calloc(
    std::size_t count, std::size_t size) __asm__("calloc");
void *faulty_calloc(std::size_t count, std::size_t size) {
  return pbstoken::testing::is_to_fail(true) ? nullptr
                                             : __libc_calloc(count, size);
}

[[gnu::visibility("default"), gnu::used]] void *faulty_realloc(
    void *old, std::size_t size) __asm__("realloc");
void *faulty_realloc(void *old, std::size_t size) {
  return pbstoken::testing::is_to_fail(true) ? nullptr
                                             : __libc_realloc(old, size);
}
}

#endif  // PBSTOKEN_TESTS_E2E_FAULTS_H_
