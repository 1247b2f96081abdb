// SPDX-License-Identifier: BSD-3-Clause
// `pbstoken token ...` and `user ...`: a token and its section together.
#include <algorithm>
#include <regex>

#include "e2e_log.h"
#include "faults_support.h"
#include "helper_support.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kUsers = "user: john@pbs\n\n";

void write_users(std::string_view text = kUsers) {
  write_file(kUserCfg, text, 0640);
  if (chown(kUserCfg, 0, kBackup) != 0) {
    fail_msg("cannot give %s", kUserCfg);
  }
}

std::string value_of(const std::string &json) {
  return parse_json(json)["value"].GetString();
}

// Adds the token, and returns its secret.
std::string add(std::vector<std::string> options = {}) {
  options.insert(options.begin(), {"--output-format", "json", "token", "add"});
  options.insert(options.end(), {"--", kId});
  return value_of(tool_output(options));
}

int verify_status(const std::string &secret) {
  return run_helper({"verify", "--", kId}, secret).status;
}

int account_status() {
  return run_helper({"account", "--", kId}).status;
}

void assert_fails(const std::vector<std::string> &arguments, int status,
                  const std::string &message) {
  const RunResult outcome = run_tool(arguments);
  assert_text_equal(outcome.err, "pbstoken: " + message + "\n");
  assert_text_equal(outcome.out, "");
  assert_int_equal(outcome.status, status);
}

// --- what each does

void token_add_makes_a_token_that_works(void ** /*state*/) {
  write_users();
  const std::string secret = add({"--comment", "for c", "--expire=2037-01-31"});
  assert_int_equal(verify_status(secret), 0);
  assert_int_equal(account_status(), 0);
  assert_text_equal(read_file(kUserCfg),
                    std::string(kUsers) +
                        "token: john@pbs!client1\n\tcomment for c\n\texpire "
                        "2116972800\n\n");
  assert_int_equal(run_tool({"check"}).status, 0);
  const struct stat status = status_of(kUserCfg);
  assert_int_equal(status.st_uid, 0);
  assert_int_equal(status.st_gid, kBackup);
  assert_int_equal(status.st_mode & 0777U, 0640);
}

void token_add_prints_as_generate_does(void ** /*state*/) {
  write_users();
  const RunResult outcome = run_tool({"token", "add", kId});
  assert_text_equal(outcome.err, "");
  assert_true(std::regex_match(
      outcome.out,
      std::regex("tokenid: john@pbs!client1\nvalue:   [0-9a-f-]{36}\n")));
}

void token_add_of_what_is_there_changes_nothing(void ** /*state*/) {
  write_users();
  const std::string secret = add();
  assert_fails({"token", "add", kId}, 1,
               "/etc/proxmox-backup/user.cfg has a section of the token "
               "john@pbs!client1; 'pbstoken-helper generate' makes a new "
               "secret");
  assert_int_equal(verify_status(secret), 0);
}

void token_add_wants_its_user(void ** /*state*/) {
  write_users("");
  assert_fails({"token", "add", kId}, 1,
               "/etc/proxmox-backup/user.cfg has no section of the user "
               "john@pbs; 'pbstoken user add' makes one");
  assert_false(std::filesystem::exists(kShadow));
  // root@pam exists without one.
  tool_output({"token", "add", kOldId});
}

void disabled_token_is_made_and_warned_of(void ** /*state*/) {
  write_users();
  const RunResult added = run_tool({"token", "add", "--disabled", kId});
  assert_int_equal(added.status, 0);
  assert_text_equal(added.err,
                    "pbstoken: warning: the token john@pbs!client1 is "
                    "disabled: it will work neither at Proxmox nor where "
                    "account rules are asked; run pbstoken token enable -- "
                    "'john@pbs!client1'\n");
  assert_int_equal(account_status(), 1);
  tool_output({"token", "enable", kId});
  assert_int_equal(account_status(), 0);
}

