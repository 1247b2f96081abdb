// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/segment_life.h"

#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/segment.h"

namespace pbstoken {

namespace {

constexpr const char *kCannotMake = "cannot make the shared-memory segment";

// The gid that the new segment is readable for; nothing: root alone.
Result<std::optional<gid_t>> reader_group(const Store &store) {
  if (store.verify_group.is_nobody()) {
    return std::optional<gid_t>();
  }
  const auto group = group_id(store.verify_group);
  if (group) {
    return std::optional<gid_t>(*group);
  }
  // The default's name may be missing: then nobody is in it.  Names that the
  // configuration gives were looked up when it was read.
  if (group.error().code == Errc::kBadConfiguration) {
    return std::optional<gid_t>();
  }
  return group.error();
}

Result<void> set_owner(int id, std::optional<gid_t> group) {
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return system_error(kCannotMake, {});
  }
  status.shm_perm.uid = 0;
  status.shm_perm.gid = group.value_or(0);
  status.shm_perm.mode = S_IRUSR | S_IWUSR | (group ? S_IRGRP : 0U);
  if (shmctl(id, IPC_SET, &status) != 0) {
    return system_error(kCannotMake, {});
  }
  return {};
}

// Nothing done if it cannot be told: it would live on without its key.
Result<void> mark_retired(int id) {
  const auto attached = ShmAttachment::attach(id, Access::kWrite);
  if (!attached) {
    // One that is not root's alone has no users to tell.
    return attached.error().code == Errc::kUnsafe
               ? Result<void>()
               : Result<void>(attached.error());
  }
  auto *prefix = reinterpret_cast<SegmentPrefix *>(attached->address());
  if (attached->size() < sizeof(SegmentPrefix) ||
      load_acquire(&prefix->magic) != kSegmentMagic) {
    return {};
  }
  if (load_relaxed(&prefix->layout_version) > kLayoutVersion) {
    return plain_error(Errc::kUnsafe, "cannot retire the shared-memory segment",
                       {}, "a newer version's");
  }
  __atomic_store_n(&prefix->generation, kRetired, __ATOMIC_SEQ_CST);
  return {};
}

// A removed segment of this origin; any other stays as it is.
Result<void> retire_if_orphan(int id, const SegmentOrigin &origin) {
  shmid_ds status{};
  // Asked before it is attached: an attachment of others' segments would keep
  // them alive for a moment longer.
  if (shmctl(id, IPC_STAT, &status) != 0 || status.shm_perm.cuid != 0 ||
      (status.shm_perm.mode & SHM_DEST) == 0 ||
      status.shm_segsz < sizeof(SegmentHeader)) {
    return {};
  }
  auto attached = ShmAttachment::attach(id, Access::kWrite, Removed::kToo);
  if (!attached) {
    // The last process has let go of it, or it is not root's alone.
    const Errc code = attached.error().code;
    const int reason = attached.error().saved_errno;
    return code == Errc::kUnsafe || reason == EIDRM || reason == EINVAL
               ? Result<void>()
               : Result<void>(attached.error());
  }
  auto *header = reinterpret_cast<SegmentHeader *>(attached->address());
  if (load_acquire(&header->prefix.magic) == kSegmentMagic &&
      header->prefix.layout_version == kLayoutVersion &&
      std::memcmp(&header->origin, &origin, sizeof(origin)) == 0) {
    __atomic_store_n(&header->prefix.generation, kRetired, __ATOMIC_SEQ_CST);
  }
  return {};
}

Result<void> fill(int id, const SegmentShape &shape,
                  const SegmentOrigin &origin, const PathText &user_cfg) {
  auto attached = ShmAttachment::attach(id, Access::kWrite);
  if (!attached) {
    return attached.error();
  }
  // Locked in memory where allowed; a host that forbids it has its reasons,
  // and what is swapped out are digests and their key, no secret.
  static_cast<void>(shmctl(id, SHM_LOCK, nullptr));
  if (!WritableSegment::format(attached->address(), shape, origin, user_cfg)) {
    return system_error(kCannotMake, {});
  }
  return {};
}

// The link's text, "time:[4026531834]", has the inode, too, for less than to
// look at the namespace itself.  Without /proc every process here says 0, and
// they share a clock.
std::uint64_t time_namespace() {
  constexpr std::string_view kPrefix = "time:[";
  std::array<char, 64> text{};
  const ssize_t size = readlink("/proc/self/ns/time", text.data(), text.size());
  std::uint64_t inode = 0;
  if (size > 0) {
    const std::string_view link(text.data(), static_cast<std::size_t>(size));
    const std::string_view number =
        slice(link, link.starts_with(kPrefix) ? kPrefix.size() : link.size());
    std::from_chars(number.data(), number.data() + number.size(), inode);
  }
  return inode;
}

}  // namespace

