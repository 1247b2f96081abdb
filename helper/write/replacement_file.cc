// SPDX-License-Identifier: BSD-3-Clause
#include "write/replacement_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include <array>

namespace pbstoken {

namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kRandomLetters = 6;

// token.shadow -> token.shadow.tmp_XXXXXX, as upstream names them; without the
// X.
FixedText<NAME_MAX> temporary_prefix(std::string_view file_name) {
  FixedText<NAME_MAX> prefix(file_name);
  prefix.append(".tmp_");
  return prefix;
}

// Returns what stands behind the prefix of temporary files; empty for any other
// name.
std::string_view temporary_suffix(std::string_view file_name,
                                  std::string_view name) {
  const auto prefix = temporary_prefix(file_name);
  return name.starts_with(prefix.view()) ? slice(name, prefix.view().size())
                                         : std::string_view();
}

bool is_random(std::string_view suffix) {
  return suffix.size() == kRandomLetters &&
         suffix.find_first_not_of(kLetters) == std::string_view::npos;
}

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

// Without one the new file keeps what the policy has given it.
bool copy_label(int from, int to) {
  constexpr const char *kLabel = "security.selinux";
  if (fgetxattr(from, kLabel, nullptr, 0) < 0) {
    return errno == ENODATA || errno == ENOTSUP;
  }
  return copy_attribute(from, to, kLabel);
}

}  // namespace

Result<WatchedPlace> open_place(const PathText &path) {
  auto at = find_place(path);
  if (!at) {
    return at.error();
  }
  // It is opened once more and for reading, since fsync(2) takes no O_PATH
  // descriptor.
  at->directory = UniqueFd(
      openat(at->directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at->directory) {
    return system_error("cannot open the directory of", path.view());
  }
  return WatchedPlace{.at = std::move(*at), .path = path};
}

bool is_replacement_name(std::string_view file_name, std::string_view name) {
  // token.tmp_XXXXXX, of earlier versions.
  const std::string_view stem = slice(file_name, 0, file_name.rfind('.'));
  FixedText<NAME_MAX> lease(file_name);
  lease.append(".lease");
  return is_random(temporary_suffix(file_name, name)) ||
         is_random(temporary_suffix(stem, name)) ||
         is_random(temporary_suffix(lease.view(), name));
}

bool is_new_lock_name(std::string_view lock_name, std::string_view name) {
  const std::string_view suffix = temporary_suffix(lock_name, name);
  return is_random(suffix) || parse_number(suffix);
}

DirectoryStream read_directory(int directory) {
  const int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DirectoryStream stream(again < 0 ? nullptr : fdopendir(again));
  if (!stream && again >= 0) {
    close(again);
  }
  return stream;
}

void remove_litter(const WatchedPlace &place, const PathText &lock_file) {
  const DirectoryStream stream = read_directory(place.directory());
  if (!stream) {
    return;
  }
  const bool has_lock =
      directory_of(place.path).view() == directory_of(lock_file).view();
  while (const dirent *entry = readdir(stream.get())) {
    if (is_replacement_name(place.at.name.view(), entry->d_name) ||
        (has_lock &&
         is_new_lock_name(last_component(lock_file), entry->d_name))) {
      unlinkat(place.directory(), entry->d_name, 0);
    }
  }
}

Result<ReplacementFile> ReplacementFile::create(const WatchedPlace &place) {
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::array<unsigned char, kRandomLetters> random{};
    if (getrandom(random.data(), random.size(), 0) !=
        static_cast<ssize_t>(random.size())) {
      return system_error("cannot get random bytes", {});
    }
    auto name = temporary_prefix(place.at.name.view());
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

Result<FileAccess> access_of(const Store &store, Kind kind) {
  const auto given = given_access(store);
  return !given || kind == Kind::kSecrets
             ? given
             : FileAccess{0, given->group, S_IRUSR | S_IWUSR | S_IRGRP};
}

Result<void> copy_access(const UniqueFd &from, const struct stat &status,
                         int to, const WatchedPlace &place) {
  constexpr const char *kAcl = "system.posix_acl_access";
  if (fchown(to, status.st_uid, status.st_gid) != 0 ||
      fchmod(to, status.st_mode & ACCESSPERMS) != 0 ||
      !copy_attribute(from.get(), to, kAcl) || !copy_label(from.get(), to)) {
    return system_error("cannot keep owner and mode of", place.path.view());
  }
  return {};
}

bool is_to_be_given_back(const Store &store, Kind kind,
                         const WatchedPlace &place, const struct stat &status) {
  const auto given = given_access(store);
  const auto access = access_of(store, kind);
  struct stat directory = {};
  return given && access && fstat(place.directory(), &directory) == 0 &&
         directory.st_uid == given->owner && status.st_uid == 0 &&
         status.st_nlink == 1 &&
         (access->owner != 0 || access->group != status.st_gid ||
          access->mode != (status.st_mode & ALLPERMS));
}

Result<void> set_access(const Store &store, Kind kind, int to,
                        const WatchedPlace &place) {
  const auto access = access_of(store, kind);
  if (!access) {
    return access.error();
  }
  if (fchown(to, access->owner, access->group) != 0 ||
      fchmod(to, access->mode) != 0) {
    return system_error("cannot set owner and mode of", place.path.view());
  }
  return {};
}

}  // namespace pbstoken
