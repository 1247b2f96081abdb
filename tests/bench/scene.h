// SPDX-License-Identifier: BSD-3-Clause
// Where the benchmarks take place: stores, stacks and a user in the /etc of
// tests/scratch, the modules side by side in one directory.
//
// Everybody is checked against the same yescrypt hash, which PBS would make.
#ifndef PBSTOKEN_TESTS_BENCH_SCENE_H_
#define PBSTOKEN_TESTS_BENCH_SCENE_H_

#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "bench.h"

namespace pbstoken::bench {

constexpr const char *kId = "john@pbs!client1";
constexpr const char *kSecret = "0f1e2d3c-4b5a-4697-8877-665544332211";
constexpr const char *kHash =
    "$y$j9T$.2U.1EE/4Q.07ck0AoU1D.F2GA/3JMl3MYV4PkF5Sw/"
    "$n.wYJhoo2BUy78BysY1dv7H1xJj4PVGU5GYui8NJKFC";
constexpr const char *kLocalUser = "bench";  // of pam_unix

// The oldest hash of all takes 4 us and looks at eight characters: every secret
// that begins with them matches, and each is one that nobody has seen before.
// So a miss can be repeated as often as one likes, and be seen beside its hash.
constexpr const char *kCheapId = "jane@pbs!cheap";
constexpr const char *kCheapSecret = "abcdefgh";
constexpr const char *kCheapHash = "abYH7TYgEKz2Q";

constexpr uid_t kMember = 33;  // Debian's www-data
constexpr gid_t kMembers = 4711;

// --- files

inline std::string scratch(std::string_view name) {
  return std::string(std::getenv("SCRATCH")) + "/" + std::string(name);
}

// What the Makefile has built, above this program.
inline std::filesystem::path built(std::string_view name) {
  return std::filesystem::read_symlink("/proc/self/exe")
             .parent_path()
             .parent_path()
             .parent_path() /
         name;
}

inline void write_file(const std::string &path, std::string_view content,
                       mode_t mode = 0644) {
  std::ofstream(path, std::ios::binary) << content;
  require(chmod(path.c_str(), mode) == 0);
}

inline void append_to(const std::string &path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::app) << content;
}

// --- processes

inline void wait_for(pid_t child) {
  int status = 0;
  require(waitpid(child, &status, 0) == child && status == 0);
}

inline void in_child(const std::function<void()> &body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  require(child >= 0);
  if (child == 0) {
    body();
    std::fflush(nullptr);
    _exit(0);
  }
  wait_for(child);
}

// --- stores

// Our two tokens among so many.
inline std::string shadow_text(int tokens,
                               const char *cheap_hash = kCheapHash) {
  std::string text =
      std::string("{\"") + kCheapId + "\":\"" + cheap_hash + "\"";
  for (int i = 2; i < tokens; ++i) {
    text += ",\"user" + std::to_string(i) + "@pbs!token" + std::to_string(i) +
            "\":\"" + kHash + "\"";
  }
  return text + ",\"" + kId + "\":\"" + kHash + "\"}";
}

inline std::string other_id(int number) {
  return "user" + std::to_string(number) + "@pbs!token" +
         std::to_string(number);
}

inline std::string shadow_of(const std::string &store) {
  return scratch("stores/" + store + "/token.shadow");
}

// The settings are those that a store has by default, but for its place; no
// mistakes are made here that were to be limited.
inline std::string configuration_of(
    const std::string &store, const std::string &version_cache = {},
    const std::string &group = std::to_string(kMembers)) {
  return "token_shadow = " + shadow_of(store) +
         "\nuser_cfg =\nversion_cache =" +
         (version_cache.empty() ? "" : " " + version_cache) +
         "\nverify_group = " + group + "\nfail_limit = 0\n";
}

inline void make_store(const std::string &store, int tokens,
                       const std::string &version_cache = {},
                       const std::string &group = std::to_string(kMembers)) {
  std::filesystem::create_directories(scratch("stores/" + store));
  write_file(shadow_of(store), shadow_text(tokens), 0640);
  write_file("/etc/pbstoken/" + store + ".conf",
             configuration_of(store, version_cache, group));
}

