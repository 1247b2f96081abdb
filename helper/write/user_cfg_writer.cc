// SPDX-License-Identifier: BSD-3-Clause
#include "write/user_cfg_writer.h"

#include "pbstoken/cache/writer.h"

namespace pbstoken {

Result<SectionWriter> SectionWriter::open(const Store &store,
                                          const SectionChange &change,
                                          const FileLock &lock) {
  auto writer = FileWriter::open(store, Kind::kAccounts, lock);
  if (!writer) {
    return writer.error();
  }
  return SectionWriter(store, change, lock, std::move(*writer));
}

Result<SectionChanged> SectionWriter::prepare() {
  SectionChanged changed = SectionChanged::kDone;
  const auto prepared = writer_.prepare(
      [&](const Buffer *old_text, Buffer *out_text) -> Result<bool> {
        const auto made =
            change_user_cfg_text(old_text, store_.user_cfg, change_, out_text);
        if (!made) {
          return made.error();
        }
        changed = *made;
        return changed == SectionChanged::kDone;
      });
  return prepared ? Result<SectionChanged>(changed) : prepared.error();
}

Result<SectionChanged> SectionWriter::commit(EndSignals end_signals,
                                             Outcome *out_outcome) {
  for (int round = 0; round < FileWriter::kMaxRounds; ++round) {
    const auto committed = writer_.commit(end_signals);
    if (!committed) {
      return committed.error();
    }
    if (*committed) {
      *out_outcome = **committed;
      // Nothing depends on it: otherwise the next process renews the cache.
      static_cast<void>(CacheWriter(store_, Kind::kAccounts, lock_).renew());
      return SectionChanged::kDone;
    }
    const auto prepared = prepare();
    if (!prepared || *prepared != SectionChanged::kDone) {
      return prepared;
    }
  }
  return writer_.keeps_changing();
}

}  // namespace pbstoken
