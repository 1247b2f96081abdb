// SPDX-License-Identifier: BSD-3-Clause
// The tool's explain command: each reason for which a token is refused, on a
// host that has that damage alone.
#include <sched.h>
#include <sys/mount.h>
#include <sys/sem.h>

#include <algorithm>
#include <cinttypes>
#include <ctime>

#include "e2e/exhausted.h"
#include "e2e_socket.h"
#include "pbstoken/limits/hash_gate.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kInstalled = "/usr/sbin/pbstoken-helper";
constexpr const char *kLetIn = "let in, with the right secret";
constexpr const char *kGoodCfg = "user: john@pbs\n\ntoken: john@pbs!client1\n";

void write_cfg(const std::string &text) {
  write_file(kUserCfg, text, 0640);
  assert_int_equal(chown(kUserCfg, kBackup, kBackup), 0);
}

void write_good_store() {
  write_shadow({{kId, kHash}});
  write_cfg(kGoodCfg);
}

// --- what it prints

struct Explained {
  int status;
  std::string verdict;
  std::vector<std::string> lines;  // "NAME: TEXT"
  std::string all;
};

Explained explain(const std::vector<std::string> &options = {},
                  const std::string &id = kId) {
  std::vector<std::string> arguments = options;
  arguments.emplace_back("explain");
  arguments.push_back(id);
  const RunResult outcome = run_tool(arguments);
  assert_text_equal(outcome.err, "");
  Explained explained = {
      .status = outcome.status, .verdict = {}, .lines = {}, .all = outcome.out};
  std::istringstream text(outcome.out);
  std::getline(text, explained.verdict);
  for (std::string line; std::getline(text, line);) {
    const std::size_t colon = line.find(": ");
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    explained.lines.push_back(line.substr(0, colon + 2) + line.substr(value));
  }
  return explained;
}

void assert_line(const Explained &explained, const std::string &line) {
  if (std::find(explained.lines.begin(), explained.lines.end(), line) ==
      explained.lines.end()) {
    fail_msg("no line \"%s\" in\n%s", line.c_str(), explained.all.c_str());
  }
}

void assert_explained(const Explained &explained, int status,
                      const std::string &verdict, const std::string &line) {
  assert_text_equal(explained.verdict, verdict);
  assert_line(explained, line);
  assert_int_equal(explained.status, status);
}

// --- a table of hosts

struct Case {
  std::function<void()> damage;  // of a good store
  int status;
  std::string reason;  // what stands in the verdict, and in a line of its own
  std::string what_to_do;
  std::string name;  // of that line
  std::string before = "refused: ";
};

void assert_cases(const std::vector<Case> &cases,
                  const std::vector<std::string> &options = {}) {
  for (const Case &one : cases) {
    assert_int_equal(clean_host(nullptr), 0);
    write_good_store();
    one.damage();
    const std::string todo = one.what_to_do.empty() ? "" : "; ";
    assert_explained(explain(options), one.status,
                     one.before + one.reason + todo + one.what_to_do,
                     one.name + ": " + one.reason);
  }
}

const std::string kRepair =
    "repair the file; 'pbstoken check' has all that is wrong with it";
const std::string kUnusable =
    "the stored hash is damaged or of no known method, and matches nothing";
const std::string kNewSecret =
    "make a new secret with pbstoken-helper generate";

void good_token_is_let_in(void ** /*state*/) {
  write_good_store();
  const Explained explained = explain();
  const std::string not_used =
      "not used yet: the first process of root that verifies makes it, as "
      "'pbstoken prepare' does";
  const std::vector<std::string> expected = {
      std::string("configuration: ") + kConfiguration +
          " is not there: each setting is the default",
      std::string("token_shadow: ") + kShadow + " has the token",
      "stored_hash: yescrypt",
      std::string("user_cfg: ") + kUserCfg,
      "user: the user is enabled and never expires (line 1)",
      "token: the token is enabled and never expires (line 3)",
      "file_system: this host's own",
      "windows: the limit is 10 wrong secrets of one remote host in 60 s",
      "gate: hashes under way: 0 of 2 for root, 0 of 2 for others",
      "cache_root: " + not_used,
      "accounts_root: " + not_used,
      "as_root: asks the segment, then reads the file",
      "as_member: no group may verify: only services of root do",
      "last_use: nothing was counted yet"};
  configure("max_hashes = 4\n");
  const Explained configured = explain();
  assert_text_equal(configured.verdict, kLetIn);
  assert_int_equal(configured.status, 0);
  assert_int_equal(configured.lines.size(), expected.size());
  assert_text_equal(configured.lines[0],
                    std::string("configuration: ") + kConfiguration);
  for (std::size_t i = 1; i < expected.size(); ++i) {
    assert_text_equal(configured.lines[i], expected[i]);
  }
  assert_text_equal(explained.lines[0], expected[0]);
}

