// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/open_store.h"

#include <cstdlib>
#include <memory>
#include <new>

#include "pbstoken/module/cancel.h"
#include "pbstoken/module/crypt_loader.h"
#include "pbstoken/module/store_memory.h"

namespace pbstoken {

namespace {

struct SessionDeleter {
  void operator()(Session *session) const {
    session->~Session();
    std::free(session);
  }
};
// On the heap from the start: it takes more than a small stack has to spare.
using OwnedSession = std::unique_ptr<Session, SessionDeleter>;

OwnedSession make_session() {
  void *place = std::malloc(sizeof(Session));
  return OwnedSession(place != nullptr ? new (place) Session : nullptr);
}

void free_session(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  const OwnedSession session(static_cast<Session *>(data));
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
  OwnedSession session = make_session();
  if (!session) {
    return no_memory("cannot open the store");
  }
  Store &store = session->store;
  if (const auto recalled = recall_store(options.store.view(), path, &store);
      !recalled) {
    return recalled.error();
  }
  store.cache = store.cache && !options.nocache;
  session->verifier.emplace(store, load_crypt);
  if (pam_set_data(pamh, name.c_str(), session.get(), free_session) !=
      PAM_SUCCESS) {
    return no_memory("cannot open the store");
  }
  return session.release();
}

}  // namespace pbstoken
