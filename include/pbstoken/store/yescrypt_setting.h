// SPDX-License-Identifier: BSD-3-Clause
// The settings of yescrypt and scrypt hashes, which stand before the hash
// proper, as libxcrypt reads them: what it refuses is no setting.
//
// Only this tells an impossible setting from a lack of memory: libxcrypt says
// the same of both.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_YESCRYPT_SETTING_H_
#define PBSTOKEN_YESCRYPT_SETTING_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace pbstoken {

// How much memory a hash takes: 128 * block_size * 2^log2_blocks bytes.
struct YescryptCost {
  std::uint32_t log2_blocks = 0;  // of N
  std::uint32_t block_size = 0;   // r

  // True if that is less than what crypt_gensalt(3) takes by default: 16 MiB.
  [[nodiscard]] bool is_below_default() const;
};

// Parses `PARAMETERS$SALT`, which stands between the prefix `$y$` or `$gy$` and
// the last '$'.  Returns nullopt if libxcrypt would compute nothing.
std::optional<YescryptCost> parse_yescrypt_setting(std::string_view setting);

// True if libxcrypt would compute a hash by what stands behind `$7$`.
bool is_scrypt_setting(std::string_view setting);

}  // namespace pbstoken

#endif  // PBSTOKEN_YESCRYPT_SETTING_H_
