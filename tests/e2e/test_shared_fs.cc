// SPDX-License-Identifier: BSD-3-Clause
// A store on a file system of several hosts: read as if `look` were no, written
// only where the configuration says so.  Which one it is is played: by
// statfs(2) of this program, and by strace(1) for the others; but for one of
// FUSE, which is real: bindfs(1), before a directory that "another host"
// writes.
#include <crypt.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <optional>

#include "helper_support.h"
#include "pbstoken/os/shared_fs.h"
#include "pbstoken/verify/verifier.h"

namespace {

// nullopt: the real one.
std::optional<std::uint32_t> played_magic;

}  // namespace

extern "C" int statfs(const char *path, struct statfs *status) noexcept {
  const auto result = static_cast<int>(syscall(SYS_statfs, path, status));
  if (result == 0 && played_magic) {
    status->f_type = *played_magic;
  }
  return result;
}

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kOtherHash =
    "$y$j9T$U2W6XEG7aQ08dcm8goW9j.HAmA1BpMnBsYXCvkHDyw1$"
    "nXIXN48snfgx9.8AuQ.LTiW4/IC2DdC2lEEnmcGixI1";

int clean(void **state) {
  played_magic.reset();
  return clean_host(state);
}

std::string name_of(std::uint32_t magic) {
  played_magic = magic;
  return std::string(shared_fs_of(PathText(kShadow)).value_or("(none)"));
}

void shared_fs_of_is_told_by_its_number(void ** /*state*/) {
  assert_false(shared_fs_of(PathText(kShadow)).has_value());
  assert_text_equal(name_of(NFS_SUPER_MAGIC), "NFS");
  assert_text_equal(name_of(FUSE_SUPER_MAGIC), "FUSE");
  assert_text_equal(name_of(CIFS_SUPER_MAGIC), "CIFS");
  assert_text_equal(name_of(SMB2_SUPER_MAGIC), "CIFS");
  assert_text_equal(name_of(CEPH_SUPER_MAGIC), "Ceph");
  assert_text_equal(name_of(V9FS_MAGIC), "9p");
  assert_text_equal(name_of(TMPFS_MAGIC), "(none)");
  assert_text_equal(name_of(EXT4_SUPER_MAGIC), "(none)");
  assert_false(shared_fs_of(PathText("/no/such/place")).has_value());
}

// --- the cache

bool lets_in(const Store &store) {
  Verifier verifier(store, [] { return CryptFunction{crypt_rn}; });
  const auto verified = verifier.verify(*parse_token_id(kId), kSecret, {});
  return verified && verified->outcome == Outcome::kMatch;
}

// A look would find the change at once; there it may be as old as the trust,
// and is not asked.  That a device is this host's own is remembered: it comes
// last.
void hit_there_trusts_the_stamp_for_cache_ttl(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  const auto store = load_store("pbs", PathText(kConfiguration));
  assert_true(static_cast<bool>(store));
  for (const bool is_shared : {true, false}) {
    played_magic = is_shared ? std::optional(NFS_SUPER_MAGIC) : std::nullopt;
    write_shadow({{kId, kHash}});
    tool_output({"flush"});
    assert_true(lets_in(*store));
    write_shadow({{kId, kOtherHash}});
    assert_true(lets_in(*store) == is_shared);
  }
}

// --- the writers

// As if each file system were an NFS: its number is 0x6969.
RunResult run_there(const std::string &program,
                    const std::vector<std::string> &arguments) {
  std::vector<std::string> all = {
      "-f",        "-qq", "-o",
      "/dev/null", "-e",  "inject=statfs:poke_exit=@arg2=6969000000000000",
      program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run({.path = "/usr/bin/strace", .arguments = all, .input = kSecret});
}

constexpr const char *kRefusal =
    "pbstoken-helper: cannot write /etc/proxmox-backup/token.shadow: its file "
    "system is one of several hosts: set shared_fs = yes if every writer takes "
    "the same lock there\n";

void change_there_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string before = read_file(kShadow);
  for (const char *command : {"set", "delete"}) {
    const RunResult outcome = run_there(helper_path(), {command, kId});
    assert_int_equal(outcome.status, 4);
    assert_text_equal(outcome.err, kRefusal);
    assert_text_equal(outcome.out, "");
    assert_text_equal(read_file(kShadow), before);
  }
}

void change_there_is_made_if_the_store_says_so(void ** /*state*/) {
  configure("shared_fs = yes\nuser_cfg =\n");
  write_shadow({{kOldId, kHash}});
  const RunResult outcome = run_there(helper_path(), {"set", kId});
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
  assert_int_equal(run_there(helper_path(), {"delete", kId}).status, 0);
}

void verification_there_goes_on(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_int_equal(run_there(helper_path(), {"verify", kId}).status, 0);
}

// --- check

void check_names_it_and_its_caveat(void ** /*state*/) {
  const std::string line =
      "/etc/proxmox-backup: on NFS, where other hosts may write: look does not "
      "apply; its attribute cache adds up to 60 s to cache_ttl";
  configure("verify_group =\n");
  RunResult outcome = run_there(tool_path(), {"check"});
  assert_text_equal(outcome.out,
                    line +
                        "; nothing is written: move it to a file system of "
                        "this host, or set shared_fs = yes\n");
  assert_int_equal(outcome.status, 1);
  configure("shared_fs = yes\nverify_group =\n");
  outcome = run_there(tool_path(), {"check"});
  assert_text_equal(outcome.out, line + "\n");
}