// What was asked for stands, and the token is refused as before.
void change_that_lets_no_token_in_is_warned_of(void ** /*state*/) {
  const std::string rules =
      " work neither at Proxmox nor where account rules are asked; run "
      "pbstoken ";
  const std::string token = "pbstoken: warning: the token john@pbs!client1 ";
  const std::string user = "pbstoken: warning: the user john@pbs ";
  const std::string its = ": its tokens" + rules;
  const std::string it = ": it will" + rules;
  const std::string disabled = "user: john@pbs\n\tenable 0\n\n";
  const std::string expired = "user: john@pbs\n\texpire 1577836800\n\n";
  const struct {
    std::string users;
    std::vector<std::string> words;
    std::string warning;
  } cases[] = {
      {disabled,
       {"token", "enable", kId},
       user + "is disabled" + it + "user enable -- 'john@pbs'\n"},
      {expired,
       {"token", "expire", kId, "90d"},
       token + "or its user has expired" + it +
           "token expire -- 'john@pbs!client1' never, or the same with user "
           "expire\n"},
      {"user: john@pbs\n\n",
       {"token", "expire", kId, "2020-01-31"},
       token + "or its user has expired" + it +
           "token expire -- 'john@pbs!client1' never, or the same with user "
           "expire\n"},
      {expired,
       {"user", "enable", "john@pbs"},
       user + "has expired" + its + "user expire -- 'john@pbs' never\n"},
      {disabled,
       {"user", "expire", "john@pbs", "never"},
       user + "is disabled" + its + "user enable -- 'john@pbs'\n"},
      {disabled, {"token", "disable", kId}, ""},
      {disabled, {"user", "disable", "john@pbs"}, ""},
      {disabled, {"user", "enable", "john@pbs"}, ""},
      {expired, {"user", "expire", "john@pbs", "90d"}, ""},
  };
  for (const auto &c : cases) {
    write_users(c.users + "token: " + kId + "\n\n");
    const RunResult changed = run_tool(c.words);
    assert_int_equal(changed.status, 0);
    assert_text_equal(changed.err, c.warning);
  }
}

void token_remove_ends_both(void ** /*state*/) {
  write_users();
  const std::string secret = add();
  assert_int_equal(verify_status(secret), 0);
  tool_output({"token", "remove", kId});
  assert_int_equal(verify_status(secret), 5);
  assert_int_equal(account_status(), 1);
  assert_text_equal(read_file(kUserCfg), kUsers);
  assert_text_equal(read_file(kShadow), "{}");
  assert_fails({"token", "remove", kId}, 5, "no such token");
}

// As an earlier run may have left it.
void token_remove_takes_either_half(void ** /*state*/) {
  write_users();
  generate(kId);
  tool_output({"token", "remove", kId});
  assert_text_equal(read_file(kShadow), "{}");
  write_users(std::string(kUsers) + "token: john@pbs!client1\n\n");
  tool_output({"token", "remove", kId});
  assert_text_equal(read_file(kUserCfg), kUsers);
}

void token_add_finishes_a_half(void ** /*state*/) {
  write_users();
  const std::string old_secret = generate(kId);
  const std::string secret = add();
  assert_int_equal(verify_status(old_secret), 1);
  assert_int_equal(verify_status(secret), 0);
  assert_int_equal(account_status(), 0);
}

void changes_of_a_token_count_at_once(void ** /*state*/) {
  write_users();
  add();
  assert_int_equal(account_status(), 0);
  const std::vector<std::pair<std::vector<std::string>, int>> changes = {
      {{"token", "disable", kId}, 1},
      {{"token", "enable", kId}, 0},
      {{"token", "expire", kId, "2020-01-01"}, 1},
      {{"token", "expire", kId, "1h"}, 0},
      {{"token", "expire", kId, "0s"}, 1},
      {{"token", "expire", kId, "never"}, 0},
      {{"user", "disable", "john@pbs"}, 1},
      {{"user", "enable", "john@pbs"}, 0},
      {{"user", "expire", "john@pbs", "2020-01-01T00:00:00Z"}, 1},
      {{"user", "expire", "john@pbs", "never"}, 0},
      {{"token", "comment", kId, "of a day"}, 0},
  };
  for (const auto &[arguments, expected] : changes) {
    assert_text_equal(tool_output(arguments), "");
    if (account_status() != expected) {
      fail_msg("%s %s: %s", arguments[0].c_str(), arguments[1].c_str(),
               read_file(kUserCfg).c_str());
    }
  }
  assert_true(read_file(kUserCfg).find("\tcomment of a day\n") !=
              std::string::npos);
  tool_output({"token", "comment", kId, ""});
  assert_true(read_file(kUserCfg).find("comment") == std::string::npos);
}

void user_add_makes_a_user(void ** /*state*/) {
  write_users("");
  tool_output({"user", "add", "--comment=who c", "j\xc3\xb6rg@pam"});
  assert_text_equal(read_file(kUserCfg),
                    "user: j\xc3\xb6rg@pam\n\tcomment who c\n\n");
  assert_fails({"user", "add", "j\xc3\xb6rg@pam"}, 1,
               "/etc/proxmox-backup/user.cfg has a section of the user "
               "j\xc3\xb6rg@pam");
  tool_output({"token", "add", "j\xc3\xb6rg@pam!c"});
}

