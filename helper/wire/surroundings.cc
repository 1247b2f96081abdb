// SPDX-License-Identifier: BSD-3-Clause
#include "wire/surroundings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "io/stores.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/store.h"
#include "wire/subordinate.h"

namespace pbstoken {

namespace {

// The empty identity of what is not there, or may not be seen.
FileIdentity identity_at(const PathText &path, bool by_place) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) {
    return {};
  }
  FileIdentity identity = identity_of(status);
  return by_place
             ? FileIdentity{.device = identity.device, .inode = identity.inode}
             : identity;
}

PathText own_program() {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  return PathText({path.data(), size > 0 ? static_cast<std::size_t>(size) : 0});
}

}  // namespace

void Surroundings::add(const PathText &path, bool by_place) {
  const std::size_t known = std::min(count_, all_.size());
  if (std::any_of(all_.begin(), all_.begin() + known, [&](const Watched &one) {
        return one.by_place == by_place && one.path.view() == path.view();
      })) {
    return;
  }
  if (count_ < all_.size()) {
    all_[count_] = {.path = path, .by_place = by_place, .seen = {}};
  }
  ++count_;
}

void Surroundings::add_store(std::string_view name) {
  const PathText configuration = configuration_path(name);
  add(configuration, false);
  if (const auto store = load_store(name, configuration); store) {
    add(directory_of(store->token_shadow), true);
    if (!store->user_cfg.empty()) {
      add(directory_of(store->user_cfg), true);
    }
    // Upstream makes both directories at boot.  The service's unit can make
    // only those writable that are there when the service starts.
    if (!store->version_cache.empty()) {
      const PathText directory = directory_of(store->version_cache);
      add(directory, true);
      add(directory_of(directory), true);
    }
  }
}

bool Surroundings::find() {
  add(own_program(), false);
  add(PathText("/etc/group"), false);
  add(PathText("/etc/passwd"), false);
  add(PathText(kSubordinateUids), false);
  add(directory_of(configuration_path(kDefaultStore)), false);
  for_each_store([this](std::string_view name) { add_store(name); });
  const bool is_complete = count_ <= all_.size();
  count_ = std::min(count_, all_.size());
  return is_complete;
}

void Surroundings::look() {
  const std::uint64_t now = realtime_now();
  for (std::size_t i = 0; i < count_; ++i) {
    Watched &one = all_[i];
    one.seen = identity_at(one.path, one.by_place);
    is_settled_ = is_settled_ && !may_change_unseen(one.seen, now);
  }
  settled_at_ = boottime_now() + kSettlingTime;
}

bool Surroundings::have_changed() const {
  if (!is_settled_ && boottime_now() > settled_at_) {
    return true;
  }
  for (std::size_t i = 0; i < count_; ++i) {
    if (identity_at(all_[i].path, all_[i].by_place) != all_[i].seen) {
      return true;
    }
  }
  return false;
}

}  // namespace pbstoken
