// SPDX-License-Identifier: BSD-3-Clause
#include "confine/confinement.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include "confine/capabilities.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "confine/strangers.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/store/file_lock.h"

namespace pbstoken {

namespace {

// How far a command reaches; each more than the one before.
enum class Reach : std::uint8_t {
  kLooks,  // changes nothing but the counters
  kCache,  // fills, repairs or replaces the segment, under the store's lock
  kFile    // replaces token.shadow
};

Reach reach_of(Command command) {
  switch (command) {
    case Command::kList:
    case Command::kStatus:
    case Command::kCheck:
    case Command::kServe:
      return Reach::kLooks;
    case Command::kVerify:
    case Command::kAccount:
    case Command::kFlush:
    case Command::kRetire:
      return Reach::kCache;
    case Command::kGenerate:
    case Command::kSet:
    case Command::kDelete:
    case Command::kRotate:
      return Reach::kFile;
  }
  return Reach::kLooks;
}

// The files are not root's, nor are the segments that others plant.  Some
// containers leave root the stronger one alone of two.
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
  switch (reach) {
    case Reach::kLooks:
      return looking();
    case Reach::kCache:
      return kCaching;
    case Reach::kFile:
      return kWriting;
  }
  return 0;
}

Result<void> confine_files(Reach reach, const CommandLine &line,
                           const Store &store) {
  // A directory that stands where a file belongs is to be found out.
  const FileRights beside = {.read = true,
                             .list = line.command == Command::kCheck};
  const FileRights read = {.read = true};
  Landlock landlock;
  // By the directory, since these files are replaced under our eyes.
  landlock.allow_beside(store.token_shadow, {.read = true,
                                             .list = true,
                                             .write = reach == Reach::kFile,
                                             .replace = reach == Reach::kFile});
  landlock.allow_beside(store.lock_file, beside);
  landlock.allow_beside(store.user_cfg, beside);
  landlock.allow_beside(
      store.version_cache,
      {.read = true, .list = beside.list, .write = reach != Reach::kLooks});
  landlock.allow_file(configuration_of(line), read);
  for (const char *path : {
           "/etc/group", "/etc/passwd",
           "/proc/locks",                     // who holds the lock
           "/proc/sys/kernel/random/uuid",    // new secrets
           "/sys/devices/system/cpu/online",  // how many hashes at once
       }) {
    landlock.allow_file(PathText(path), read);
  }
  return landlock.enforce();
}

}  // namespace

Result<void> confine(const CommandLine &line, const Store &store) {
  const Reach reach = reach_of(line.command);
  if (reach != Reach::kLooks) {
    remove_strangers(store);
    // Where there is nothing to be retired, no file is to be made for it.
    const auto id = find_segment_id(store);
    if (line.command != Command::kRetire || !id || *id) {
      FileLock::prepare(store);
    }
  }
  if (const auto kept = keep_capabilities(capabilities_for(reach)); !kept) {
    return kept.error();
  }
  if (const auto confined = confine_files(reach, line, store); !confined) {
    return confined.error();
  }
  return restrict_system_calls();
}

}  // namespace pbstoken