void what_is_not_there_is_not_changed(void ** /*state*/) {
  write_users();
  assert_fails({"token", "disable", kId}, 5,
               "/etc/proxmox-backup/user.cfg has no section of the token "
               "john@pbs!client1; 'add' makes one");
  assert_fails({"user", "enable", "x@pbs"}, 5,
               "/etc/proxmox-backup/user.cfg has no section of the user "
               "x@pbs; 'add' makes one");
  assert_text_equal(read_file(kUserCfg), kUsers);
}

void malformed_user_cfg_is_left_alone(void ** /*state*/) {
  write_users("user: john@pbs\n\tpassword topsecret\n");
  generate(kId);
  const std::string shadow = read_file(kShadow);
  constexpr const char *kWhy =
      "/etc/proxmox-backup/user.cfg:2:2: john@pbs: unknown property";
  assert_fails({"token", "add", "john@pbs!new"}, 4, kWhy);
  assert_fails({"user", "add", "x@pbs"}, 4, kWhy);
  assert_fails({"token", "remove", kId}, 4,
               std::string(kWhy) +
                   "\npbstoken: nothing was removed: 'pbstoken-helper delete' "
                   "removes the secret, which ends the token");
  assert_text_equal(read_file(kShadow), shadow);
}

// The secret cannot be removed either.
void token_remove_on_a_full_disk_says_no_more(void ** /*state*/) {
  assert_int_equal(mount("tmpfs", kDirectory, "tmpfs", 0, "mode=0700,size=64k"),
                   0);
  write_users();
  add();
  std::string filling(256UL << 10U, 'x');
  std::ofstream(std::string(kDirectory) + "/filling") << filling;
  assert_fails({"token", "remove", kId}, 4,
               "cannot write a temporary file beside "
               "/etc/proxmox-backup/user.cfg: No space left on device");
  assert_int_equal(umount(kDirectory), 0);
}

void store_without_users_has_no_sections(void ** /*state*/) {
  configure("user_cfg =\n");
  for (const std::vector<std::string> &arguments :
       {std::vector<std::string>{"token", "add", kId},
        {"token", "remove", kId},
        {"token", "disable", kId},
        {"user", "add", "john@pbs"}}) {
    assert_fails(arguments, 4,
                 "the store has no user_cfg: 'pbstoken-helper generate' makes "
                 "a token, 'pbstoken-helper delete' removes it");
  }
}

void others_than_root_are_refused(void ** /*state*/) {
  write_users();
  for (const Person &person : {kStranger, kMember, kAdmin}) {
    const RunResult outcome =
        run_as(person, install_tool(), {"token", "add", kId});
    assert_exit(outcome, 3, person.name);
  }
  assert_text_equal(read_file(kUserCfg), kUsers);
}

// --- beside upstream

void both_words_are_raised(void ** /*state*/) {
  const bool all_well =
      in_workers("words", [](Host *host, int /*worker*/, Sweep *sweep) {
        host->make({"set", true});
        write_users();
        const auto word = [](std::size_t place) {
          return Host::version_word(place);
        };
        const auto run_and_compare = [&](std::vector<std::string> arguments,
                                         bool of_tokens) {
          const std::uint64_t users = word(8);
          const std::uint64_t tokens = word(32);
          const RunResult outcome = run_tool(arguments);
          sweep->count(std::to_string(outcome.status));
          if (outcome.status != 0 || word(8) != users + 1 ||
              word(32) != tokens + (of_tokens ? 1 : 0)) {
            sweep->add(arguments[0] + " " + arguments[1] + outcome.err);
          }
        };
        run_and_compare({"token", "add", kId}, true);
        run_and_compare({"token", "disable", kId}, false);
        run_and_compare({"user", "expire", "john@pbs", "90d"}, false);
        run_and_compare({"token", "remove", kId}, true);
      });
  assert_true(all_well);
}