// --- a real one

// Where the other host has the directory.
std::string backing(const std::string &name = {}) {
  return scratch("backing") + (name.empty() ? "" : "/" + name);
}

// In this mount namespace alone.  Without /dev/fuse it fails.
int mount_fuse(void **state) {
  if (clean(state) != 0) {
    return -1;
  }
  std::filesystem::remove_all(backing());
  std::filesystem::create_directory(backing());
  if (chown(backing().c_str(), kBackup, kBackup) != 0 ||
      chmod(backing().c_str(), 0700) != 0) {
    return -1;
  }
  const RunResult outcome =
      run({.path = "/usr/bin/bindfs", .arguments = {backing(), kDirectory}});
  if (outcome.status != 0) {
    print_error("bindfs: %s\n", outcome.err.c_str());
  }
  return outcome.status;
}

int unmount_fuse(void ** /*state*/) {
  return umount2(kDirectory, MNT_DETACH);
}

// As an editor on the other host does it.
void write_there(const Tokens &tokens) {
  write_file(backing("new"), shadow_of(tokens), 0640);
  assert_int_equal(chown(backing("new").c_str(), kBackup, kBackup), 0);
  std::filesystem::rename(backing("new"), backing("token.shadow"));
}

void fuse_is_told_by_its_number(void ** /*state*/) {
  write_there({{kId, kHash}});
  assert_text_equal(shared_fs_of(PathText(kShadow)).value_or("(none)"), "FUSE");
}

void change_on_fuse_is_refused(void ** /*state*/) {
  write_there({{kId, kHash}});
  for (const char *command : {"set", "delete"}) {
    const RunResult outcome = run_helper({command, kId}, kSecret);
    assert_int_equal(outcome.status, 4);
    assert_text_equal(outcome.err, kRefusal);
    assert_text_equal(read_file(backing("token.shadow")),
                      shadow_of({{kId, kHash}}));
  }
  // Nor is it left half made.
  assert_int_equal(run_helper({"verify", kId}, kSecret).status, 0);
}

void change_on_fuse_is_made_if_the_store_says_so(void ** /*state*/) {
  configure("shared_fs = yes\nuser_cfg =\n");
  write_there({{kOldId, kHash}});
  const RunResult outcome = run_helper({"set", kId}, kSecret);
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
  const std::string after = read_file(backing("token.shadow"));
  assert_true(after.find(kId) != std::string::npos &&
              after.find(kOldId) != std::string::npos);
  const struct stat status = status_of(backing("token.shadow"));
  assert_int_equal(status.st_uid, kBackup);
  assert_int_equal(status.st_mode & 0777U, 0640);
  assert_int_equal(run_helper({"verify", kId}, kSecret).status, 0);
}

// A look there would be answered by what this host remembers.
void hit_on_fuse_trusts_the_stamp_for_cache_ttl(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  const auto store = load_store("pbs", PathText(kConfiguration));
  assert_true(static_cast<bool>(store));
  write_there({{kId, kHash}});
  assert_true(lets_in(*store));
  write_there({{kId, kOtherHash}});
  assert_true(lets_in(*store));
  // The trust is over: what the other host has written counts.
  tool_output({"flush"});
  usleep(1'100'000);  // which is how long FUSE remembers attributes
  assert_false(lets_in(*store));
}

void check_names_fuse_and_its_caveat(void ** /*state*/) {
  write_there({{kId, kHash}});
  const std::string line =
      "/etc/proxmox-backup: on FUSE, where other hosts may write: look does "
      "not apply; its attribute cache adds up to 20 s to cache_ttl with sshfs, "
      "and 1 s with GlusterFS; with sshfs, bindfs and pmxcfs a lock counts on "
      "this host alone";
  const RunResult outcome = run_tool({"check"});
  assert_true(outcome.out.find(line + "; nothing is written: move it to a file "
                                      "system of this host, or set shared_fs = "
                                      "yes\n") != std::string::npos);
  assert_int_equal(outcome.status, 1);
}

}  // namespace
}  // namespace pbstoken

#define ON_FUSE(test) \
  cmocka_unit_test_setup_teardown(test, mount_fuse, unmount_fuse)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(shared_fs_of_is_told_by_its_number, clean),
      cmocka_unit_test_setup(hit_there_trusts_the_stamp_for_cache_ttl, clean),
      cmocka_unit_test_setup(change_there_is_refused, clean),
      cmocka_unit_test_setup(change_there_is_made_if_the_store_says_so, clean),
      cmocka_unit_test_setup(verification_there_goes_on, clean),
      cmocka_unit_test_setup(check_names_it_and_its_caveat, clean),
      ON_FUSE(fuse_is_told_by_its_number),
      ON_FUSE(change_on_fuse_is_refused),
      ON_FUSE(change_on_fuse_is_made_if_the_store_says_so),
      ON_FUSE(hit_on_fuse_trusts_the_stamp_for_cache_ttl),
      ON_FUSE(check_names_fuse_and_its_caveat),
  };
  return cmocka_run_group_tests_name("shared_fs", tests, nullptr, nullptr);
}
