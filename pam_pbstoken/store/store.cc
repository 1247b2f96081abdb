// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/store.h"

#include <array>
#include <charconv>

#include "pbstoken/os/accounts.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMaxConfiguration = std::size_t{64} * 1024;
constexpr std::uint64_t kMaxTtl = 86400;
constexpr std::uint64_t kMaxSlots = 1 << 20;
constexpr std::uint64_t kMaxHashes = 1024;
constexpr std::uint64_t kMaxFailures = 1 << 20;
constexpr std::uint64_t kMaxWindow = 86400;
constexpr std::uint64_t kMaxMode = 0777;
constexpr std::uint64_t kMaxKey = 0xffffffff;
constexpr std::uint64_t kMaxId = 0xfffffffe;  // (uid_t)-1 means "leave alone"

// Of a lock file that is not named otherwise.
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kUserLock = ".user.lck";

// Each setter takes a trimmed value and says what is wrong with it, or null.
using Problem = const char *;

std::optional<std::uint64_t> parse_number(std::string_view value, int base,
                                          std::uint64_t limit) {
  std::uint64_t number = 0;
  const char *end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number, base);
  if (error != std::errc{} || stop != end || number > limit) {
    return std::nullopt;
  }
  return number;
}

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
  // One file, one path: where it is mounted, and the keys beside it, go by it.
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

Problem set_yes_no(bool *out_flag, std::string_view value) {
  if (value != "yes" && value != "no") {
    return "must be yes or no";
  }
  *out_flag = value == "yes";
  return nullptr;
}

constexpr Problem kNoUser = "no such user in /etc/passwd";
constexpr Problem kNoGroup = "no such group in /etc/group";

Problem set_principal(Principal *out_principal, std::string_view value,
                      Problem unknown) {
  *out_principal = {.name = FixedText<32>(value),
                    .id = parse_number(value, 10, kMaxId)};
  return !out_principal->id &&
                 (value.empty() || value.find('\0') != std::string_view::npos ||
                  out_principal->name.truncated())
             ? unknown
             : nullptr;
}

Problem set_group(Principal *out_group, std::string_view value) {
  return set_principal(out_group, value, kNoGroup);
}

// A group that may be empty: then nobody is in it.
Problem set_optional_group(Principal *out_group, std::string_view value) {
  *out_group = {};
  return value.empty() ? nullptr : set_group(out_group, value);
}

struct Key {
  std::string_view name;
  Problem (*set)(Store *store, std::string_view value);
};

constexpr std::array<Key, 19> kKeys = {{
    {"token_shadow",
     [](Store *store, std::string_view value) -> Problem {
       return value.size() > kMaxPath - kLockSuffix.size()
                  ? "longer than 1018 bytes"
                  : set_path(&store->token_shadow, value);
     }},
    {"lock_file",
     [](Store *store, std::string_view value) {
       return set_path(&store->lock_file, value);
     }},
    {"file_owner",
     [](Store *store, std::string_view value) {
       return set_principal(&store->file_owner, value, kNoUser);
     }},
    {"file_group",
     [](Store *store, std::string_view value) {
       return set_group(&store->file_group, value);
     }},
    {"file_mode",
     [](Store *store, std::string_view value) -> Problem {
       const auto mode = parse_number(value, 8, kMaxMode);
       store->file_mode = static_cast<mode_t>(mode.value_or(0));
       return mode ? nullptr : "must be an octal mode of at most 0777";
     }},
    {"cache",
     [](Store *store, std::string_view value) {
       return set_yes_no(&store->cache, value);
     }},
    {"cache_ttl",
     [](Store *store, std::string_view value) -> Problem {
       const auto ttl = parse_number(value, 10, kMaxTtl);
       store->cache_ttl = ttl.value_or(0);
       return ttl ? nullptr : "must be seconds, from 0 to 86400";
     }},
    {"look",
     [](Store *store, std::string_view value) {
       return set_yes_no(&store->look, value);
     }},
    {"cache_slots",
     [](Store *store, std::string_view value) -> Problem {
       const auto slots = parse_number(value, 10, kMaxSlots);
       store->cache_slots = static_cast<std::uint32_t>(slots.value_or(0));
       return slots.value_or(0) != 0 ? nullptr : "must be from 1 to 1048576";
     }},
    {"shm_key",
     [](Store *store, std::string_view value) -> Problem {
       const bool hex = value.starts_with("0x");
       const auto key =
           parse_number(slice(value, hex ? 2 : 0), hex ? 16 : 10, kMaxKey);
       store->has_shm_key = true;
       return key.value_or(0) != 0 ? nullptr
                                   : "must be a number from 1 to 0xffffffff";
     }},
    {"max_hashes",
     [](Store *store, std::string_view value) -> Problem {
       const auto hashes = parse_number(value, 10, kMaxHashes);
       store->max_hashes = static_cast<std::uint32_t>(hashes.value_or(0));
       return hashes ? nullptr : "must be from 0 to 1024";
     }},
    {"version_cache",
     [](Store *store, std::string_view value) {
       return set_optional_path(&store->version_cache, value);
     }},
    {"user_cfg",
     [](Store *store, std::string_view value) -> Problem {
       return value.size() > kMaxPath - kUserLock.size()
                  ? "longer than 1014 bytes"
                  : set_optional_path(&store->user_cfg, value);
     }},
    {"user_lock",
     [](Store *store, std::string_view value) {
       return set_path(&store->user_lock, value);
     }},
    {"verify_group",
     [](Store *store, std::string_view value) {
       return set_optional_group(&store->verify_group, value);
     }},
    {"admin_group",
     [](Store *store, std::string_view value) {
       return set_optional_group(&store->admin_group, value);
     }},
    {"member_rotate",
     [](Store *store, std::string_view value) {
       return set_yes_no(&store->member_rotate, value);
     }},
    {"fail_limit",
     [](Store *store, std::string_view value) -> Problem {
       const auto limit = parse_number(value, 10, kMaxFailures);
       store->fail_limit = static_cast<std::uint32_t>(limit.value_or(0));
       return limit ? nullptr : "must be from 0 to 1048576";
     }},
    {"fail_window",
     [](Store *store, std::string_view value) -> Problem {
       const auto window = parse_number(value, 10, kMaxWindow);
       store->fail_window = window.value_or(0);
       return window.value_or(0) != 0 ? nullptr
                                      : "must be seconds, from 1 to 86400";
     }},
}};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) {
    return {};
  }
  return slice(text, first, text.find_last_not_of(kBlank) - first + 1);
}

