// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/store.h"

#include <sys/stat.h>

#include <array>

#include "pbstoken/os/accounts.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMaxConfiguration = std::size_t{64} * 1024;
constexpr std::uint64_t kMaxId = 0xfffffffe;  // (uid_t)-1 means "leave alone"

// The end of the name of a lock file that is not named otherwise.
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kUserLock = ".user.lck";

// Each setter takes a trimmed value and says what is wrong with it, or null.
using Problem = const char *;

bool is_plain_path(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view component = slice(path, 0, path.find('/'));
    if (component.empty() || component == "." || component == "..") {
      return false;
    }
    path.remove_prefix(component.size());
  }
  return true;
}

Problem set_path(PathText *out_path, std::string_view value) {
  if (!value.starts_with('/')) {
    return "must be an absolute path";
  }
  if (value.find('\0') != std::string_view::npos) {
    return "must not hold a NUL byte";
  }
  // A file must have one path: the look for mounts and the keys of the limits
  // go by the text of the path.
  if (!is_plain_path(value)) {
    return "must have no empty, '.' or '..' component";
  }
  *out_path = PathText(value);
  return out_path->truncated() ? "longer than 1023 bytes" : nullptr;
}

// A path that may be empty: then what it names is not used.
Problem set_optional_path(PathText *out_path, std::string_view value) {
  out_path->clear();
  return value.empty() ? nullptr : set_path(out_path, value);
}

Problem set_token_shadow(PathText *out_path, std::string_view value) {
  return value.size() > kMaxPath - kLockSuffix.size()
             ? "longer than 1018 bytes"
             : set_path(out_path, value);
}

Problem set_user_cfg(PathText *out_path, std::string_view value) {
  return value.size() > kMaxPath - kUserLock.size()
             ? "longer than 1014 bytes"
             : set_optional_path(out_path, value);
}

Problem set_yes_no(bool *out_flag, std::string_view value) {
  if (value != "yes" && value != "no") {
    return "must be yes or no";
  }
  *out_flag = value == "yes";
  return nullptr;
}

Problem set_mode(mode_t *out_mode, std::string_view value) {
  const auto mode = parse_number(value, 8);
  if (!mode || *mode > 0777) {
    return "must be an octal mode of at most 0777";
  }
  *out_mode = static_cast<mode_t>(*mode);
  return nullptr;
}

Problem set_shm_key(bool *out_is_given, std::string_view value) {
  const bool hex = value.starts_with("0x");
  const auto key = parse_number(slice(value, hex ? 2 : 0), hex ? 16 : 10);
  *out_is_given = true;
  return key && *key >= 1 && *key <= 0xffffffff
             ? nullptr
             : "must be a number from 1 to 0xffffffff";
}

template <typename Number>
Problem set_number(Number *out_number, std::string_view value,
                   std::uint32_t least, std::uint32_t most, Problem problem) {
  const auto number = parse_number(value);
  if (!number || *number < least || *number > most) {
    return problem;
  }
  *out_number = static_cast<std::uint32_t>(*number);
  return nullptr;
}

// The file of /etc that knows the names of users, or of groups.
struct Directory {
  Result<std::uint32_t> (*find)(const char *name);
  Problem unknown;
};
constexpr Directory kUsers = {find_user, "no such user in /etc/passwd"};
constexpr Directory kGroups = {find_group, "no such group in /etc/group"};

Problem set_principal(Principal *out_principal, std::string_view value,
                      Problem unknown) {
  const auto id = parse_number(value);
  *out_principal = {.name = FixedText<32>(value),
                    .id = id && *id <= kMaxId ? id : std::nullopt};
  return !out_principal->id &&
                 (value.empty() || value.find('\0') != std::string_view::npos ||
                  out_principal->name.truncated())
             ? unknown
             : nullptr;
}

Problem set_user(Principal *out_user, std::string_view value) {
  return set_principal(out_user, value, kUsers.unknown);
}

Problem set_group(Principal *out_group, std::string_view value) {
  return set_principal(out_group, value, kGroups.unknown);
}

// Sets a group.  An empty name stands for a group without members.
Problem set_optional_group(Principal *out_group, std::string_view value) {
  *out_group = {};
  return value.empty() ? nullptr : set_group(out_group, value);
}

// A key's setter, made of the member that it sets and of one of those above.
template <auto kMember, auto kSet>
Problem set(Store *store, std::string_view value) {
  return kSet(&(store->*kMember), value);
}

