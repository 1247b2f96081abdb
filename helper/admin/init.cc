// SPDX-License-Identifier: BSD-3-Clause
// init: what a store needs before its first token.  Nothing that is there is
// changed, so that it may be run twice, and beside Proxmox's own daemons.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "admin/admin.h"
#include "admin/report.h"
#include "io/command_line.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/file_lock.h"
#include "write/replacement_file.h"

namespace pbstoken {

namespace {

constexpr FileAccess kRootsDirectory = {0, 0, 0755};
constexpr FileAccess kRootsFile = {0, 0, 0644};

// Tells of each path whether it was made.
class Made {
 public:
  explicit Made(OutputFormat format) : format_(format), array_(format) {}

  [[nodiscard]] Result<void> add(const PathText &path, bool is_made) {
    const std::array fields = {Field::string("path", path.view()),
                               Field::boolean("made", is_made)};
    const bool done =
        format_ != OutputFormat::kText
            ? array_.add(fields)
            : lines_.append(is_made ? "made " : "left as it is: ") &&
                  lines_.append(path.view()) && lines_.append("\n");
    return done ? Result<void>() : no_memory("cannot report");
  }

  // next: a line for people.
  [[nodiscard]] bool print(std::string_view next) {
    return format_ != OutputFormat::kText
               ? array_.print()
               : lines_.append(next) && pbstoken::print(lines_.view());
  }

 private:
  OutputFormat format_;
  Buffer lines_;
  JsonArray array_;
};

// --- one thing each; the owner of a directory on the way leads root nowhere

struct NewFile {
  const PathText &path;
  std::string_view content;
  FileAccess access;
};

Result<void> make_file(const NewFile &wanted, Made *made) {
  const auto place = find_place(wanted.path);
  if (!place) {
    return place.error();
  }
  const char *name = place->name.c_str();
  const UniqueFd file(openat(
      place->directory.get(), name,
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file) {
    return errno == EEXIST ? made->add(wanted.path, false)
                           : system_error("cannot make", wanted.path.view());
  }
  if (fchown(file.get(), wanted.access.owner, wanted.access.group) != 0 ||
      fchmod(file.get(), wanted.access.mode) != 0 ||
      !write_all(file.get(), wanted.content) || fsync(file.get()) != 0) {
    const Error error = system_error("cannot make", wanted.path.view());
    unlinkat(place->directory.get(), name, 0);
    return error;
  }
  return made->add(wanted.path, true);
}

bool is_empty(const UniqueFd &directory) {
  const DirectoryStream stream = read_directory(directory.get());
  if (!stream) {
    return false;
  }
  while (const dirent *entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      return false;
    }
  }
  return true;
}

// Whether an open directory may be the one that mkdirat(2) has just made.  The
// owner of the directory around it may have put another one of root's in its
// place.
bool is_as_made(const UniqueFd &directory) {
  struct stat status = {};
  return fstat(directory.get(), &status) == 0 && status.st_uid == 0 &&
         (status.st_mode & ALLPERMS) == S_IRWXU && is_empty(directory);
}

Result<void> make_directory(const PathText &path, const FileAccess &access,
                            Made *made) {
  const auto place = find_place(path);
  if (!place) {
    return place.error();
  }
  const int parent = place->directory.get();
  const char *name = place->name.c_str();
  if (mkdirat(parent, name, S_IRWXU) != 0) {
    return errno == EEXIST ? Result<void>()
                           : system_error("cannot make", path.view());
  }
  const UniqueFd directory(
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory || !is_as_made(directory)) {
    return plain_error(Errc::kUnsafe, "cannot make", path.view(),
                       "another process has put something in its place");
  }
  if (fchown(directory.get(), access.owner, access.group) != 0 ||
      fchmod(directory.get(), access.mode) != 0) {
    return system_error("cannot make", path.view());
  }
  return made->add(path, true);
}

// The directory of a file, which is its owner's alone; those above it, where
// they are not there, root's.
Result<void> make_way(const PathText &file, const FileAccess &owners,
                      Made *made) {
  const PathText directory = directory_of(file);
  const std::string_view path = directory.view();
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const bool is_last = end == std::string_view::npos;
    const auto done =
        make_directory(PathText(slice(path, 0, end)),
                       is_last ? FileAccess{owners.owner, owners.group, S_IRWXU}
                               : kRootsDirectory,
                       made);
    if (!done || is_last) {
      return done;
    }
  }
}

// --- the store

using ConfigurationText = FixedText<4 * kMaxPath>;

// The store `pbs` is where Proxmox has it, any other one beside its
// configuration.  Returns the path of a token.shadow that a new configuration
// has to name; empty for that of the defaults.
PathText new_shadow(const CommandLine &line, const PathText &path) {
  PathText shadow = line.token_shadow;
  if (shadow.empty() && line.store.view() != kDefaultStore) {
    shadow.append(directory_of(path).view()).append("/");
    shadow.append(line.store.view()).append("/token.shadow");
  }
  return shadow;
}

ConfigurationText new_configuration(const CommandLine &line,
                                    const PathText &shadow) {
  ConfigurationText text("# Made by 'pbstoken init', see pbstoken.conf(5).\n");
  if (shadow.empty()) {
    text.append("user_cfg =\n");
    return text;
  }
  text.append("token_shadow  = ").append(shadow.view());
  text.append("\nuser_cfg      =");
  if (line.users.value_or(false)) {
    text.append(" ").append(directory_of(shadow).view()).append("/user.cfg");
  }
  text.append(
      "\nfile_owner    = root\nfile_group    = root\nfile_mode     = 0600\n"
      "version_cache =\n");
  return text;
}

// False for a path with what begins a comment, or what the end of a line loses.
bool says(const ConfigurationText &text, const CommandLine &line,
          const PathText &shadow) {
  const auto store = parse_store(line.store.view(), text.view(),
                                 configuration_of(line), Names::kUnknown);
  return !text.truncated() && !shadow.truncated() && store &&
         (shadow.empty() || store->token_shadow.view() == shadow.view());
}

Result<void> make_configuration(const CommandLine &line, const PathText &path,
                                Made *made) {
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0) {
    return made->add(path, false);
  }
  // Of that store the defaults are the settings.
  if (line.store.view() == kDefaultStore && line.token_shadow.empty() &&
      line.users.value_or(true)) {
    return {};
  }
  const PathText shadow = new_shadow(line, path);
  const ConfigurationText text = new_configuration(line, shadow);
  if (!says(text, line, shadow)) {
    return plain_error(Errc::kBadConfiguration, "cannot have token_shadow",
                       shadow.view(), "a configuration cannot say it");
  }
  if (const auto way =
          make_directory(directory_of(path), kRootsDirectory, made);
      !way) {
    return way;
  }
  return make_file({path, text.view(), kRootsFile}, made);
}

