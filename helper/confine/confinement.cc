// SPDX-License-Identifier: BSD-3-Clause
#include "confine/confinement.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "io/stores.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/limits/limits_file.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/objects.h"
#include "pbstoken/os/boot_id.h"
#include "pbstoken/os/listening.h"
#include "pbstoken/store/file_lock.h"

namespace pbstoken {

namespace {

// --- capabilities

// Whether the process is the resident service's parent, or a child of it: its
// filter of system calls is for the children, too.  Another one would cost each
// of them 0.1 ms.
constinit bool is_service = false;

// A set of capabilities(7), one bit each.
using Capabilities = std::uint64_t;

constexpr Capabilities capability(unsigned number) {
  return Capabilities{1} << number;
}

constexpr const char *kCannotDrop = "cannot give up capabilities";

struct CapabilitySets {
  Capabilities effective = 0;
  Capabilities permitted = 0;
  Capabilities inheritable = 0;

  bool operator==(const CapabilitySets &) const = default;
};

// The kernel has each set in two halves of 32 bits, and has the three sets of a
// half together.
constexpr unsigned kHalf = 32;
using Halves = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

__user_cap_header_struct own_header() {
  return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

// libc has no functions for these two calls; those of libcap are not needed.
bool get_sets(CapabilitySets *out_sets) {
  __user_cap_header_struct header = own_header();
  Halves halves{};
  if (syscall(SYS_capget, &header, halves.data()) != 0) {
    return false;
  }
  const auto whole = [&halves](std::uint32_t __user_cap_data_struct::*set) {
    return Capabilities{halves[0].*set} |
           (Capabilities{halves[1].*set} << kHalf);
  };
  *out_sets = {.effective = whole(&__user_cap_data_struct::effective),
               .permitted = whole(&__user_cap_data_struct::permitted),
               .inheritable = whole(&__user_cap_data_struct::inheritable)};
  return true;
}

bool set_sets(const CapabilitySets &sets) {
  __user_cap_header_struct header = own_header();
  const auto half = [&sets](unsigned shift) -> __user_cap_data_struct {
    return {
        .effective = static_cast<std::uint32_t>(sets.effective >> shift),
        .permitted = static_cast<std::uint32_t>(sets.permitted >> shift),
        .inheritable = static_cast<std::uint32_t>(sets.inheritable >> shift)};
  };
  const Halves halves = {half(0), half(kHalf)};
  return syscall(SYS_capset, &header, halves.data()) == 0;
}

// The bounding set is what execve(2) may give to a process of root.  A
// container may forbid that it is reduced; with no_new_privs it gives nothing
// all the same.
Result<void> empty_bounding_set() {
  static constinit bool is_empty = false;  // in a child of the service, too
  if (is_empty) {
    return {};
  }
  for (unsigned number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0;
       ++number) {
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EPERM) {
      return system_error(kCannotDrop, {});
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    return system_error(kCannotDrop, {});
  }
  is_empty = true;
  return {};
}

// Asks for everything that was given up.
bool can_regain(const CapabilitySets &before, const CapabilitySets &now) {
  return before != now && set_sets(before);
}

// Gives up all capabilities but these (of which the process may not have all),
// and whatever execve(2) could give back.  An error unless what is left is what
// was wanted, and one that was given up cannot be had again.
Result<void> keep_capabilities(Capabilities wanted) {
  CapabilitySets before;
  if (!get_sets(&before)) {
    return system_error(kCannotDrop, {});
  }
  if (const auto emptied = empty_bounding_set(); !emptied) {
    return emptied.error();
  }
  // An empty inheritable set empties the ambient one, too.
  const Capabilities kept = before.permitted & wanted;
  const CapabilitySets goal = {
      .effective = kept, .permitted = kept, .inheritable = 0};
  // A filter of the caller's may forbid capset(2).  A process that has no more
  // than the goal already, as after a change of ids, does not need the call.
  CapabilitySets now;
  if ((before != goal && !set_sets(goal)) || !get_sets(&now)) {
    return system_error(kCannotDrop, {});
  }
  if (now != goal || can_regain(before, now)) {
    return plain_error(Errc::kUnsafe, kCannotDrop, {}, "they come back");
  }
  return {};
}

// Puts into effect what choose() returns of the permitted ones.
template <typename Choose>
bool set_effective(Choose choose) {
  CapabilitySets sets;
  if (!get_sets(&sets)) {
    return false;
  }
  sets.effective = choose(sets.permitted);
  return set_sets(sets);
}

// The files are not root's, nor are the segments that others plant.  Some
// containers leave root only the stronger one of the two.
Capabilities looking() {
  const bool has_weaker =
      prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH, 0, 0, 0) == 1;
  return capability(has_weaker ? CAP_DAC_READ_SEARCH : CAP_DAC_OVERRIDE) |
         capability(CAP_IPC_OWNER);
}
// Upstream's word is in a file of the daemons.
constexpr Capabilities kCaching = capability(CAP_DAC_OVERRIDE) |
                                  capability(CAP_IPC_OWNER) |
                                  capability(CAP_IPC_LOCK);
// The new file gets the old one's owner, mode and access control list.
constexpr Capabilities kWriting =
    kCaching | capability(CAP_CHOWN) | capability(CAP_FOWNER);

Capabilities capabilities_for(Reach reach) {
  return reach >= Reach::kTokenShadow ? kWriting
         : reach >= Reach::kRemoves   ? kCaching
                                      : looking();
}

// --- objects that others have planted under the store's keys

// A command that removes them for good needs no other in their place.  A
// failure leaves an object that is found without its key, or a lower limit.
template <typename Object>
void replace_planted(const Object &object, Reach reach) {
  if (!is_key_taken(object)) {
    return;
  }
  if (reach == Reach::kRemoves) {
    static_cast<void>(object.remove(object.get(object.key, 0)));
  } else {
    static_cast<void>(open_named(object));
  }
}

// Removes the segments and semaphores under the store's keys that root has not
// made: no program has a use for them.  That takes CAP_SYS_ADMIN, which the
// service does not have.
void replace_planted(const Store &store, Reach reach) {
  for_each_object(store,
                  [reach](std::string_view /*name*/, const auto &object) {
                    replace_planted(object, reach);
                  });
}

// --- files

constexpr bool saves(Reach reach) {
  return reach == Reach::kSaves || reach == Reach::kRemoves;
}

// Says what is allowed, to an object with Landlock's two functions for that.
template <typename Rules>
void allow_files(Reach reach, const PathText &configuration, const Store &store,
                 Rules *rules) {
  // `check` finds out a directory that stands where a file belongs.
  const FileRights beside = {.read = true, .list = reach == Reach::kLists};
  const bool writes = reach >= Reach::kTokenShadow;
  const FileRights read = {.read = true};
  // The rules name directories, since these files are replaced meanwhile.
  rules->allow_beside(
      store.token_shadow,
      {.read = true, .list = true, .write = writes, .replace = writes});
  rules->allow_beside(store.lock_file, beside);
  rules->allow_beside(store.user_cfg, reach == Reach::kUserCfg
                                          ? FileRights{.read = true,
                                                       .list = true,
                                                       .write = true,
                                                       .replace = true}
                                          : beside);
  rules->allow_beside(store.user_lock, beside);
  rules->allow_beside(
      store.version_cache,
      {.read = true, .list = beside.list, .write = reach >= Reach::kRemoves});
  rules->allow_file(configuration, read);
  const bool reports =
      reach == Reach::kReports || reach == Reach::kLists || saves(reach);
  if (reports) {
    rules->allow_beside(saved_use_path(store.name.view()),
                        {.read = true,
                         .list = saves(reach),
                         .write = saves(reach),
                         .replace = saves(reach)});
    rules->allow_file(PathText("/proc/sys/kernel/shm_rmid_forced"), read);
  }
  if (reports || writes || store.lease != 0) {
    rules->allow_file(PathText(kBootIdPath), read);
  }
  for (const char *path : {
           "/etc/group", "/etc/passwd",
           "/proc/locks",                     // the holder of the lock
           "/sys/devices/system/cpu/online",  // how many hashes at once
       }) {
    rules->allow_file(PathText(path), read);
  }
  if (beside.list) {
    // The other stores may have the same files.
    rules->allow_beside(configuration_path(kDefaultStore), beside);
    rules->allow_beside(PathText("/etc/pam.d/other"), beside);
    rules->allow_beside(PathText("/usr/lib/pam.d/other"), beside);
    // The kernel makes that file anew for each use: its directory stays.
    rules->allow_beside(socket_table(), read);
  }
  if (writes) {
    rules->allow_file(PathText("/proc/sys/kernel/random/uuid"), read);
  }
}

// The inodes that the paths of rules lead to now.
class Inodes {
 public:
  void allow_file(const PathText &path, FileRights /*rights*/) {
    struct stat status = {};
    const bool is_there = stat(path.c_str(), &status) == 0;
    add(is_there ? Inode{status.st_dev, status.st_ino} : Inode{});
  }

