// SPDX-License-Identifier: BSD-3-Clause
// The key lease, and `pbstoken adopt`: a token.shadow that is delivered from
// elsewhere counts as long as its lease, and no longer, for hits and misses,
// whichever way they come.
#include <crypt.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

#include <csignal>
#include <functional>
#include <vector>

#include "e2e_log.h"
#include "e2e_member.h"
#include "e2e_socket.h"
#include "faults_support.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/lease.h"

namespace {

int locks_taken = 0;

}  // namespace

// The core's in this program.
extern "C" int flock(int fd, int operation) noexcept {
  locks_taken += (operation & LOCK_EX) != 0 ? 1 : 0;
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

namespace pbstoken {
namespace {

using namespace testing;

const std::string kLease = std::string(kShadow) + ".lease";
const std::string kFile = shadow_of({{kId, kHash}});
const std::string kOtherFile = shadow_of({{kId, kHash}, {kOldId, kOldHash}});
// Without the token of kId: it was revoked.
const std::string kRevoked = shadow_of({{kOldId, kOldHash}});

std::uint64_t now() {
  return boottime_now() / kNanosecondsPerMillisecond;
}

RunResult adopt(std::uint64_t revision, std::uint64_t asked,
                const std::string &text) {
  return run({.path = tool_path(),
              .arguments = {"adopt", "--revision", std::to_string(revision),
                            "--asked", std::to_string(asked)},
              .input = text});
}

RunResult adopt_unchanged(std::uint64_t revision, std::uint64_t asked) {
  return run_tool({"adopt", "--revision", std::to_string(revision), "--asked",
                   std::to_string(asked), "--unchanged"});
}

void assert_adopted(const RunResult &outcome) {
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
}

void assert_refused(const RunResult &outcome, int status,
                    const std::string &message) {
  assert_text_equal(outcome.err, "pbstoken: " + message + "\n");
  assert_int_equal(outcome.status, status);
}

void write_user_cfg() {
  write_file(kUserCfg, std::string("user: john@pbs\n\ntoken: ") + kId + "\n",
             0640);
  if (chown(kUserCfg, 0, kBackup) != 0) {
    fail_msg("cannot give %s away", kUserCfg);
  }
}

// The account's word for kId, from the start.
int account() {
  Conversation conversation = {.answer = kSecret};
  return PamHandle(kService, kId, &conversation).manage_account();
}

void write_stack_with_account(const std::string &options = {}) {
  write_stack(kService, {auth_line("required", options),
                         stack_line("account", "required", options)});
}

// Asked for so many seconds ago.
constexpr std::uint64_t kMinute = 60;
void lease_out(std::uint64_t age = 0) {
  write_user_cfg();
  write_stack_with_account();
  assert_adopted(adopt(1, now() - age * 1000, kFile));
}

// From here on what was leased out is past, however fast the host is.
void let_the_lease_pass() {
  configure("lease = 1\n");
  usleep(1'100'000);
}

// A lease that is past, of tokens that the segments know.
void lease_out_and_let_it_pass() {
  configure("lease = 60\n");
  lease_out();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(account(), PAM_SUCCESS);
  let_the_lease_pass();
}

// One that ends while a handle lives, or is renewed.
constexpr std::uint64_t kTen = 10;
void await_end() {
  const LeaseTerm term = parse_lease(read_file(kLease))->term;
  while (lasts(term, kTen, boottime_now())) {
    usleep(100'000);
  }
}

const std::string kIsPast =
    "cannot use " + kLease + ": the lease is past, reason=lease";

// --- in force, and past

void file_counts_while_its_lease_lasts(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  for (int i = 0; i < 3; ++i) {
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_pam(authenticate(kId, kWrongSecret), PAM_AUTH_ERR);
    assert_pam(account(), PAM_SUCCESS);
  }
  assert_int_equal(counter("hits"), 2);
  assert_int_equal(counter("hashes"), 2);
}

// Whoever has known the secret before, and who has not; right or wrong.
void lease_that_is_past_refuses_hits_and_misses(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kWrongSecret), PAM_AUTH_ERR);
  assert_pam(account(), PAM_SUCCESS);
  let_the_lease_pass();
  for (const bool is_flushed : {false, true}) {
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
    assert_pam(authenticate(kId, kWrongSecret), PAM_AUTHINFO_UNAVAIL);
    assert_pam(authenticate("a@pbs!unknown", kSecret), PAM_AUTHINFO_UNAVAIL);
    assert_pam(account(), PAM_AUTHINFO_UNAVAIL);
    if (!is_flushed) {
      tool_output({"flush"});
    }
  }
  assert_int_equal(counter("hashes"), 2);
}

// A handle that has hit before.  The stamp has settled: nothing but the lease
// has the file read.
void hit_of_a_handle_sees_the_lease_end(void ** /*state*/) {
  configure("lease = 10\n");
  lease_out();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  usleep(2'100'000);
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  await_end();
  assert_pam(handle.authenticate(), PAM_AUTHINFO_UNAVAIL);
  assert_pam(handle.manage_account(), PAM_AUTHINFO_UNAVAIL);
}

// Other hosts have waited for the lease that they were told, and take what has
// been revoked for refused.
void raised_lease_brings_back_nothing(void ** /*state*/) {
  configure("lease = 1\n");
  lease_out();
  // On most hosts the segments know it then.
  authenticate(kId, kSecret);
  account();
  usleep(1'100'000);
  configure("lease = 60\n");
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_pam(account(), PAM_AUTHINFO_UNAVAIL);
  assert_adopted(adopt_unchanged(1, now()));
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(account(), PAM_SUCCESS);
}

void lease_that_is_past_is_logged_as_the_reason(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out(kMinute);
  assert_logs([] { authenticate(kId, kSecret); }, LOG_ERR,
              "cannot verify: " + kIsPast);
}

void lease_of_0_asks_for_none(void ** /*state*/) {
  lease_out(kMinute);
  for (int i = 0; i < 2; ++i) {
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_pam(account(), PAM_SUCCESS);
  }
  assert_int_equal(counter("hits"), 1);
  write_file(kLease, "nonsense");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// --- the other ways

void helper_refuses_by_the_lease(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  for (const bool is_past : {false, true}) {
    if (is_past) {
      let_the_lease_pass();
    }
    for (const std::string command : {"verify", "account"}) {
      const RunResult outcome = run_helper({command, "--", kId}, kSecret);
      assert_int_equal(outcome.status, is_past ? 4 : 0);
      assert_text_equal(outcome.err,
                        is_past ? "pbstoken-helper: " + kIsPast + "\n" : "");
    }
  }
}

// To know a secret is to be let in: rotate is refused, too.  Whoever may change
// tokens without one goes on.
void writers_go_on_and_leave_the_lease(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  const std::string lease = read_file(kLease);
  helper_output({"generate", "--", kOldId});
  helper_output({"set", "--", kId}, kSecret);
  assert_int_equal(run_helper({"rotate", "--", kId}, kSecret).status, 0);
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
  helper_output({"set", "--", kId}, kSecret);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  let_the_lease_pass();
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_int_equal(run_helper({"rotate", "--", kId}, kSecret).status, 4);
  helper_output({"set", "--", kId}, kSecret);
  helper_output({"delete", "--", kOldId});
  assert_text_equal(read_file(kLease), lease);
}

// By the setuid program, or by the socket.
void assert_member_is_refused() {
  write_user_cfg();
  const auto account_as_member = [] {
    return as_other(become_member, kId,
                    [](PamHandle &handle, Conversation & /*conversation*/) {
                      return handle.manage_account();
                    });
  };
  configure("lease = 60\n");
  assert_adopted(adopt(1, now(), kFile));
  // The first is the helper's answer; the second is a hit.
  for (int i = 0; i < 2; ++i) {
    assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
    assert_pam(account_as_member(), PAM_SUCCESS);
  }
  assert_int_equal(counter("hits"), 1);
  let_the_lease_pass();
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_pam(account_as_member(), PAM_AUTHINFO_UNAVAIL);
  tool_output({"flush"});
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_pam(account_as_member(), PAM_AUTHINFO_UNAVAIL);
  configure("lease = 60\n");
  assert_adopted(adopt_unchanged(1, now()));
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  assert_pam(account_as_member(), PAM_SUCCESS);
}

void member_is_refused_by_the_program(void ** /*state*/) {
  write_stack_with_account("helper=" + setuid_helper());
  assert_member_is_refused();
}

void member_is_refused_by_the_socket(void ** /*state*/) {
  write_stack(kService, {"auth required " + module_path(),
                         "account required " + module_path()});
  assert_member_is_refused();
}

// A verification that takes longer than what is left of the lease.
void miss_that_outlives_its_lease_is_refused(void ** /*state*/) {
  static bool has_hashed = false;
  configure("lease = 60\n");
  const std::uint64_t asked = now();
  lease_out();
  auto store = load_store("pbs", PathText(kConfiguration));
  Verifier slow(*store, []() -> CryptFunction {
    has_hashed = true;
    usleep(4'100'000);
    return crypt_rn;
  });
  store->lease = (now() - asked) / 1000 + 4;
  const auto verified = slow.verify(*parse_token_id(kId), kSecret);
  assert_true(has_hashed);
  assert_false(static_cast<bool>(verified));
  assert_true(verified.error().code == Errc::kLease);
}

// Under ProcSubset=pid there is no boot_id, so the process cannot tell whether
// the lease is of this start of the host.
void root_without_all_of_proc_asks_the_socket(void ** /*state*/) {
  write_stack(kService, {"auth required " + module_path(),
                         "account required " + module_path()});
  configure("lease = 60\n");
  write_user_cfg();
  assert_adopted(adopt(1, now(), kFile));
  const auto without_all_of_proc = [](const std::function<int()> &ask) {
    return in_child([&] {
      return unshare(CLONE_NEWNS) == 0 &&
                     mount("proc", "/proc", "proc", 0, "subset=pid") == 0
                 ? ask()
                 : -1;
    });
  };
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(
        without_all_of_proc([] { return authenticate(kId, kSecret); }),
        PAM_SUCCESS);
    assert_int_equal(without_all_of_proc(account), PAM_SUCCESS);
    remove_segments();
  }
  let_the_lease_pass();
  assert_int_equal(
      without_all_of_proc([] { return authenticate(kId, kSecret); }),
      PAM_AUTHINFO_UNAVAIL);
  assert_int_equal(without_all_of_proc(account), PAM_AUTHINFO_UNAVAIL);
}

// --- no change of the cache loses it

std::optional<std::uint64_t> lease_in_segment(Kind kind = Kind::kSecrets) {
  const auto view =
      view_of(PathText(kind == Kind::kSecrets ? kShadow : kUserCfg));
  auto found = view ? find_segment({kind, *view}) : std::nullopt;
  return found ? found->segment.lease() : std::nullopt;
}

// A lease is of one clock.  A miss must not try each time, under the lock and
// by a walk through the kernel's table, to give it to a segment of another one.
void segment_of_another_clock_is_not_healed(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  remove_segments();
  assert_int_equal(
      in_child([] {
        return unshare(CLONE_NEWTIME) == 0 ? run_tool({"flush"}).status : -1;
      }),
      0);
  const auto store = load_store("pbs", PathText(kConfiguration));
  locks_taken = 0;
  Cache(*store, Kind::kSecrets).heal();
  assert_int_equal(locks_taken, 0);
  assert_false(lease_in_segment().has_value());
  tool_output({"flush"});
  Cache(*store, Kind::kSecrets).heal();
  assert_int_equal(locks_taken, 1);
  assert_true(lease_in_segment().has_value());
}

// Else nothing would be a hit there until the next adopt.
void segment_that_is_made_later_has_the_lease(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  const std::uint64_t term = pack(parse_lease(read_file(kLease))->term);
  const std::function<void()> losses[] = {[] {}, [] { remove_segments(); },
                                          [] { tool_output({"flush"}); }};
  for (const auto &lose : losses) {
    lose();
    for (int i = 0; i < 2; ++i) {
      assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
      assert_pam(account(), PAM_SUCCESS);
    }
    assert_true(lease_in_segment() == term);
    assert_true(lease_in_segment(Kind::kAccounts) == term);
    const auto hits = counter("hits");
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_int_equal(counter("hits"), hits + 1);
  }
}

void refusal_outlives_what_becomes_of_the_segment(void ** /*state*/) {
  lease_out_and_let_it_pass();
  const auto assert_all_refused = [] {
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
    assert_pam(account(), PAM_AUTHINFO_UNAVAIL);
  };
  write_stack_with_account("nocache");
  assert_all_refused();
  write_stack_with_account();
  tool_output({"flush"});
  assert_all_refused();
  remove_segments();
  assert_all_refused();
  helper_output({"set", "--", kId}, kSecret);
  assert_all_refused();
  assert_int_equal(
      in_child([] {
        return unshare(CLONE_NEWIPC) == 0 ? authenticate(kId, kSecret) : -1;
      }),
      PAM_AUTHINFO_UNAVAIL);
}

void lease_in_force_outlives_what_becomes_of_the_segment(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  const auto assert_all_let_in = [] {
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_pam(account(), PAM_SUCCESS);
  };
  write_stack_with_account("nocache");
  assert_all_let_in();
  write_stack_with_account();
  tool_output({"flush"});
  assert_all_let_in();
  remove_segments();
  assert_all_let_in();
  assert_int_equal(
      in_child([] {
        return unshare(CLONE_NEWIPC) == 0 ? authenticate(kId, kSecret) : -1;
      }),
      PAM_SUCCESS);
}

// --- whose lease it is

void rewrite_lease(const std::function<void(Lease *)> &change) {
  auto lease = parse_lease(read_file(kLease));
  assert_true(lease.has_value());
  change(&*lease);
  write_file(kLease, text_of(*lease).view(), 0640);
}

void assert_miss_refused(const std::string &why) {
  tool_output({"flush"});
  const RunResult outcome = run_helper({"verify", "--", kId}, kSecret);
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err, "pbstoken-helper: cannot use " + kLease +
                                     ": " + why + ", reason=lease\n");
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
}

void lease_of_another_boot_clock_or_form_is_none(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  rewrite_lease([](Lease *lease) { ++lease->clock; });
  assert_miss_refused("the lease is of another time namespace");
  rewrite_lease([](Lease *lease) {
    lease->boot = BootId("00000000-0000-4000-8000-000000000000");
  });
  assert_miss_refused("the lease is of another boot");
  rewrite_lease([](Lease *lease) { lease->term.asked = UINT64_MAX; });
  const auto refuse = [](const std::string &text, const std::string &why) {
    write_file(kLease, text, 0640);
    assert_miss_refused(why);
  };
  refuse("", "not what 'pbstoken adopt' writes");
  refuse(std::string(100'000, 'x'), "not what 'pbstoken adopt' writes");
  std::filesystem::remove(kLease);
  assert_miss_refused("there is no lease");
  assert_adopted(adopt(1, now(), kFile));
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// Whoever owns the directory leads no reader elsewhere.
void lease_that_is_no_file_is_none(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  tool_output({"flush"});
  std::filesystem::rename(kLease, kLease + ".moved");
  std::filesystem::create_symlink(kLease + ".moved", kLease);
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_int_equal(run_helper({"verify", "--", kId}, kSecret).status, 4);
}

// --- adopt

void adopt_replaces_the_file_and_keeps_its_access(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_int_equal(chmod(kShadow, 0600), 0);
  assert_adopted(adopt(7, now(), kOtherFile));
  assert_text_equal(read_file(kShadow), kOtherFile);
  const struct stat file = status_of(kShadow);
  assert_int_equal(file.st_mode & 07777, 0600);
  assert_int_equal(file.st_uid, kBackup);
  const struct stat lease = status_of(kLease);
  assert_int_equal(lease.st_mode & 07777, 0640);
  assert_int_equal(lease.st_uid, 0);
  assert_int_equal(lease.st_gid, kBackup);
  const auto read = parse_lease(read_file(kLease));
  assert_true(read.has_value());
  assert_int_equal(read->revision, 7);
  assert_int_equal(read->clock, namespace_inode("time"));
  assert_true(read->boot.view() == boot_id()->view());
  assert_true((names_in(kDirectory) ==
               std::set<std::string>{"token.shadow", "token.shadow.lease",
                                     "token.shadow.lock"}));
}

std::string sha256sum(const std::string &path) {
  return run({.path = "/usr/bin/sha256sum", .arguments = {path}})
      .out.substr(0, 64);
}

// The digest is what sha256sum(1) says.
void adopt_writes_the_digest_of_the_file(void ** /*state*/) {
  assert_adopted(adopt(1, now(), kFile));
  const auto lease = parse_lease(read_file(kLease));
  assert_true(lease.has_value());
  assert_true(lease->digest.view() == sha256sum(kShadow));
}

void adopt_of_the_same_file_leaves_it(void ** /*state*/) {
  assert_adopted(adopt(1, now() - 10, kFile));
  const struct stat before = status_of(kShadow);
  const std::uint64_t asked = now();
  for (const bool is_unchanged : {false, true}) {
    assert_adopted(is_unchanged ? adopt_unchanged(1, asked + 1)
                                : adopt(1, asked, kFile));
    assert_int_equal(status_of(kShadow).st_ino, before.st_ino);
    assert_int_equal(parse_lease(read_file(kLease))->term.asked,
                     asked + (is_unchanged ? 1 : 0));
  }
  assert_adopted(adopt(2, now(), kFile));
  assert_int_equal(status_of(kShadow).st_ino, before.st_ino);
  assert_int_equal(parse_lease(read_file(kLease))->revision, 2);
}

// The lease only grows, in the file and in the segment.
void adopt_of_an_earlier_question_renews_nothing(void ** /*state*/) {
  configure("lease = 60\n");
  const std::uint64_t asked = now();
  assert_adopted(adopt(1, asked, kFile));
  assert_adopted(adopt_unchanged(1, asked - kMinute * 1000));
  assert_adopted(adopt(2, asked - kMinute * 1000, kOtherFile));
  assert_int_equal(parse_lease(read_file(kLease))->term.asked, asked);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  assert_int_equal(counter("hits"), 1);
}

// What has run for longer before it was started anew would be in force for
// days.
void adopt_keeps_no_time_of_another_boot_or_clock(void ** /*state*/) {
  const std::vector<std::function<void(Lease *)>> changes = {
      [](Lease *lease) {
        lease->boot = BootId("00000000-0000-4000-8000-000000000000");
      },
      [](Lease *lease) { ++lease->clock; }};
  for (const auto &change : changes) {
    assert_adopted(adopt(1, now(), kFile));
    rewrite_lease([&](Lease *lease) {
      change(lease);
      lease->term.asked += kMinute * 1000;
    });
    const std::uint64_t asked = now();
    assert_adopted(adopt(1, asked, kFile));
    assert_int_equal(parse_lease(read_file(kLease))->term.asked, asked);
  }
}

void adopt_renews_what_is_past(void ** /*state*/) {
  configure("lease = 10\n");
  lease_out();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(account(), PAM_SUCCESS);
  await_end();
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_adopted(adopt_unchanged(1, now()));
  // The first one reads the file again, as its stamp has settled meanwhile.
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(account(), PAM_SUCCESS);
  const std::uint64_t hits = counter("hits");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hits"), hits + 1);
  assert_int_equal(counter("hashes"), 1);
}

// Nothing but adopt puts it right again, and adopt does.
void adopt_replaces_a_lease_of_the_future(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  const std::uint64_t hour = 3'600'000;
  for (const std::uint64_t asked : {now() + hour, UINT64_MAX}) {
    for (const bool is_unchanged : {false, true}) {
      rewrite_lease([asked](Lease *lease) { lease->term.asked = asked; });
      tool_output({"flush"});
      assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
      assert_adopted(is_unchanged ? adopt_unchanged(1, now())
                                  : adopt(1, now(), kFile));
      const std::uint64_t hits = counter("hits");
      assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
      assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
      assert_int_equal(counter("hits"), hits + 1);
    }
  }
}

const std::string kCannotAdopt =
    "cannot adopt for " + std::string(kShadow) + ": ";

void adopt_unchanged_asks_for_the_whole_file(void ** /*state*/) {
  const std::string message = kCannotAdopt +
                              "the whole file is needed: the one that is there "
                              "is not of this revision";
  assert_refused(adopt_unchanged(1, now()), 1, message);
  assert_adopted(adopt(1, now(), kFile));
  const std::string lease = read_file(kLease);
  for (const std::uint64_t revision : {0U, 2U}) {
    assert_refused(adopt_unchanged(revision, now()), 1, message);
  }
  helper_output({"generate", "--", kOldId});
  assert_refused(adopt_unchanged(1, now()), 1, message);
  std::filesystem::remove(kShadow);
  assert_refused(adopt_unchanged(1, now()), 1, message);
  assert_text_equal(read_file(kLease), lease);
  // With it the change of this host goes.
  assert_adopted(adopt(1, now(), kFile));
  assert_text_equal(read_file(kShadow), kFile);
  assert_adopted(adopt_unchanged(1, now()));
}

RunResult adopt_over(const std::string &digest, std::uint64_t revision,
                     const std::string &text) {
  return run({.path = tool_path(),
              .arguments = {"adopt", "--revision", std::to_string(revision),
                            "--asked", std::to_string(now()), "--over", digest},
              .input = text});
}

// What was changed here since the engine's agent has looked stays.
void adopt_replaces_the_file_that_was_seen_alone(void ** /*state*/) {
  const std::string message =
      kCannotAdopt + "the file that is there is not that of --over";
  const std::string none = sha256sum("/dev/null");
  assert_adopted(adopt_over(none, 1, kFile));
  assert_refused(adopt_over(none, 2, kOtherFile), 1, message);
  const std::string seen = sha256sum(kShadow);
  helper_output({"delete", "--", kId});
  const std::string changed = read_file(kShadow);
  const std::string lease = read_file(kLease);
  assert_refused(adopt_over(seen, 2, kOtherFile), 1, message);
  assert_text_equal(read_file(kShadow), changed);
  assert_text_equal(read_file(kLease), lease);
  assert_adopted(adopt_over(sha256sum(kShadow), 2, kOtherFile));
  assert_text_equal(read_file(kShadow), kOtherFile);
  std::filesystem::remove(kShadow);
  assert_refused(adopt_over(seen, 3, kFile), 1, message);
  assert_false(std::filesystem::exists(kShadow));
  assert_adopted(adopt_over(none, 3, kFile));
}

void adopt_lowers_no_revision(void ** /*state*/) {
  assert_adopted(adopt(18446744073709551615U, now(), kRevoked));
  const std::string lease = read_file(kLease);
  assert_refused(adopt(18446744073709551614U, now(), kFile), 1,
                 kCannotAdopt + "a higher revision has been adopted");
  assert_refused(
      adopt(18446744073709551615U, now(), kFile), 1,
      kCannotAdopt + "another file of the same revision has been adopted");
  assert_text_equal(read_file(kShadow), kRevoked);
  assert_text_equal(read_file(kLease), lease);
}

// What it has adopted before is not known to it then.  The owner of a file may
// keep others from it for a while, see fcntl(2), F_SETLEASE.
void adopt_that_cannot_read_the_lease_changes_nothing(void ** /*state*/) {
  assert_adopted(adopt(2, now(), kRevoked));
  const std::string lease = read_file(kLease);
  {
    const UniqueFd holder(open(kLease.c_str(), O_RDWR | O_CLOEXEC));
    const auto before = signal(SIGIO, SIG_IGN);
    assert_int_equal(fcntl(holder.get(), F_SETLEASE, F_WRLCK), 0);
    assert_refused(
        adopt(1, now(), kFile), 4,
        "cannot open " + kLease + ": Resource temporarily unavailable");
    assert_int_equal(fcntl(holder.get(), F_SETLEASE, F_UNLCK), 0);
    signal(SIGIO, before);
  }
  assert_text_equal(read_file(kShadow), kRevoked);
  assert_text_equal(read_file(kLease), lease);
}

void adopt_of_bad_input_changes_nothing(void ** /*state*/) {
  assert_adopted(adopt(1, now(), kFile));
  const std::string lease = read_file(kLease);
  for (const std::string &text :
       {std::string(), std::string("{"), kFile + "}", std::string("[]"),
        kFile.substr(0, 20), std::string("{\"a\":\"\xff\"}"),
        "{}" + std::string(1, '\0')}) {
    const RunResult outcome = adopt(2, now(), text);
    assert_int_equal(outcome.status, 2);
    assert_true(outcome.err.starts_with("pbstoken: standard input"));
  }
  assert_text_equal(read_file(kShadow), kFile);
  assert_text_equal(read_file(kLease), lease);
}

void adopt_of_a_file_that_is_too_large_changes_nothing(void ** /*state*/) {
  assert_adopted(adopt(1, now(), kFile));
  const std::string zeros = scratch("zeros");
  std::ofstream(zeros, std::ios::binary) << "{}";
  std::filesystem::resize_file(zeros, kMaxShadowSize + 1);
  const RunResult outcome = run(
      {.path = "/bin/sh",
       .arguments = {"-c", "exec \"$1\" adopt --revision 2 --asked 1 <\"$2\"",
                     "sh", tool_path(), zeros}});
  assert_refused(outcome, 2, "cannot read standard input: too large");
  assert_text_equal(read_file(kShadow), kFile);
}

void adopt_needs_its_options(void ** /*state*/) {
  assert_refused(run_tool({"adopt"}), 2,
                 "'adopt' needs --revision and --asked");
  assert_refused(run_tool({"adopt", "--asked", "1"}), 2,
                 "'adopt' needs --revision and --asked");
  assert_refused(
      adopt(1, now() + 10'000, kFile), 2,
      "--asked is in the future: it is CLOCK_BOOTTIME in milliseconds, read "
      "before the question");
  assert_refused(run_tool({"adopt", "--revision", "-1", "--asked", "1"}), 2,
                 "not a number: -1");
  for (const std::string &digest :
       {std::string("x"), std::string(63, '0'), std::string(65, '0'),
        std::string(64, 'A'), std::string(64, 'g')}) {
    const RunResult outcome = adopt_over(digest, 1, kFile);
    assert_int_equal(outcome.status, 2);
    assert_true(
        outcome.err.starts_with("pbstoken: not a SHA-256 in lower case: "));
  }
  assert_false(std::filesystem::exists(kShadow));
  assert_false(std::filesystem::exists(kLease));
}

void adopt_is_for_root_alone(void ** /*state*/) {
  const std::string tool = scratch("tool");
  std::filesystem::remove(tool);
  std::filesystem::copy_file(tool_path(), tool);
  assert_int_equal(chmod(tool.c_str(), 04755), 0);
  for (const uid_t user : {kNobody, kBackup}) {
    const RunResult outcome =
        run({.path = tool,
             .arguments = {"adopt", "--revision", "1", "--asked", "1"},
             .input = kFile,
             .prepare = [user] { become(user, {}); }});
    assert_int_equal(outcome.status, 3);
  }
  assert_false(std::filesystem::exists(kShadow));
}

// A token that another file has as before is not hashed anew.
void adopt_keeps_what_is_known(void ** /*state*/) {
  configure("lease = 60\n");
  lease_out();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 1);
  assert_adopted(adopt(2, now(), kOtherFile));
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 1);
  assert_int_equal(counter("rechecks"), 0);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  assert_adopted(adopt(3, now(), kRevoked));
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 2);
}

void adopt_is_in_the_trail_of_changes(void ** /*state*/) {
  const auto lines = trail_of("pbstoken", [] {
    assert_adopted(adopt(5, now(), kFile));
    assert_adopted(adopt(6, now(), kFile));
    assert_adopted(adopt_unchanged(6, now()));
  });
  assert_int_equal(lines.size(), 1);
  assert_text_equal(lines.front(),
                    kTrail + "pbstoken: adopt; uid=0 store=pbs revision=5");
}

// --- what the tool says

std::string lease_in_status() {
  const auto status = status_json();
  return status["lease"].IsString() ? status["lease"].GetString() : "unknown";
}

void status_check_and_explain_say_the_lease(void ** /*state*/) {
  write_user_cfg();
  assert_text_equal(lease_in_status(), "off");
  configure("lease = 60\n");
  const auto assert_said = [](const std::string &state) {
    assert_text_equal(lease_in_status(), state);
    const RunResult check = run_tool({"check"});
    assert_int_equal(check.status, 1);
    assert_true(check.out.find(kLease + ": the lease is " + state +
                               ": no token is let in until 'pbstoken adopt' "
                               "renews it\n") != std::string::npos);
    const RunResult explained = run_tool({"explain", "--", kId});
    assert_true(explained.out.find("the lease is " + state) !=
                std::string::npos);
    assert_int_equal(explained.status, 1);
  };
  write_shadow({{kId, kHash}});
  assert_said("missing");
  assert_adopted(adopt(1, now() - kMinute * 1000, kFile));
  assert_said("past");
  rewrite_lease([](Lease *lease) {
    lease->boot = BootId("00000000-0000-4000-8000-000000000000");
  });
  assert_said("of another boot");
  write_file(kLease, "x", 0640);
  assert_said("malformed");
  assert_adopted(adopt(1, now(), kFile));
  assert_true(lease_in_status().starts_with("valid until 20"));
  const RunResult check = run_tool({"check"});
  assert_true(check.out.find("lease") == std::string::npos);
  const RunResult explained = run_tool({"explain", "--", kId});
  assert_true(explained.out.find("the lease is in force") != std::string::npos);
}

// --- killed at any moment

constexpr std::uint64_t kFirstAsked = 1;

void make_leased_host(Host *host) {
  host->make({"set", true});
  adopt(1, kFirstAsked, kFile);
}

// What is wrong after an adopt of another revision that was killed.
std::string judge_killed(int status) {
  const std::string file = read_file(kShadow);
  const auto lease = parse_lease(read_file(kLease));
  if (file != kFile && file != kOtherFile) {
    return "the file is not whole";
  }
  if (!lease) {
    return "the lease is not whole";
  }
  const bool is_renewed = lease->revision == 2;
  if (is_renewed && file != kOtherFile) {
    return "the lease is newer than its file";
  }
  if (is_renewed != (lease->term.asked > kFirstAsked)) {
    return "the lease is of two revisions";
  }
  if (lease_in_segment().value_or(0) > pack(lease->term)) {
    return "the segment has a later lease";
  }
  if (status == 0 && !is_renewed) {
    return "exit status 0 is not true";
  }
  const RunResult next = adopt(2, now(), kOtherFile);
  if (next.status != 0 || read_file(kShadow) != kOtherFile ||
      names_in(kDirectory).size() != 3) {
    return "the next one does not finish: " + next.err;
  }
  return adopt_unchanged(2, now()).status == 0 ? "" : "it does not stay";
}

// At each call from the first lock on: before it nothing is changed.
void adopt_killed_at_any_call_leaves_file_and_lease(void ** /*state*/) {
  const bool all_well =
      in_workers("adopt", [](Host *host, int worker, Sweep *sweep) {
        make_leased_host(host);
        Moment moment = {.process = 0,
                         .from = SYS_flock,
                         .number = 1 + static_cast<unsigned>(worker)};
        for (long call = 0; call >= 0; moment.number += kWorkers) {
          make_leased_host(host);
          const RunResult outcome =
              host->run_killed({tool_path(), "adopt", "--revision", "2",
                                "--asked", std::to_string(now())},
                               kOtherFile, moment, &call);
          const auto lease = parse_lease(read_file(kLease));
          sweep->count(read_file(kShadow) == kFile     ? "not done"
                       : lease && lease->revision == 2 ? "done"
                                                       : "half");
          if (const std::string wrong = judge_killed(outcome.status);
              !wrong.empty()) {
            sweep->add(name_of(moment, call) + ": " + wrong);
          }
        }
        if (sweep->outcomes["done"] < 5 || sweep->outcomes["not done"] < 20) {
          sweep->add("that is not every call");
        }
      });
  assert_true(all_well);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using namespace pbstoken::testing;
  const CMUnitTest tests[] = {
      PAM_TEST(file_counts_while_its_lease_lasts),
      PAM_TEST(lease_that_is_past_refuses_hits_and_misses),
      PAM_TEST(hit_of_a_handle_sees_the_lease_end),
      PAM_TEST(raised_lease_brings_back_nothing),
      PAM_TEST(lease_of_0_asks_for_none),
      PAM_TEST(helper_refuses_by_the_lease),
      PAM_TEST(writers_go_on_and_leave_the_lease),
      MEMBER_TEST(member_is_refused_by_the_program),
      SOCKET_TEST(member_is_refused_by_the_socket),
      SOCKET_TEST(root_without_all_of_proc_asks_the_socket),
      PAM_TEST(miss_that_outlives_its_lease_is_refused),
      PAM_TEST(refusal_outlives_what_becomes_of_the_segment),
      PAM_TEST(lease_in_force_outlives_what_becomes_of_the_segment),
      PAM_TEST(segment_that_is_made_later_has_the_lease),
      PAM_TEST(segment_of_another_clock_is_not_healed),
      PAM_TEST(lease_of_another_boot_clock_or_form_is_none),
      PAM_TEST(lease_that_is_no_file_is_none),
      PAM_TEST(adopt_replaces_the_file_and_keeps_its_access),
      PAM_TEST(adopt_writes_the_digest_of_the_file),
      PAM_TEST(adopt_of_the_same_file_leaves_it),
      PAM_TEST(adopt_of_an_earlier_question_renews_nothing),
      PAM_TEST(adopt_keeps_no_time_of_another_boot_or_clock),
      PAM_TEST(adopt_renews_what_is_past),
      PAM_TEST(adopt_replaces_a_lease_of_the_future),
      PAM_TEST(adopt_unchanged_asks_for_the_whole_file),
      PAM_TEST(adopt_replaces_the_file_that_was_seen_alone),
      PAM_TEST(adopt_lowers_no_revision),
      PAM_TEST(adopt_that_cannot_read_the_lease_changes_nothing),
      PAM_TEST(adopt_of_bad_input_changes_nothing),
      PAM_TEST(adopt_of_a_file_that_is_too_large_changes_nothing),
      PAM_TEST(adopt_needs_its_options),
      PAM_TEST(adopt_is_for_root_alone),
      PAM_TEST(adopt_keeps_what_is_known),
      PAM_TEST(status_check_and_explain_say_the_lease),
      PAM_TEST(adopt_killed_at_any_call_leaves_file_and_lease),
  };
  const CMUnitTest logged[] = {
      PAM_TEST(lease_that_is_past_is_logged_as_the_reason),
      PAM_TEST(adopt_is_in_the_trail_of_changes),
  };
  const int failed =
      cmocka_run_group_tests_name("lease", tests, nullptr, nullptr);
  return failed + cmocka_run_group_tests_name("lease, logged", logged,
                                              replace_dev, restore_dev);
}