void files_of_the_store_are_reasons(void ** /*state*/) {
  const std::string shadow = kShadow;
  const std::string cfg = kUserCfg;
  assert_cases({
      {[] { configure("cache_tll = 5\n"); }, 1,
       std::string(kConfiguration) + ":1: cache_tll: unknown key",
       "correct it: until then no service lets a token in", "configuration"},
      {[] { write_file(kShadow, "{\n\"a@pbs!t\": \"x\n"); }, 1,
       shadow + ":2:14: malformed JSON: Invalid escape character in string.",
       kRepair, "token_shadow"},
      {[] {
         std::filesystem::remove(kShadow);
         std::filesystem::create_directory(kShadow);
       },
       1, "cannot use " + shadow + ": not a regular file", kRepair,
       "token_shadow"},
      {[] { std::filesystem::remove(kShadow); }, 5, shadow + " is not there",
       "'pbstoken list' has those that are there", "token_shadow",
       "no such token: "},
      {[] { std::filesystem::remove_all(kDirectory); }, 5,
       shadow + " is not there", "'pbstoken init' makes its directory",
       "token_shadow", "no such token: "},
      {[] { write_shadow({{kOldId, kOldHash}}); }, 5,
       shadow + " does not have it", "'pbstoken list' has those that are there",
       "token_shadow", "no such token: "},
      {[] { write_shadow({{kId, "$y$j9T$"}}); }, 1, kUnusable, kNewSecret,
       "stored_hash"},
      {[] { write_file(kShadow, "{\"john@pbs!client1\": 7}"); }, 1, kUnusable,
       kNewSecret, "stored_hash"},
      {[] { write_cfg("user: john@pbs\nnonsense\n"); }, 1,
       cfg + ":2:1: john@pbs: no blank line before a header, or no indent",
       kRepair, "user_cfg"},
      {[] { std::filesystem::remove(kUserCfg); }, 1,
       "the user has no section in " + cfg, "'pbstoken user add' makes one",
       "user"},
      {[] { write_cfg("token: john@pbs!client1\n"); }, 1,
       "the user has no section in " + cfg, "'pbstoken user add' makes one",
       "user"},
      {[] { write_cfg("user: john@pbs\n"); }, 1,
       "the token has no section in " + cfg, "'pbstoken token add' makes one",
       "token"},
      {[] {
         write_cfg("user: john@pbs\n\tenable 0\n\ntoken: john@pbs!client1\n");
       },
       1, "the user is disabled and never expires (line 1)",
       "'pbstoken user enable' lets it in again", "user"},
      {[] { write_cfg(std::string(kGoodCfg) + "\tenable 0\n"); }, 1,
       "the token is disabled and never expires (line 3)",
       "'pbstoken token enable' lets it in again", "token"},
  });
}

std::string in_seconds(std::int64_t seconds) {
  return std::to_string(std::time(nullptr) + seconds);
}

void dates_are_reasons(void ** /*state*/) {
  write_good_store();
  // In the middle of a minute, an hour and a day: the clock goes on.
  struct Date {
    std::int64_t seconds;
    const char *text;
  };
  for (const Date &date :
       {Date{90 + 60 * 60, "1 h"}, Date{-90 - 60 * 60, "1 h"},
        Date{90, "1 min"}, Date{-90, "1 min"}, Date{36 * 60 * 60, "1 d"},
        Date{62 * 86400 + 4000, "62 d"}, Date{-62 * 86400 - 4000, "62 d"}}) {
    write_cfg(std::string(kGoodCfg) + "\texpire " + in_seconds(date.seconds) +
              "\n");
    const Explained explained = explain();
    const bool is_past = date.seconds < 0;
    assert_int_equal(explained.status, is_past ? 1 : 0);
    const std::string line = *std::find_if(
        explained.lines.begin(), explained.lines.end(),
        [](const std::string &one) { return one.starts_with("token: "); });
    const std::string end = std::string(is_past ? ", " : ", in ") + date.text +
                            (is_past ? " ago" : "") + " (line 3)";
    const std::string start = is_past ? "token: the token is enabled but "
                                        "expired 20"
                                      : "token: the token is enabled and "
                                        "expires 20";
    if (!line.starts_with(start) || !line.ends_with(end)) {
      fail_msg("%s: %s", end.c_str(), line.c_str());
    }
    assert_true(!is_past ||
                explained.verdict ==
                    "refused: " + line.substr(line.find(' ') + 1) +
                        "; 'pbstoken token expire' sets another time");
  }
  write_cfg("user: john@pbs\n\texpire 1700000000\n\ntoken: john@pbs!client1\n");
  const Explained explained = explain();
  assert_true(explained.verdict.starts_with(
      "refused: the user is enabled but expired 2023-11-14T22:13:20Z, "));
  assert_true(explained.verdict.ends_with(
      " d ago (line 1); 'pbstoken user expire' sets another time"));
}

