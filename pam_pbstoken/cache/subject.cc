// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/subject.h"

#include <sys/stat.h>

#include <cstring>

#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

View make_view(const struct stat &directory, std::string_view name) {
  return {.directory_device = directory.st_dev,
          .directory_inode = directory.st_ino,
          .name = hash_of(name)};
}

}  // namespace

Result<View> view_of(const PathText &path) {
  const PathText directory = directory_of(path);
  struct stat status = {};
  if (stat(directory.c_str(), &status) != 0) {
    return system_error("cannot stat", directory.view());
  }
  return make_view(status, last_component(path));
}

Result<View> view_in(const FilePlace &place) {
  struct stat status = {};
  if (fstat(place.directory.get(), &status) != 0) {
    return system_error("cannot stat the directory of", place.name.view());
  }
  return make_view(status, place.name.view());
}

key_t key_of(const Subject &subject) {
  FixedText<128> text;
  text.append(static_cast<std::uint64_t>(subject.kind))
      .append(" ")
      .append(subject.view.directory_device)
      .append(" ")
      .append(subject.view.directory_inode)
      .append(" ")
      .append(subject.view.name);
  return derive_key("pbstoken segment", text.view());
}

}  // namespace pbstoken