// user_lock first; whoever has either keeps the change from being done.
void both_locks_are_taken(void ** /*state*/) {
  write_users();
  const auto store = load_store("pbs", PathText(kConfiguration));
  assert_true(static_cast<bool>(store));
  for (const PathText *path : {&store->user_lock, &store->lock_file}) {
    const auto lock = FileLock::acquire(*store, *path, 1);
    assert_true(static_cast<bool>(lock));
    const RunResult outcome = run_tool({"token", "add", kId});
    assert_int_equal(outcome.status, 4);
    assert_true(outcome.err.find(path->view()) != std::string::npos);
    assert_true(outcome.err.ends_with(
        "pbstoken: the secret that was printed does not count\n"));
    assert_false(std::filesystem::exists(kShadow));
    assert_text_equal(read_file(kUserCfg), kUsers);
  }
}

void changes_are_in_the_trail(void ** /*state*/) {
  write_users();
  const auto trail = trail_of("pbstoken", [] {
    tool_output({"token", "add", kId});
    tool_output({"user", "disable", "john@pbs"});
    tool_output({"token", "remove", kId});
  });
  assert_int_equal(trail.size(), 3);
  assert_text_equal(trail[0], kTrail +
                                  "pbstoken: token add; uid=0 store=pbs "
                                  "tokenid=john@pbs!client1");
  assert_text_equal(
      trail[1],
      kTrail + "pbstoken: user disable; uid=0 store=pbs userid=john@pbs");
  assert_text_equal(trail[2], kTrail +
                                  "pbstoken: token remove; uid=0 store=pbs "
                                  "tokenid=john@pbs!client1");
}

void file_with_another_group_is_given_back(void ** /*state*/) {
  write_users();
  if (chown(kDirectory, kBackup, kBackup) != 0 || chown(kUserCfg, 0, 0) != 0) {
    fail_msg("cannot chown");
  }
  const RunResult outcome = run_tool({"user", "disable", "john@pbs"});
  assert_text_equal(outcome.err,
                    "pbstoken: /etc/proxmox-backup/user.cfg had another group "
                    "or mode than the daemons need: it has that of file_group "
                    "and 0640 again\n");
  assert_int_equal(status_of(kUserCfg).st_gid, kBackup);
  assert_int_equal(status_of(kUserCfg).st_uid, 0);
}

// The page's counters, the lock of users, the lock of tokens; token.shadow,
// then user.cfg; and neither lock is given back before.
void files_change_in_order_under_both_locks(void ** /*state*/) {
  const bool all_well =
      in_workers("order", [](Host *host, int /*worker*/, Sweep *sweep) {
        for (const bool is_add : {true, false}) {
          if (is_add) {
            host->make({"set", true});
            write_users();
          }
          host->run_traced({"-y", "-e", "trace=flock,renameat", tool_path(),
                            "token", is_add ? "add" : "remove", kId},
                           "");
          std::string order;
          std::istringstream trace(host->trace());
          for (std::string line; std::getline(trace, line);) {
            const bool is_lock = line.find(" flock(") != std::string::npos;
            const bool is_user =
                line.find(is_lock ? ".user.lck>" : "\"user.cfg\"") !=
                std::string::npos;
            order += is_lock && line.find("LOCK_UN") != std::string::npos ? "-"
                     : is_lock ? (is_user ? "U" : "T")
                     : is_user ? "u"
                     : line.find("\"token.shadow\"") != std::string::npos ? "t"
                                                                          : "";
          }
          sweep->count(order);
          // A new lock file is renamed, too, but to another name.
          if (order != "UTtu--") {
            sweep->add(host->trace());
          }
        }
      });
  assert_true(all_well);
}

// A file that is a mount point cannot be replaced.
void section_that_cannot_be_written_leaves_no_secret(void ** /*state*/) {
  write_users();
  if (mount(kUserCfg, kUserCfg, nullptr, MS_BIND, nullptr) != 0) {
    fail_msg("cannot mount");
  }
  log_lines();
  const RunResult added =
      run_tool({"--output-format", "json", "token", "add", kId});
  const std::string secret = value_of(added.out);
  const int verified = verify_status(secret);
  const auto lines = log_lines();
  umount(kUserCfg);
  assert_int_equal(added.status, 4);
  assert_true(added.err.ends_with(
      "pbstoken: the secret that was printed does not count\n"));
  assert_int_equal(verified, 5);
  assert_text_equal(read_file(kShadow), "{}");
  for (const std::string &line : lines) {
    assert_true(line.find(">pbstoken[") == std::string::npos);
  }
}