void some_things_keep_no_token_out(void ** /*state*/) {
  const std::string entry = std::string("\"") + kId + "\":\"";
  const auto lets_in = [](const std::function<void()> &change,
                          const std::string &line) {
    assert_int_equal(clean_host(nullptr), 0);
    write_good_store();
    change();
    assert_explained(explain(), 0, kLetIn, line);
  };
  lets_in(
      [&] {
        write_file(kShadow, "{" + entry + "*\"," + entry + "*\",\n" + entry +
                                kHash + "\"}");
      },
      std::string("token_shadow: ") + kShadow +
          " has the token 3 times: the last one counts");
  lets_in([] { write_shadow({{kId, kOldHash}}); },
          "stored_hash: sha256crypt, an old hash, cheaper to guess than what "
          "Proxmox makes today");
  lets_in(
      [] {
        configure("user_cfg =\n");
        std::filesystem::remove(kUserCfg);
      },
      "user_cfg: the store names none: there are no account rules");
  lets_in([] { configure("fail_limit = 0\n"); },
          "windows: fail_limit = 0: no limit");
  lets_in([] { configure("max_hashes = 0\n"); },
          "gate: max_hashes = 0: no limit");
  lets_in([] { configure("cache = no\n"); },
          std::string("cache_root: off: ") + kConfiguration +
              ": cache = no; remove that line");
  lets_in([] { configure("cache = no\n"); },
          "as_root: reads the file for each request");
}

void root_needs_no_section(void ** /*state*/) {
  write_shadow({{kOldId, kHash}});
  write_cfg("token: root@pam!old\n");
  const Explained explained = explain({}, kOldId);
  assert_explained(explained, 0, kLetIn,
                   "user: the user is enabled and never expires");
}

// EIO, or a process that is not to be looked into.
void file_that_cannot_be_read_is_exit_4(void ** /*state*/) {
  configure("token_shadow = /proc/1/mem\nuser_cfg =\n");
  const Explained explained = explain();
  assert_int_equal(explained.status, 4);
  assert_true(explained.verdict.starts_with("cannot tell: cannot "));
}

void what_is_no_token_id_is_told_its_form(void ** /*state*/) {
  struct Text {
    const char *id;
    const char *missed;
  };
  for (const Text &text :
       {Text{"john@pbs", "no '!': USER@REALM!TOKEN"},
        Text{"john!client1", "no realm: USER@REALM!TOKEN"},
        Text{"john@pbs!client1:secret",
             "a secret behind it: that belongs into the password"}}) {
    const RunResult outcome = run_tool({"explain", text.id});
    assert_int_equal(outcome.status, 2);
    assert_text_equal(outcome.out, "");
    assert_true(outcome.err.ends_with(std::string(": ") + text.missed + "\n"));
  }
}

// --- limits

void gate_without_a_free_place_is_shown(void ** /*state*/) {
  write_good_store();
  configure("max_hashes = 2\n");
  const auto store = load_store("pbs", PathText(kConfiguration));
  assert_true(static_cast<bool>(store));
  const auto pass = enter_hash_gate(*store, {});
  assert_true(static_cast<bool>(pass));
  assert_explained(explain(), 0, kLetIn,
                   "gate: hashes under way: 1 of 1 for root, 0 of 1 for "
                   "others: the next one waits, 5 s at most");
}

void throttled_hosts_are_counted(void ** /*state*/) {
  write_good_store();
  configure("fail_limit = 2\nfail_window = 600\n");
  // Each time another one: what is known to be wrong costs no hash.
  int number = 0;
  const auto fail_from = [&number](const char *host) {
    const std::string secret = kWrongSecret + std::to_string(++number);
    assert_int_equal(
        run_helper({"--rhost", host, "verify", kId}, secret).status, 1);
  };
  const std::string limit =
      "windows: the limit is 2 wrong secrets of one remote host in 600 s";
  fail_from("10.0.0.1");
  assert_explained(explain(), 0, kLetIn, limit + "; now 1 by 1 host");
  fail_from("10.0.0.2");
  fail_from("10.0.0.2");
  const Explained explained = explain();
  assert_text_equal(explained.verdict, kLetIn);
  const auto windows = std::find_if(
      explained.lines.begin(), explained.lines.end(),
      [](const std::string &line) { return line.starts_with("windows: "); });
  const std::string start =
      limit + "; now 3 by 2 hosts, 1 of them refused for ";
  if (!windows->starts_with(start) ||
      !windows->ends_with(" s: 'pbstoken reset' ends it")) {
    fail_msg("%s", windows->c_str());
  }
}

