// SPDX-License-Identifier: BSD-3-Clause
// What a segment is about: one watched file, as one view has it.
//
// A view is device and inode of the file's directory, and the file's name in
// it.  Processes of other mount namespaces and chroots may find another file
// under the same path: they have another view, and so another segment.  Any
// thread may call everything in here.
#ifndef PBSTOKEN_SUBJECT_H_
#define PBSTOKEN_SUBJECT_H_

#include <sys/types.h>

#include <cstdint>

#include "pbstoken/base/result.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

// Numbers that stand in segments.
// NOLINTNEXTLINE(performance-enum-size): they are words there
enum class Kind : std::uint64_t {
  kSecrets = 1,   // bindings of token.shadow
  kAccounts = 2,  // verdicts of user.cfg
};

// The file that a kind of segment watches, its lock, upstream's word for it.
inline const PathText &path_of(Kind kind, const Store &store) {
  return kind == Kind::kSecrets ? store.token_shadow : store.user_cfg;
}
inline const PathText &lock_path_of(Kind kind, const Store &store) {
  return kind == Kind::kSecrets ? store.lock_file : store.user_lock;
}
inline VersionWord version_word_of(Kind kind) {
  return kind == Kind::kSecrets ? VersionWord::kTokenShadow
                                : VersionWord::kUserCfg;
}

struct View {
  std::uint64_t directory_device = 0;
  std::uint64_t directory_inode = 0;
  std::uint64_t name = 0;  // a hash of it

  bool operator==(const View &) const = default;
};

struct Subject {
  Kind kind;
  View view;

  bool operator==(const Subject &) const = default;
};

// Where the path leads this process now: one stat(2) of the directory.
Result<View> view_of(const PathText &path);

// The same of a directory that is open.
Result<View> view_in(const FilePlace &place);

// The short way to a segment: hashes, which may collide.
key_t key_of(const Subject &subject);

}  // namespace pbstoken

#endif  // PBSTOKEN_SUBJECT_H_
