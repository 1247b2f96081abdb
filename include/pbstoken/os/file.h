// SPDX-License-Identifier: BSD-3-Clause
// Opens and reads files that another user may have put there.
//
// Everything is opened first and asked for its type by descriptor.  Nothing
// blocks (a FIFO may be planted), nothing becomes a controlling terminal,
// nothing is inherited by a child, nothing is mapped (its owner may truncate
// it: SIGBUS in the host).
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_FILE_H_
#define PBSTOKEN_FILE_H_

#include <sys/stat.h>

#include <climits>
#include <cstddef>
#include <cstdint>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// What tells one content of a path from another without reading it.  All
// zero: there is no such file.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::uint64_t modified = 0;  // st_mtim and st_ctim, ns since the epoch
  std::uint64_t changed = 0;

  bool operator==(const FileIdentity &) const = default;
};

// The time in ns for which a file must keep an identity before the identity
// tells its content.  Two changes within one tick of a file system's clock may
// leave the same identity.
constexpr std::uint64_t kSettlingTime = 2 * kNanosecondsPerSecond;

// True if a file of this identity may change once more at `now`, in ns since
// the epoch, and keep the identity.  A time of change far ahead of the clock,
// which was set back since, tells as much as one far behind it.
bool may_change_unseen(const FileIdentity &identity, std::uint64_t now);

// Returns the identity of the file of this status.
FileIdentity identity_of(const struct stat &status);

// Returns the identity of what the path names now, as the file's server has it;
// the empty identity if it names nothing.  A symbolic link is judged as itself,
// since it is never opened.  Returns kUnsafe if something is mounted over the
// file.
Result<FileIdentity> look_at(const PathText &path);

// Where an absolute path leads: the directory, which is no good for reading
// (O_PATH), and the last component.
struct FilePlace {
  UniqueFd directory;
  FixedText<NAME_MAX> name;
};

// Walks there component by component, and follows no symbolic link: the owner
// of a directory on the way must not lead root elsewhere.  Returns kUnsafe if
// there is a symbolic link.
Result<FilePlace> find_place(const PathText &path);

// Opens a regular file for reading, by way of find_place().  Returns kNotFound
// if it is not there, kUnsafe if it is no regular file.
Result<UniqueFd> open_regular(const PathText &path);

// Whether what is mounted over a file is opened in its place, or refused.
enum class Mounts : std::uint8_t { kFollowed, kRefused };

// Does what open_regular() does, from the directory that find_place() has
// found. path: for messages.
Result<UniqueFd> open_regular_at(const FilePlace &place, const PathText &path,
                                 Mounts mounts = Mounts::kFollowed);

// Does what look_at() does, with the file in that directory.  Returns an error
// if something is mounted over the file, or if the kernel cannot tell.
Result<FileIdentity> look_in(const FilePlace &place, const PathText &path);

// Returns kUnsafe if a directory of the path is not root's alone to change, or
// is no directory.
Result<void> trust_directories(const PathText &path);

// Opens a file that must be root's alone to change, like every directory above
// it; else returns kUnsafe.
Result<UniqueFd> open_trusted(const PathText &path);

// A file's identity, and a time when it had that already and its content was
// yet to be read: CLOCK_BOOTTIME in nanoseconds, 0 if that cannot be read.
struct Sighting {
  FileIdentity identity;
  std::uint64_t time = 0;
};

// A regular file as it was read, whole.
struct FileContent {
  Sighting sighting;
  Buffer content;
};

// Reads what open_regular() gave.  Passes its error on, but for kNotFound: then
// it returns the empty identity without content.
Result<FileContent> read_opened(const Result<UniqueFd> &file,
                                const PathText &path, std::size_t limit);

// Returns the whole content, followed by one NUL byte that is not counted;
// kMalformed if it has more than `limit` bytes.
Result<Buffer> read_whole(const UniqueFd &file, const PathText &path,
                          std::size_t limit);

}  // namespace pbstoken

#endif  // PBSTOKEN_FILE_H_
