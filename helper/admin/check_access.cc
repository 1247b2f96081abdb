// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <utility>

#include "admin/report.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

template <typename Id>
std::optional<Id> known(const Result<Id> &id, std::string_view unknown,
                        const PathText &configuration, Problems *problems) {
  if (id) {
    return *id;
  }
  // The default's name; others were looked up when the file was read.
  if (id.error().code == Errc::kBadConfiguration) {
    problems->add(configuration.view(), unknown);
  } else {
    problems->add_error(configuration.view(), id.error());
  }
  return std::nullopt;
}

struct Forbidden {
  mode_t bit;
  const char *what;
  const char *less;  // for chmod(1)
};

// Appends a command about the path, which ends the line.
ProblemText &append_command(ProblemText *out, std::string_view command,
                            std::string_view argument, std::string_view path) {
  out->append(": ").append(command).append(argument).append(" ");
  return out->append_escaped(path);
}

void check_mode(std::string_view path, mode_t mode, FileKind kind,
                Problems *problems) {
  const std::array<Forbidden, 3> all = {{
      {kind == FileKind::kCounters ? 0U : S_IROTH,
       kind == FileKind::kLock ? "others may open it, and hold the lock"
                               : "others may read it",
       "o-rwx"},
      {S_IWOTH, "others may write it", "o-w"},
      {kind == FileKind::kData ? S_IWGRP : 0U, "its group may write it", "g-w"},
  }};
  for (const Forbidden &forbidden : all) {
    if ((mode & forbidden.bit) != 0) {
      ProblemText what(forbidden.what);
      what.append(" (mode ").append(octal(mode).view()).append(")");
      problems->add(
          path, append_command(&what, "chmod ", forbidden.less, path).view());
    }
  }
}

}  // namespace

AccessCheck::AccessCheck(const Store &store, Problems *problems)
    : owner_(known(user_id(store.file_owner),
                   "file_owner: no such user in /etc/passwd: make it, or "
                   "name another",
                   store.configuration, problems)),
      group_(known(group_id(store.file_group),
                   "file_group: no such group in /etc/group: make it, or "
                   "name another",
                   store.configuration, problems)),
      owner_name_(store.file_owner.name.view()),
      group_name_(store.file_group.name.view()),
      problems_(problems) {}

UniqueFd AccessCheck::open(const PathText &path, FileKind kind) {
  check_directories(path);
  auto file = open_regular(path);
  struct stat status = {};
  if (!file) {
    if (file.error().code != Errc::kNotFound) {
      problems_->add_error(path.view(), file.error(),
                           "; put a file there, by a path without symbolic "
                           "links");
    }
    return {};
  }
  if (fstat(file->get(), &status) != 0) {
    problems_->add_error(path.view(), system_error("cannot stat", path.view()));
    return {};
  }
  check_mode(path.view(), status.st_mode, kind, problems_);
  check_owner(path.view(), status, owner_name_);
  if ((status.st_mode & S_IRWXG) != 0) {
    check_group(path.view(), status, "open it", "chgrp ", group_name_);
  }
  check_daemons(path.view(), status, *file, kind);
  return std::move(*file);
}

// Walks by find_place(), anew for each directory: the owner of one on the way
// must not lead root elsewhere.
void AccessCheck::check_directories(const PathText &path) {
  std::size_t end = 0;
  while (end != std::string_view::npos) {
    const std::string_view directory = slice(path.view(), 0, end);
    end = path.view().find('/', end + 1);
    const auto place = find_place(PathText(slice(path.view(), 0, end)));
    struct stat status = {};
    // What cannot be walked cannot be opened either, and is added then.
    if (!place || fstat(place->directory.get(), &status) != 0) {
      return;
    }
    if (is_first_visit(status)) {
      const std::string_view name = directory.empty() ? "/" : directory;
      // Only the one that the file is in is the store's own.
      check_directory(name, status,
                      end == std::string_view::npos ? owner_name_ : "root");
      check_daemons_enter(name, status, place->directory);
    }
  }
}

void AccessCheck::check_directory(std::string_view path,
                                  const struct stat &status,
                                  std::string_view owner) {
  check_owner(path, status, owner);
  // In a sticky directory users do not replace files of others.
  if ((status.st_mode & S_ISVTX) != 0) {
    return;
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    ProblemText what("others may write this directory (mode ");
    what.append(octal(status.st_mode).view()).append(")");
    problems_->add(path, append_command(&what, "chmod ", "o-w", path).view());
  }
  if ((status.st_mode & S_IWGRP) != 0) {
    check_group(path, status, "write this directory", "chmod ", "g-w");
  }
}

void AccessCheck::check_owner(std::string_view path, const struct stat &status,
                              std::string_view owner) {
  if (status.st_uid != 0 && owner_ && status.st_uid != *owner_) {
    ProblemText what("belongs to uid ");
    what.append(status.st_uid).append(", neither root nor file_owner");
    problems_->add(path, append_command(&what, "chown ", owner, path).view());
  }
}

void AccessCheck::check_group(std::string_view path, const struct stat &status,
                              const char *may, std::string_view command,
                              std::string_view argument) {
  if (status.st_gid != 0 && group_ && status.st_gid != *group_) {
    ProblemText what("gid ");
    what.append(status.st_gid)
        .append(", neither root's nor file_group, may ")
        .append(may);
    problems_->add(path, append_command(&what, command, argument, path).view());
  }
}

void AccessCheck::check_daemons(std::string_view path,
                                const struct stat &status, const UniqueFd &file,
                                FileKind kind) {
  const Need need = kind == FileKind::kData
                        ? Need{.bits = 4, .what = "read it", .mode = "+r"}
                        : Need{.bits = 6, .what = "write it", .mode = "+rw"};
  check_need(path, status, file, need);
}

void AccessCheck::check_daemons_enter(std::string_view path,
                                      const struct stat &status,
                                      const UniqueFd &directory) {
  // Of an O_PATH descriptor nothing tells the list.
  const UniqueFd readable(
      openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check_need(path, status, readable,
             {.bits = 1, .what = "enter it", .mode = "+x"});
}

void AccessCheck::check_need(std::string_view path, const struct stat &status,
                             const UniqueFd &file, const Need &need) {
  if (!owner_ || !group_ || *owner_ == 0) {
    return;
  }
  const bool is_owner = status.st_uid == *owner_;
  const unsigned shift = is_owner ? 6 : status.st_gid == *group_ ? 3 : 0;
  if ((status.st_mode >> shift & need.bits) == need.bits ||
      fgetxattr(file.get(), "system.posix_acl_access", nullptr, 0) > 0) {
    return;
  }
  ProblemText what("file_owner, as whom the Proxmox daemons run, cannot ");
  what.append(need.what).append(" (uid ").append(status.st_uid);
  what.append(", gid ").append(status.st_gid);
  what.append(", mode ").append(octal(status.st_mode).view()).append("): ");
  if (!is_owner) {
    what.append("chgrp ").append(group_name_).append(" and ");
  }
  what.append(is_owner ? "chmod u" : "chmod g").append(need.mode);
  problems_->add(path, what.view());
}

bool AccessCheck::is_first_visit(const struct stat &status) {
  const auto all = visited_.items();
  const bool visited = std::any_of(all.begin(), all.end(),
                                   [&status](const Directory &directory) {
                                     return directory.device == status.st_dev &&
                                            directory.inode == status.st_ino;
                                   });
  if (!visited) {
    // If memory runs out the directory is named twice.
    static_cast<void>(
        visited_.append({.device = status.st_dev, .inode = status.st_ino}));
  }
  return !visited;
}

}  // namespace pbstoken