void objects_that_cannot_be_had_are_named(void ** /*state*/) {
  write_good_store();
  {
    const NoMoreObjects full(kSemaphoreLimit);
    assert_explained(explain(), 0, kLetIn,
                     "gate: the gate of max_hashes is not there and cannot be "
                     "made; 'pbstoken check' says why");
  }
  const NoMoreObjects full(kSegmentLimit);
  assert_explained(explain(), 0, kLetIn,
                   "windows: the windows of fail_limit is not there and cannot "
                   "be made; 'pbstoken check' says why");
}

// --- services that are not root

// A /usr/sbin that has the helper alone.
int install_helper(void **state) {
  if (clean_host_with_members(state) != 0 ||
      mount("tmpfs", "/usr/sbin", "tmpfs", 0, "mode=0755") != 0) {
    return -1;
  }
  write_good_store();
  std::filesystem::copy_file(setuid_helper(), kInstalled);
  return chmod(kInstalled, 04755);
}

int uninstall_helper(void ** /*state*/) {
  std::filesystem::remove_all("/run/pbstoken");
  return umount("/usr/sbin");
}

#define HELPER_TEST(name) \
  cmocka_unit_test_setup_teardown(name, install_helper, uninstall_helper)

void ways_of_a_member_are_shown(void ** /*state*/) {
  // Other tests that run now have sockets of this path, in other places.
  assert_int_equal(unshare(CLONE_NEWNET), 0);
  const std::string program = kInstalled;
  assert_explained(
      explain(), 0, kLetIn,
      "as_member: asks the segment, then the setuid program " + program);
  assert_int_equal(start_socket(), 0);
  const Explained behind_socket = explain();
  stop_socket(nullptr);
  assert_explained(behind_socket, 0, kLetIn,
                   "as_member: asks the segment, then the helper behind "
                   "/run/pbstoken/helper.sock");
  chmod(kInstalled, 0755);
  const std::string why =
      program +
      ": is not setuid root, and there is no socket: no service that is not "
      "root can verify";
  assert_explained(explain(), 1,
                   "let in by services of root alone: " + why +
                       "; 'systemctl enable --now pbstoken-helper.socket', or "
                       "'chmod u+s /usr/sbin/pbstoken-helper'",
                   "as_member: " + why);
  // What keeps all out comes first.
  write_cfg("user: john@pbs\n");
  assert_text_equal(explain().verdict,
                    std::string("refused: the token has no section in ") +
                        kUserCfg + "; 'pbstoken token add' makes one");
  write_cfg(kGoodCfg);
  std::filesystem::remove(kInstalled);
  assert_explained(
      explain(), 0, kLetIn,
      "as_member: asks the segment, then nothing: there is no " + program);
}

// --- use

void last_use_is_shown(void **state) {
  assert_int_equal(clean_host_with_members(state), 0);
  write_good_store();
  assert_line(explain(), "last_use: nothing was counted yet");
  assert_pam(authenticate("other@pbs!t", kSecret), PAM_USER_UNKNOWN);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const Explained explained = explain();
  const std::string line = explained.lines.back();
  assert_true(line.starts_with("last_use: 20"));
  assert_true(line.find("Z, the last of 2 since 20") != std::string::npos);
  write_shadow({{kId, kHash}, {kOldId, kHash}});
  write_cfg(std::string(kGoodCfg) + "\ntoken: root@pam!old\n");
  assert_true(
      explain({}, kOldId).lines.back().starts_with("last_use: never since 20"));
  assert_line(explained, "cache_root: in use");
  assert_line(explained, "cache_members: in use");
}

// --- what it leaves alone

int segments_in_kernel() {
  int used = 0;
  SegmentEntry::last(&used);
  return used;
}

int sets_in_kernel() {
  int used = 0;
  SemaphoreEntry::last(&used);
  return used;
}

