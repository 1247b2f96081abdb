// SPDX-License-Identifier: BSD-3-Clause
#include "wire/ready_stores.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "confine/confinement.h"
#include "io/stores.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {

namespace {

// The files in which names of users and groups are looked up.
constexpr std::array kNameFiles = {"/etc/group", "/etc/passwd"};
using NameFiles = std::array<FileIdentity, kNameFiles.size()>;

struct ReadyStore {
  Store store;
  NameFiles names;  // before they were read
  // False if one of these files might change once more within the same tick of
  // its clock, and look the same.
  bool is_settled;
};

// A child attaches the segments of each, whatever store is asked for.
constexpr std::size_t kMostReady = 4;
constinit std::array<std::optional<ReadyStore>, kMostReady> the_ready = {};

NameFiles name_files() {
  NameFiles all{};
  std::transform(
      kNameFiles.begin(), kNameFiles.end(), all.begin(), [](const char *path) {
        struct stat status = {};
        return stat(path, &status) == 0 ? identity_of(status) : FileIdentity{};
      });
  return all;
}

// A name that is a default may be missing.
void look_up(Principal *group) {
  if (!group->is_nobody()) {
    if (const auto id = group_id(*group); id) {
      group->id = *id;
    }
  }
}

std::optional<ReadyStore> get_ready(std::string_view name) {
  const auto is_settled = [now = realtime_now()](const FileIdentity &identity) {
    return !may_change_unseen(identity, now);
  };
  const NameFiles names = name_files();
  auto store = load_store(name, configuration_path(name));
  if (!store) {
    return std::nullopt;
  }
  look_up(&store->verify_group);
  look_up(&store->admin_group);
  return ReadyStore{*store, names,
                    is_settled(store->configuration_identity) &&
                        std::all_of(names.begin(), names.end(), is_settled)};
}

// Finds the objects, and makes none of them.
void find_objects(const Store &store) {
  Verifier verifier(store, nullptr);
  static_cast<void>(verifier.cache().is_usable());
  if (!store.user_cfg.empty()) {
    static_cast<void>(verifier.accounts().is_usable());
  }
  const SharedSegment use = use_segment(store);
  if (const int id = use.get(use.key, 0); id >= 0 && use.has_name(id)) {
    static_cast<void>(use.find());
  }
  static_cast<void>(find_named(gate_set(store, GateShare::kUsers)));
}

}  // namespace

void get_stores_ready() {
  std::size_t count = 0;
  for_each_store([&count](std::string_view name) {
    if (count < the_ready.size()) {
      the_ready[count++] = get_ready(name);
    }
  });
}

void get_child_ready() {
  if (!use_capabilities()) {
    return;
  }
  for (const auto &ready : the_ready) {
    if (ready) {
      find_objects(ready->store);
      prepare_to_confine(ready->store);
    }
  }
  if (!lay_down_capabilities()) {
    _exit(static_cast<int>(ExitStatus::kUnavailable));
  }
}

const Store *ready_store(std::string_view name) {
  const auto ready =
      std::find_if(the_ready.begin(), the_ready.end(), [name](const auto &one) {
        return one && one->is_settled && one->store.name.view() == name;
      });
  if (ready == the_ready.end()) {
    return nullptr;
  }
  const Store &store = (*ready)->store;
  const auto identity = look_at(store.configuration);
  return trust_directories(store.configuration) && identity &&
                 *identity == store.configuration_identity &&
                 name_files() == (*ready)->names
             ? &store
             : nullptr;
}

}  // namespace pbstoken
