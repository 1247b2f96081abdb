// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/boot_id.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

Result<BootId> boot_id() {
  constexpr std::size_t kSize = 36;
  const UniqueFd file(open(kBootIdPath, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::array<char, kSize> text{};
  const ssize_t size = file ? read(file.get(), text.data(), text.size()) : -1;
  return size == ssize_t{kSize}
             ? Result<BootId>(BootId({text.data(), text.size()}))
             : Result<BootId>(system_error("cannot read", kBootIdPath));
}

}  // namespace pbstoken
