// SPDX-License-Identifier: BSD-3-Clause
// What the resident service was started with: its program, the configurations,
// the files of users and groups, and the directories of the stores' files.
#ifndef PBSTOKEN_SURROUNDINGS_H_
#define PBSTOKEN_SURROUNDINGS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pbstoken/os/file.h"

namespace pbstoken {

class Surroundings {
 public:
  // Finds the paths, which takes what reading configurations takes.  A
  // configuration that cannot be used names no directory.  Returns false if
  // there are more paths than room: the rest is not watched.
  [[nodiscard]] bool find();

  // Looks at all of them for the first time.
  void look();

  // True if a path is another than it was: of a directory of files, its device
  // and inode; of all others, whatever changes with their content.  It makes
  // one stat(2) for each.  What had been changed just before the first look
  // might have been once more within the same tick of its clock, and look the
  // same: that counts as a change two seconds later.
  [[nodiscard]] bool have_changed() const;

 private:
  struct Watched {
    PathText path;
    bool by_place = false;  // a directory of files, which may come and go
    FileIdentity seen;
  };

  void add(const PathText &path, bool by_place);
  void add_store(std::string_view name);

  std::array<Watched, 64> all_ = {};
  std::size_t count_ = 0;
  bool is_settled_ = true;
  std::uint64_t settled_at_ = 0;  // by time since boot, if it is not yet
};

}  // namespace pbstoken

#endif  // PBSTOKEN_SURROUNDINGS_H_
