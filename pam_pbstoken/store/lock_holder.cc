// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/lock_holder.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "pbstoken/base/text.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMaxLocks = std::size_t{1} << 20U;
constexpr int kHex = 16;

std::string_view take_word(std::string_view *line) {
  while (line->starts_with(' ')) {
    line->remove_prefix(1);
  }
  const std::string_view word = slice(*line, 0, line->find(' '));
  line->remove_prefix(word.size());
  return word;
}

// MAJOR:MINOR:INODE, the first two in hexadecimal.
bool is_file(std::string_view word, dev_t device, ino_t inode) {
  const std::size_t first = word.find(':');
  const std::size_t second = word.rfind(':');
  return first != std::string_view::npos && first != second &&
         parse_number(slice(word, 0, first), kHex) == major(device) &&
         parse_number(slice(word, first + 1, second - first - 1), kHex) ==
             minor(device) &&
         parse_number(slice(word, second + 1)) == inode;
}

// 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
// Of one that waits the second word is "->".
std::optional<std::uint64_t> holder_of(std::string_view line, dev_t device,
                                       ino_t inode) {
  take_word(&line);
  const bool is_held = take_word(&line) == "FLOCK";
  take_word(&line);
  take_word(&line);
  const auto pid = parse_number(take_word(&line));
  // 0: one that this pid namespace does not see.
  return is_held && pid && *pid != 0 && is_file(take_word(&line), device, inode)
             ? pid
             : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> lock_holder_in(std::string_view locks,
                                            dev_t device, ino_t inode) {
  while (!locks.empty()) {
    const std::string_view line = take_until('\n', &locks);
    if (const auto pid = holder_of(line, device, inode); pid) {
      return pid;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> lock_holder(const UniqueFd &file) {
  const PathText path("/proc/locks");
  struct stat status = {};
  const auto locks = open_regular(path);
  if (!locks || fstat(file.get(), &status) != 0) {
    return std::nullopt;
  }
  const auto text = read_whole(*locks, path, kMaxLocks);
  return text ? lock_holder_in(text->view(), status.st_dev, status.st_ino)
              : std::nullopt;
}

}  // namespace pbstoken