// What is wrong with one line, and with which key.
struct LineProblem {
  Problem problem = nullptr;
  std::string_view key;
};

class Parser {
 public:
  explicit Parser(Store *store) : store_(store) {}

  LineProblem parse_line(std::string_view line, std::uint64_t number) {
    const std::string_view text = trim(slice(line, 0, line.find('#')));
    if (text.empty()) {
      return {};
    }
    const std::size_t equals = text.find('=');
    const std::string_view name = trim(slice(text, 0, equals));
    if (equals == std::string_view::npos) {
      return {"not a 'key = value' line", name};
    }
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      if (kKeys[i].name != name) {
        continue;
      }
      if (lines_[i] != 0) {
        return {"given twice", name};
      }
      lines_[i] = number;
      return {kKeys[i].set(store_, trim(slice(text, equals + 1))), name};
    }
    return {"unknown key", name};
  }

  // The line of a key; 0: it was not given.
  [[nodiscard]] std::uint64_t line_of(std::string_view key) const {
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      if (kKeys[i].name == key) {
        return lines_[i];
      }
    }
    return 0;
  }

 private:
  Store *store_;
  std::array<std::uint64_t, kKeys.size()> lines_{};
};

Error bad_value(const PathText &path, std::uint64_t line,
                const LineProblem &found) {
  Error error =
      plain_error(Errc::kBadConfiguration, found.problem, path.view());
  error.line = line;
  error.subject.append_escaped(found.key);
  return error;
}

// A name that the administrator wrote must mean somebody, lest a misspelt group
// quietly means nobody; that of a default may be missing.
Result<void> look_up_names(const Parser &parser, const PathText &path,
                           Store *store) {
  struct Given {
    std::string_view key;
    Principal *principal;
    Result<std::uint32_t> (*find)(const char *name);
    Problem unknown;
  };
  for (const Given &given : std::array<Given, 4>{{
           {"file_owner", &store->file_owner, find_user, kNoUser},
           {"file_group", &store->file_group, find_group, kNoGroup},
           {"verify_group", &store->verify_group, find_group, kNoGroup},
           {"admin_group", &store->admin_group, find_group, kNoGroup},
       }}) {
    Principal *one = given.principal;
    const std::uint64_t line = parser.line_of(given.key);
    if (line == 0 || one->id || one->is_nobody()) {
      continue;
    }
    const auto found = given.find(one->name.c_str());
    if (!found) {
      return bad_value(path, line, {given.unknown, given.key});
    }
    one->id = *found;
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

template <typename Find>
auto principal_id(const Principal &principal, Find find)
    -> decltype(find(nullptr)) {
  if (principal.id) {
    return *principal.id;
  }
  auto found = find(principal.name.c_str());
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
  return principal_id(user, find_user);
}

Result<gid_t> group_id(const Principal &group) {
  return principal_id(group, find_group);
}

bool is_store_name(std::string_view name) {
  constexpr std::size_t kMaxName = 32;
  if (name.empty() || name.size() > kMaxName || name.front() == '_' ||
      name.front() == '-') {
    return false;
  }
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
          c == '-')) {
      return false;
    }
  }
  return true;
}

PathText configuration_path(std::string_view name) {
  PathText path("/etc/pbstoken/");
  path.append(name).append(".conf");
  return path;
}

Result<Store> parse_store(std::string_view name, std::string_view text,
                          const PathText &path, Names names) {
  Store store = defaults(name);
  Parser parser(&store);
  std::uint64_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    const LineProblem found = parser.parse_line(slice(text, 0, end), number);
    if (found.problem != nullptr) {
      return bad_value(path, number, found);
    }
    text = end == std::string_view::npos ? std::string_view()
                                         : slice(text, end + 1);
  }
  if (names == Names::kLookedUp) {
    if (const auto known = look_up_names(parser, path, &store); !known) {
      return known.error();
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
  const auto text = read_whole(*file, path, kMaxConfiguration);
  if (!text) {
    return as_configuration_error(text.error());
  }
  return parse_store(name, text->view(), path, names);
}

}  // namespace pbstoken
