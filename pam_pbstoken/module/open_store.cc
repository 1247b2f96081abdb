// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/open_store.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

#include "pbstoken/module/cancel.h"
#include "pbstoken/module/store_memory.h"

namespace pbstoken {

namespace {

// --- libxcrypt, loaded when a password hash is first needed: most processes
// that load the module never compute one.  It stays loaded, as the module does.

constinit std::atomic<CryptFunction> the_function = nullptr;

CryptFunction load_crypt() {
  CryptFunction function = the_function.load(std::memory_order_relaxed);
  if (function != nullptr) {
    return function;
  }
  // Two threads may both come here: each gets the same library and function.
  void *library = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return nullptr;
  }
  function = reinterpret_cast<CryptFunction>(dlsym(library, "crypt_rn"));
  the_function.store(function, std::memory_order_relaxed);
  return function;
}

// --- the store of a handle

struct StoreDeleter {
  void operator()(OpenStore *opened) const {
    opened->~OpenStore();
    std::free(opened);
  }
};
// It is on the heap from the start: it takes more than a small stack has to
// spare.
using OwnedStore = std::unique_ptr<OpenStore, StoreDeleter>;

OwnedStore make_store() {
  void *place = std::malloc(sizeof(OpenStore));
  return OwnedStore(place != nullptr ? new (place) OpenStore : nullptr);
}

void free_store(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  const OwnedStore opened(static_cast<OpenStore *>(data));
}

// The options that make one open store another.
using DataName = FixedText<kMaxPath + 64>;
DataName data_name(const ModuleOptions &options) {
  DataName name("pam_pbstoken ");
  return name.append(options.store.view())
      .append(options.nocache ? " nocache " : " ")
      .append(options.config.view());
}

}  // namespace

Result<void> look_up_names(const ModuleOptions &options, OpenStore *opened) {
  if (opened->has_names) {
    return {};
  }
  const auto named = load_store(options.store.view(), options.configuration());
  if (!named) {
    return named.error();
  }
  Store &store = opened->store;
  store.file_owner = named->file_owner;
  store.file_group = named->file_group;
  store.verify_group = named->verify_group;
  store.admin_group = named->admin_group;
  opened->has_names = true;
  return {};
}

Result<OpenStore *> open_store(pam_handle_t *pamh,
                               const ModuleOptions &options) {
  const DataName name = data_name(options);
  const void *existing = nullptr;
  if (pam_get_data(pamh, name.c_str(), &existing) == PAM_SUCCESS &&
      existing != nullptr) {
    // Ours to change: libpam's const only says that it does not look inside.
    return static_cast<OpenStore *>(const_cast<void *>(existing));
  }
  const NotCancellable from_here_on;
  const PathText path = options.configuration();
  OwnedStore opened = make_store();
  if (!opened) {
    return no_memory("cannot open the store");
  }
  Store &store = opened->store;
  if (const auto recalled = recall_store(options.store.view(), path, &store);
      !recalled) {
    return recalled.error();
  }
  store.cache = store.cache && !options.nocache;
  opened->verifier.emplace(store, load_crypt);
  if (pam_set_data(pamh, name.c_str(), opened.get(), free_store) !=
      PAM_SUCCESS) {
    return no_memory("cannot open the store");
  }
  return opened.release();
}

}  // namespace pbstoken
