// SPDX-License-Identifier: BSD-3-Clause
// Landlock: the files that this process can still open, whatever it is made to
// do.  It uses landlock(7)'s system calls, which libc has no functions for.
#ifndef PBSTOKEN_LANDLOCK_H_
#define PBSTOKEN_LANDLOCK_H_

#include <cstdint>
#include <optional>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// What may be done, to a file or to all that is below a directory.
struct FileRights {
  bool read = false;
  bool list = false;     // read a directory
  bool write = false;    // what is there
  bool replace = false;  // make, rename and remove files
};

// A set of rules, until it is enforced.  A kernel without Landlock, or one that
// has it switched off, takes every rule and enforces none.
class Landlock {
 public:
  Landlock();

  // Allows this for one file, as it is now.
  void allow_file(const PathText &path, FileRights rights) {
    allow(path, rights, /*is_file=*/true);
  }

  // Allows this for the directory that a file is in, or is to be in.
  void allow_beside(const PathText &path, FileRights rights) {
    allow(path, rights, /*is_file=*/false);
  }

  // Lets go of what more rules would need.  Returns false if the rules could
  // not be made, or the kernel enforces no rules.
  [[nodiscard]] bool complete();

  // Refuses, from here on, everything else that has to do with opening, making
  // and removing files, and TCP.  Signals and abstract sockets reach no farther
  // than this process and its children.  Needs no_new_privs.
  Result<void> enforce();

 private:
  // Allows it for a path.  A path that leads nowhere, or through a symbolic
  // link, is left out: what cannot be opened now cannot be opened later.
  void allow(const PathText &path, FileRights rights, bool is_file);

  std::optional<int> find_beside_last(const PathText &path);

  UniqueFd rules_;
  PathText last_directory_;
  UniqueFd last_;
  std::optional<Error> problem_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LANDLOCK_H_
