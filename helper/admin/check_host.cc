// SPDX-License-Identifier: BSD-3-Clause
// What check says of the host around the store's files: a helper that no service
// can reach, and the stacks in /etc/pam.d.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "admin/check.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/readers.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

namespace {

constexpr const char *kStacks = "/etc/pam.d";

bool is_missing(const PathText &path) {
  struct stat status = {};
  return stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

// --- the ways to the helper, for those who are not root

void check_ways(const Store &store, Problems *problems) {
  struct stat program = {};
  const bool is_installed = stat(kHelperProgramPath, &program) == 0;
  const bool is_setuid =
      is_installed && program.st_uid == 0 && (program.st_mode & S_ISUID) != 0;
  struct stat socket = {};
  const bool has_socket =
      stat(kHelperSocket, &socket) == 0 && S_ISSOCK(socket.st_mode);
  if (is_installed && !is_setuid && !has_socket) {
    problems->add(kHelperProgramPath,
                  "is not setuid root, and there is no socket: no service that "
                  "is not root can verify; 'systemctl enable --now "
                  "pbstoken-helper.socket', or 'chmod u+s'");
  }
  const auto group = reader_group(store);
  if (is_installed && group && !*group && !store.verify_group.is_nobody()) {
    problems->add(store.configuration.view(),
                  "verify_group: no such group in /etc/group: no service that "
                  "is not root can verify; 'addgroup --system' makes it");
  }
}

// --- the stacks

constexpr std::string_view kBlanks = " \t";

// The value of an option in a line of a stack; empty: it is not there.
std::string_view option_in(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    const std::size_t end = line.find_first_of(kBlanks);
    const std::string_view word = slice(line, 0, end);
    if (word.starts_with(name)) {
      return slice(word, name.size());
    }
    line = end == std::string_view::npos ? std::string_view()
                                         : slice(line, end + 1);
  }
  return {};
}

void check_line(std::string_view path, std::string_view line,
                std::uint64_t number, Problems *problems) {
  const TextPlace place = {.line = number};
  const std::string_view store = option_in(line, "store=");
  if (!store.empty() && is_store_name(store) && store != kDefaultStore &&
      option_in(line, "config=").empty() &&
      is_missing(configuration_path(store))) {
    ProblemText what("store=");
    what.append(store).append(": there is no ");
    problems->add(path, what.append(configuration_path(store).view()).view(),
                  place);
  }
  const bool dies = line.find("default=die") != std::string_view::npos ||
                    line.find("default=bad") != std::string_view::npos;
  if (dies && line.find("module_unknown=") == std::string_view::npos &&
      line.find("user_unknown=ignore") != std::string_view::npos) {
    problems->add(
        path,
        "has default=die or bad without module_unknown=ignore: "
        "nobody gets in once the package is removed, with a password neither",
        place);
  }
}

void check_stack(const PathText &path, Problems *problems) {
  constexpr std::size_t kMost = 1 << 20;
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto text = read_whole(file, path, kMost);
  if (!text) {
    return;  // libpam says so, too
  }
  std::string_view rest = text->view();
  for (std::uint64_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line =
        slice(slice(rest, 0, end), 0, slice(rest, 0, end).find('#'));
    if (line.find("pam_pbstoken.so") != std::string_view::npos) {
      check_line(path.view(), line, number, problems);
    }
    rest = end == std::string_view::npos ? std::string_view()
                                         : slice(rest, end + 1);
  }
}

void check_stacks(Problems *problems) {
  const std::unique_ptr<DIR, int (*)(DIR *)> files(opendir(kStacks), closedir);
  while (const dirent *entry = files ? readdir(files.get()) : nullptr) {
    PathText path(kStacks);
    path.append("/").append(entry->d_name);
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      check_stack(path, problems);
    }
  }
}

}  // namespace

void check_host(const Store &store, Problems *problems) {
  check_ways(store, problems);
  check_stacks(problems);
}

}  // namespace pbstoken
