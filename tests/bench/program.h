// SPDX-License-Identifier: BSD-3-Clause
// Another program, run and waited for, with a line on its standard input.
#ifndef PBSTOKEN_TESTS_BENCH_PROGRAM_H_
#define PBSTOKEN_TESTS_BENCH_PROGRAM_H_

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "scene.h"

namespace pbstoken::bench {

// Gives what it has written to standard output; it must exit with 0.
inline std::string run(const std::vector<const char *> &words,
                       std::string_view input = {}) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  require(pipe2(in.data(), O_CLOEXEC) == 0 &&
          pipe2(out.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<char *> argv;
  for (const char *word : words) {
    argv.push_back(const_cast<char *>(word));
  }
  argv.push_back(nullptr);
  pid_t pid = -1;
  char *const nothing[] = {nullptr};
  require(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), nothing) ==
          0);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  // true(1) may have ended without reading it.
  static_cast<void>(!write(in[1], input.data(), input.size()));
  close(in[1]);
  std::string output;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = read(out[0], part.data(), part.size())) > 0;) {
    output.append(part.data(), static_cast<std::size_t>(size));
  }
  close(out[0]);
  wait_for(pid);
  return output;
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_PROGRAM_H_
