// SPDX-License-Identifier: BSD-3-Clause
#include "confine/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr const char *kCannotConfine = "cannot confine file access";

// As newer kernels have it; older headers do not say all of it, and a kernel
// takes a larger structure than it knows as long as the rest is zero.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};

constexpr std::uint64_t lowest_bits(unsigned count) {
  return (std::uint64_t{1} << count) - 1;
}

// Returns all that this version of the interface can refuse.
RulesetAttributes everything(std::int64_t version) {
  constexpr unsigned kFirst = 13;         // to LANDLOCK_ACCESS_FS_MAKE_SYM
  constexpr unsigned kWithRefer = 14;     // version 2
  constexpr unsigned kWithTruncate = 15;  // 3
  constexpr unsigned kWithIoctl = 16;     // 5
  constexpr unsigned kTcp = 2;            // 4: bind and connect
  constexpr unsigned kScopes = 2;         // 6: abstract sockets and signals
  const unsigned rights = version >= 5   ? kWithIoctl
                          : version >= 3 ? kWithTruncate
                          : version >= 2 ? kWithRefer
                                         : kFirst;
  return {.handled_access_fs = lowest_bits(rights),
          .handled_access_net = version >= 4 ? lowest_bits(kTcp) : 0,
          .scoped = version >= 6 ? lowest_bits(kScopes) : 0};
}

std::uint64_t access_of(FileRights rights) {
  return (rights.read ? LANDLOCK_ACCESS_FS_READ_FILE : 0U) |
         (rights.list ? LANDLOCK_ACCESS_FS_READ_DIR : 0U) |
         (rights.write ? LANDLOCK_ACCESS_FS_WRITE_FILE : 0U) |
         (rights.replace
              ? LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE
              : 0U);
}

}  // namespace

Landlock::Landlock() {
  const auto version = syscall(SYS_landlock_create_ruleset, nullptr, 0,
                               LANDLOCK_CREATE_RULESET_VERSION);
  if (version > 0) {
    const RulesetAttributes attributes = everything(version);
    rules_ = UniqueFd(static_cast<int>(syscall(
        SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0)));
  }
  // The kernel is without it, or was started without it.
  const bool is_missing = errno == ENOSYS || errno == EOPNOTSUPP;
  if (version > 0 ? !rules_ : !is_missing) {
    problem_ = system_error(kCannotConfine, {});
  }
}

// The directory of the file.  Most rules are about one that another one was
// about just before.  Not by openat2(2), which RestrictSUIDSGID= of a unit
// takes away.
std::optional<int> Landlock::find_beside_last(const PathText &path) {
  const PathText directory = directory_of(path);
  if (!last_ || last_directory_.view() != directory.view()) {
    auto place = find_place(path);
    if (!place) {
      return std::nullopt;
    }
    last_ = std::move(place->directory);
    last_directory_ = directory;
  }
  return last_.get();
}

void Landlock::allow(const PathText &path, FileRights rights, bool is_file) {
  if (!rules_ || path.empty()) {
    return;
  }
  const auto place = find_beside_last(path);
  if (!place) {
    return;
  }
  UniqueFd file;
  if (is_file) {
    // It ends where the path does, with its NUL.
    file = UniqueFd(openat(*place, last_component(path).data(),
                           O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file) {
      return;
    }
  }
  const landlock_path_beneath_attr rule = {
      .allowed_access = access_of(rights),
      .parent_fd = is_file ? file.get() : *place};
  if (syscall(SYS_landlock_add_rule, rules_.get(), LANDLOCK_RULE_PATH_BENEATH,
              &rule, 0) != 0) {
    problem_ = system_error(kCannotConfine, path.view());
  }
}

bool Landlock::complete() {
  last_ = UniqueFd();
  last_directory_.clear();
  return rules_ && !problem_;
}

Result<void> Landlock::enforce() {
  if (problem_) {
    return *problem_;
  }
  if (rules_ && syscall(SYS_landlock_restrict_self, rules_.get(), 0) != 0) {
    return system_error(kCannotConfine, {});
  }
  return {};
}

}  // namespace pbstoken
