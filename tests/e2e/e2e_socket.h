// SPDX-License-Identifier: BSD-3-Clause
// The helper behind its socket, as pbstoken-helper.socket has it: by
// systemd-socket-activate(1), which needs no systemd as process 1.
#ifndef PBSTOKEN_TESTS_E2E_SOCKET_H_
#define PBSTOKEN_TESTS_E2E_SOCKET_H_

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "e2e_member.h"

#define SOCKET_TEST(name)                                                    \
  cmocka_unit_test_setup_teardown(name,                                      \
                                  pbstoken::testing::clean_host_with_socket, \
                                  pbstoken::testing::stop_socket)

namespace pbstoken::testing {

inline pid_t socket_server = -1;

inline sockaddr_un socket_address() {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, kHelperSocket);
  return address;
}

// A new connection, for who this process is now.
inline int connect_to_socket() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = socket_address();
  return connect(fd, reinterpret_cast<const sockaddr *>(&address),
                 sizeof(address)) == 0
             ? fd
             : -1;
}

inline int start_socket() {
  std::filesystem::create_directories("/run/pbstoken");
  std::filesystem::remove(kHelperSocket);
  const std::string helper = helper_path();
  socket_server = fork();
  if (socket_server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/usr/bin/systemd-socket-activate", "systemd-socket-activate",
          "--accept", "--inetd", "-l", kHelperSocket, helper.c_str(), "serve",
          nullptr);
    _exit(126);
  }
  for (int i = 0; i < 1000; ++i) {
    usleep(10'000);
    if (chmod(kHelperSocket, 0660) == 0) {
      return chown(kHelperSocket, 0, kMembers);
    }
  }
  return -1;
}

inline int stop_socket(void ** /*state*/) {
  if (socket_server > 0) {
    kill(socket_server, SIGTERM);
    wait_for(socket_server);
  }
  socket_server = -1;
  std::filesystem::remove_all("/run/pbstoken");
  return 0;
}

// Setup: members, and the socket.
inline int clean_host_with_socket(void **state) {
  const int made = clean_host_with_members(state);
  return made == 0 ? start_socket() : made;
}

// A service under no_new_privs, where setuid is dead.
inline void become_member_without_new_privileges() {
  become_member();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    std::abort();
  }
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_SOCKET_H_
