// SPDX-License-Identifier: BSD-3-Clause
// Writing one section of user.cfg, and a token with its section.
//
// A change of both files holds both locks, user_lock first, as upstream does.
// The section is prepared first, so that what can fail fails before anything is
// changed.  Then token.shadow is changed, then user.cfg: in between the token
// is refused.  The other way round a section could bring an old secret to life.
#ifndef PBSTOKEN_USER_CFG_WRITER_H_
#define PBSTOKEN_USER_CFG_WRITER_H_

#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"
#include "pbstoken/verify/outcome.h"
#include "write/file_writer.h"
#include "write/user_cfg_text.h"

namespace pbstoken {

// Writes one section, for a holder of user_lock that holds its signals.  One
// thread per object, which stays where it is.
class SectionWriter {
 public:
  // All must outlive the object; lock is user_lock.
  static Result<SectionWriter> open(const Store &store,
                                    const SectionChange &change,
                                    const FileLock &lock);

  // Makes the new text and writes it beside the file.  Returns an error, or a
  // value other than kDone, if the section cannot be changed so.
  Result<SectionChanged> prepare();

  // Puts it in the file's place.  If the file has changed meanwhile, it
  // prepares again, and then prepare() says what may happen.  With kDone
  // out_outcome is kDone, kNotDurable, kNotAnnounced or kTakenOver; else the
  // file is as it was.
  Result<SectionChanged> commit(EndSignals end_signals, Outcome *out_outcome);

 private:
  SectionWriter(const Store &store, const SectionChange &change,
                const FileLock &lock, FileWriter writer)
      : store_(store),
        change_(change),
        lock_(lock),
        writer_(std::move(writer)) {}

  const Store &store_;
  const SectionChange &change_;
  const FileLock &lock_;
  FileWriter writer_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_USER_CFG_WRITER_H_
