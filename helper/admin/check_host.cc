// SPDX-License-Identifier: BSD-3-Clause
// What check says of the host around the store's files: a helper that no
// service can reach, and the stacks of PAM services.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "admin/check.h"
#include "admin/stack.h"
#include "admin/ways.h"
#include "pbstoken/verify/options.h"

namespace pbstoken {

namespace {

// --- the ways to the helper, for processes of other users than root

void check_ways(const Store &store, Problems *problems) {
  if (const auto obstacle = obstacle_to_helper(store, ways_to_helper());
      obstacle) {
    ProblemText what(obstacle->why);
    what.append("; ").append(obstacle->what_to_do);
    problems->add(obstacle->where.view(), what.view());
  }
}

// --- the stacks

constexpr std::string_view kRefused = ": the module refuses every request";

// Adds what is wrong with an option, and what that does.
void add_option(const StackFile &line, std::string_view option,
                std::string_view why, std::string_view effect,
                Problems *problems) {
  ProblemText what(option);
  what.append(": ").append(why).append(effect);
  problems->add(line.path().view(), what.view(), {.line = line.number()});
}

void check_named_file(const StackFile &line, std::string_view name,
                      const PathText &path, std::string_view effect,
                      Problems *problems) {
  if (is_missing(path)) {
    FixedText<kMaxPath + 16> option(name);
    option.append_escaped(path.view());
    add_option(line, option.view(), "there is no such file", effect, problems);
  }
}

void check_store_option(const StackFile &line, std::string_view store,
                        Problems *problems) {
  const PathText path = configuration_path(store);
  if (store == kDefaultStore || !is_missing(path)) {
    return;
  }
  ProblemText what("store=");
  what.append(store).append(": there is no ").append(path.view());
  problems->add(line.path().view(), what.view(), {.line = line.number()});
}

void check_options(const StackFile &line, Problems *problems) {
  ModuleOptions options;
  if (const auto parsed = parse_module_options(line.options(), &options);
      !parsed) {
    add_option(
        line, parsed.error().subject.view(),
        line.has_carriage_return() ? kCarriageReturn : parsed.error().why,
        kRefused, problems);
    return;
  }
  if (options.config.empty()) {
    check_store_option(line, options.store.view(), problems);
  } else {
    check_named_file(line, "config=", options.config, kRefused, problems);
  }
  if (options.helper_is_named) {
    check_named_file(line, "helper=", options.helper,
                     ": a service that is not root cannot verify", problems);
  }
}

// With passwords beside tokens a module that is gone must not keep those out.
void check_control(const StackFile &line, Problems *problems) {
  const auto has = [&line](std::string_view action) {
    return line.control().find(action) != std::string_view::npos;
  };
  if ((has("default=die") || has("default=bad") || has("default=done")) &&
      !has("module_unknown=") && has("user_unknown=ignore")) {
    problems->add(
        line.path().view(),
        "has default=die, bad or done without module_unknown=ignore: "
        "nobody gets in once the package is removed, with a password neither",
        {.line = line.number()});
  }
}

void check_fault(const StackFile &line, Problems *problems) {
  const bool is_fatal = line.keeps_users_out();
  ProblemText what(is_fatal ? kStackIsRefused : kLineFails);
  what.append(": ").append(line.fault());
  what.append(is_fatal ? "; correct it: one such line keeps all users out"
                       : "; correct it");
  problems->add(line.path().view(), what.view(), {.line = line.number()});
}

// Another module than ours may be missing where libpam ignores that.
void check_line(const StackFile &line, Problems *problems) {
  if (line.fault() != nullptr &&
      (!line.lacks_module() || line.is_ours() || line.keeps_users_out())) {
    check_fault(line, problems);
  }
  if (line.is_ours() && (line.fault() == nullptr || line.lacks_module())) {
    check_options(line, problems);
    check_control(line, problems);
  }
}

// Calls visit(file) at each line.  What cannot be read is left out: libpam says
// so, too.
template <typename Visit>
void for_each_own_line(const PathText &path, Visit visit) {
  auto file = StackFile::open(path);
  for (auto more = file ? file->next() : false; more && *more;
       more = file->next()) {
    visit(*file);
  }
}

// A line of another module counts where ours stands beside it: libpam refuses
// both for it.
void check_stack(const PathText &path, Problems *problems) {
  bool is_about_us = false;
  for_each_own_line(path, [&is_about_us](const StackFile &line) {
    is_about_us = is_about_us || line.mentions_us();
  });
  if (is_about_us) {
    for_each_own_line(path, [problems](const StackFile &line) {
      check_line(line, problems);
    });
  }
}

void check_stacks(std::string_view directory, Problems *problems) {
  const std::unique_ptr<DIR, int (*)(DIR *)> files(
      opendir(PathText(directory).c_str()), closedir);
  while (const dirent *entry = files ? readdir(files.get()) : nullptr) {
    PathText path(directory);
    path.append(entry->d_name);
    struct stat status = {};
    // The other directory's file of that name may be libpam's.
    if (path.view() == stack_path(entry->d_name).view() &&
        stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      check_stack(path, problems);
    }
  }
}

}  // namespace

void check_host(const Store &store, Problems *problems) {
  check_ways(store, problems);
  for (const std::string_view directory : kStackDirectories) {
    check_stacks(directory, problems);
  }
}

}  // namespace pbstoken