void explain_changes_nothing(void ** /*state*/) {
  write_good_store();
  const int segments = segments_in_kernel();
  const int sets = sets_in_kernel();
  const auto before = status_of(kShadow);
  const auto names = names_in(kDirectory);
  assert_int_equal(explain().status, 0);
  assert_int_equal(explain({"--service", "nowhere"}).status, 1);
  assert_int_equal(segments_in_kernel(), segments);
  assert_int_equal(sets_in_kernel(), sets);
  assert_int_equal(status_of(kShadow).st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  assert_true(names_in(kDirectory) == names);
}

void explain_prints_no_hash(void ** /*state*/) {
  write_good_store();
  write_file(kShadow, std::string("{\"") + kId +
                          "\":\"topsecret\",\"topsecret\":" + "\"" + kHash +
                          "\"}");
  for (const char *format : {"text", "json", "json-pretty"}) {
    const RunResult outcome =
        run_tool({"--output-format", format, "explain", kId});
    assert_int_equal(outcome.status, 1);
    assert_true(outcome.out.find("topsecret") == std::string::npos);
    assert_true(outcome.out.find("$y$") == std::string::npos);
  }
}

void json_has_the_verdict_and_each_check(void ** /*state*/) {
  write_good_store();
  const auto good =
      parse_json(tool_output({"--output-format", "json", "explain", kId}));
  assert_text_equal(good["store"].GetString(), "pbs");
  assert_text_equal(good["tokenid"].GetString(), kId);
  assert_true(good["service"].IsNull());
  assert_text_equal(good["verdict"].GetString(), "let in");
  assert_true(good["reason"].IsNull());
  assert_true(good["what_to_do"].IsNull());
  const auto checks = good["checks"].GetArray();
  assert_text_equal(checks[0]["check"].GetString(), "configuration");
  assert_text_equal(checks[2]["check"].GetString(), "stored_hash");
  assert_text_equal(checks[2]["finding"].GetString(), "fine");
  assert_text_equal(checks[2]["text"].GetString(), "yescrypt");
  write_shadow({{kId, "*"}});
  const RunResult bad =
      run_tool({"--output-format", "json-pretty", "explain", kId});
  assert_int_equal(bad.status, 1);
  const auto refused = parse_json(bad.out);
  assert_text_equal(refused["verdict"].GetString(), "refused");
  assert_text_equal(refused["reason"].GetString(), kUnusable);
  assert_text_equal(refused["what_to_do"].GetString(), kNewSecret);
  assert_text_equal(refused["checks"][2]["finding"].GetString(), "refuses");
  configure("x = y\n");
  const auto broken =
      parse_json(run_tool({"--output-format", "json", "explain", kId}).out);
  assert_int_equal(broken["checks"].Size(), 1);
}

// --- the stack of a service

const std::string kStack = "/etc/pam.d/test-of-pbstoken";
const std::string kPlain =
    "auth required pam_pbstoken.so\naccount required pam_pbstoken.so\n";

struct Stack {
  std::string text;
  int status;
  std::string verdict;
  std::string line;  // of the service, without its name
};

void assert_stacks(const std::vector<Stack> &stacks) {
  for (const Stack &stack : stacks) {
    write_file(kStack, stack.text);
    const Explained explained = explain({"--service", "Test-of-pbstoken"});
    std::filesystem::remove(kStack);
    assert_explained(explained, stack.status, stack.verdict,
                     "service: " + stack.line);
  }
}

std::string refused(const std::string &reason, const std::string &what_to_do) {
  return "refused: " + reason + "; " + what_to_do;
}

constexpr const char *kCorrect =
    "correct the option: the line refuses everybody";
constexpr const char *kOthers = "this service takes other tokens";

// pam_authenticate(3) fails for each of them, whatever our line says.
void stack_that_libpam_refuses_lets_nothing_in(void ** /*state*/) {
  write_good_store();
  for (const char *line : {"aut required pam_permit.so", "auth required",
                           "auth", "auth requird pam_permit.so",
                           "auth [success] pam_permit.so", "@include"}) {
    write_file(kStack, kPlain + std::string(line) + "\n");
    const RunResult outcome =
        run_tool({"explain", "--service", "Test-of-pbstoken", kId});
    std::filesystem::remove(kStack);
    if (outcome.status != 1 ||
        outcome.out.find("libpam refuses the stack for this line") ==
            std::string::npos) {
      fail_msg("%s: %d: %s", line, outcome.status, outcome.out.c_str());
    }
  }
}

// libpam and explain are of one mind.
void assert_login(const std::string &text, bool lets_in) {
  write_file(kStack, text);
  const std::string secret = std::string(kSecret) + "\n";
  const RunResult login =
      run({.path = "/usr/bin/pamtester",
           .arguments = {"test-of-pbstoken", kId, "authenticate", "acct_mgmt"},
           .input = secret + secret});
  const Explained explained = explain({"--service", "test-of-pbstoken"});
  std::filesystem::remove(kStack);
  if ((login.status == 0) != lets_in || (explained.status == 0) != lets_in) {
    fail_msg("%s: libpam %d, %s", text.c_str(), login.status,
             explained.all.c_str());
  }
}

// Nor does a line count that libpam does not come to.
void lines_that_are_left_out_keep_nobody_out(void ** /*state*/) {
  write_good_store();
  const std::string end =
      "auth required pam_permit.so\naccount required pam_permit.so\n";
  const std::string fault =
      "libpam refuses the stack for this line: the file "
      "of its module is not there";
  constexpr const char *kRefuses = "libpam refuses each user of the service";
  for (const std::string bad :
       {"auth required pam_not_there.so\n", "auht required pam_permit.so\n",
        "auth requird pam_permit.so\n"}) {
    const std::string ours = " pam_pbstoken.so\n";
    assert_login("auth sufficient" + ours + bad + end, true);
    assert_login(bad + "auth sufficient" + ours + end, false);
    assert_login("auth [success=done default=die]" + ours + bad + end, true);
    assert_login("auth [success=1 default=die]" + ours + bad + end, true);
    assert_login("auth [success=1 default=die]" + ours + end + bad, false);
    assert_login(
        "auth [success=2 default=die]" + ours + "auth optional\n" + bad + end,
        true);
    assert_login(
        "auth [success=1 default=die]" + ours + "auth optional\n" + bad + end,
        false);
  }
  const std::string part = "/etc/pam.d/part-of-pbstoken";
  const std::string bad = "auth required pam_not_there.so\n";
  write_file(part, "auth sufficient pam_pbstoken.so\n");
  assert_login("auth include part-of-pbstoken\n" + bad + end, true);
  assert_login("auth substack part-of-pbstoken\n" + bad + end, false);
  std::filesystem::remove(part);
  const std::string missing = kStack + ":1: ";
  assert_stacks({
      {"auth required /not_there/pam_pbstoken.so\n", 1,
       refused(missing + fault, kRefuses), missing + fault},
      {"auth optional /not_there/pam_pbstoken.so\n", 1,
       refused(missing + "libpam fails this line: the file of its module is "
                         "not there",
               "correct it"),
       missing + "libpam fails this line: the file of its module is not there"},
      {"account optional /not_there/pam_pbstoken.so\n" + kPlain, 0, kLetIn,
       missing + "libpam fails this line: the file of its module is not there"},
      {"session optional pam_not_there.so\n" + kPlain, 0, kLetIn,
       kStack + ":2: auth: asks this store"},
      {"session required pam_not_there.so\n" + kPlain, 1,
       refused(missing + fault, kRefuses), missing + fault},
  });
}

// A line that asks does not make up for one that refuses everybody.
void lines_that_refuse_everybody_are_told_by_their_control(void ** /*state*/) {
  write_good_store();
  for (const std::string option :
       {"cobmined", "[quiet", "store=nowhere", "store=broken",
        "config=/etc/nowhere.conf", "config=/etc/passwd"}) {
    write_file("/etc/pbstoken/broken.conf", "cache_tll = 1\n");
    const std::string bad = " pam_pbstoken.so " + option + "\n";
    const auto assert_bad = [&](const std::string &start, bool lets_in) {
      assert_login(start + bad + kPlain, lets_in);
      assert_login(kPlain + start + bad, lets_in);
    };
    for (const std::string type : {"auth ", "account "}) {
      assert_bad(type + "required", false);
      assert_bad(type + "requisite", false);
      assert_bad(type + "[success=ok default=die]", false);
      assert_bad(type + "[success=done default=bad]", false);
      assert_bad(type + "[success=ok]", false);
      assert_bad(type + "sufficient", true);
      assert_bad(type + "optional", true);
      assert_bad(type + "[success=ok default=ignore]", true);
    }
    assert_bad("password required", true);
    assert_login("auth sufficient pam_pbstoken.so\nauth required" + bad +
                     "account required pam_pbstoken.so\n",
                 true);
    assert_login("auth required" + bad + "account required pam_permit.so\n",
                 false);
  }
  assert_login(
      "auth [default=die service_err=ignore] pam_pbstoken.so x\n" + kPlain,
      true);
  assert_login(
      "auth [default=die authinfo_unavail=ignore] pam_pbstoken.so "
      "store=nowhere\n" +
          kPlain,
      true);
  assert_login("auth required pam_pbstoken.so [quiet#x]\n" + kPlain, true);
  // Of these tokens alone.
  for (const std::string options :
       {"realm=pam map_user=www", "realm=pam combined"}) {
    const std::string others = " pam_pbstoken.so " + options + "\n";
    assert_login("auth required" + others + kPlain, false);
    assert_login(kPlain + "auth requisite" + others, false);
    assert_login("auth sufficient" + others + kPlain, true);
    assert_login(kPlain + "auth optional" + others, true);
  }
  assert_login(
      "auth [success=done user_unknown=ignore default=die] "
      "pam_pbstoken.so realm=pam combined\n" +
          kPlain,
      true);
}

void lines_of_a_stack_are_explained(void ** /*state*/) {
  write_good_store();
  const std::string first = kStack + ":1: auth: ";
  const std::string unknown = "cannot use option cobmined: unknown option";
  const std::string windows =
      "cannot use option quiet\\x0d: a carriage return: the file has line ends "
      "of Windows";
  const std::string none = kStack + " has no auth line with pam_pbstoken.so";
  const std::string others = kStack + " asks other stores alone";
  const std::string pdm = "asks the store of /etc/pbstoken/pdm.conf";
  const std::string realm = "realm= takes no token of the realm pbs";
  const std::string nowhere =
      "cannot open /etc/pbstoken/nowhere.conf: No such file or directory";
  constexpr const char *kCorrectIt = "correct it: the line refuses everybody";
  write_file("/etc/pbstoken/pdm.conf",
             "token_shadow = /etc/proxmox-datacenter-manager/token.shadow\n");
  assert_stacks({
      {"auth required pam_pbstoken.so store=nowhere\n" + kPlain, 1,
       refused(first + nowhere, kCorrectIt), first + nowhere},
      {kPlain, 0, kLetIn, first + "asks this store"},
      {kPlain, 0, kLetIn, kStack + ":2: account: asks this store"},
      {"auth required pam_pbstoken.so cobmined\n", 1,
       refused(first + unknown, kCorrect), first + unknown},
      {"auth required pam_pbstoken.so quiet\r\n", 1,
       refused(first + windows, kCorrect), first + windows},
      {"auth required pam_pbstoken.so\naccount required pam_pbstoken.so "
       "cobmined\n",
       1, refused(kStack + ":2: account: " + unknown, kCorrect),
       kStack + ":2: account: " + unknown},
      {"auth required pam_pbstoken.so\naccount required pam_pbstoken.so "
       "combined\n",
       0, kLetIn, kStack + ":2: account: asks this store"},
      {"auth required pam_pbstoken.so store=pdm\n", 1,
       refused(others, "name one of them with --store or --config"),
       first + pdm},
      {"auth required pam_pbstoken.so config=/etc/pbstoken/pdm.conf\n", 1,
       refused(others, "name one of them with --store or --config"),
       first + pdm},
      {"auth required pam_pbstoken.so config=" + std::string(kConfiguration) +
           "\n" + kPlain,
       0, kLetIn, first + "asks this store"},
      {"auth sufficient pam_pbstoken.so store=pdm\n" + kPlain, 0, kLetIn,
       kStack + ":2: auth: asks this store"},
      {"auth required pam_pbstoken.so combined\n", 1,
       refused(first + realm, kOthers), first + realm},
      {"auth required pam_pbstoken.so combined realm=pbs\n", 0, kLetIn,
       first + "asks this store, for the user john with TOKENID:SECRET as the "
               "password, with the account rules"},
      {"auth required pam_pbstoken.so map_user=www\n", 0, kLetIn,
       first + "asks this store, with the account rules"},
      {"auth [default=ignore] pam_pbstoken.so combined\n" + kPlain, 0, kLetIn,
       first + realm},
      {"auth required pam_unix.so\n", 1,
       refused(none, "pam_pbstoken(8) has such lines"), none},
      {"password required pam_pbstoken.so\nauth required pam_unix.so\n", 1,
       refused(none, "pam_pbstoken(8) has such lines"),
       kStack + ":1: password: asks this store"},
  });
}

void root_is_no_user_to_map_to(void ** /*state*/) {
  write_shadow({{kOldId, kHash}});
  write_cfg("token: root@pam!old\n");
  write_file(kStack, "auth required pam_pbstoken.so map_user=user realm=pam\n");
  const Explained explained =
      explain({"--service", "test-of-pbstoken"}, kOldId);
  std::filesystem::remove(kStack);
  const std::string reason =
      kStack + ":1: auth: map_user=user takes no token of the user root";
  assert_explained(explained, 1, refused(reason, kOthers),
                   "service: " + reason);
}

void stack_without_account_lets_expired_tokens_in(void ** /*state*/) {
  write_good_store();
  write_cfg("user: john@pbs\n\tenable 0\n\ntoken: john@pbs!client1\n");
  const std::string disabled =
      "refused: the user is disabled and never expires (line 1); 'pbstoken "
      "user enable' lets it in again";
  const std::string auth = kStack + ":1: auth: asks this store";
  // An account line of another module says nothing of a token.
  const std::string unix = "account required pam_unix.so\n";
  assert_stacks({
      {"auth required pam_pbstoken.so\n" + unix, 0, kLetIn,
       kStack + " has neither an account line nor check_account: a token that "
                "is disabled or has expired is let in, too"},
      {"auth required pam_pbstoken.so check_account\n" + unix, 1, disabled,
       auth + ", with the account rules"},
      {kPlain, 1, disabled, auth},
  });
}

void files_that_a_stack_takes_in_are_followed(void ** /*state*/) {
  write_good_store();
  const std::string part = "/etc/pam.d/part-of-pbstoken";
  const std::string asks = part + ":1: auth: asks this store";
  write_file(part, kPlain);
  const std::string neither =
      kStack +
      " has neither an account line nor check_account: a token that "
      "is disabled or has expired is let in, too";
  const std::string missing =
      "cannot open /etc/pam.d/not-there: No such file or directory";
  const std::string loop = "cannot follow " + kStack +
                           ": it takes in files, and these others, too deep";
  constexpr const char *kEach = "libpam refuses each user of the service";
  assert_stacks({
      {"@include part-of-pbstoken\n", 0, kLetIn, asks},
      {"@include " + part + "\n", 0, kLetIn, asks},
      {"auth include part-of-pbstoken\naccount required pam_permit.so\n", 0,
       kLetIn, neither},
      {"AUTH\tSubstack part-of-pbstoken\naccount include "
       "part-of-pbstoken\n",
       0, kLetIn, part + ":2: account: asks this store"},
      {"@include not-there\n", 1, refused(missing, kEach), missing},
      {"@include test-of-pbstoken\n", 1, refused(loop, kEach), loop},
  });
  std::filesystem::remove(part);
}

void service_without_a_stack_has_that_of_other(void ** /*state*/) {
  write_good_store();
  const std::string other = read_file("/etc/pam.d/other");
  const std::string none =
      "the stack of other has no auth line with pam_pbstoken.so";
  assert_explained(explain({"--service", "nowhere"}), 1,
                   refused(none, "pam_pbstoken(8) has such lines"),
                   "service: /etc/pam.d/nowhere is not there: libpam takes the "
                   "stack of other");
  write_file("/etc/pam.d/other", kPlain);
  const Explained whole = explain({"--service", "nowhere"});
  // Of one type libpam takes it, too.
  write_file(kStack, "auth required pam_pbstoken.so\n");
  const Explained account = explain({"--service", "test-of-pbstoken"});
  std::filesystem::remove(kStack);
  write_file("/etc/pam.d/other", other);
  assert_explained(whole, 0, kLetIn,
                   "service: /etc/pam.d/other:1: auth: asks this store");
  assert_explained(account, 0, kLetIn,
                   "service: /etc/pam.d/other:2: account: asks this store");
  assert_false(account.all.find("neither") != std::string::npos);
}

void option_service_is_a_services_name(void ** /*state*/) {
  for (const char *name : {"", "../x", "a/b", ".hidden", "a\nb"}) {
    const RunResult outcome = run_tool({"--service", name, "explain", kId});
    assert_int_equal(outcome.status, 2);
    assert_true(
        outcome.err.starts_with("pbstoken: not the name of a PAM service:"));
  }
  assert_text_equal(run_tool({"--service", "x", "list"}).err,
                    "pbstoken: 'list' does not take --service\n");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(good_token_is_let_in),
      E2E_TEST(files_of_the_store_are_reasons),
      E2E_TEST(dates_are_reasons),
      E2E_TEST(some_things_keep_no_token_out),
      E2E_TEST(root_needs_no_section),
      E2E_TEST(file_that_cannot_be_read_is_exit_4),
      E2E_TEST(what_is_no_token_id_is_told_its_form),
      E2E_TEST(gate_without_a_free_place_is_shown),
      E2E_TEST(throttled_hosts_are_counted),
      E2E_TEST(objects_that_cannot_be_had_are_named),
      HELPER_TEST(ways_of_a_member_are_shown),
      E2E_TEST(last_use_is_shown),
      E2E_TEST(explain_changes_nothing),
      E2E_TEST(explain_prints_no_hash),
      E2E_TEST(json_has_the_verdict_and_each_check),
      E2E_TEST(stack_that_libpam_refuses_lets_nothing_in),
      E2E_TEST(lines_that_are_left_out_keep_nobody_out),
      E2E_TEST(lines_that_refuse_everybody_are_told_by_their_control),
      E2E_TEST(lines_of_a_stack_are_explained),
      E2E_TEST(root_is_no_user_to_map_to),
      E2E_TEST(stack_without_account_lets_expired_tokens_in),
      E2E_TEST(files_that_a_stack_takes_in_are_followed),
      E2E_TEST(service_without_a_stack_has_that_of_other),
      E2E_TEST(option_service_is_a_services_name),
  };
  return cmocka_run_group_tests_name("tool_explain", tests,
                                     testing::install_module, nullptr);
}
