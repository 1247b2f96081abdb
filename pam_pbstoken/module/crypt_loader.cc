// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/crypt_loader.h"

#include <dlfcn.h>

#include <atomic>

namespace pbstoken {

namespace {

constinit std::atomic<CryptFunction> the_function = nullptr;

}  // namespace

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

}  // namespace pbstoken