// What was asked for must be what the configuration says by now.
Result<void> compare(const CommandLine &line, const Store &store) {
  constexpr const char *kOther =
      "the configuration says another one; change it there, or make another "
      "--store";
  if (!line.token_shadow.empty() &&
      line.token_shadow.view() != store.token_shadow.view()) {
    return plain_error(Errc::kBadConfiguration, "cannot have --token-shadow",
                       line.token_shadow.view(), kOther);
  }
  if (line.users && *line.users == store.user_cfg.empty()) {
    return plain_error(
        Errc::kBadConfiguration,
        *line.users ? "cannot have --users" : "cannot have --no-users", {},
        "the configuration says otherwise; change user_cfg "
        "there, or make another --store");
  }
  return {};
}

Result<void> make_lock(const Store &store, Made *made) {
  struct stat status = {};
  const bool was_there = stat(store.lock_file.c_str(), &status) == 0;
  FileLock::prepare(store, store.lock_file);
  if (stat(store.lock_file.c_str(), &status) != 0) {
    return system_error("cannot make", store.lock_file.view());
  }
  return made->add(store.lock_file, !was_there);
}

Result<void> make_files(const Store &store, Made *made) {
  const bool with_users = !store.user_cfg.empty();
  const auto tokens = access_of(store, Kind::kSecrets);
  const auto users = access_of(store, Kind::kAccounts);
  if (!tokens || !users) {
    return tokens ? users.error() : tokens.error();
  }
  auto done = make_way(store.token_shadow, *tokens, made);
  if (done) {
    done = make_lock(store, made);
  }
  if (done) {
    done = make_file({store.token_shadow, "{}\n", *tokens}, made);
  }
  if (done && with_users) {
    done = make_way(store.user_cfg, *tokens, made);
  }
  if (done && with_users) {
    done = make_file({store.user_cfg, "", *users}, made);
  }
  return done;
}

Result<void> init(const CommandLine &line) {
  Made made(line.format);
  const PathText configuration = configuration_of(line);
  if (const auto done = make_configuration(line, configuration, &made); !done) {
    return done;
  }
  const auto store = load_store(line.store.view(), configuration);
  if (!store) {
    return store.error();
  }
  if (const auto same = compare(line, *store); !same) {
    return same;
  }
  if (const auto done = make_files(*store, &made); !done) {
    return done;
  }
  FixedText<255> option;
  if (line.store.view() != kDefaultStore) {
    option.append("--store ").append(line.store.view()).append(" ");
  }
  FixedText<600> next("next: pbstoken");
  if (store->user_cfg.empty()) {
    next.append("-helper ").append(option.view());
    next.append("generate 'USER@REALM!TOKEN'\n");
  } else {
    next.append(" ").append(option.view()).append("user add 'USER@REALM'\n");
    next.append("      pbstoken ").append(option.view());
    next.append("token add 'USER@REALM!TOKEN'\n");
  }
  return made.print(next.view()) ? Result<void>() : output_error();
}

}  // namespace

ExitStatus init_store(const CommandLine &line) {
  return note(init(line), ExitStatus::kDone);
}

}  // namespace pbstoken