void section_that_cannot_be_removed_is_told_and_logged(void ** /*state*/) {
  write_users();
  const std::string secret = add();
  if (mount(kUserCfg, kUserCfg, nullptr, MS_BIND, nullptr) != 0) {
    fail_msg("cannot mount");
  }
  log_lines();
  const RunResult removed = run_tool({"token", "remove", kId});
  const int verified = verify_status(secret);
  const auto lines = log_lines();
  umount(kUserCfg);
  assert_int_equal(removed.status, 7);
  assert_true(removed.err.ends_with(
      "pbstoken: the token has no secret any more, and still its section: run "
      "the same again\n"));
  assert_int_equal(verified, 5);
  assert_true(
      std::any_of(lines.begin(), lines.end(), [](const std::string &line) {
        return line.find("token remove; uid=0") != std::string::npos;
      }));
  tool_output({"token", "remove", kId});
  assert_text_equal(read_file(kUserCfg), kUsers);
}

// SIGTERM at the first of both renames: the second must follow, and the exit
// status is told.
void signal_between_the_files_leaves_no_half(void ** /*state*/) {
  const bool all_well =
      in_workers("signal", [](Host *host, int /*worker*/, Sweep *sweep) {
        for (const bool is_add : {true, false}) {
          if (is_add) {
            host->make({"set", true});
            write_users();
            write_file(kShadow, "{}", 0640);
            tool_output({"user", "enable", "john@pbs"});
          }
          const RunResult outcome = host->run_traced(
              {"-P", kShadow, "-e", "trace=renameat", "-e",
               "inject=renameat:signal=SIGTERM:when=1", tool_path(), "token",
               is_add ? "add" : "remove", kId},
              "");
          sweep->count(std::to_string(outcome.status));
          const bool has_secret =
              read_file(kShadow).find(kId) != std::string::npos;
          const bool has_section =
              read_file(kUserCfg).find(kId) != std::string::npos;
          if (outcome.status != 0 || has_secret != is_add ||
              has_section != is_add) {
            sweep->add(std::string(is_add ? "add" : "remove") + ": " +
                       outcome.err + host->trace());
          }
        }
      });
  assert_true(all_well);
}

// Of several at once one makes the token, and each says what is so.
void token_is_added_once(void ** /*state*/) {
  write_users();
  const std::string outputs = scratch("adds");
  std::filesystem::create_directory(outputs);
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(start_child([&] {
      const RunResult added =
          run_tool({"--output-format", "json", "token", "add", kId});
      write_file(outputs + "/" + std::to_string(i) +
                     (added.status == 0 ? ".good" : ".bad"),
                 added.out);
      const bool is_told =
          added.err.ends_with(
              "pbstoken: the secret that was printed does not count\n") ||
          added.out.empty();
      return added.status == 0 || (added.status == 1 && is_told) ? 0 : 1;
    }));
  }
  for (const pid_t child : children) {
    assert_int_equal(wait_for(child), 0);
  }
  int good = 0;
  for (const std::string &name : names_in(outputs)) {
    const std::string text = read_file(outputs + "/" + name);
    const bool is_good = name.ends_with(".good");
    good += is_good ? 1 : 0;
    if (!text.empty()) {
      assert_int_equal(verify_status(value_of(text)), is_good ? 0 : 1);
    }
  }
  assert_int_equal(good, 1);
  std::filesystem::remove_all(outputs);
}

void one_lock_for_both_files_is_refused(void ** /*state*/) {
  write_users();
  configure(std::string("user_lock = ") + kLock + "\n");
  const RunResult outcome = run_tool({"token", "remove", kId});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err,
                    "pbstoken: cannot use /etc/proxmox-backup/"
                    "token.shadow.lock: user_lock and lock_file are the same "
                    "file\n");
}

void user_who_comes_back_brings_tokens(void ** /*state*/) {
  write_users("token: john@pbs!client1\n\ntoken: john@pbs!c2\n\n");
  const RunResult outcome = run_tool({"user", "add", "john@pbs"});
  assert_int_equal(outcome.status, 0);
  assert_text_equal(outcome.err,
                    "pbstoken: warning: the user has tokens already, and they "
                    "count again: 2; see pbstoken list\n");
}

// --- killed at any moment

struct State {
  bool secret;
  bool section;
};

State state_now() {
  return {read_file(kShadow).find(kId) != std::string::npos,
          std::filesystem::exists(kUserCfg) &&
              read_file(kUserCfg).find(kId) != std::string::npos};
}

// Without a token, or with one.
void make_host(Host *host, bool with_token) {
  host->make({"set", true});
  write_users();
  write_file(kShadow, "{}", 0640);
  if (chown(kShadow, kBackup, kBackup) != 0) {
    std::abort();
  }
  if (with_token) {
    run_tool({"token", "add", kId});
  }
}

