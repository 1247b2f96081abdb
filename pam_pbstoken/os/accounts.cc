// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

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

// The number of a name, for both files: next(file, entry, line, size, &found)
// is fgetpwent_r(3) or fgetgrent_r(3).
template <typename Entry, typename Next>
Result<std::uint32_t> find(const char *path, const char *name,
                           char *Entry::*entry_name,
                           std::uint32_t Entry::*number, Next next) {
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
      if (std::string_view(entry.*entry_name) == name) {
        return entry.*number;
      }
    }
    if (status == ENOENT) {
      return plain_error(Errc::kNotFound, "cannot find a name in", path,
                         "no such entry");
    }
    if (status != ERANGE) {
      errno = status;
      return system_error("cannot read", path);
    }
  }
  return plain_error(Errc::kMalformed, "cannot read", path,
                     "a line is too long");
}

}  // namespace

Result<uid_t> find_user(const char *name) {
  return find("/etc/passwd", name, &passwd::pw_name, &passwd::pw_uid,
              fgetpwent_r);
}

Result<gid_t> find_group(const char *name) {
  return find("/etc/group", name, &group::gr_name, &group::gr_gid, fgetgrent_r);
}

}  // namespace pbstoken
