// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/segment_life.h"

#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <string_view>
#include <utility>

#include "pbstoken/cache/generation.h"
#include "pbstoken/cache/snapshot.h"
#include "pbstoken/os/ipc_room.h"
#include "pbstoken/os/ipc_table.h"
#include "pbstoken/store/readers.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

namespace {

// PROC_TIME_INIT_INO of the kernel's linux/proc_ns.h.
constexpr std::uint64_t kInitialTime = 0xefff'fffa;

constexpr const char *kCannotMake = "cannot make the shared-memory segment";

constexpr unsigned kAllRights = S_IRWXU | S_IRWXG | S_IRWXO;

unsigned mode_for(std::optional<gid_t> group) {
  return S_IRUSR | S_IWUSR | (group ? S_IRGRP : 0U);
}

std::uint64_t readers_word(unsigned mode, gid_t group) {
  constexpr unsigned kModeAt = 32;
  return (std::uint64_t{mode & kAllRights} << kModeAt) | group;
}

Result<void> set_owner(int id, std::optional<gid_t> group) {
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return system_error(kCannotMake, {});
  }
  status.shm_perm.uid = 0;
  status.shm_perm.gid = group.value_or(0);
  status.shm_perm.mode =
      static_cast<decltype(status.shm_perm.mode)>(mode_for(group));
  if (shmctl(id, IPC_SET, &status) != 0) {
    return system_error(kCannotMake, {});
  }
  return {};
}

Result<void> fill(int id, const SegmentShape &shape, const Subject &subject,
                  const SegmentOrigin &origin, const Predecessor *predecessor) {
  auto attached = ShmAttachment::attach(id, Access::kWrite);
  if (!attached) {
    return attached.error();
  }
  // The segment is locked in memory where allowed.  A host that forbids it has
  // its reasons, and what is swapped out are digests and their key, no secret.
  static_cast<void>(shmctl(id, SHM_LOCK, nullptr));
  if (!WritableSegment::format(attached->address(), shape, subject, origin,
                               predecessor)) {
    return system_error(kCannotMake, {});
  }
  auto segment =
      WritableSegment::open(attached->address(), attached->size(), subject);
  if (predecessor != nullptr && segment) {
    segment->take_over(predecessor->segment);
  }
  return {};
}

// --- walking

// True if root made it and it is large enough to begin like a segment.  Objects
// of other users are not attached: no process trusts them, and an attachment
// would keep them alive.  Nor is the record of use, in which members may write
// what they like.
bool may_be_ours(const SegmentEntry &entry) {
  return entry.owner().cuid == 0 &&
         entry.status.shm_segsz >= sizeof(SegmentPrefix) &&
         entry.status.shm_segsz != kUseRecordSize;
}

// Calls visit(entry) for each entry that may be ours, until that returns false.
template <typename Visit>
Result<void> walk(Visit visit) {
  return walk_table<SegmentEntry>([&visit](const SegmentEntry &entry) {
    return !may_be_ours(entry) || visit(entry);
  });
}

// --- what a segment is about

// The words that layout 2 had behind its prefix.  It used the first half alone;
// its paths ended with a NUL.
struct OldOrigin {
  static constexpr std::size_t kOffset = 328;
  std::uint64_t directory_device;
  std::uint64_t directory_inode;
};
constexpr std::uint64_t kOldLayout = 2;

// True if a segment, of whatever layout, is about this subject.  A segment of
// an older layout is about both kinds; it knew the directory, not the name.
bool is_about(const ShmAttachment &attached, const Subject &subject) {
  const auto &prefix =
      *reinterpret_cast<const SegmentPrefix *>(attached.address());
  if (load_acquire(&prefix.magic) != kSegmentMagic) {
    return false;
  }
  if (load_relaxed(&prefix.layout_version) > kOldLayout) {
    return subject_in(prefix) == subject;
  }
  if (attached.size() < OldOrigin::kOffset + sizeof(OldOrigin)) {
    return true;
  }
  const auto *origin = reinterpret_cast<const OldOrigin *>(attached.address() +
                                                           OldOrigin::kOffset);
  return load_relaxed(&prefix.layout_version) < kOldLayout ||
         (origin->directory_device == subject.view.directory_device &&
          origin->directory_inode == subject.view.directory_inode);
}

bool is_in_use(const WritableSegment &segment, const FileLock &lock) {
  const SegmentOrigin origin = segment.origin();
  return segment.generation() <= kLastGeneration && !is_of_a_guest(segment) &&
         lock.identity() ==
             FileLock::Identity{origin.lock_device, origin.lock_inode};
}

