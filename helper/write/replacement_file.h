// SPDX-License-Identifier: BSD-3-Clause
// The file that is written beside a watched file and then takes its place.
#ifndef PBSTOKEN_REPLACEMENT_FILE_H_
#define PBSTOKEN_REPLACEMENT_FILE_H_

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <memory>
#include <string_view>
#include <utility>

#include "io/message.h"
#include "pbstoken/base/result.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Where a watched file is.  All work is done through this descriptor of its
// directory, wherever the path leads later.
struct WatchedPlace {
  FilePlace at;
  const PathText &path;

  [[nodiscard]] int directory() const { return at.directory.get(); }
  [[nodiscard]] const char *name() const { return at.name.c_str(); }
};

// Returns the place of the file of this path, which must outlive the place.
Result<WatchedPlace> open_place(const PathText &path);

// True if a file of this name was made beside one called file_name to take its
// place, or that of its lease: by ReplacementFile or by upstream, which had
// other names before 4.2.3.
bool is_replacement_name(std::string_view file_name, std::string_view name);

// True if a file of this name was made to become the lock called lock_name: by
// FileLock or by upstream.
bool is_new_lock_name(std::string_view lock_name, std::string_view name);

struct DirectoryCloser {
  void operator()(DIR *directory) const {
    static_cast<void>(closedir(directory));  // it was only read
  }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

// Returns the names in an open directory; null, with errno, if it cannot be
// read.
DirectoryStream read_directory(int directory);

// For the holder of the lock, which is lock_file: removes what writers that
// died have left beside the file.
void remove_litter(const WatchedPlace &place, const PathText &lock_file);

// A new file that is removed again unless it takes the file's place.
class ReplacementFile {
 public:
  // Makes an empty file of mode 0600 beside the watched one.  `place` must
  // outlive the object.
  static Result<ReplacementFile> create(const WatchedPlace &place);

  ReplacementFile(ReplacementFile &&other) noexcept
      : place_(other.place_),
        name_(other.name_),
        file_(std::move(other.file_)) {
    other.name_.clear();
  }
  ReplacementFile(const ReplacementFile &) = delete;
  ReplacementFile &operator=(const ReplacementFile &) = delete;
  ~ReplacementFile() {
    if (!name_.empty()) {
      unlinkat(place_.directory(), name_.c_str(), 0);
    }
  }

  [[nodiscard]] int fd() const { return file_.get(); }

  // Writes the text, syncs the file and closes it: fd() is -1 then.
  Result<void> fill(std::string_view text) {
    // The file is closed before the rename, as upstream does: some file systems
    // need that, or say only at the close that they have not written all of it.
    if (!write_all(file_.get(), text) || fsync(file_.get()) != 0 ||
        ::close(file_.take()) != 0) {
      return system_error("cannot write a temporary file beside",
                          place_.path.view());
    }
    return {};
  }

  // Puts the file in the place of the watched one.
  Result<void> rename_into_place() {
    if (renameat(place_.directory(), name_.c_str(), place_.directory(),
                 place_.name()) != 0) {
      return system_error("cannot replace", place_.path.view());
    }
    name_.clear();
    return {};
  }

 private:
  explicit ReplacementFile(const WatchedPlace &place) : place_(place) {}

  const WatchedPlace &place_;
  FixedText<NAME_MAX> name_;
  UniqueFd file_;
};

// Gives the open file `to` what the open file `from` of this status has: owner,
// permission bits, POSIX ACL and SELinux label.
Result<void> copy_access(const UniqueFd &from, const struct stat &status,
                         int to, const WatchedPlace &place);

// True if an edit or a restore by root has left a file of this status, so that
// it gets back the owner, group and mode of access_of(): it is root's, lies in
// a directory of file_owner's, has no other name, and has another owner, group
// or mode.  False if /etc does not know the names in the settings.
bool is_to_be_given_back(const Store &store, Kind kind,
                         const WatchedPlace &place, const struct stat &status);

// Returns owner, group and mode of a file that is made: those of given_access()
// for token.shadow; for user.cfg root, file_group and 0640, as upstream has it.
Result<FileAccess> access_of(const Store &store, Kind kind);

// Gives the open file `to` the owner, group and mode of access_of().
Result<void> set_access(const Store &store, Kind kind, int to,
                        const WatchedPlace &place);

}  // namespace pbstoken

#endif  // PBSTOKEN_REPLACEMENT_FILE_H_
