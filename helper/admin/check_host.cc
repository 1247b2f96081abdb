// SPDX-License-Identifier: BSD-3-Clause
// What check says of the host around the store's files: a helper that no
// service can reach, and the stacks in /etc/pam.d.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "admin/check.h"
#include "admin/stack.h"
#include "admin/ways.h"

namespace pbstoken {

namespace {

constexpr const char *kStacks = "/etc/pam.d";

bool is_missing(const PathText &path) {
  struct stat status = {};
  return stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

// --- the ways to the helper, for those who are not root

void check_ways(const Store &store, Problems *problems) {
  if (const auto obstacle = obstacle_to_helper(store, ways_to_helper());
      obstacle) {
    ProblemText what(obstacle->why);
    what.append("; ").append(obstacle->what_to_do);
    problems->add(obstacle->where.view(), what.view());
  }
}

// --- the stacks

// The value of an option; empty: it is not there.
std::string_view value_of(std::string_view name, const StackFile &line) {
  for (const std::string_view option : line.options()) {
    if (option.starts_with(name)) {
      return slice(option, name.size());
    }
  }
  return {};
}

void check_line(const StackFile &line, Problems *problems) {
  const TextPlace place = {.line = line.number()};
  const std::string_view store = value_of("store=", line);
  if (!store.empty() && is_store_name(store) && store != kDefaultStore &&
      value_of("config=", line).empty() &&
      is_missing(configuration_path(store))) {
    ProblemText what("store=");
    what.append(store).append(": there is no ");
    what.append(configuration_path(store).view());
    problems->add(line.path().view(), what.view(), place);
  }
  const auto has = [&line](std::string_view action) {
    return line.control().find(action) != std::string_view::npos;
  };
  if ((has("default=die") || has("default=bad")) && !has("module_unknown=") &&
      has("user_unknown=ignore")) {
    problems->add(
        line.path().view(),
        "has default=die or bad without module_unknown=ignore: "
        "nobody gets in once the package is removed, with a password neither",
        place);
  }
}

// What cannot be read is left out: libpam says so, too.
void check_stack(const PathText &path, Problems *problems) {
  auto file = StackFile::open(path);
  for (auto more = file ? file->next() : false; more && *more;
       more = file->next()) {
    if (file->is_ours()) {
      check_line(*file, problems);
    }
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
