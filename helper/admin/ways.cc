// SPDX-License-Identifier: BSD-3-Clause
#include "admin/ways.h"

#include <sys/stat.h>

#include "pbstoken/os/listening.h"
#include "pbstoken/store/readers.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

namespace {

SocketState state_of_socket() {
  struct stat socket = {};
  if (stat(kHelperSocket, &socket) != 0 || !S_ISSOCK(socket.st_mode)) {
    return SocketState::kMissing;
  }
  return is_listened_on(kHelperSocket).value_or(true) ? SocketState::kListens
                                                      : SocketState::kSilent;
}

}  // namespace

Ways ways_to_helper() {
  struct stat program = {};
  const bool is_installed = stat(kHelperProgramPath, &program) == 0;
  return {.is_installed = is_installed,
          .is_setuid = is_installed && program.st_uid == 0 &&
                       (program.st_mode & S_ISUID) != 0,
          .socket = state_of_socket()};
}

std::optional<Obstacle> obstacle_to_helper(const Store &store,
                                           const Ways &ways) {
  if (!ways.is_installed) {
    return std::nullopt;
  }
  if (!ways.is_setuid && ways.socket == SocketState::kMissing) {
    return Obstacle{
        .where = PathText(kHelperProgramPath),
        .why =
            "is not setuid root, and there is no socket: no service that "
            "is not root can verify",
        .what_to_do =
            "'systemctl enable --now pbstoken-helper.socket', or "
            "'chmod u+s " PBSTOKEN_HELPER "'"};
  }
  if (!ways.is_setuid && ways.socket == SocketState::kSilent) {
    return Obstacle{
        .where = PathText(kHelperSocket),
        .why =
            "no process listens on it, and the helper is not setuid root: "
            "no service that is not root can verify",
        .what_to_do =
            "'systemctl restart pbstoken-helper.socket', or "
            "'chmod u+s " PBSTOKEN_HELPER "'"};
  }
  const auto group = reader_group(store);
  // Another name than the default's was looked up when the file was read.
  if (group && !*group && !store.verify_group.is_nobody()) {
    return Obstacle{
        .where = store.configuration,
        .why =
            "verify_group: no such group in /etc/group: no service that is "
            "not root can verify",
        .what_to_do = "'addgroup --system pbstoken' makes it"};
  }
  return std::nullopt;
}

}  // namespace pbstoken
