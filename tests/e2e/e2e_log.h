// SPDX-License-Identifier: BSD-3-Clause
// The system log, as a socket of our own, and what the module wrote there.
#ifndef PBSTOKEN_TESTS_E2E_LOG_H_
#define PBSTOKEN_TESTS_E2E_LOG_H_

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include <array>
#include <regex>
#include <string>
#include <vector>

#include "e2e_pam.h"

namespace pbstoken::testing {

inline int the_log = -1;

// A /dev with a /dev/log of our own.  The real one is bound elsewhere, for the
// links to the devices that are needed.
inline int replace_dev(void ** /*state*/) {
  if (clean_host(nullptr) != 0) {
    return -1;
  }
  const std::string real = scratch("real-dev");
  const std::string dev = scratch("dev");
  std::filesystem::create_directory(real);
  std::filesystem::create_directory(dev);
  // With what is mounted in it: in some containers each device is.
  if (mount("/dev", real.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return -1;
  }
  for (const char *name : {"null", "full", "zero", "random", "urandom"}) {
    std::filesystem::create_symlink(real + "/" + name, dev + "/" + name);
  }
  if (mount(dev.c_str(), "/dev", nullptr, MS_BIND, nullptr) != 0) {
    return -1;
  }
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
  the_log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (bind(the_log, reinterpret_cast<sockaddr *>(&address), sizeof(address)) !=
      0) {
    return -1;
  }
  return chmod("/dev/log", 0666);  // anybody logs
}

inline int restore_dev(void ** /*state*/) {
  closelog();
  close(the_log);
  if (umount("/dev") != 0 ||
      umount2(scratch("real-dev").c_str(), MNT_DETACH) != 0) {
    return -1;
  }
  std::filesystem::remove_all(scratch("dev"));
  std::filesystem::remove(scratch("real-dev"));
  return 0;
}

// What was logged since it was last called.  Ten lines fill the socket's
// queue, and then syslog(3) waits.
inline std::vector<std::string> log_lines() {
  std::vector<std::string> lines;
  std::array<char, 8192> line{};
  ssize_t size = 0;
  while ((size = recv(the_log, line.data(), line.size(), MSG_DONTWAIT)) >= 0) {
    lines.emplace_back(line.data(), static_cast<std::size_t>(size));
  }
  return lines;
}

// Before the name of the program: of a change of a token.
inline const std::string kTrail =
    "<" + std::to_string(LOG_AUTHPRIV | LOG_NOTICE) + ">";

// The lines that a program logs of `act`, without its pid and the session's
// loginuid.
template <typename Act>
std::vector<std::string> trail_of(const std::string &program, Act act) {
  log_lines();
  act();
  std::vector<std::string> lines;
  for (const std::string &line : log_lines()) {
    if (line.find(">" + program + "[") != std::string::npos) {
      lines.push_back(std::regex_replace(
          line, std::regex(R"(\[[0-9]+\]| loginuid=[0-9]+)"), ""));
    }
  }
  return lines;
}

// The lines of `act`, each from "pam_pbstoken(" on, with its priority before.
template <typename Act>
std::vector<std::string> module_lines_of(Act act) {
  log_lines();
  act();
  std::vector<std::string> lines;
  for (const std::string &line : log_lines()) {
    const std::size_t module = line.find("pam_pbstoken(");
    if (module != std::string::npos) {
      lines.push_back(line.substr(0, line.find('>') + 1) + line.substr(module));
    }
  }
  return lines;
}

template <typename Act>
void assert_logs(Act act, int priority, const std::string &text) {
  const auto lines = module_lines_of(act);
  const std::string expected = "<" + std::to_string(LOG_AUTHPRIV | priority) +
                               ">pam_pbstoken(pbs:auth): " + text;
  assert_int_equal(lines.size(), 1);
  assert_text_equal(lines.front(), expected);
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_LOG_H_
