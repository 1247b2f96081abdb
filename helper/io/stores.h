// SPDX-License-Identifier: BSD-3-Clause
// The stores of this host.
#ifndef PBSTOKEN_STORES_H_
#define PBSTOKEN_STORES_H_

#include <dirent.h>

#include <memory>
#include <string_view>

#include "pbstoken/store/store.h"

namespace pbstoken {

// What pbstoken keeps over a restart, in a directory of root's alone.
constexpr const char *kStateDirectory = "/var/lib/pbstoken";

// Returns where the use of a store of that name is saved.
inline PathText saved_use_path(std::string_view store) {
  return PathText(kStateDirectory).append("/").append(store).append(".use");
}

// Calls visit(name) for each store that has a configuration, and for the
// default one.
template <typename Visit>
void for_each_store(Visit visit) {
  visit(kDefaultStore);
  const PathText directory = directory_of(configuration_path(kDefaultStore));
  const std::unique_ptr<DIR, int (*)(DIR *)> files(opendir(directory.c_str()),
                                                   closedir);
  while (const dirent *file = files ? readdir(files.get()) : nullptr) {
    constexpr std::string_view kEnding = ".conf";
    const std::string_view name = file->d_name;
    if (const auto store = slice(name, 0, name.size() - kEnding.size());
        name.ends_with(kEnding) && is_store_name(store) &&
        store != kDefaultStore) {
      visit(store);
    }
  }
}

}  // namespace pbstoken

#endif  // PBSTOKEN_STORES_H_