bool is_newer(const ShmAttachment &attached) {
  const auto &prefix =
      *reinterpret_cast<const SegmentPrefix *>(attached.address());
  return load_relaxed(&prefix.layout_version) > kLayoutVersion &&
         load_acquire(&prefix.generation) <= kLastGeneration &&
         trusted_segment(attached.identity().id);
}

// Returns the generation before.  A marked segment that stays is as good as
// gone.
std::uint64_t mark_and_remove(const ShmAttachment &attached) {
  auto &prefix = *reinterpret_cast<SegmentPrefix *>(attached.address());
  const std::uint64_t last =
      __atomic_exchange_n(&prefix.generation, kRetired, __ATOMIC_SEQ_CST);
  static_cast<void>(shmctl(attached.identity().id, IPC_RMID, nullptr));
  return last;
}

struct Retirement {
  // False if a writer died in it and its debt to upstream's daemons could not
  // be paid: then they find out by themselves, later.
  bool is_paid;
  // The segment's number before; nullopt if another process had retired it.
  std::optional<std::uint64_t> last_generation;
};

Retirement retire(const Store &store, Kind kind,
                  const ShmAttachment &attached) {
  auto &prefix = *reinterpret_cast<SegmentPrefix *>(attached.address());
  const bool is_paid =
      !is_writers(load_acquire(&prefix.generation)) ||
      bump_version_word(store.version_cache, version_word_of(kind));
  const std::uint64_t last = mark_and_remove(attached);
  return {is_paid,
          last <= kLastGeneration ? std::optional(last) : std::nullopt};
}

}  // namespace

// --- finding

bool shares_clock(const Segment &segment) {
  const std::uint64_t ours = namespace_inode("time");
  return ours != 0 && segment.origin().time_namespace == ours;
}

bool is_of_a_guest(const Segment &segment) {
  return namespace_inode("time") == kInitialTime &&
         segment.origin().time_namespace != kInitialTime;
}

namespace {

std::optional<FoundSegment> use_if_ours(int id, const Subject &subject,
                                        Whereabouts whereabouts) {
  const auto identity = trusted_segment(id, whereabouts);
  if (!identity) {
    return std::nullopt;
  }
  AttachmentUse use = use_attachment(*identity);
  if (use.address() == nullptr) {
    auto fresh = ShmAttachment::attach(id, Access::kRead);
    if (!fresh || !fresh->identity().is_wanted(*identity)) {
      return std::nullopt;
    }
    const auto segment =
        Segment::open(fresh->address(), fresh->size(), subject);
    if (!segment) {
      return std::nullopt;
    }
    use = keep_attachment(key_of(subject), std::move(*fresh));
  }
  // The address is asked for once: another thread may drop the attachment, but
  // not unmap it.
  const std::byte *address = use.address();
  auto segment = address == nullptr
                     ? std::nullopt
                     : Segment::open(address, identity->size, subject);
  if (!segment || segment->generation() > kLastGeneration) {
    return std::nullopt;
  }
  const ShmIdentity found = use.identity();
  return FoundSegment{found, std::move(use), *segment};
}

}  // namespace

std::optional<FoundSegment> find_segment(const Subject &subject,
                                         Whereabouts whereabouts) {
  if (const int id = shmget(key_of(subject), 0, 0); id >= 0) {
    if (auto found = use_if_ours(id, subject, whereabouts); found) {
      return found;
    }
  }
  std::optional<FoundSegment> found;
  static_cast<void>(walk([&](const SegmentEntry &entry) {
    if ((entry.status.shm_perm.mode & SHM_DEST) == 0) {
      found = use_if_ours(entry.id, subject, Whereabouts::kHere);
    }
    return !found;
  }));
  return found;
}

std::optional<ShmAttachment> find_any_segment(const Subject &subject) {
  std::optional<ShmAttachment> found;
  static_cast<void>(walk([&](const SegmentEntry &entry) {
    auto attached = ShmAttachment::attach_untrusted(entry.id, Access::kRead);
    if (attached && is_about(*attached, subject)) {
      found = std::move(*attached);
    }
    return !found;
  }));
  return found;
}

bool has_segment(Kind kind, const Store &store) {
  const auto view = view_of(path_of(kind, store));
  return view && find_any_segment({kind, *view});
}

