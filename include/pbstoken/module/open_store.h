// SPDX-License-Identifier: BSD-3-Clause
// What one PAM handle remembers of one store: its configuration as it was then,
// and the way to the segment.  libpam owns it (pam_set_data(3)) and frees it
// in pam_end(3).
#ifndef PBSTOKEN_OPEN_STORE_H_
#define PBSTOKEN_OPEN_STORE_H_

#include <security/pam_modules.h>

#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

struct OpenStore {
  OpenStore() = default;
  // The verifier points to the store.
  OpenStore(const OpenStore &) = delete;
  OpenStore &operator=(const OpenStore &) = delete;

  Store store;
  bool has_names = false;            // look_up_names() was there
  std::optional<Verifier> verifier;  // there, once the store is known
};

// Returns the handle's open store for these options, which it makes when it is
// first asked for.
Result<OpenStore *> open_store(pam_handle_t *pamh,
                               const ModuleOptions &options);

// Looks up, once for each handle, the users and groups that the configuration
// names: all that is not answered out of the segment needs them.  Returns
// kBadConfiguration if /etc does not know one.
Result<void> look_up_names(const ModuleOptions &options, OpenStore *opened);

}  // namespace pbstoken

#endif  // PBSTOKEN_OPEN_STORE_H_
