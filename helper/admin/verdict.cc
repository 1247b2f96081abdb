// SPDX-License-Identifier: BSD-3-Clause
#include "admin/verdict.h"

#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/check.h"
#include "admin/report.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/ipc_room.h"
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

// What stands under the key of a subject that has no segment to be used.
std::optional<CacheVerdict> judge_key(const Subject &subject) {
  const auto name = name_of("shm", key_of(subject));
  const int id = shmget(key_of(subject), 0, 0);
  if (id < 0) {
    return std::nullopt;
  }
  const auto attached = ShmAttachment::attach(id, Access::kRead);
  if (!attached) {
    const int reason = attached.error().saved_errno;
    return reason == EIDRM || reason == EINVAL
               ? std::nullopt  // another process has just removed it
               : std::optional(off(name.view(),
                                   describe(attached.error()).view(),
                                   kReplaced));
  }
  const char *problem = problem_in(*attached, subject);
  return off(name.view(), problem,
             problem == kNewer ? "end what is left of that version; the next "
                                 "change of a token removes it"
                               : kReplaced);
}

// Why no segment could be made.
std::optional<CacheVerdict> judge_making(const Store &store, Kind kind) {
  if (const auto shortage = shortage_of_segments(size_to_make(store, kind));
      shortage) {
    return off(shortage->path, shortage->what.view());
  }
  // This process may have other rights than those that verify.
  const PathText &lock = lock_path_of(kind, store);
  const auto place = find_place(lock);
  struct statvfs mount = {};
  if (place && access(lock.c_str(), F_OK) != 0 &&
      fstatvfs(place->directory.get(), &mount) == 0 &&
      (mount.f_flag & ST_RDONLY) != 0) {
    return off(lock.view(),
               "is not there, and its directory is mounted read-only",
               "making the segment takes this lock: make it before the "
               "directory is mounted, or name another one");
  }
  return std::nullopt;
}

// When a stamp was last renewed, which every use does that is later than
// cache_ttl.
CacheVerdict judge_stamp(const Store &store, Segment *segment) {
  constexpr std::uint64_t kLately = 60;
  const auto stamp = segment->stamp();
  const std::uint64_t now = boottime_now();
  if (!stamp || stamp->time > now || store.cache_ttl == 0) {
    return {};
  }
  const std::uint64_t age = (now - stamp->time) / kNanosecondsPerSecond;
  if (age <= kLately + store.cache_ttl) {
    return {};
  }
  CacheVerdict unused{.state = CacheState::kUnused,
                      .text = ProblemText("unused since ")};
  unused.text.append(
      iso_date(realtime_now() / kNanosecondsPerSecond - age).view());
  return unused;
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
    const mode_t search = status.st_gid == group ? S_IXGRP : S_IXOTH;
    if ((status.st_mode & search) == 0) {
      ProblemText why("members of verify_group cannot search it (mode ");
      why.append(octal(status.st_mode).view()).append(")");
      return off(parent.view(), why.view(),
                 "let them, or each of their requests starts the helper");
    }
    end = directory.view().find('/', end + 1);
  }
  return std::nullopt;
}

}  // namespace

CacheVerdict judge_for_root(const Store &store, Kind kind) {
  const PathText &path = path_of(kind, store);
  if (!store.cache) {
    return off(store.configuration.view(), "cache = no", "remove that line");
  }
  const auto view = view_of(path);
  if (!view) {
    return off(path.view(), describe(view.error()).view(),
               "make the directory, or name another file");
  }
  if (look_at(path).error().code == Errc::kUnsafe) {
    return off(path.view(), describe(look_at(path).error()).view(),
               "what is cached is not of this file");
  }
  const Subject subject = {kind, *view};
  if (auto found = find_segment(subject); found) {
    return shares_clock(found->segment)
               ? judge_stamp(store, &found->segment)
               : off(name_of("shm", key_of(subject)).view(),
                     "made in another time namespace", kReplaced);
  }
  if (const auto key = judge_key(subject); key) {
    return *key;
  }
  if (const auto making = judge_making(store, kind); making) {
    return *making;
  }
  return {.state = CacheState::kUnused,
          .text = ProblemText("not used yet: the first process of root that "
                              "verifies makes it")};
}

std::optional<CacheVerdict> judge_for_members(const Store &store, Kind kind) {
  const auto group = reader_group(store);
  if (!group || !*group) {
    return std::nullopt;
  }
  CacheVerdict roots = judge_for_root(store, kind);
  if (roots.state == CacheState::kOff) {
    return roots;
  }
  if (const auto way = judge_way(path_of(kind, store), **group); way) {
    return way;
  }
  const Subject subject = {kind, *view_of(path_of(kind, store))};
  const auto found = find_segment(subject);
  shmid_ds status{};
  if (found && shmctl(found->identity.id, IPC_STAT, &status) == 0 &&
      ((status.shm_perm.mode & S_IRGRP) == 0 ||
       status.shm_perm.gid != **group)) {
    ProblemText why("made for other readers (mode ");
    why.append(octal(status.shm_perm.mode).view()).append(", gid ");
    why.append(std::uint64_t{status.shm_perm.gid}).append(")");
    return off(name_of("shm", key_of(subject)).view(), why.view(), kReplaced);
  }
  return roots;
}

}  // namespace pbstoken