std::optional<Writing> attach_for_writing(int id, const Subject &subject,
                                          std::uint64_t instance) {
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (!attachment) {
    return std::nullopt;
  }
  const auto segment =
      WritableSegment::open(attachment->address(), attachment->size(), subject);
  if (!segment || segment->instance() != instance) {
    return std::nullopt;
  }
  return Writing{std::move(*attachment), *segment};
}

// --- for the holder of the lock

namespace {

bool set_mode(const SegmentEntry &entry, unsigned mode) {
  shmid_ds status = entry.status;
  status.shm_perm.mode = static_cast<decltype(status.shm_perm.mode)>(mode);
  return shmctl(entry.id, IPC_SET, &status) == 0;
}

// Attaches a segment of root's, from which root may have taken its own rights.
Result<ShmAttachment> attach_as_owner(const SegmentEntry &entry,
                                      Access access) {
  auto attached = ShmAttachment::attach_untrusted(entry.id, access);
  if (!attached && attached.error().saved_errno == EACCES &&
      set_mode(entry, entry.status.shm_perm.mode | S_IRUSR | S_IWUSR)) {
    attached = ShmAttachment::attach_untrusted(entry.id, access);
  }
  return attached;
}

// A segment of another program, which was looked at, gets its mode back.
void leave_alone(const SegmentEntry &entry) {
  if ((entry.status.shm_perm.mode & S_IRUSR) == 0) {
    static_cast<void>(set_mode(entry, entry.status.shm_perm.mode));
  }
}

// True if no process has attached this segment of ours for a day, as happens
// when its directory was replaced.  A walk counts as a use.  A dead writer's
// segment stays: its successor owes what the writer had to tell.
bool is_left_over(const SegmentEntry &entry, const ShmAttachment &attached) {
  constexpr std::time_t kDay = 86400;
  const auto &prefix =
      *reinterpret_cast<const SegmentPrefix *>(attached.address());
  const shmid_ds &status = entry.status;
  return load_acquire(&prefix.magic) == kSegmentMagic &&
         !is_writers(load_acquire(&prefix.generation)) &&
         status.shm_nattch == 0 &&
         std::max({status.shm_atime, status.shm_dtime, status.shm_ctime}) +
                 kDay <=
             std::time(nullptr);
}

void remove_left_over(int id) {
  if (const auto attached = ShmAttachment::attach_untrusted(id, Access::kWrite);
      attached) {
    mark_and_remove(*attached);
  }
}

// Keeps or retires a segment that the walk has found.  The first one in use
// that it meets is kept.
Result<void> keep_or_retire(const Store &store, const SegmentEntry &entry,
                            const Subject &subject, const FileLock &lock,
                            Keep keep, Kept *out_kept) {
  // It is read first: a segment of another program is attached no further.
  auto attached = attach_as_owner(entry, Access::kRead);
  if (attached && !is_about(*attached, subject)) {
    if (is_left_over(entry, *attached)) {
      remove_left_over(entry.id);
    }
    leave_alone(entry);
    return {};
  }
  if (attached) {
    attached = attach_as_owner(entry, Access::kWrite);
  }
  if (!attached) {
    // The last process has let go of it meanwhile.
    const int reason = attached.error().saved_errno;
    return reason == EIDRM || reason == EINVAL ? Result<void>()
                                               : Result<void>(attached.error());
  }
  if (keep == Keep::kInUseOrNewer && is_newer(*attached)) {
    out_kept->newer = true;
    return {};
  }
  const auto segment =
      WritableSegment::open(attached->address(), attached->size(), subject);
  if (keep != Keep::kNone && !out_kept->in_use && segment &&
      is_in_use(*segment, lock) && trusted_segment(entry.id)) {
    out_kept->in_use = Writing{std::move(*attached), *segment};
    return {};
  }
  if (!retire(store, subject.kind, *attached).is_paid) {
    out_kept->owes = true;
  }
  return {};
}

// True if a segment of ours may have this size: with cache_slots = auto the
// file says which.
bool is_our_size(std::size_t size) {
  return size > kSlotsOffset && (size - kSlotsOffset) % sizeof(Bucket) == 0;
}

// True if a maker that died has left it: no other holds the lock.
bool is_unfinished(int id, const shmid_ds &status) {
  if (status.shm_perm.cuid != 0 || !is_our_size(status.shm_segsz) ||
      status.shm_nattch != 0) {
    return false;
  }
  const auto attached = ShmAttachment::attach(id, Access::kRead);
  return attached &&
         *reinterpret_cast<const std::uint64_t *>(attached->address()) == 0;
}

// True if a user made it and root has no part in it: no program but ours has a
// use for the key, and each process would have to walk.
bool is_planted(const shmid_ds &status) {
  return status.shm_perm.cuid != 0 && status.shm_perm.uid != 0;
}

// Removes what is under our key if it is planted or unfinished.
bool free_key(key_t key) {
  const int id = shmget(key, 0, 0);
  shmid_ds status{};
  return id >= 0 && shmctl(id, IPC_STAT, &status) == 0 &&
         (is_planted(status) || is_unfinished(id, status)) &&
         shmctl(id, IPC_RMID, nullptr) == 0;
}

// Returns for how many slots a segment that is made now is to have room.  A
// file that cannot be read has no tokens.
std::uint32_t slots_to_make(const Store &store, Kind kind) {
  if (store.cache_slots) {
    return *store.cache_slots;
  }
  const PathText &path = path_of(kind, store);
  const auto snapshot = read_snapshot(kind, open_regular(path), path);
  return slots_for(store, snapshot ? tokens_in(kind, *snapshot) : 0);
}

// A segment that is about to be made.
struct Plan {
  const Store &store;
  const Subject &subject;
  const FileLock &lock;
  std::uint32_t slots;
  const Predecessor *predecessor = nullptr;
};

// Returns an error with EEXIST if the key is taken.
Result<int> make_under(key_t key, const Plan &plan) {
  const auto &[store, subject, lock, slots, predecessor] = plan;
  const auto group = reader_group(store);
  if (!group) {
    return group.error();
  }
  if (!may_make_for(*group)) {
    return plain_error(Errc::kUnsafe, kCannotMake, {},
                       "the effective group is neither root's nor the "
                       "verify_group");
  }
  const SegmentOrigin origin = {
      .lock_device = lock.identity().device,
      .lock_inode = lock.identity().inode,
      .time_namespace = namespace_inode("time"),
      .readers = readers_word(mode_for(*group), group->value_or(0))};
  if (origin.time_namespace == 0) {
    return plain_error(Errc::kUnsafe, kCannotMake, {},
                       "/proc does not tell the time namespace");
  }
  const auto shape = SegmentShape::for_slots(slots, subject.kind);
  // What cache_slots allows fits on every machine.
  const int id = shmget(key, static_cast<std::size_t>(shape.size()),
                        IPC_CREAT | IPC_EXCL | S_IRUSR | S_IWUSR);
  if (id < 0) {
    Error error = system_error(kCannotMake, {});
    if (const auto shortage = shortage_of_segments(shape.size());
        shortage && error.saved_errno != EEXIST) {
      error.where.append("(").append(shortage->path).append(": ");
      error.where.append(shortage->what.view()).append(")");
    }
    return error;
  }
  auto ready = set_owner(id, *group);
  if (ready) {
    ready = fill(id, shape, subject, origin, predecessor);
  }
  if (!ready) {
    static_cast<void>(shmctl(id, IPC_RMID, nullptr));
    return ready.error();
  }
  return id;
}

}  // namespace

