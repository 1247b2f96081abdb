// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

namespace pbstoken {

namespace {

// A group with many members is a long line.
constexpr std::size_t kFirstLine = 4096;
constexpr std::size_t kLongestLine = 1 << 20;

struct FileCloser {
  void operator()(std::FILE *file) const {
    static_cast<void>(std::fclose(file));  // it was only read
  }
};

struct Free {
  void operator()(char *bytes) const { std::free(bytes); }
};

// Calls visit(entry) for each entry of a file, until that returns true; whether
// it did.  An entry may be visited twice.  next(file, entry, line, size,
// &found) is fgetpwent_r(3) or fgetgrent_r(3).
template <typename Entry, typename Next, typename Visit>
Result<bool> visit_entries(const char *path, Next next, Visit visit) {
  for (std::size_t size = kFirstLine; size <= kLongestLine; size *= 2) {
    const std::unique_ptr<char, Free> line(
        static_cast<char *>(std::malloc(size)));
    if (!line) {
      return no_memory("cannot look up a name");
    }
    const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path, "re"));
    if (!file) {
      return system_error("cannot open", path);
    }
    Entry entry{};
    Entry *found = nullptr;
    int status = 0;
    while ((status = next(file.get(), &entry, line.get(), size, &found)) == 0) {
      if (visit(entry)) {
        return true;
      }
    }
    if (status == ENOENT) {
      return false;
    }
    if (status != ERANGE) {
      errno = status;
      return system_error("cannot read", path);
    }
  }
  return plain_error(Errc::kMalformed, "cannot read", path,
                     "a line is too long");
}

// The number of a name, for both files.
template <typename Entry, typename Next>
Result<std::uint32_t> find(const char *path, const char *name,
                           char *Entry::*entry_name,
                           std::uint32_t Entry::*number, Next next) {
  std::uint32_t its_number = 0;
  const auto is_there =
      visit_entries<Entry>(path, next, [&](const Entry &entry) {
        its_number = entry.*number;
        return std::string_view(entry.*entry_name) == name;
      });
  if (!is_there) {
    return is_there.error();
  }
  return *is_there ? Result<std::uint32_t>(its_number)
                   : plain_error(Errc::kNotFound, "cannot find a name in", path,
                                 "no such entry");
}

// A name on a line of its own, if it is not there yet; false without memory.
bool append_once(Buffer *out, std::string_view name) {
  for (std::string_view rest = out->view(); !rest.empty();) {
    if (take_until('\n', &rest) == name) {
      return true;
    }
  }
  return out->append(name) && out->append("\n");
}

}  // namespace

Result<uid_t> find_user(const char *name) {
  return find("/etc/passwd", name, &passwd::pw_name, &passwd::pw_uid,
              fgetpwent_r);
}

Result<gid_t> find_group(const char *name) {
  return find("/etc/group", name, &group::gr_name, &group::gr_gid, fgetgrent_r);
}

Result<Buffer> members_of(gid_t gid) {
  Buffer names;
  bool ok = true;
  const auto groups =
      visit_entries<group>("/etc/group", fgetgrent_r, [&](const group &entry) {
        char *const *name = entry.gr_mem;
        for (; ok && entry.gr_gid == gid && *name != nullptr; ++name) {
          ok = append_once(&names, *name);
        }
        return !ok;
      });
  const auto users = visit_entries<passwd>(
      "/etc/passwd", fgetpwent_r, [&](const passwd &entry) {
        ok = ok && (entry.pw_gid != gid || append_once(&names, entry.pw_name));
        return !ok;
      });
  if (!groups || !users) {
    return groups ? users.error() : groups.error();
  }
  return ok ? Result<Buffer>(std::move(names))
            : no_memory("cannot look up a name");
}

}  // namespace pbstoken
