// SPDX-License-Identifier: BSD-3-Clause
#include "write/user_cfg_writer.h"

#include "pbstoken/cache/writer.h"
#include "write/file_writer.h"

namespace pbstoken {

Result<SectionChanged> write_section(const Store &store,
                                     const SectionChange &change,
                                     const FileLock &lock,
                                     Outcome *out_outcome) {
  auto writer = FileWriter::open(store, Kind::kAccounts, lock);
  if (!writer) {
    return writer.error();
  }
  SectionChanged changed = SectionChanged::kDone;
  const auto written = writer->change(
      [&](const Buffer *old_text, Buffer *out_text) -> Result<bool> {
        const auto made =
            change_user_cfg_text(old_text, store.user_cfg, change, out_text);
        if (!made) {
          return made.error();
        }
        changed = *made;
        return changed == SectionChanged::kDone;
      });
  if (!written) {
    return written.error();
  }
  if (*written) {
    *out_outcome = **written;
    // Nothing depends on it: otherwise the next process renews the cache.
    static_cast<void>(CacheWriter(store, Kind::kAccounts, lock).renew());
  }
  return changed;
}

}  // namespace pbstoken