Result<Kept> keep_one_segment(const Store &store, const Subject &subject,
                              const FileLock &lock, Keep keep,
                              std::optional<int> spared) {
  Kept kept;
  Result<void> done;
  const auto visit = [&](const SegmentEntry &entry) {
    if (entry.id != spared &&
        (!kept.in_use || kept.in_use->attachment.identity().id != entry.id)) {
      done = keep_or_retire(store, entry, subject, lock, keep, &kept);
    }
    return static_cast<bool>(done);
  };
  // A maker that died with a spare in use has left this.
  static_cast<void>(free_key(key_of(subject)));
  // The walk begins with the key: of two segments in use readers find that one.
  SegmentEntry named;
  named.id = shmget(key_of(subject), 0, 0);
  if (named.id >= 0 && shmctl(named.id, IPC_STAT, &named.status) == 0 &&
      may_be_ours(named)) {
    visit(named);
  }
  const auto walked = done ? walk(visit) : done;
  return walked && done ? Result<Kept>(std::move(kept))
                        : Result<Kept>(walked ? done.error() : walked.error());
}

Result<void> retire_others(Kind kind, const Store &store) {
  const PathText &path = path_of(kind, store);
  const auto view = view_of(path);
  if (!view && view.error().code != Errc::kNotFound) {
    return view.error();
  }
  const std::uint64_t name = hash_of(last_component(path));
  return walk([&](const SegmentEntry &entry) {
    // It is read first: a segment of another program is attached no further.
    auto attached = ShmAttachment::attach_untrusted(entry.id, Access::kRead);
    if (!attached) {
      return true;
    }
    const auto &prefix =
        *reinterpret_cast<const SegmentPrefix *>(attached->address());
    if (load_acquire(&prefix.magic) != kSegmentMagic) {
      return true;
    }
    const Subject subject = subject_in(prefix);
    // A writer of another store that has a file of this name is left alone.
    if (subject.kind == kind && subject.view.name == name &&
        (!view || subject.view != *view) &&
        !is_writers(load_acquire(&prefix.generation))) {
      attached = ShmAttachment::attach_untrusted(entry.id, Access::kWrite);
      if (attached) {
        static_cast<void>(retire(store, kind, *attached));
      }
    }
    return true;
  });
}

