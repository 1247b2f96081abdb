// SPDX-License-Identifier: BSD-3-Clause
// Upstream's generation words, in the page of shared counters that Proxmox
// Backup Server keeps (config-versions): that of user.cfg at offset 8, that of
// token.shadow at offset 32, from 4.1.6.
//
// Its daemons add 1 after each of their changes, and drop what they remember of
// secrets when the latter changes.  The page's owner may truncate it at any
// time, so nothing here touches a mapping of it: adding is left to the kernel.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_VERSION_WORD_H_
#define PBSTOKEN_VERSION_WORD_H_

#include <cstdint>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// The file that a word is about; the number is where it stands in the page.
enum class VersionWord : std::uint8_t { kUserCfg = 8, kTokenShadow = 32 };

// Adds 1 to the word, atomically, if there is such a page.  Returns an error if
// there is one and it could not be done.  An empty path: there is no page.
Result<void> bump_version_word(const PathText &path, VersionWord which);

// True if an open file is a page of that kind.  If false, errno is 0, or says
// why that cannot be told.
bool is_version_page(const UniqueFd &file);

}  // namespace pbstoken

#endif  // PBSTOKEN_VERSION_WORD_H_