// A page of counters as PBS keeps it.
inline std::string make_version_page() {
  constexpr std::array<unsigned char, 8> kMagic = {0x19, 0xc6, 0xa8, 0xe6,
                                                   0x9a, 0x84, 0x8f, 0x83};
  std::string page(4096, '\0');
  std::memcpy(page.data(), kMagic.data(), kMagic.size());
  const std::string path = scratch("config-versions");
  write_file(path, page, 0600);
  return path;
}

// --- stacks

inline std::string module_of(const std::string &name) {
  return scratch("modules/" + name);
}
inline std::string helper() {
  return scratch("modules/pbstoken-helper");
}

// The modules as packages install them, ours stripped as dh_strip(1) does it.
inline void install_modules() {
  std::filesystem::create_directories(scratch("modules"));
  for (const char *name :
       {"pam_permit.so", "pam_deny.so", "pam_pwdfile.so", "pam_unix.so"}) {
    std::filesystem::copy_file(
        std::string("/lib/" PBSTOKEN_MULTIARCH "/security/") + name,
        module_of(name), std::filesystem::copy_options::overwrite_existing);
  }
  for (const char *name : {"pam_pbstoken.so", "pbstoken-helper", "pbstoken"}) {
    const std::string command = "strip --strip-unneeded -o " + module_of(name) +
                                " " + built(name).string();
    require(std::system(command.c_str()) == 0);
  }
  require(chown(helper().c_str(), 0, 0) == 0 &&
          chmod(helper().c_str(), 04755) == 0);
}

inline void write_stack(const std::string &service, const std::string &module,
                        const std::string &options = {}) {
  write_file("/etc/pam.d/" + service,
             "auth required " + module_of(module) + " " + options + "\n");
}

inline void write_store_stack(const std::string &store) {
  write_stack(store, "pam_pbstoken.so",
              "store=" + store + " helper=" + helper());
}

// --- all of it

// A file that has just been written is read again, and not only looked at, when
// its stamp expires: it could change once more within the same tick.
inline void wait_until_old() {
  usleep(2'100'000);
}

inline void remove_segments() {
  shm_info info{};
  const int last = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  for (int index = 0; index <= last; ++index) {
    shmid_ds segment{};
    if (const int id = shmctl(index, SHM_STAT, &segment); id >= 0) {
      shmctl(id, IPC_RMID, nullptr);
    }
  }
}

// Refuses to run where /etc and the segments would be the machine's own.
inline void require_scratch() {
  struct stat etc = {};
  struct stat copy = {};
  if (std::getenv("SCRATCH") == nullptr || geteuid() != 0 ||
      stat("/etc", &etc) != 0 || stat(scratch(".etc").c_str(), &copy) != 0 ||
      etc.st_dev != copy.st_dev || etc.st_ino != copy.st_ino) {
    std::fputs("to be run as root by tests/scratch\n", stderr);
    std::_Exit(2);
  }
}

// The stores `cached`, which is what most measure, `word`, whose host runs PBS,
// `named`, whose configuration has names of users and groups, and `trusting`,
// which does not look at the file; the stacks of these names, and `permit`,
// `pwdfile`, `unix`.  libpam loads every module of `other` for each
// transaction; Debian's are fifteen, which would hide what is measured.
inline void make_scene() {
  require_scratch();
  umask(022);
  remove_segments();
  install_modules();
  append_to("/etc/group", "pbstokenbench:x:4711:www-data\n");
  append_to("/etc/passwd", "bench:x:4712:4712::/:/bin/sh\n");
  append_to("/etc/shadow",
            std::string(kLocalUser) + ":" + kHash + ":19000:0:99999:7:::\n");
  write_file(scratch("pwdfile"), std::string(kId) + ":" + kHash + "\n");
  make_store("cached", 10);
  make_store("word", 10, make_version_page());
  make_store("named", 10, {}, "pbstokenbench");
  append_to("/etc/pbstoken/named.conf",
            "file_owner = backup\nfile_group = backup\n");
  make_store("trusting", 10);
  append_to("/etc/pbstoken/trusting.conf", "look = no\n");
  for (const char *store : {"cached", "word", "named", "trusting"}) {
    write_store_stack(store);
  }
  write_stack("other", "pam_deny.so");
  write_stack("permit", "pam_permit.so");
  write_stack("pwdfile", "pam_pwdfile.so", "pwdfile=" + scratch("pwdfile"));
  write_stack("unix", "pam_unix.so");
  wait_until_old();
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_SCENE_H_
