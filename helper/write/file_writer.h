// SPDX-License-Identifier: BSD-3-Clause
// Replacing a watched file, token.shadow or user.cfg, for the holder of its
// lock.
//
//  1. Read the whole file; the change is made of its text.
//  2. Write a temporary file beside it.  It gets owner, permission bits, POSIX
//     ACL and SELinux label of the old one; or those of the store's settings
//     where there was no file, or one of root's, as an edit leaves it and the
//     daemons cannot read it.  fsync and close.
//  3. Look once more: if the file is no longer the one that was read, start
//     over at 1.
//  4. Claim the generation (generation.h), rename, raise upstream's word, end
//     the generation.  A writer that dies in between leaves its number; the
//     process that repairs that raises the word, too.
//  5. fsync the directory.
//
// Up to the rename every failure leaves the old file byte for byte, and no
// temporary one.  After it the change stands.
#ifndef PBSTOKEN_FILE_WRITER_H_
#define PBSTOKEN_FILE_WRITER_H_

#include <sys/stat.h>

#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"
#include "pbstoken/verify/outcome.h"
#include "write/replacement_file.h"

namespace pbstoken {

// kUnsafe if other hosts may write the file of this kind and the store's
// configuration does not say that they may.
Result<void> permit_file_system(const Store &store, Kind kind);

// One thread per object.
class FileWriter {
 public:
  // All three must outlive the object; lock is that of this kind's file.
  // Removes what writers that died have left beside the file.
  static Result<FileWriter> open(const Store &store, Kind kind,
                                 const FileLock &lock);

  // Has make(old_text, &new_text) change the text, again if the file changes
  // meanwhile, and replaces the file.  old_text: const Buffer *, null if the
  // file is missing.  make returns Result<bool>; false: there is nothing to
  // change.
  //
  // Returns kDone, kNotDurable, kNotAnnounced or kTakenOver if the change
  // stands; nullopt if make() returned false.  An error is a failure up to the
  // rename: nothing was changed.
  template <typename Make>
  Result<std::optional<Outcome>> change(Make make) {
    for (int round = 0; round < kMaxRounds; ++round) {
      if (const auto read = read_current(); !read) {
        return read.error();
      }
      Buffer text;
      const Result<bool> made =
          make(current_.file ? &current_.text : nullptr, &text);
      if (!made) {
        return made.error();
      }
      if (!*made) {
        return std::optional<Outcome>();
      }
      const auto replaced = replace(text.view());
      if (!replaced) {
        return replaced.error();
      }
      if (*replaced) {
        return std::optional(finish());
      }
    }
    return plain_error(Errc::kTimedOut, "cannot replace", place_.path.view(),
                       "somebody else keeps changing it");
  }

 private:
  // Another process may change the file without the lock, again and again.
  static constexpr int kMaxRounds = 100;

  // What stands there before the change.
  struct Current {
    UniqueFd file;  // not open if there is no such file
    struct stat status = {};
    Buffer text;
  };

  FileWriter(const Store &store, Kind kind, const FileLock &lock, Place place);

  Result<void> read_current();
  [[nodiscard]] bool is_unchanged() const;
  [[nodiscard]] bool is_given_back() const;
  [[nodiscard]] Result<void> give_access(int to) const;
  [[nodiscard]] Result<ReplacementFile> write_temporary(
      std::string_view text) const;
  // Returns false if the file is no longer the one that was read.
  Result<bool> replace(std::string_view text);
  Result<void> rename_into_place(ReplacementFile *temporary);
  Outcome finish();

  const Store &store_;
  Kind kind_;
  const FileLock &lock_;
  Place place_;
  CacheWriter cache_;
  Current current_;
  bool gives_back_ = false;  // the file was root's, and is the store's again
  bool announced_ = false;   // upstream's daemons have been told
  bool taken_over_ = false;  // the generation was not ours any more
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FILE_WRITER_H_
