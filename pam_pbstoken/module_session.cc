// SPDX-License-Identifier: BSD-3-Clause
#include "module_session.h"

#include <cstdlib>
#include <new>

#include "module_cancel.h"
#include "module_crypt.h"
#include "module_store.h"

namespace pbstoken {

namespace {

void free_session(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  auto *session = static_cast<Session *>(data);
  session->~Session();
  std::free(session);
}

// The options that make one session another.
using DataName = FixedText<kMaxPath + 64>;
DataName data_name(const ModuleOptions &options) {
  DataName name("pam_pbstoken ");
  return name.append(options.store.view())
      .append(options.nocache ? " nocache " : " ")
      .append(options.config.view());
}

}  // namespace

Session::Session(const Store &settings)
    : store(settings), verifier(store, load_crypt) {}

Result<Session *> open_session(pam_handle_t *pamh,
                               const ModuleOptions &options) {
  const DataName name = data_name(options);
  const void *existing = nullptr;
  if (pam_get_data(pamh, name.c_str(), &existing) == PAM_SUCCESS &&
      existing != nullptr) {
    // Ours to change: libpam's const only says that it does not look inside.
    return static_cast<Session *>(const_cast<void *>(existing));
  }
  const NotCancellable from_here_on;
  const PathText path = options.config.empty()
                            ? configuration_path(options.store.view())
                            : options.config;
  Store store;
  if (const auto recalled = recall_store(options.store.view(), path, &store);
      !recalled) {
    return recalled.error();
  }
  store.cache = store.cache && !options.nocache;
  void *place = std::malloc(sizeof(Session));
  if (place == nullptr) {
    return no_memory("cannot open the store");
  }
  auto *session = new (place) Session(store);
  if (pam_set_data(pamh, name.c_str(), session, free_session) != PAM_SUCCESS) {
    free_session(pamh, session, 0);
    return no_memory("cannot open the store");
  }
  return session;
}

}  // namespace pbstoken