struct Key {
  std::string_view name;
  Problem (*set)(Store *store, std::string_view value);
  // The user or group that a key names, and where it is known.
  Principal Store::*principal = nullptr;
  const Directory *directory = nullptr;
};

constexpr auto kKeys = std::to_array<Key>({
    {"token_shadow", set<&Store::token_shadow, set_token_shadow>},
    {"lock_file", set<&Store::lock_file, set_path>},
    {"file_owner", set<&Store::file_owner, set_user>, &Store::file_owner,
     &kUsers},
    {"file_group", set<&Store::file_group, set_group>, &Store::file_group,
     &kGroups},
    {"file_mode", set<&Store::file_mode, set_mode>},
    {"cache", set<&Store::cache, set_yes_no>},
    {"cache_ttl",
     [](Store *store, std::string_view value) {
       return set_number(&store->cache_ttl, value, 0, 86400,
                         "must be seconds, from 0 to 86400");
     }},
    {"look", set<&Store::look, set_yes_no>},
    {"cache_slots",
     [](Store *store, std::string_view value) {
       return value == "auto"
                  ? nullptr
                  : set_number(&store->cache_slots, value, 1, kMostSlots,
                               "must be auto, or from 1 to 1048576");
     }},
    {"shm_key", set<&Store::has_shm_key, set_shm_key>},
    {"max_hashes",
     [](Store *store, std::string_view value) {
       return set_number(&store->max_hashes, value, 0, 1024,
                         "must be from 0 to 1024");
     }},
    {"shared_fs", set<&Store::shared_fs, set_yes_no>},
    {"lease",
     [](Store *store, std::string_view value) {
       return set_number(&store->lease, value, 0, Store::kMaxLease,
                         "must be seconds, from 0 to 86400");
     }},
    {"version_cache", set<&Store::version_cache, set_optional_path>},
    {"user_cfg", set<&Store::user_cfg, set_user_cfg>},
    {"user_lock", set<&Store::user_lock, set_path>},
    {"verify_group", set<&Store::verify_group, set_optional_group>,
     &Store::verify_group, &kGroups},
    {"admin_group", set<&Store::admin_group, set_optional_group>,
     &Store::admin_group, &kGroups},
    {"member_rotate", set<&Store::member_rotate, set_yes_no>},
    {"fail_limit",
     [](Store *store, std::string_view value) {
       return set_number(&store->fail_limit, value, 0, 1 << 20,
                         "must be from 0 to 1048576");
     }},
    {"fail_window",
     [](Store *store, std::string_view value) {
       return set_number(&store->fail_window, value, 1, 86400,
                         "must be seconds, from 1 to 86400");
     }},
});

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) {
    return {};
  }
  return slice(text, first, text.find_last_not_of(kBlank) - first + 1);
}

Error bad_value(const PathText &path, std::uint64_t line, std::string_view key,
                Problem problem) {
  Error error = plain_error(Errc::kBadConfiguration, problem, path.view());
  error.line = line;
  error.subject.append_escaped(key);
  return error;
}

// The line of each key; 0: it was not given.
using Lines = std::array<std::uint64_t, kKeys.size()>;

Result<void> parse_line(std::string_view line, std::uint64_t number,
                        const PathText &path, Store *store, Lines *lines) {
  const std::string_view text = trim(slice(line, 0, line.find('#')));
  if (text.empty()) {
    return {};
  }
  const std::size_t equals = text.find('=');
  const std::string_view name = trim(slice(text, 0, equals));
  if (equals == std::string_view::npos) {
    return bad_value(path, number, name, "not a 'key = value' line");
  }
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    if (kKeys[i].name != name) {
      continue;
    }
    if ((*lines)[i] != 0) {
      return bad_value(path, number, name, "given twice");
    }
    (*lines)[i] = number;
    const Problem problem = kKeys[i].set(store, trim(slice(text, equals + 1)));
    return problem != nullptr ? bad_value(path, number, name, problem)
                              : Result<void>();
  }
  return bad_value(path, number, name, "unknown key");
}

