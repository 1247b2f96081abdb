// SPDX-License-Identifier: BSD-3-Clause
// The client that asks for a verification, as far as this host can tell.
#ifndef PBSTOKEN_CLIENT_H_
#define PBSTOKEN_CLIENT_H_

#include <sys/types.h>

#include <optional>
#include <string_view>

namespace pbstoken {

struct Client {
  std::string_view rhost = {};  // PAM_RHOST; empty: not known
  // The user that the helper runs for; nullopt: root.
  std::optional<uid_t> caller = {};
  // This process is a helper that ends once it has answered the client.
  bool one_shot = false;
  // Is called before the process waits, and when a signal interrupts the wait.
  // If it returns true, the wait ends.  Null: the client does not go.
  bool (*has_gone)() = nullptr;
};

// True if the process runs for a user that is not root.
inline bool is_for_user(const Client &client) {
  return client.caller.value_or(0) != 0;
}

// True if a count in this process's own memory does not limit the client: it is
// a helper that runs once, and the remote host's next request has another one.
inline bool is_beyond_own_limits(const Client &client) {
  return client.one_shot && !client.rhost.empty();
}

// True if the process may use the file that stands in for the objects of the
// limits: a helper is confined, and its user might stop it.
inline bool may_use_limits_file(const Client &client) {
  return !client.one_shot && !is_for_user(client);
}

}  // namespace pbstoken

#endif  // PBSTOKEN_CLIENT_H_