bool is_outdated(int id, const Segment &segment, const Store &store) {
  shmid_ds status{};
  if (shmctl(id, IPC_STAT, &status) != 0) {
    return false;
  }
  if (segment.origin().readers !=
      readers_word(status.shm_perm.mode, status.shm_perm.gid)) {
    return true;
  }
  // Older settings are not asked for: that takes a look into /etc/group.  A
  // segment of a time to come was made by a clock that was wrong.
  const auto changed = readers_changed_at(store);
  if (!changed ||
      (*changed < status.shm_ctime && status.shm_ctime <= std::time(nullptr))) {
    return false;
  }
  const auto group = reader_group(store);
  const bool has_its_readers =
      !group || ((status.shm_perm.mode & kAllRights) == mode_for(*group) &&
                 status.shm_perm.gid == group->value_or(0));
  const bool has_its_room =
      !store.cache_slots ||
      segment.slots() == SegmentShape::for_slots(*store.cache_slots).slots();
  return !(has_its_readers && has_its_room);
}

namespace {

// Makes it under the key; where another program has that, the walk finds this
// segment.
Result<int> make_anywhere(const Plan &plan) {
  const key_t key = key_of(plan.subject);
  auto made = make_under(key, plan);
  if (!made && made.error().saved_errno == EEXIST) {
    made = make_under(free_key(key) ? key : IPC_PRIVATE, plan);
  }
  return made;
}

// Makes a spare segment first, which proves that there is room.  Then retires
// all others, and makes the segment that stays, with the slots of `outgrown`.
// The spare has no slots, since those of a segment in use may still change; it
// stays only if the other segment cannot be made.  The slots are copied if this
// process has retired `outgrown` itself: the new segment is born above its last
// number, so none of them is in force there.
Result<void> replace(Plan plan, const Writing *outgrown) {
  const auto spare = make_under(IPC_PRIVATE, plan);
  if (!spare) {
    return spare.error();
  }
  std::optional<Predecessor> predecessor;
  if (outgrown != nullptr) {
    const auto last =
        retire(plan.store, plan.subject.kind, outgrown->attachment)
            .last_generation;
    if (last) {
      predecessor.emplace(Predecessor{outgrown->segment, *last});
      plan.predecessor = &*predecessor;
    }
  }
  const auto kept = keep_one_segment(plan.store, plan.subject, plan.lock,
                                     Keep::kNone, *spare);
  // A segment under the key is found sooner.
  const auto attached = ShmAttachment::attach_untrusted(*spare, Access::kWrite);
  if (attached && (!kept || make_anywhere(plan))) {
    static_cast<void>(retire(plan.store, plan.subject.kind, *attached));
  }
  return kept ? Result<void>() : kept.error();
}

}  // namespace

Result<int> make_segment(const Store &store, const Subject &subject,
                         const FileLock &lock) {
  return make_anywhere(
      {store, subject, lock, slots_to_make(store, subject.kind)});
}

std::uint64_t size_to_make(const Store &store, Kind kind) {
  return SegmentShape::for_slots(slots_to_make(store, kind), kind).size();
}

Result<void> replace_segments(const Store &store, const Subject &subject,
                              const FileLock &lock) {
  return replace({store, subject, lock, slots_to_make(store, subject.kind)},
                 nullptr);
}

Result<bool> grow_segment(const Store &store, const Subject &subject,
                          const FileLock &lock, const Writing &outgrown) {
  const Plan plan = {store, subject, lock, slots_to_make(store, subject.kind)};
  if (plan.slots <= outgrown.segment.slots()) {
    return false;
  }
  const auto done = replace(plan, &outgrown);
  return done ? Result<bool>(true) : Result<bool>(done.error());
}

}  // namespace pbstoken