// A name that the administrator has written must be known: otherwise a misspelt
// group would have no members, and no message would say so.  The name of a
// default may be missing.
Result<void> look_up_names(const Lines &lines, const PathText &path,
                           Store *store) {
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    const Key &key = kKeys[i];
    if (key.principal == nullptr || lines[i] == 0) {
      continue;
    }
    Principal &given = store->*key.principal;
    if (given.id || given.is_nobody()) {
      continue;
    }
    const auto found = key.directory->find(given.name.c_str());
    if (!found) {
      const bool is_unknown = found.error().code == Errc::kNotFound &&
                              found.error().saved_errno == 0;
      return is_unknown
                 ? bad_value(path, lines[i], key.name, key.directory->unknown)
                 : found.error();
    }
    given.id = *found;
  }
  return {};
}

// Whatever keeps a configuration from being read makes it a bad one.
Error as_configuration_error(Error error) {
  if (error.code != Errc::kNoMemory) {
    error.code = Errc::kBadConfiguration;
  }
  return error;
}

Store defaults(std::string_view name) {
  Store store;
  store.name = FixedText<32>(name);
  store.token_shadow = PathText("/etc/proxmox-backup/token.shadow");
  store.file_owner.name = FixedText<32>("backup");
  store.file_group.name = FixedText<32>("backup");
  store.verify_group.name = FixedText<32>("pbstoken");
  store.user_cfg = PathText("/etc/proxmox-backup/user.cfg");
  store.version_cache = PathText("/run/proxmox-backup/shmem/config-versions");
  return store;
}

Result<std::uint32_t> id_in(const Directory &directory,
                            const Principal &principal) {
  if (principal.id) {
    return *principal.id;
  }
  auto found = directory.find(principal.name.c_str());
  if (!found && found.error().code == Errc::kNotFound) {
    Error error = found.error();
    error.code = Errc::kBadConfiguration;
    error.subject.append_escaped(principal.name.view());
    return error;
  }
  return found;
}

// What depends on other settings.
void complete(Store *store) {
  if (store->lock_file.empty()) {
    store->lock_file = store->token_shadow;
    store->lock_file.append(kLockSuffix);
  }
  if (store->user_cfg.empty()) {
    store->user_lock.clear();
  } else if (store->user_lock.empty()) {
    const std::string_view path = store->user_cfg.view();
    store->user_lock = PathText(slice(path, 0, path.rfind('/') + 1));
    store->user_lock.append(kUserLock);
  }
}

}  // namespace

Result<uid_t> user_id(const Principal &user) {
  return id_in(kUsers, user);
}

Result<gid_t> group_id(const Principal &group) {
  return id_in(kGroups, group);
}

Result<FileAccess> given_access(const Store &store) {
  const auto owner = user_id(store.file_owner);
  if (!owner) {
    return owner.error();
  }
  const auto group = group_id(store.file_group);
  if (!group) {
    return group.error();
  }
  return FileAccess{*owner, *group, store.file_mode};
}

bool is_store_name(std::string_view name) {
  constexpr std::size_t kMaxName = 32;
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.size() <= kMaxName && name.front() != '_' &&
         name.front() != '-' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

PathText configuration_path(std::string_view name) {
  PathText path("/etc/pbstoken/");
  path.append(name).append(".conf");
  return path;
}

Result<Store> parse_store(std::string_view name, std::string_view text,
                          const PathText &path, Names names) {
  Store store = defaults(name);
  store.configuration = path;
  Lines lines{};
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    if (const auto parsed =
            parse_line(take_until('\n', &text), number, path, &store, &lines);
        !parsed) {
      return parsed.error();
    }
  }
  if (names == Names::kLookedUp) {
    if (const auto known = look_up_names(lines, path, &store); !known) {
      return as_configuration_error(known.error());
    }
  }
  complete(&store);
  return store;
}

Result<Store> load_store(std::string_view name, const PathText &path,
                         Names names) {
  const auto file = open_trusted(path);
  if (!file) {
    const Error &error = file.error();
    const bool optional_file =
        name == kDefaultStore && path.view() == configuration_path(name).view();
    if (error.code == Errc::kNotFound && optional_file) {
      return parse_store(name, {}, path, names);
    }
    return as_configuration_error(error);
  }
  struct stat status = {};
  if (fstat(file->get(), &status) != 0) {
    return as_configuration_error(system_error("cannot stat", path.view()));
  }
  const auto text = read_whole(*file, path, kMaxConfiguration);
  if (!text) {
    return as_configuration_error(text.error());
  }
  auto store = parse_store(name, text->view(), path, names);
  if (store) {
    store->configuration_identity = identity_of(status);
  }
  return store;
}

}  // namespace pbstoken
