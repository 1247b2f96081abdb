// SPDX-License-Identifier: BSD-3-Clause
// What check says of file systems on which the store's files cannot be
// replaced, so that no token can be revoked.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "admin/check.h"
#include "io/stores.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

// True if a copy of the file has no room beside it.  Some file systems count no
// blocks, and btrfs no inodes.  What is reserved for root is root's.
bool is_full(const struct statvfs &mount, const FilePlace &place) {
  struct stat file = {};
  // Without the file a new one takes a block.
  static_cast<void>(fstatat(place.directory.get(), place.name.c_str(), &file,
                            AT_SYMLINK_NOFOLLOW));
  const auto size = static_cast<std::uint64_t>(file.st_size);
  return (mount.f_blocks != 0 && mount.f_bfree <= size / mount.f_frsize) ||
         (mount.f_files != 0 && mount.f_ffree == 0);
}

// Adds why no process can replace the file, and what cannot be done then.  A
// place that cannot be found is for the check of the file.
void check_mount(const PathText &path, std::string_view effect,
                 Problems *problems) {
  const auto place = find_place(path);
  struct statvfs mount = {};
  if (!place || fstatvfs(place->directory.get(), &mount) != 0) {
    return;
  }
  const bool is_read_only = (mount.f_flag & ST_RDONLY) != 0;
  if (!is_read_only && !is_full(mount, *place)) {
    return;
  }
  ProblemText what(is_read_only ? "is mounted read-only: "
                                : "its file system is full: ");
  what.append(effect).append(is_read_only ? "; mount it read-write"
                                          : "; remove files from it");
  problems->add_once(directory_of(path).view(), what.view());
}

}  // namespace

void check_mounts(const Store &store, Problems *problems) {
  constexpr std::string_view kRevoke = "no token can be changed or revoked";
  check_mount(store.token_shadow, kRevoke, problems);
  if (!store.user_cfg.empty()) {
    check_mount(store.user_cfg, kRevoke, problems);
  }
  check_mount(saved_use_path(store.name.view()),
              "when tokens are used cannot be saved", problems);
}

}  // namespace pbstoken
