// SPDX-License-Identifier: BSD-3-Clause
// A store: one token.shadow and its settings, read from
// /etc/pbstoken/NAME.conf in the manner of faillock.conf(5): `key = value`
// lines, '#' begins a comment, white space around key and value is dropped.
//
// The store `pbs` works with no file at all.  Unknown keys, repeated keys and
// bad values are errors that name file, line and key.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_STORE_H_
#define PBSTOKEN_STORE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/os/file.h"

namespace pbstoken {

constexpr std::string_view kDefaultStore = "pbs";

// The most that cache_slots may be.
constexpr std::uint32_t kMostSlots = 1 << 20;

// A user or a group: a number, or a name that /etc/passwd or /etc/group is
// asked for when it is needed.
struct Principal {
  FixedText<32> name;
  std::optional<std::uint32_t> id;

  // True if there is no name and no number: no user, or a group without
  // members.
  [[nodiscard]] bool is_nobody() const { return name.empty() && !id; }
};

struct Store {
  FixedText<32> name;
  PathText configuration;               // the file that the settings are of
  FileIdentity configuration_identity;  // as it was read; empty: not there
  PathText token_shadow;
  PathText lock_file;    // token_shadow + ".lock"
  PathText user_cfg;     // account data; empty: no account checks
  PathText user_lock;    // user_cfg's ".user.lck"; empty without user_cfg
  Principal file_owner;  // for a token.shadow that is not there yet, or root's
  Principal file_group;
  mode_t file_mode = 0640;
  bool cache = true;
  std::uint64_t cache_ttl = 5;  // seconds; 0: ask every time
  bool look = true;             // at each hit, where a process may see the file
  // The secrets that there is room for; nullopt: as many as the file needs.
  std::optional<std::uint32_t> cache_slots;
  bool has_shm_key = false;    // of earlier versions: it means nothing now
  Principal verify_group;      // may read the segment, and verify by the helper
  bool member_rotate = false;  // lets members rotate a token that they hold
  Principal admin_group;       // may change tokens by the helper
  // The finished mismatches for one token, remote host and calling user in a
  // window of so many seconds, before more are refused unhashed; 0: no limit.
  std::uint32_t fail_limit = 10;
  std::uint64_t fail_window = 60;
  // The password hashes at once; 0: no limit; nullopt: as many as processors.
  std::optional<std::uint32_t> max_hashes;
  bool shared_fs = false;  // write where other hosts may write, too
  // The seconds for which a delivered file counts, 86400 at most; 0: for ever,
  // see lease.h.
  static constexpr std::uint64_t kMaxLease = 86400;
  std::uint64_t lease = 0;
  PathText version_cache;  // upstream's generation words; empty: not used
};

// Returns the number behind a user or group of a store; kBadConfiguration if
// /etc does not know the name.
Result<uid_t> user_id(const Principal &user);
Result<gid_t> group_id(const Principal &group);

// Owner, group and mode of a file.
struct FileAccess {
  uid_t owner;
  gid_t group;
  mode_t mode;
};

// Returns what file_owner, file_group and file_mode give a token.shadow.  The
// lock files have the same owner and group.
Result<FileAccess> given_access(const Store &store);

// True if the name has the form [a-z0-9][a-z0-9_-]{0,31}.
bool is_store_name(std::string_view name);

// Returns where the configuration of a store is: /etc/pbstoken/NAME.conf.
PathText configuration_path(std::string_view name);

// Whether the names of users and groups that the file gives are looked up in
// /etc.  If they are, a name that is not there is a bad value.  A hit needs no
// names.
enum class Names : std::uint8_t { kLookedUp, kUnknown };

// Returns the settings of the store `name` that the file at `path` gives.  Only
// the store `pbs` may do without its file.  Returns kNoMemory, or
// kBadConfiguration for every other failure, also if the file is not root's
// alone to change (open_trusted()).
Result<Store> load_store(std::string_view name, const PathText &path,
                         Names names = Names::kLookedUp);

// Does the same for the text of such a file.  path: for the messages.
Result<Store> parse_store(std::string_view name, std::string_view text,
                          const PathText &path, Names names = Names::kLookedUp);

}  // namespace pbstoken

#endif  // PBSTOKEN_STORE_H_
