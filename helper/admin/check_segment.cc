// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check_segment.h"

#include <sys/shm.h>
#include <sys/stat.h>

#include <optional>

#include "pbstoken/cache/segment.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

FixedText<16> name_of(key_t key) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr unsigned kTopShift = 28;
  const auto number = static_cast<std::uint32_t>(key);
  FixedText<16> name("shm:0x");
  for (unsigned i = 0; i <= kTopShift; i += 4) {
    name.append(slice(kHex, (number >> (kTopShift - i)) & 0xfU, 1));
  }
  return name;
}

// Gone between two calls: flushed meanwhile.
bool is_gone(int error) {
  return error == EIDRM || error == EINVAL;
}

void check_readers(const Store &store, const ipc_perm &owner,
                   std::string_view name, Problems *problems) {
  if ((owner.mode & S_IROTH) != 0) {
    problems->add(name, "others may read it");
  }
  if ((owner.mode & S_IRGRP) == 0 || owner.gid == 0) {
    return;
  }
  // A default verify_group that /etc does not know is nobody.
  const auto group = store.verify_group.is_nobody()
                         ? Result<gid_t>(gid_t{0})
                         : group_id(store.verify_group);
  if (!group && group.error().code != Errc::kBadConfiguration) {
    problems->add_error(name, group.error());
    return;
  }
  if (!group || owner.gid != *group) {
    ProblemText what("gid ");
    what.append(std::uint64_t{owner.gid})
        .append(", which is not verify_group, may read it");
    problems->add(name, what.view());
  }
}

// What is wrong with an attached segment, or null.
const char *problem_in(const Store &store, const ShmAttachment &attached) {
  const auto segment =
      Segment::open(attached.address(), attached.size(), store.token_shadow);
  if (segment) {
    // Without its directory the file has no origin to compare.
    const auto origin = origin_of(store);
    return origin && !segment->was_made_for(*origin)
               ? "made for another directory, or in another time namespace"
               : nullptr;
  }
  if (Segment::is_replaceable(attached.address(), attached.size())) {
    return "not a whole segment of ours: unfinished, damaged or an older "
           "version's";
  }
  const auto *prefix =
      reinterpret_cast<const SegmentPrefix *>(attached.address());
  return load_relaxed(&prefix->layout_version) > kLayoutVersion
             ? "a newer version's"
             : "made for another token.shadow";
}

}  // namespace

void check_segment(const Store &store, Problems *problems) {
  const auto name = name_of(store.shm_key);
  const auto id = find_segment_id(store);
  if (!id) {
    problems->add_error(name.view(), id.error());
    return;
  }
  shmid_ds status{};
  if (!*id || (shmctl(**id, IPC_STAT, &status) != 0 && is_gone(errno))) {
    return;
  }
  check_readers(store, status.shm_perm, name.view(), problems);
  const auto attached = ShmAttachment::attach(**id, Access::kRead);
  if (!attached) {
    if (!is_gone(attached.error().saved_errno)) {
      problems->add_error(name.view(), attached.error());
    }
    return;
  }
  if (const char *problem = problem_in(store, *attached); problem != nullptr) {
    problems->add(name.view(), problem);
  }
}

}  // namespace pbstoken
