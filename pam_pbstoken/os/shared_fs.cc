// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/shared_fs.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <array>
#include <cstdint>

namespace pbstoken {

namespace {

struct Known {
  std::uint32_t magic;
  std::string_view name;
};

// See statfs(2).
constexpr std::array<Known, 8> kKnown = {{
    {NFS_SUPER_MAGIC, "NFS"},
    {FUSE_SUPER_MAGIC, "FUSE"},
    {SMB_SUPER_MAGIC, "SMB"},
    {CIFS_SUPER_MAGIC, "CIFS"},
    {SMB2_SUPER_MAGIC, "CIFS"},
    {CEPH_SUPER_MAGIC, "Ceph"},
    {V9FS_MAGIC, "9p"},
    {AFS_SUPER_MAGIC, "AFS"},
}};

}  // namespace

std::optional<std::string_view> shared_fs_of(const PathText &path) {
  const PathText directory = directory_of(path);
  struct statfs status = {};
  if (statfs(directory.c_str(), &status) != 0) {
    return std::nullopt;
  }
  const auto magic = static_cast<std::uint32_t>(status.f_type);
  for (const Known &known : kKnown) {
    if (known.magic == magic) {
      return known.name;
    }
  }
  return std::nullopt;
}

}  // namespace pbstoken
