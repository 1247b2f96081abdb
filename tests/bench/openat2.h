// SPDX-License-Identifier: BSD-3-Clause
// openat2(2) for programs that run under valgrind, which knows it from version
// 3.20 on: without it no process renews a segment.  It stands in place of
// libc's syscall(3), for a module that is loaded, too.
#ifndef PBSTOKEN_TESTS_BENCH_OPENAT2_H_
#define PBSTOKEN_TESTS_BENCH_OPENAT2_H_

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cstdarg>

extern "C" [[gnu::visibility("default"), gnu::used]] long syscall(long number,
                                                                  ...) {
  va_list arguments;
  va_start(arguments, number);
  long rest[6];
  for (long &argument : rest) {
    argument = va_arg(arguments, long);
  }
  va_end(arguments);
  if (number == SYS_openat2) {
    const auto *how = reinterpret_cast<const open_how *>(rest[2]);
    return openat(static_cast<int>(rest[0]),
                  reinterpret_cast<const char *>(rest[1]),
                  static_cast<int>(how->flags));
  }
  static const auto next =
      reinterpret_cast<long (*)(long, ...)>(dlsym(RTLD_NEXT, "syscall"));
  return next(number, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]);
}

#endif  // PBSTOKEN_TESTS_BENCH_OPENAT2_H_
