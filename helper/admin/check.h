// SPDX-License-Identifier: BSD-3-Clause
// The parts of the check command that stand in files of their own.
#ifndef PBSTOKEN_CHECK_H_
#define PBSTOKEN_CHECK_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "admin/problems.h"
#include "pbstoken/base/list.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

enum class FileKind : std::uint8_t {
  kData,     // token.shadow, user.cfg: others nothing, the group reads
  kLock,     // others nothing: a user that can open it can hold it
  kCounters  // others do not write
};

// Finds users that may read or write the files of a store and should not, and
// whether upstream's daemons may not and should.  Every file, and every
// directory above it, must belong to root or to the store's file_owner, and
// what a group may do with it is for root's or the store's file_group.  The
// daemons run as file_owner and file_group: they enter the directories, read
// the files, and write the lock and the counters.
class AccessCheck {
 public:
  AccessCheck(const Store &store, Problems *problems);

  // Opens a file for reading, and adds what is wrong with its access and that
  // of the directories above it.  Returns no descriptor if the file is not
  // there, which is no problem, or could not be opened, which has been added.
  UniqueFd open(const PathText &path, FileKind kind);

 private:
  struct Directory {
    dev_t device;
    ino_t inode;
  };

  void check_directories(const PathText &path);
  // owner: the name for chown(1) if neither root nor file_owner has it.
  void check_directory(std::string_view path, const struct stat &status,
                       std::string_view owner);
  void check_owner(std::string_view path, const struct stat &status,
                   std::string_view owner);
  // command, argument: what ends that.
  void check_group(std::string_view path, const struct stat &status,
                   const char *may, std::string_view command,
                   std::string_view argument);
  // file: of that status, to ask for its access control list.
  void check_daemons(std::string_view path, const struct stat &status,
                     const UniqueFd &file, FileKind kind);
  void check_daemons_enter(std::string_view path, const struct stat &status,
                           const UniqueFd &directory);
  // What file_owner needs of it and cannot do; a list that the file has may
  // give what its mode does not.
  struct Need {
    mode_t bits;       // of the three of one class
    const char *what;  // "read it"
    const char *mode;  // for chmod(1), behind the class
  };
  void check_need(std::string_view path, const struct stat &status,
                  const UniqueFd &file, const Need &need);
  [[nodiscard]] bool is_first_visit(const struct stat &status);

  std::optional<uid_t> owner_;  // nullopt: /etc does not know it
  std::optional<gid_t> group_;
  std::string_view owner_name_;  // of file_owner, or its number
  std::string_view group_name_;  // of file_group, or its number
  Problems *problems_;
  List<Directory> visited_;  // to be named once each
};

// True if the path leads nowhere.
bool is_missing(const PathText &path);

// Checks that neither token.shadow nor user.cfg is gone alone, and that each
// token has a secret and a section: a change of both that was cut short leaves
// one of the two.
void check_pair(const Store &store, Problems *problems);

// Checks token.shadow: its syntax, members that are no tokens, duplicates, ids
// and stored hashes.  file: open for reading; path names it in the problems.
void check_shadow(const UniqueFd &file, const PathText &path,
                  Problems *problems);

// Checks who can take the lock of this file, and that no process keeps it.
// Adds what writers that died have left beside the file and the lock, which is
// held meanwhile together with other readers.
void check_lock(const Store &store, Kind kind, AccessCheck *access,
                Problems *problems);

// Checks that the gate and the windows are as the configuration has them, or
// can be made; and if the host has no room, which users fill it.
void check_limits(const Store &store, Problems *problems);

// True if the kernel removes a segment with the last process that uses it, see
// proc_sys_kernel(5).
constexpr const char *kForcedRemoval = "/proc/sys/kernel/shm_rmid_forced";
bool kernel_removes_segments();

// Returns what keeps the gate, or the windows, from being used; nullopt if they
// are there, or can be made.
std::optional<ProblemText> problem_of_gate(const Store &store, GateShare share);
std::optional<ProblemText> problem_of_windows(const Store &store);

// Returns that other hosts may write beside the file, and what follows; nullopt
// if it is this host's own.  is_refused: it is not written there.
std::optional<ProblemText> problem_of_file_system(const PathText &path,
                                                  bool is_refused);

// Checks that the files of the store, and what is saved of it, can be written
// where they are.
void check_mounts(const Store &store, Problems *problems);

// Checks that services can reach the helper, and the stacks in /etc/pam.d.
void check_host(const Store &store, Problems *problems);

// Checks that no other store of this host has the same files and other settings
// of their cache.
void check_twins(const Store &store, Problems *problems);

// Returns how problems name an object of the kernel: shm:0x12345678.
FixedText<16> name_of(std::string_view kind, key_t key);

}  // namespace pbstoken

#endif  // PBSTOKEN_CHECK_H_
