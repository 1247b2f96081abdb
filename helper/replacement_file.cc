// SPDX-License-Identifier: BSD-3-Clause
#include "replacement_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include <array>

namespace pbstoken {

namespace {

// Gives the new file the old one's extended attribute, or none.
bool copy_attribute(int from, int to, const char *name) {
  std::array<char, 4096> value{};
  const ssize_t size = fgetxattr(from, name, value.data(), value.size());
  if (size >= 0) {
    return fsetxattr(to, name, value.data(), static_cast<std::size_t>(size),
                     0) == 0;
  }
  if (errno == ENOTSUP) {
    return true;
  }
  if (errno != ENODATA) {
    return false;
  }
  // The directory may have given the new file one by default.
  return fremovexattr(to, name) == 0 || errno == ENODATA || errno == ENOTSUP;
}

}  // namespace

Result<Place> open_place(const PathText &path) {
  auto at = find_place(path, Trust::kAny);
  if (!at) {
    return at.error();
  }
  // Once more and for reading, since fsync(2) takes no O_PATH descriptor.
  at->directory = UniqueFd(
      openat(at->directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at->directory) {
    return system_error("cannot open the directory of", path.view());
  }
  return Place{.at = std::move(*at), .path = path};
}

// token.shadow -> token.tmp_XXXXXX, as upstream names them.
Result<ReplacementFile> ReplacementFile::create(const Place &place) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::array<unsigned char, 6> random{};
    if (getrandom(random.data(), random.size(), 0) !=
        static_cast<ssize_t>(random.size())) {
      return system_error("cannot get random bytes", {});
    }
    const std::string_view whole = place.at.name.view();
    FixedText<NAME_MAX> name(slice(whole, 0, whole.rfind('.')));
    name.append(".tmp_");
    for (const unsigned char byte : random) {
      name.append(slice(kLetters, byte % kLetters.size(), 1));
    }
    UniqueFd file(openat(place.directory(), name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                         S_IRUSR | S_IWUSR));
    if (file) {
      ReplacementFile temporary(place);
      temporary.name_ = name;
      temporary.file_ = std::move(file);
      return temporary;
    }
    if (errno != EEXIST) {
      break;
    }
  }
  return system_error("cannot create a temporary file beside",
                      place.path.view());
}

Result<void> copy_access(const UniqueFd &from, const struct stat &status,
                         int to, const Place &place) {
  constexpr const char *kAcl = "system.posix_acl_access";
  constexpr const char *kLabel = "security.selinux";
  if (fchown(to, status.st_uid, status.st_gid) != 0 ||
      fchmod(to, status.st_mode & ALLPERMS) != 0 ||
      !copy_attribute(from.get(), to, kAcl) ||
      (fgetxattr(from.get(), kLabel, nullptr, 0) >= 0 &&
       !copy_attribute(from.get(), to, kLabel))) {
    return system_error("cannot keep owner and mode of", place.path.view());
  }
  return {};
}

Result<void> set_access(const Store &store, int to, const Place &place) {
  const auto owner = user_id(store.file_owner);
  if (!owner) {
    return owner.error();
  }
  const auto group = group_id(store.file_group);
  if (!group) {
    return group.error();
  }
  if (fchown(to, *owner, *group) != 0 || fchmod(to, store.file_mode) != 0) {
    return system_error("cannot set owner and mode of", place.path.view());
  }
  return {};
}

}  // namespace pbstoken
