// SPDX-License-Identifier: BSD-3-Clause
// The helper as it is installed, and who starts it.
#ifndef PBSTOKEN_TESTS_E2E_HELPER_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_HELPER_SUPPORT_H_

#include <grp.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "e2e_support.h"

namespace pbstoken::testing {

// A copy of a program, installed with this owner and mode.
inline std::string install(const std::string &program, const char *name,
                           uid_t owner, mode_t mode, gid_t group) {
  const std::string path = scratch(name);
  std::filesystem::remove(path);
  std::filesystem::copy_file(program, path);
  if (chown(path.c_str(), owner, group) != 0 ||
      chmod(path.c_str(), mode) != 0) {
    fail_msg("cannot install %s", path.c_str());
  }
  return path;
}

inline std::string install_helper(uid_t owner = 0, mode_t mode = 04755,
                                  gid_t group = 0) {
  return install(helper_path(), "installed-helper", owner, mode, group);
}

inline std::string install_tool(mode_t mode = 0755) {
  return install(tool_path(), "installed-tool", 0, mode, 0);
}

// --- who starts it

// Groups that no user of the host has.
constexpr gid_t kVerifyGroup = 54321;
constexpr gid_t kAdminGroup = 54322;

inline void configure_groups(const std::string &more = {}) {
  configure("verify_group = " + std::to_string(kVerifyGroup) +
            "\nadmin_group = " + std::to_string(kAdminGroup) + "\n" + more);
}

// Accounts for both tokens, as upstream writes them.
inline void write_user_cfg() {
  write_file(kUserCfg,
             std::string("user: john@pbs\n\ntoken: ") + kId +
                 "\n\nuser: root@pam\n\ntoken: " + kOldId + "\n",
             0640);
  if (chown(kUserCfg, kBackup, kBackup) != 0) {
    fail_msg("cannot give %s away", kUserCfg);
  }
}

struct Person {
  const char *name;
  uid_t uid = kNobody;
  gid_t gid = kNobody;
  std::vector<gid_t> groups = {};
};

inline const Person kRoot = {.name = "root", .uid = 0, .gid = 0};
inline const Person kStranger = {.name = "nobody"};
inline const Person kMember = {.name = "member", .groups = {7, kVerifyGroup}};
inline const Person kAdmin = {.name = "admin", .groups = {kAdminGroup}};

// For a child.
inline void become(const Person &person) {
  if (setgroups(person.groups.size(), person.groups.data()) != 0 ||
      setresgid(person.gid, person.gid, person.gid) != 0 ||
      setresuid(person.uid, person.uid, person.uid) != 0) {
    std::abort();
  }
}

inline RunResult run_as(const Person &person, const std::string &path,
                        const std::vector<std::string> &arguments,
                        const std::string &input = kSecret,
                        const std::function<void()> &prepare = {}) {
  return run(
      {.path = path, .arguments = arguments, .input = input, .prepare = [&] {
         become(person);
         if (prepare) {
           prepare();
         }
       }});
}

inline void assert_exit(const RunResult &outcome, int status,
                        const std::string &what) {
  if (outcome.status != status) {
    fail_msg("%s: exit status %d, not %d: %s", what.c_str(), outcome.status,
             status, outcome.err.c_str());
  }
}

// --- other processes

// Those of these capabilities that this process has to give, as
// /proc/PID/status writes them.
inline std::string capabilities_within(std::uint64_t wanted) {
  const std::uint64_t own =
      std::stoull(proc_status(getpid(), "CapPrm"), nullptr, 16);
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016jx",
                static_cast<std::uintmax_t>(own & wanted));
  return text.data();
}

// Who holds the store's lock; 0: nobody.
inline pid_t lock_holder() {
  struct stat lock = {};
  if (stat(kLock, &lock) != 0) {
    return 0;
  }
  // By its device, too: other tests have such files on mounts of their own.
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "%02x:%02x:%ju", major(lock.st_dev),
                minor(lock.st_dev), static_cast<std::uintmax_t>(lock.st_ino));
  std::ifstream table("/proc/locks");
  std::string line;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string access;
    pid_t pid = 0;
    std::string file;
    words >> number >> kind >> advisory >> access >> pid >> file;
    if (kind == "FLOCK" && file == name.data()) {
      return pid;
    }
  }
  return 0;
}

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_HELPER_SUPPORT_H_