Result<SegmentOrigin> origin_of(const Store &store) {
  const std::string_view path = store.token_shadow.view();
  PathText directory(slice(path, 0, path.rfind('/')));
  directory.append("/");
  struct stat status = {};
  if (stat(directory.c_str(), &status) != 0) {
    return system_error("cannot stat", directory.view());
  }
  SegmentOrigin origin{};
  origin.directory_device = status.st_dev;
  origin.directory_inode = status.st_ino;
  origin.time_namespace = time_namespace();
  std::memcpy(origin.path.data(), path.data(), path.size());
  return origin;
}

Result<std::optional<int>> find_segment_id(const Store &store) {
  const int id = shmget(store.shm_key, 0, 0);
  if (id < 0 && errno != ENOENT) {
    return system_error("cannot find the shared-memory segment", {});
  }
  return id < 0 ? std::nullopt : std::optional<int>(id);
}

Result<void> retire_orphans(const SegmentOrigin &origin,
                            const FileLock & /*proof*/) {
  shm_info info{};
  const int last = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  for (int index = 0; index <= last; ++index) {
    shmid_ds status{};
    // By place in the kernel's table, where removed ones stay until the last
    // process lets go of them.
    const int id = shmctl(index, SHM_STAT, &status);
    if (id < 0) {
      continue;
    }
    if (const auto retired = retire_if_orphan(id, origin); !retired) {
      return retired.error();
    }
  }
  return {};
}

Result<void> retire_abandoned_segment(const Store &store) {
  const auto id = find_segment_id(store);
  if (!id) {
    return id.error();
  }
  if (!*id) {
    return {};
  }
  if (const auto marked = mark_retired(**id); !marked) {
    return marked.error();
  }
  if (shmctl(**id, IPC_RMID, nullptr) != 0 && errno != EIDRM &&
      errno != EINVAL) {
    return system_error("cannot remove the shared-memory segment", {});
  }
  return {};
}

Result<void> retire_segment(const Store &store, const SegmentOrigin &origin,
                            const FileLock &lock) {
  if (const auto retired = retire_abandoned_segment(store); !retired) {
    return retired.error();
  }
  return retire_orphans(origin, lock);
}

Result<int> replace_segment(const Store &store, const SegmentOrigin &origin,
                            const FileLock &lock) {
  const auto group = reader_group(store);
  if (!group) {
    return group.error();
  }
  // The maker's group may read it, too, for ever, see sysvipc(7).
  if (*group && getegid() != 0 && getegid() != **group) {
    return plain_error(Errc::kUnsafe, kCannotMake, {},
                       "the effective group is neither root's nor the "
                       "verify_group");
  }
  if (const auto retired = retire_segment(store, origin, lock); !retired) {
    return retired.error();
  }
  const SegmentShape shape = SegmentShape::for_slots(store.cache_slots);
  // What cache_slots allows fits on every machine.
  const int id = shmget(store.shm_key, static_cast<std::size_t>(shape.size()),
                        IPC_CREAT | IPC_EXCL | S_IRUSR | S_IWUSR);
  if (id < 0) {
    return system_error(kCannotMake, {});
  }
  auto ready = set_owner(id, *group);
  if (ready) {
    ready = fill(id, shape, origin, store.user_cfg);
  }
  if (!ready) {
    static_cast<void>(shmctl(id, IPC_RMID, nullptr));
    return ready.error();
  }
  return id;
}

}  // namespace pbstoken
