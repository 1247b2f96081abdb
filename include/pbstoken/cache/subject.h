// SPDX-License-Identifier: BSD-3-Clause
// The subject of a segment: one watched file, as one view has it.
//
// A view is device and inode of the file's directory, and the file's name in
// it.  Processes of other mount namespaces and chroots may find another file
// under the same path: they have another view, and so another segment.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_SUBJECT_H_
#define PBSTOKEN_SUBJECT_H_

#include <sys/types.h>

#include <cstdint>

#include "pbstoken/base/result.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

// The two kinds of segment.  The numbers stand in segments.
// NOLINTNEXTLINE(performance-enum-size): they are words there
enum class Kind : std::uint64_t {
  kSecrets = 1,   // bindings of token.shadow
  kAccounts = 2,  // verdicts of user.cfg
};

// Returns the file that a kind of segment watches.
inline const PathText &path_of(Kind kind, const Store &store) {
  return kind == Kind::kSecrets ? store.token_shadow : store.user_cfg;
}

// Returns the path of the file's lock.
inline const PathText &lock_path_of(Kind kind, const Store &store) {
  return kind == Kind::kSecrets ? store.lock_file : store.user_lock;
}

// Returns upstream's word for the file.
inline VersionWord version_word_of(Kind kind) {
  return kind == Kind::kSecrets ? VersionWord::kTokenShadow
                                : VersionWord::kUserCfg;
}

// A directory, and a name in it.
struct View {
  std::uint64_t directory_device = 0;
  std::uint64_t directory_inode = 0;
  std::uint64_t name = 0;  // a hash of it

  bool operator==(const View &) const = default;
};

// What a segment is about.
struct Subject {
  Kind kind;
  View view;

  bool operator==(const Subject &) const = default;
};

// Returns where the path leads this process now, by one stat(2) of the
// directory.  Returns the error of stat(2).
Result<View> view_of(const PathText &path);

// Does the same for a directory that is open, by fstat(2).
Result<View> view_in(const FilePlace &place);

// Returns the key of the segment, the short way to it.  It is a hash, so two
// subjects may have the same key.
key_t key_of(const Subject &subject);

}  // namespace pbstoken

#endif  // PBSTOKEN_SUBJECT_H_
