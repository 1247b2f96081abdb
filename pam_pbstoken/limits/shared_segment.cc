// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/shared_segment.h"

#include <sys/shm.h>
#include <sys/stat.h>

#include <ctime>

#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/recent_hashes.h"
#include "pbstoken/store/readers.h"

namespace pbstoken {

namespace {

constexpr unsigned kAlone = S_IRUSR | S_IWUSR;
constexpr unsigned kShared = kAlone | S_IRGRP | S_IWGRP;

// The keys for which heal() has called share().
constinit RecentHashes healed;

// True if the members of its group may read and write it.  They keep what they
// have mapped, whatever becomes of the mode.
bool is_shared(const ipc_perm &owner) {
  return (owner.mode & kShared) == kShared;
}

}  // namespace

SharedSegment::SharedSegment(const Store &store, std::string_view purpose,
                             std::size_t its_size)
    : SegmentObject(derive_key(purpose, store.token_shadow.view()), its_size,
                    Writers::kGroup, /*name=*/0),
      store_(store) {}

int SharedSegment::get(key_t with, int flags) const {
  if ((flags & IPC_CREAT) == 0) {
    return shmget(with, 0, flags);
  }
  const auto group = reader_group(store_);
  if (with == IPC_PRIVATE || !group || !may_make_for(*group)) {
    errno = EPERM;
    return -1;
  }
  return shmget(with, size, flags);
}

// True if it is this segment, whatever its mode is.
bool SharedSegment::is_ours(const shmid_ds &status) const {
  return status.shm_perm.cuid == 0 && status.shm_perm.__key == key &&
         status.shm_segsz == size;
}

bool SharedSegment::has_name(int id) const {
  shmid_ds status{};
  return shmctl(id, IPC_STAT, &status) == 0 && is_ours(status);
}

bool SharedSegment::is_ready(int id) const {
  return has_name(id) && share(id);
}

// Returns false if it cannot be had as it is to be: then it is gone, where
// another one may be made.  One that members of another group have mapped goes,
// too, or they would go on writing.
bool SharedSegment::share(int id) const {
  const auto group = reader_group(store_);
  shmid_ds status{};
  if (!group || shmctl(id, IPC_STAT, &status) != 0) {
    return false;
  }
  ipc_perm &owner = status.shm_perm;
  const gid_t wanted_group = group->value_or(0);
  const unsigned wanted_mode = *group ? kShared : kAlone;
  const bool was_made_for_it =
      !*group || owner.cgid == 0 || owner.cgid == **group;
  const bool is_others = is_shared(owner) && owner.gid != wanted_group;
  if (!was_made_for_it || is_others) {
    if (may_make_for(*group)) {
      static_cast<void>(remove(id));
    }
    return false;
  }
  constexpr unsigned kAllRights = S_IRWXU | S_IRWXG | S_IRWXO;
  if (owner.uid == 0 && owner.gid == wanted_group &&
      (owner.mode & kAllRights) == wanted_mode) {
    return true;
  }
  owner.uid = 0;
  owner.gid = wanted_group;
  owner.mode = static_cast<decltype(owner.mode)>(wanted_mode);
  return shmctl(id, IPC_SET, &status) == 0;
}

void SharedSegment::heal() const {
  const auto changed = is_root() ? readers_changed_at(store_) : std::nullopt;
  const int id = changed ? get(key, 0) : -1;
  shmid_ds status{};
  if (id < 0 || shmctl(id, IPC_STAT, &status) != 0 || !is_ours(status)) {
    return;
  }
  const auto name = static_cast<std::uint64_t>(key);
  // A time to come was given by a clock that was wrong, and tells nothing.
  const bool is_younger =
      *changed < status.shm_ctime && status.shm_ctime <= std::time(nullptr);
  if (is_shared(status.shm_perm) ? is_younger : healed.has(name)) {
    return;
  }
  healed.add(name);
  static_cast<void>(share(id));
}

// A stranger's under its key goes.
int SharedSegment::make() const {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int id = get(key, IPC_CREAT | S_IRUSR | S_IWUSR);
    if (id >= 0 && is_ready(id)) {
      return id;
    }
    ipc_perm owner{};
    const int taken = get(key, 0);
    if (taken >= 0 && (!owner_of(taken, &owner) || owner.cuid != 0)) {
      static_cast<void>(remove(taken));
    }
  }
  return -1;
}

Result<AttachmentUse> SharedSegment::use() const {
  auto use = find();
  if (!use && is_root()) {
    use = use_ready(make(), Whereabouts::kAnywhere);
  }
  return use;
}

}  // namespace pbstoken
