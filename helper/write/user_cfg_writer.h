// SPDX-License-Identifier: BSD-3-Clause
// Writing one section of user.cfg, and a token with its section.
//
// A change of both files holds both locks, user_lock first, as upstream does.
// token.shadow is changed first: in between the token is refused.  The other
// way round a section could bring an old secret to life.
#ifndef PBSTOKEN_USER_CFG_WRITER_H_
#define PBSTOKEN_USER_CFG_WRITER_H_

#include "pbstoken/base/result.h"
#include "pbstoken/store/file_lock.h"
#include "pbstoken/store/store.h"
#include "pbstoken/verify/outcome.h"
#include "write/user_cfg_text.h"

namespace pbstoken {

// For the holder of user_lock, whose signals are held.  With kDone out_outcome
// is kDone, kNotDurable, kNotAnnounced or kTakenOver; else, and with an error,
// nothing was changed.
Result<SectionChanged> write_section(const Store &store,
                                     const SectionChange &change,
                                     const FileLock &lock,
                                     Outcome *out_outcome);

}  // namespace pbstoken

#endif  // PBSTOKEN_USER_CFG_WRITER_H_