  // Most rules are about a directory that another one was about just before.
  void allow_beside(const PathText &path, FileRights rights) {
    const PathText directory = directory_of(path);
    if (path.empty()) {
      add({});
    } else if (count_ > 0 && directory.view() == last_directory_.view()) {
      add(last_);
    } else {
      allow_file(directory, rights);
      last_directory_ = directory;
      last_ = count_ <= all_.size() ? all_[count_ - 1] : Inode{};
    }
  }

  [[nodiscard]] bool are_those_of(const Inodes &other) const {
    return count_ <= all_.size() && count_ == other.count_ &&
           all_ == other.all_;
  }

 private:
  struct Inode {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const Inode &) const = default;
  };

  void add(const Inode &inode) {
    if (count_ < all_.size()) {
      all_[count_] = inode;
    }
    ++count_;
  }

  std::array<Inode, 16> all_ = {};
  std::size_t count_ = 0;
  PathText last_directory_;
  Inode last_;
};

constexpr Reach kPreparedReach = Reach::kCache;

struct PreparedRules {
  Inodes inodes;  // before the rules were made
  Landlock rules;
};
constinit std::array<std::optional<PreparedRules>, 4> the_prepared = {};

Inodes inodes_of(Reach reach, const PathText &configuration,
                 const Store &store) {
  Inodes inodes;
  allow_files(reach, configuration, store, &inodes);
  return inodes;
}

// Returns those that were made for these files, or else new ones.
Landlock make_rules(Reach reach, const PathText &configuration,
                    const Store &store) {
  if (reach == kPreparedReach && the_prepared.front()) {
    const Inodes inodes = inodes_of(reach, configuration, store);
    for (auto &prepared : the_prepared) {
      if (prepared && prepared->inodes.are_those_of(inodes)) {
        return std::move(prepared->rules);
      }
    }
  }
  Landlock rules;
  allow_files(reach, configuration, store, &rules);
  return rules;
}

// What was prepared for other stores goes before anything else is done.
Result<void> confine_files(Reach reach, const PathText &configuration,
                           const Store &store) {
  Landlock rules = make_rules(reach, configuration, store);
  for (auto &prepared : the_prepared) {
    prepared.reset();
  }
  return rules.enforce();
}

}  // namespace

