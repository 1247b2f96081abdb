// SPDX-License-Identifier: BSD-3-Clause
// The helper behind its socket, as pbstoken-helper.socket has it, and services
// that ask there.
#ifndef PBSTOKEN_TESTS_E2E_SOCKET_H_
#define PBSTOKEN_TESTS_E2E_SOCKET_H_

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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

// What systemd does for a socket unit with Accept=no: a connection that waits
// starts the service, whenever it does not run.
[[noreturn]] inline void activate(int listener, const std::string &helper) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static volatile sig_atomic_t ended = 0;
  static volatile pid_t service = -1;
  signal(SIGTERM, [](int) {
    ended = 1;
    kill(service, SIGTERM);
  });
  while (ended == 0) {
    pollfd one = {.fd = listener, .events = POLLIN, .revents = 0};
    if (poll(&one, 1, 100) <= 0) {
      continue;
    }
    service = fork();
    if (service == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(listener, STDIN_FILENO);
      execl(helper.c_str(), "pbstoken-helper", "serve", nullptr);
      _exit(126);
    }
    waitpid(service, nullptr, 0);
  }
  _exit(0);
}

inline int start_socket() {
  std::filesystem::create_directories("/run/pbstoken");
  std::filesystem::remove(kHelperSocket);
  const std::string helper = helper_path();
  const int listener =
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = socket_address();
  if (bind(listener, reinterpret_cast<const sockaddr *>(&address),
           sizeof(address)) != 0 ||
      chown(kHelperSocket, 0, kMembers) != 0 ||
      chmod(kHelperSocket, 0660) != 0 || listen(listener, 4096) != 0) {
    return -1;
  }
  socket_server = fork();
  if (socket_server == 0) {
    activate(listener, helper);
  }
  close(listener);
  return 0;
}

// The resident process; -1 if there is none.
inline pid_t resident_process() {
  const std::string path = "/proc/" + std::to_string(socket_server) + "/task/" +
                           std::to_string(socket_server) + "/children";
  const std::string children = read_file(path);
  return children.empty() ? -1 : std::stoi(children);
}

// The service `pbs` without helper=, which keeps it from asking the socket.
inline void write_socket_service(const std::string &options = {}) {
  write_stack(kService, {"auth required " + module_path() + " " + options,
                         "password required " + module_path() + " " + options});
}

inline int stop_socket(void ** /*state*/) {
  if (socket_server > 0) {
    const pid_t resident = resident_process();
    // Readable when it has ended; its status is for init, which may take it
    // seconds later.
    pollfd end = {.fd = resident > 0 ? static_cast<int>(
                                           syscall(SYS_pidfd_open, resident, 0))
                                     : -1,
                  .events = POLLIN,
                  .revents = 0};
    kill(socket_server, SIGKILL);  // and so ends what it has started
    wait_for(socket_server);
    if (end.fd >= 0) {
      poll(&end, 1, -1);
      close(end.fd);
    }
  }
  socket_server = -1;
  std::filesystem::remove_all("/run/pbstoken");
  return 0;
}

// Setup: members, and the socket.
inline int clean_host_with_socket(void **state) {
  if (clean_host_with_members(state) != 0) {
    return -1;
  }
  write_socket_service();
  return start_socket();
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