// What is wrong after a run that was killed.
std::string judge(const State &now, bool is_add, int status) {
  // The secret comes first, and goes first.
  if (is_add ? now.section && !now.secret : now.secret && !now.section) {
    return "the section was changed first";
  }
  if (now.secret != now.section) {
    const RunResult check = run_tool({"check"});
    if (check.status != 1 ||
        check.out.find(now.secret ? ": a secret and no section"
                                  : ": a section and no secret") ==
            std::string::npos) {
      return "check does not say what is left: " + check.out + check.err;
    }
  }
  if (status == 0 && now.secret != is_add) {
    return "exit status 0 is not true";
  }
  const bool is_done = now.secret == is_add && now.section == is_add;
  const RunResult again = run_tool({"token", is_add ? "add" : "remove", kId});
  const State after = state_now();
  if (again.status != (!is_done ? 0
                       : is_add ? 1
                                : 5) ||
      after.secret != is_add || after.section != is_add) {
    return "the next run does not finish: " + again.err;
  }
  return {};
}

// At each call from the first lock on: before it nothing is changed.
void kill_at_every_call(bool is_add) {
  const bool all_well = in_workers(
      is_add ? "token add" : "token remove",
      [&](Host *host, int worker, Sweep *sweep) {
        Moment moment = {.process = 0,
                         .from = SYS_flock,
                         .number = 1 + static_cast<unsigned>(worker)};
        for (long call = 0; call >= 0; moment.number += kWorkers) {
          make_host(host, !is_add);
          const RunResult outcome = host->run_killed(
              {tool_path(), "token", is_add ? "add" : "remove", kId}, "",
              moment, &call);
          const State now = state_now();
          sweep->count(now.secret != now.section ? "half"
                       : now.secret == is_add    ? "done"
                                                 : "not done");
          if (const std::string wrong = judge(now, is_add, outcome.status);
              !wrong.empty()) {
            sweep->add(name_of(moment, call) + ": " + wrong);
          }
        }
        if (sweep->outcomes["half"] < 5 || sweep->outcomes["done"] < 5 ||
            sweep->outcomes["not done"] < 20) {
          sweep->add("that is not every call");
        }
      });
  assert_true(all_well);
}

void token_add_killed_at_any_call_can_be_finished(void ** /*state*/) {
  kill_at_every_call(true);
}

void token_remove_killed_at_any_call_can_be_finished(void ** /*state*/) {
  kill_at_every_call(false);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(token_add_makes_a_token_that_works),
      E2E_TEST(token_add_prints_as_generate_does),
      E2E_TEST(token_add_of_what_is_there_changes_nothing),
      E2E_TEST(token_add_wants_its_user),
      E2E_TEST(disabled_token_is_made_and_warned_of),
      E2E_TEST(change_that_lets_no_token_in_is_warned_of),
      E2E_TEST(token_remove_ends_both),
      E2E_TEST(token_remove_takes_either_half),
      E2E_TEST(token_add_finishes_a_half),
      E2E_TEST(changes_of_a_token_count_at_once),
      E2E_TEST(user_add_makes_a_user),
      E2E_TEST(what_is_not_there_is_not_changed),
      E2E_TEST(malformed_user_cfg_is_left_alone),
      E2E_TEST(token_remove_on_a_full_disk_says_no_more),
      E2E_TEST(store_without_users_has_no_sections),
      E2E_TEST(others_than_root_are_refused),
      E2E_TEST(both_words_are_raised),
      E2E_TEST(both_locks_are_taken),
      E2E_TEST(files_change_in_order_under_both_locks),
      cmocka_unit_test_setup_teardown(
          section_that_cannot_be_written_leaves_no_secret, replace_dev,
          restore_dev),
      cmocka_unit_test_setup_teardown(
          section_that_cannot_be_removed_is_told_and_logged, replace_dev,
          restore_dev),
      E2E_TEST(signal_between_the_files_leaves_no_half),
      E2E_TEST(token_is_added_once),
      E2E_TEST(one_lock_for_both_files_is_refused),
      E2E_TEST(user_who_comes_back_brings_tokens),
      cmocka_unit_test_setup_teardown(changes_are_in_the_trail, replace_dev,
                                      restore_dev),
      E2E_TEST(file_with_another_group_is_given_back),
      E2E_TEST(token_add_killed_at_any_call_can_be_finished),
      E2E_TEST(token_remove_killed_at_any_call_can_be_finished),
  };
  return cmocka_run_group_tests_name("tool_sections", tests, nullptr, nullptr);
}
