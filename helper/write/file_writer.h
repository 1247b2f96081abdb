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
//  4. Claim the generation (generation.h), rename, put a record beside the file
//     if there is one, raise upstream's word, end the generation.  A writer
//     that dies in between leaves its number; the process that repairs that
//     raises the word, too.
//  5. fsync the directory.
//
// Up to the rename every failure leaves the old file byte for byte, and no
// temporary one.  After it the change stands.
#ifndef PBSTOKEN_FILE_WRITER_H_
#define PBSTOKEN_FILE_WRITER_H_

#include <sys/stat.h>

#include <cstdint>
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

// What is wrong where nobody has made a store yet.
constexpr const char *kNoDirectory =
    "its directory is not there: 'pbstoken init' makes it";

// Says before a secret is made whether the file of this kind can be written at
// all.  Returns kNotFound without its directory, and kUnsafe if other hosts may
// write it and the store's configuration does not say that they may.
Result<void> permit_writing(const Store &store, Kind kind);

// Whether a held signal that asks for an end, such as SIGINT, keeps a change
// from being done.  It must not keep the second half of a change from being
// done once the first half stands.
enum class EndSignals : std::uint8_t { kHeeded, kLeftForLater };

// Replaces one watched file.  One thread per object, which stays where it is
// once it has prepared.
class FileWriter {
 public:
  // Returns a writer of the file of this kind; `lock` is that file's.  All
  // three arguments must outlive the object.  Removes what writers that died
  // have left beside the file.
  static Result<FileWriter> open(const Store &store, Kind kind,
                                 const FileLock &lock);

  // Makes commit() rename a record about the file right after the file, while
  // the generation is still claimed: no process puts the new file in force
  // without its record.  `record` must outlive the object.
  void put_beside(ReplacementFile *record) { record_ = record; }

  // Returns how the rename of that record ended; an error if the change stands
  // without its record.
  [[nodiscard]] const Result<void> &recorded() const { return recorded_; }

  // Does steps 1 and 2: has make(old_text, &new_text) change the text, and
  // writes the temporary file.  old_text: const Buffer *, null if the file is
  // missing.  make returns Result<bool>; false, here too: there is nothing to
  // change.
  template <typename Make>
  Result<bool> prepare(Make make) {
    temporary_.reset();
    if (const auto read = read_current(); !read) {
      return read.error();
    }
    Buffer text;
    Result<bool> made = make(current_.file ? &current_.text : nullptr, &text);
    if (!made || !*made) {
      return made;
    }
    const auto written = write_temporary(text.view());
    return written ? Result<bool>(true) : written.error();
  }

  // Does steps 3 to 5 of what was prepared.  Returns kDone, kNotDurable,
  // kNotAnnounced or kTakenOver if the change stands; nullopt if the file has
  // changed, and the change is to be prepared again.  An error is a failure up
  // to the rename: the file is as it was.
  Result<std::optional<Outcome>> commit(EndSignals end_signals);

  // Prepares and commits, again and again while the file changes meanwhile.
  // Returns nullopt if make() returned false.
  template <typename Make>
  Result<std::optional<Outcome>> change(Make make, EndSignals end_signals) {
    for (int round = 0; round < kMaxRounds; ++round) {
      const auto prepared = prepare(make);
      if (!prepared) {
        return prepared.error();
      }
      if (!*prepared) {
        return std::optional<Outcome>();
      }
      auto committed = commit(end_signals);
      if (!committed || *committed) {
        return committed;
      }
    }
    return keeps_changing();
  }

  // Another process may change the file without the lock, again and again.
  static constexpr int kMaxRounds = 100;
  [[nodiscard]] Error keeps_changing() const;

 private:
  // What stands there before the change.
  struct Current {
    UniqueFd file;  // not open if there is no such file
    struct stat status = {};
    Buffer text;
  };

  FileWriter(const Store &store, Kind kind, const FileLock &lock,
             WatchedPlace place);

  Result<void> read_current();
  [[nodiscard]] bool is_unchanged() const;
  [[nodiscard]] bool is_given_back() const;
  [[nodiscard]] Result<void> give_access(int to) const;
  Result<void> write_temporary(std::string_view text);
  Result<void> rename_into_place();
  Outcome finish();

  const Store &store_;
  Kind kind_;
  const FileLock &lock_;
  WatchedPlace place_;
  CacheWriter cache_;
  Current current_;
  std::optional<ReplacementFile> temporary_;
  ReplacementFile *record_ = nullptr;
  Result<void> recorded_;
  bool gives_back_ = false;  // the file was root's, and is the store's again
  bool announced_ = false;   // upstream's daemons have been told
  bool taken_over_ = false;  // the generation was not ours any more
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FILE_WRITER_H_
