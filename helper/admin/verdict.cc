// SPDX-License-Identifier: BSD-3-Clause
#include "admin/verdict.h"

#include <sys/file.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "admin/check.h"
#include "admin/report.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/ipc_room.h"
#include "pbstoken/store/lock_holder.h"
#include "pbstoken/store/readers.h"

namespace pbstoken {

namespace {

CacheVerdict off(std::string_view where, std::string_view why,
                 std::string_view what_to_do = {}) {
  CacheVerdict verdict{.state = CacheState::kOff,
                       .where = FixedText<kMaxPath>(where),
                       .text = ProblemText(why)};
  verdict.text.append(what_to_do.empty() ? "" : "; ").append(what_to_do);
  return verdict;
}

constexpr std::string_view kReplaced =
    "the next process of root that verifies makes another";

constexpr const char *kNewer = "a newer version's";

// Returns what is wrong with an attached segment; null if nothing is.
const char *problem_in(const ShmAttachment &attached, const Subject &subject) {
  if (Segment::open(attached.address(), attached.size(), subject)) {
    return "retired";
  }
  const auto *prefix =
      reinterpret_cast<const SegmentPrefix *>(attached.address());
  const bool ours = attached.size() >= sizeof(SegmentPrefix) &&
                    load_acquire(&prefix->magic) == kSegmentMagic;
  if (ours && load_relaxed(&prefix->layout_version) > kLayoutVersion) {
    return kNewer;
  }
  return ours && subject_in(*prefix) != subject
             ? "made for another file"
             : "not a whole segment of ours: unfinished, damaged or an older "
               "version's";
}

CacheVerdict judge_unusable(const Subject &subject,
                            const ShmAttachment &attached) {
  const char *problem = problem_in(attached, subject);
  return off(name_of("shm", key_of(subject)).view(), problem,
             problem == kNewer
                 ? "end what is left of that version; the next change of a "
                   "token removes it, as 'pbstoken flush' does"
                 : kReplaced);
}

// What stands under the key of a subject that has no segment to be used, or is
// about it elsewhere in the kernel's table.
std::optional<CacheVerdict> judge_leftover(const Subject &subject) {
  const auto name = name_of("shm", key_of(subject));
  const int id = shmget(key_of(subject), 0, 0);
  if (id < 0) {
    // A removed one is on its way out.
    const auto keyless = find_any_segment(subject);
    return keyless && trusted_segment(keyless->identity().id)
               ? std::optional(judge_unusable(subject, *keyless))
               : std::nullopt;
  }
  const auto attached = ShmAttachment::attach(id, Access::kRead);
  if (attached) {
    return judge_unusable(subject, *attached);
  }
  const int reason = attached.error().saved_errno;
  if (reason == EIDRM || reason == EINVAL) {
    return std::nullopt;  // another process has just removed it
  }
  return off(name.view(), describe(attached.error()).view(), kReplaced);
}

// Why the lock cannot be had that making a segment takes.
std::optional<CacheVerdict> judge_lock(const PathText &lock) {
  constexpr std::string_view kToDo =
      "making the segment takes this lock: make it, or name another one";
  const auto place = find_place(lock);
  if (!place) {
    return off(lock.view(), describe(place.error()).view(), kToDo);
  }
  const auto file = open_regular(lock);
  if (file) {
    return std::nullopt;
  }
  if (file.error().code != Errc::kNotFound) {
    return off(lock.view(), describe(file.error()).view(), kToDo);
  }
  // This process may have other rights than those that verify.
  struct statvfs mount = {};
  if (fstatvfs(place->directory.get(), &mount) == 0 &&
      (mount.f_flag & ST_RDONLY) != 0) {
    return off(lock.view(),
               "is not there, and its directory is mounted read-only",
               "making the segment takes this lock: make it before the "
               "directory is mounted, or name another one");
  }
  return std::nullopt;
}

// Why no segment could be made.
std::optional<CacheVerdict> judge_making(const Store &store, Kind kind) {
  if (const auto shortage = shortage_of_segments(size_to_make(store, kind));
      shortage) {
    return off(shortage->path, shortage->what.view());
  }
  return judge_lock(lock_path_of(kind, store));
}

// Judges a segment with no bindings in force: while a process changes the file,
// or until the next process of root mends what that has left.
CacheVerdict judge_claim(const PathText &lock) {
  const auto file = open_regular(lock);
  if (file && flock(file->get(), LOCK_SH | LOCK_NB) != 0 &&
      errno == EWOULDBLOCK) {
    ProblemText why("held by ");
    if (const auto holder = lock_holder(*file); holder) {
      why.append("process ").append(*holder);
    } else {
      why.append("another process");
    }
    return off(lock.view(), why.append(", which changes the file").view(),
               "let it go on, or end it");
  }
  return {.state = CacheState::kUnused,
          .text = ProblemText("being renewed: the next process of root that "
                              "verifies ends it")};
}

// When it was last used: a stamp was renewed, or an answer counted.
CacheVerdict judge_use(const Store &store, Segment *segment, Use *use) {
  constexpr std::uint64_t kLately = 60;
  const auto stamp = segment->stamp();
  const std::uint64_t now = boottime_now();
  const std::uint64_t wall_clock = epoch_seconds();
  if (!stamp || stamp->time > now) {
    return {};
  }
  const std::uint64_t age = (now - stamp->time) / kNanosecondsPerSecond;
  const std::uint64_t last = std::max(wall_clock - age, use->last());
  if (last >= wall_clock || wall_clock - last <= kLately + store.cache_ttl) {
    return {};
  }
  CacheVerdict unused{.state = CacheState::kUnused,
                      .text = ProblemText("unused since ")};
  unused.text.append(iso_date(last).view());
  return unused;
}

CacheVerdict judge_segment(const Store &store, Kind kind, Segment *segment,
                           Use *use) {
  if (!shares_clock(*segment) && !store.look) {
    return off(path_of(kind, store).view(),
               "its segment was made in another time namespace",
               "'pbstoken flush' makes another");
  }
  const std::uint64_t generation = segment->generation();
  const auto stamp = segment->stamp();
  return is_in_force(generation) && stamp && stamp->generation == generation
             ? judge_use(store, segment, use)
             : judge_claim(lock_path_of(kind, store));
}

// True if a member may search a directory, as far as that can be told: it may
// be in other groups, too.
bool may_search(const struct stat &status, gid_t group) {
  const mode_t search = status.st_gid == group ? S_IXGRP
                        : status.st_gid == 0   ? S_IXOTH
                                               : S_IXGRP | S_IXOTH;
  return (status.st_mode & search) != 0;
}

// The first directory on the way to that of the file that the group may not
// search: without that its members cannot tell which segment is theirs.
std::optional<CacheVerdict> judge_way(const PathText &path, gid_t group) {
  const PathText directory = directory_of(path);
  for (std::size_t end = 0; end != std::string_view::npos;) {
    const PathText parent(end == 0 ? std::string_view("/")
                                   : slice(directory.view(), 0, end));
    struct stat status = {};
    if (stat(parent.c_str(), &status) != 0) {
      return std::nullopt;
    }
    if (!may_search(status, group)) {
      ProblemText why("members of verify_group cannot search it (mode ");
      why.append(octal(status.st_mode).view()).append(")");
      return off(parent.view(), why.view(),
                 "let them, or each of their requests starts the helper");
    }
    end = directory.view().find('/', end + 1);
  }
  return std::nullopt;
}

// The verdict about members, where that about root is known.
CacheVerdict judge_readers(const Subject &subject, gid_t group,
                           const CacheVerdict &roots) {
  const auto found = find_segment(subject);
  shmid_ds status{};
  if (!found || shmctl(found->identity.id, IPC_STAT, &status) != 0 ||
      ((status.shm_perm.mode & S_IRGRP) != 0 && status.shm_perm.gid == group)) {
    return roots;
  }
  ProblemText why("made for other readers (mode ");
  why.append(octal(status.shm_perm.mode).view()).append(", gid ");
  why.append(status.shm_perm.gid).append(")");
  return off(name_of("shm", key_of(subject)).view(), why.view(),
             "'pbstoken flush' makes another, as the next request does that "
             "it cannot answer");
}

}  // namespace

CacheVerdict judge_for_root(const Store &store, Kind kind, Use *use) {
  const PathText &path = path_of(kind, store);
  if (!store.cache) {
    return off(store.configuration.view(), "cache = no", "remove that line");
  }
  const auto view = view_of(path);
  if (!view) {
    return off(path.view(), describe(view.error()).view(),
               view.error().code == Errc::kNotFound
                   ? "'pbstoken init' makes the directory"
                   : "name another file");
  }
  if (const auto look = look_at(path);
      !look && look.error().code == Errc::kUnsafe) {
    return off(path.view(), describe(look.error()).view(),
               "what is cached is not of this file");
  }
  const Subject subject = {kind, *view};
  if (auto found = find_segment(subject); found) {
    return judge_segment(store, kind, &found->segment, use);
  }
  if (const auto leftover = judge_leftover(subject); leftover) {
    return *leftover;
  }
  if (const auto making = judge_making(store, kind); making) {
    return *making;
  }
  if (kernel_removes_segments()) {
    return off(kForcedRemoval,
               "is not 0: the kernel removes the segment with the last process "
               "that uses it",
               "set it to 0");
  }
  return {.state = CacheState::kUnused,
          .text = ProblemText("not used yet: the first process of root that "
                              "verifies makes it, as 'pbstoken prepare' does")};
}

std::optional<CacheVerdict> judge_for_members(const Store &store, Kind kind,
                                              const CacheVerdict &roots) {
  const auto group = reader_group(store);
  if (!group || !*group) {
    return std::nullopt;
  }
  if (roots.state == CacheState::kOff) {
    return roots;
  }
  if (const auto way = judge_way(path_of(kind, store), **group); way) {
    return way;
  }
  const auto view = view_of(path_of(kind, store));
  return view ? judge_readers({kind, *view}, **group, roots) : roots;
}

ProblemText text_of(const CacheVerdict &verdict) {
  ProblemText text(verdict.state == CacheState::kOff ? "off: " : "");
  text.append(verdict.where.view())
      .append(verdict.where.empty() ? "" : ": ")
      .append(verdict.text.view());
  return text;
}

}  // namespace pbstoken