Result<void> confine(Reach reach, const PathText &configuration,
                     const Store &store) {
  leave_undo_list();
  if (saves(reach)) {
    // What fails now fails again when it is needed, which says so.
    static_cast<void>(mkdir(kStateDirectory, S_IRWXU));
  }
  if (reach == Reach::kRemoves) {
    static_cast<void>(unlink(limits_path(store).c_str()));
  }
  if (reach >= Reach::kRemoves) {
    if (!is_service) {
      replace_planted(store, reach);
    }
    // Where there is nothing to be removed, or to be locked, no file is to be
    // made for it.
    for (const Kind kind : {Kind::kSecrets, Kind::kAccounts}) {
      const bool is_needed =
          kind == Kind::kSecrets || reach == Reach::kUserCfg ||
          (reach == Reach::kCache && access(store.user_cfg.c_str(), F_OK) == 0);
      if (reach == Reach::kRemoves ? has_segment(kind, store) : is_needed) {
        FileLock::prepare(store, lock_path_of(kind, store));
      }
    }
  }
  if (const auto kept = keep_capabilities(capabilities_for(reach)); !kept) {
    return kept.error();
  }
  if (const auto confined = confine_files(reach, configuration, store);
      !confined) {
    return confined.error();
  }
  return is_service ? Result<void>() : restrict_system_calls();
}

Result<void> confine_service() {
  if (const auto kept = keep_capabilities(kWriting | looking()); !kept) {
    return kept.error();
  }
  if (!lay_down_capabilities()) {
    return system_error(kCannotDrop, {});
  }
  is_service = true;
  return restrict_system_calls_of_service();
}

bool use_capabilities() {
  return set_effective([](Capabilities permitted) { return permitted; });
}

bool lay_down_capabilities() {
  return set_effective([](auto) { return Capabilities{0}; });
}

void prepare_to_confine(const Store &store) {
  const auto free =
      std::find(the_prepared.begin(), the_prepared.end(), std::nullopt);
  if (free == the_prepared.end()) {
    return;
  }
  const PathText &configuration = store.configuration;
  PreparedRules prepared = {
      .inodes = inodes_of(kPreparedReach, configuration, store), .rules = {}};
  allow_files(kPreparedReach, configuration, store, &prepared.rules);
  if (prepared.rules.complete()) {
    free->emplace(std::move(prepared));
  }
}

Result<void> give_up_capabilities() {
  return keep_capabilities(0);
}

}  // namespace pbstoken
