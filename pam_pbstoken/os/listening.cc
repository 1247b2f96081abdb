// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/os/listening.h"

#include <fcntl.h>
#include <unistd.h>

#include "pbstoken/os/file.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20U;

// The kernel's __SO_ACCEPTCON.
constexpr std::uint64_t kListens = 0x10000;

// One line: Num RefCount Protocol Flags Type St Inode Path
bool is_listener(std::string_view line, std::string_view path) {
  if (!line.ends_with(path) ||
      !slice(line, 0, line.size() - path.size()).ends_with(' ')) {
    return false;
  }
  constexpr int kBeforeFlags = 3;
  for (int i = 0; i < kBeforeFlags; ++i) {
    line = slice(line, line.find(' ') + 1);
  }
  const auto flags = parse_number(slice(line, 0, line.find(' ')), 16);
  return flags && (*flags & kListens) != 0;
}

}  // namespace

PathText socket_table() {
  return PathText("/proc/")
      .append(static_cast<std::uint64_t>(getpid()))
      .append("/net/unix");
}

std::optional<bool> is_listened_on(std::string_view path) {
  const PathText table = socket_table();
  const UniqueFd file(open(table.c_str(), O_RDONLY | O_CLOEXEC));
  const auto text =
      file ? read_whole(file, table, kMostBytes) : Result<Buffer>(Buffer());
  if (!text || text->size() == 0) {
    return std::nullopt;
  }
  std::string_view rest = text->view();
  while (!rest.empty()) {
    if (is_listener(take_until('\n', &rest), path)) {
      return true;
    }
  }
  return false;
}

}  // namespace pbstoken
