// SPDX-License-Identifier: BSD-3-Clause
// What the module tells the system log, and what it never does.
#include <sched.h>
#include <sys/mount.h>

#include <regex>

#include "e2e_log.h"
#include "e2e_member.h"
#include "exhausted.h"

namespace pbstoken {
namespace {

using namespace testing;

// A hit makes no system call, so it cannot be logged.
void log_success_is_one_line_but_for_hits(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_logs([] { authenticate(kId, kSecret); }, LOG_INFO,
              std::string("authenticated; tokenid=") + kId + " rhost=");
  const auto lines =
      module_lines_of([] { assert_pam(authenticate(kId, kSecret), 0); });
  assert_int_equal(lines.size(), 0);
}

void log_refusals_are_one_line_with_the_reason(void ** /*state*/) {
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  const auto refused = [](const std::string &id, const std::string &secret,
                          const std::string &reason) {
    assert_logs([&] { authenticate(id, secret); }, LOG_NOTICE,
                "authentication failure; tokenid=" + id +
                    " rhost= tty= ruser= reason=" + reason);
  };
  refused(kId, kWrongSecret, "wrong secret");
  refused(kId, kWrongSecret, "known mismatch");
  refused(kId, "", "unacceptable secret");
  refused("other@pbs!t", kSecret, "unknown token");
  refused("bad@pbs!t", kSecret, "unusable stored hash");
}

void log_items_of_the_service_are_escaped(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto lines = module_lines_of([] {
    Conversation conversation = {.answer = kWrongSecret};
    PamHandle handle(kService, kId, &conversation);
    pam_set_item(handle.get(), PAM_RHOST, "a\nreason=b\x1b[0m");
    pam_set_item(handle.get(), PAM_TTY, std::string(5000, 't').c_str());
    pam_set_item(handle.get(), PAM_RUSER, "\x7f");
    handle.authenticate();
  });
  assert_int_equal(lines.size(), 1);
  for (const char c : lines.front()) {
    assert_true(c >= ' ' && c != 0x7f);
  }
  assert_true(lines.front().ends_with("reason=wrong secret"));
  assert_true(lines.front().size() < 1000);
  const std::string terminal(128, 't');
  assert_true(lines.front().find(" tty=" + terminal + " ") !=
              std::string::npos);
}

// A host's name is whole: one that is cut is another host's.
void log_host_of_the_longest_name_is_whole(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  std::string name;
  while (name.size() < 250) {
    name += "label.";
  }
  const auto lines = module_lines_of([&name] {
    Conversation conversation = {.answer = kWrongSecret};
    PamHandle handle(kService, kId, &conversation);
    pam_set_item(handle.get(), PAM_RHOST, name.c_str());
    handle.authenticate();
  });
  assert_int_equal(lines.size(), 1);
  assert_true(lines.front().find(" rhost=" + name + " ") != std::string::npos);
}

// Which form is missed, once a minute, and nothing of the name; of a person's
// name there is no word.
void log_name_that_was_meant_as_a_token_id_says_what_is_missed(
    void ** /*state*/) {
  const auto missed = [](const std::string &user) {
    std::string text;
    in_child([&] {
      const auto lines =
          module_lines_of([&] { authenticate(user, "hunter2"); });
      text = lines.empty() ? "" : lines[0].substr(lines[0].find(": ") + 2);
      write_file(scratch("missed"), text);
      return 0;
    });
    return read_file(scratch("missed"));
  };
  const std::string start = "the user name is no token id: ";
  for (const auto &[user, text] :
       std::vector<std::pair<std::string, std::string>>{
           {"john!hunter2", "no realm: USER@REALM!TOKEN"},
           {"john@pbs\\!hunter2",
            "a backslash before its '!', as a shell wants it where no quotes "
            "are"},
           {"john@pbs!client1=hunter2",
            "a secret behind it: that belongs into the password"},
           {"john@pbs!client1:hunter2",
            "a secret behind it: that belongs into the password"},
           {"john@pbs!client1!hunter2", "more than one '!'"},
           {"john@pbs!hunter 2",
            "a character or a length that no token id "
            "has"}}) {
    assert_text_equal(missed(user), start + text);
  }
  for (const char *user : {"john", "john@pbs", "hunter2"}) {
    assert_text_equal(missed(user), "");
  }
  const auto lines = module_lines_of([] {
    authenticate("john!a", "hunter2");
    authenticate("john!b", "hunter2");
  });
  assert_int_equal(lines.size(), 1);
}

// It may be a person's own password.
void log_combined_password_that_is_none_of_ours_is_not_there(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("combined");
  const std::string secret = std::string(":") + kSecret;
  for (const std::string &password :
       {kId + secret, "root@pam!x" + secret, std::string("me@home!a:b"),
        std::string("a!b"), secret}) {
    const auto lines = module_lines_of(
        [&] { assert_pam(authenticate("alice", password), PAM_USER_UNKNOWN); });
    assert_true(lines.empty());
  }
  const auto lines = module_lines_of([&] {
    assert_pam(authenticate("alice", "PBSAPIToken=root@pam!x" + secret),
               PAM_AUTH_ERR);
    assert_pam(authenticate("alice", "PBSAPIToken=root@pam!x=hunter2"),
               PAM_AUTH_ERR);
  });
  assert_int_equal(lines.size(), 2);
  assert_true(lines[0].find("tokenid=root@pam!x ") != std::string::npos);
  assert_true(lines[0].ends_with("reason=another realm's token") ||
              lines[0].ends_with("reason=another user's token"));
  assert_true(lines[1].find("tokenid= ") != std::string::npos);
  assert_true(lines[1].ends_with("reason=no token id in the header"));
}

// Where the service's own lines have a local user's name, and with log_hits.
void log_hits_are_logged_where_they_are_wanted(void ** /*state*/) {
  const std::string id = "john@pam!client1";
  write_shadow({{id, kHash}});
  write_file(kUserCfg, "user: john@pam\n\ntoken: " + id + "\n");
  const std::string password = id + ":" + kSecret;
  struct Login {
    std::string options;
    std::string user;
    std::string secret;
  };
  for (const Login &login :
       std::vector<Login>{{"log_hits", id, kSecret},
                          {"combined", "john", password},
                          {"realm=pam map_user=user", id, kSecret}}) {
    write_service(login.options);
    const auto log_in = [&] { return authenticate(login.user, login.secret); };
    assert_pam(log_in(), PAM_SUCCESS);
    const auto lines =
        module_lines_of([&] { assert_pam(log_in(), PAM_SUCCESS); });
    assert_int_equal(lines.size(), 1);
    assert_true(lines[0].find("authenticated; tokenid=" + id) !=
                std::string::npos);
    write_service(login.options + " quiet");
    assert_true(module_lines_of(log_in).empty());
  }
}

void log_user_name_that_is_no_token_id_is_not_there(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("debug");
  log_lines();
  for (const char *user : {"hunter2-is-my-secret", "hunter2@pbs", "hunter2!x",
                           "john@pbs!t hunter2"}) {
    authenticate(user, "hunter2");
  }
  for (const std::string &line : log_lines()) {
    if (line.find("hunter2") != std::string::npos) {
      fail_msg("%s", line.c_str());
    }
  }
}

void log_never_holds_a_secret_or_a_hash(void ** /*state*/) {
  look_every_time();
  write_service("debug");
  log_lines();
  write_shadow({{kId, kHash}, {"bad@pbs!t", "$y$j9T$cut"}});
  std::string all;
  const auto collect = [&all](const std::string &id,
                              const std::string &secret) {
    authenticate(id, secret);
    for (const std::string &line : log_lines()) {
      all += line + "\n";
    }
  };
  for (const char *id : {kId, kId, "bad@pbs!t", "other@pbs!t"}) {
    for (const std::string &secret :
         {std::string(kSecret), std::string(kWrongSecret),
          std::string(kSecret) + "\n"}) {
      collect(id, secret);
    }
  }
  // The text that could not be parsed neither.
  write_file(kShadow, std::string("{\"") + kId + "\":\"" + kHash + "\" oops");
  collect(kId, kSecret);
  assert_true(all.find("reason=unusable stored hash") != std::string::npos);
  assert_true(all.find("cannot verify: ") != std::string::npos);
  for (const char *never : {kSecret, kWrongSecret, "$y$", "$5$", "oops"}) {
    if (all.find(never) != std::string::npos) {
      fail_msg("%s", all.c_str());
    }
  }
}

void log_what_is_broken_names_its_place(void ** /*state*/) {
  write_file(kShadow, "{\n \"a\":,}");
  const auto broken = [] { authenticate(kId, kSecret); };
  const auto malformed = module_lines_of(broken);
  assert_int_equal(malformed.size(), 1);
  assert_true(malformed.front().find(std::string("cannot verify: ") + kShadow +
                                     ":2:6: ") != std::string::npos);
  std::filesystem::remove(kShadow);
  std::filesystem::create_directory(kShadow);
  assert_logs(broken, LOG_ERR,
              std::string("cannot verify: cannot use ") + kShadow +
                  ": not a regular file");
  configure("\n# comment\ncache_tll = 5\n");
  assert_logs(broken, LOG_ERR,
              std::string("cannot verify: ") + kConfiguration +
                  ":3: cache_tll: unknown key");
  write_service("nocahe");
  assert_logs(broken, LOG_ERR,
              "cannot verify: cannot use option nocahe: unknown option");
}

// Such a failure is no attempt on the token: programs that ban hosts by these
// lines must not see it.
void log_what_is_broken_is_no_authentication_failure(void ** /*state*/) {
  write_file(kShadow, "{");
  Conversation failing = {.answer = kSecret, .status = PAM_CONV_ERR};
  const auto lines = module_lines_of([&] {
    authenticate(kId, kSecret);
    PamHandle(kService, kId, &failing).authenticate();
    authenticate("john", kSecret);
  });
  for (const std::string &line : lines) {
    assert_true(line.find("authentication failure") == std::string::npos);
  }
}

void log_debug_says_where_the_answer_came_from(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("debug");
  for (const char *text :
       {"password hash computed", "answered from the segment"}) {
    const auto lines = module_lines_of([] { authenticate(kId, kSecret); });
    assert_int_equal(lines.size(), 2);
    const std::string start = "<" + std::to_string(LOG_AUTHPRIV | LOG_DEBUG) +
                              ">pam_pbstoken(pbs:auth): " + text + ", ";
    assert_true(lines.front().starts_with(start));
    assert_true(lines.front().ends_with(" us"));
    assert_true(std::stoul(lines.front().substr(start.size())) > 0);
  }
}

void log_quiet_leaves_out_what_went_well(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("quiet nocache");
  assert_true(module_lines_of([] { authenticate(kId, kSecret); }).empty());
  assert_int_equal(
      module_lines_of([] { authenticate(kId, kOldSecret); }).size(), 1);
}

// A typo in the stack of a busy service: once a minute and process will do.
void log_bad_configuration_does_not_flood(void ** /*state*/) {
  const auto lines = module_lines_of([] {
    for (const char *option : {"first_typo", "second_typo"}) {
      write_service(option);
      for (int i = 0; i < 5; ++i) {
        authenticate(kId, kSecret);
      }
    }
  });
  assert_int_equal(lines.size(), 2);
  assert_true(lines[0].find("first_typo") != std::string::npos);
  assert_true(lines[1].find("second_typo") != std::string::npos);
}

// Each kind of host that has no room for a segment, or lets none be made.
struct WithoutSegment {
  std::function<void()> act;  // with as many calls as it likes
  std::string why;
};

void log_cache_that_is_off_says_why_once_a_minute(void ** /*state*/) {
  const auto twice = [] {
    for (int i = 0; i < 2; ++i) {
      assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    }
  };
  const std::string make = "cannot make the shared-memory segment";
  const std::vector<WithoutSegment> hosts = {
      {[&] {
         const NoMoreObjects none(kSegmentLimit);
         twice();
       },
       make + " (/proc/sys/kernel/shmmni: all N shared-memory segments are "
              "taken, N objects are of uid 0; raise it, or remove some with "
              "ipcrm(1)): No space left on device"},
      {[&] {
         assert_int_equal(setegid(kMembers + 1), 0);
         twice();
       },
       make + ": the effective group is neither root's nor the verify_group"},
      {[&] {
         assert_int_equal(unshare(CLONE_NEWNS), 0);
         assert_int_equal(mount("tmpfs", "/proc", "tmpfs", 0, nullptr), 0);
         twice();
       },
       make + ": /proc does not tell the time namespace"},
      {[&] {
         std::filesystem::remove(kLock);
         assert_int_equal(
             mount(kDirectory, kDirectory, nullptr, MS_BIND, nullptr), 0);
         assert_int_equal(mount(nullptr, kDirectory, nullptr,
                                MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr),
                          0);
         twice();
         assert_int_equal(umount(kDirectory), 0);
       },
       std::string("cannot create ") + kLock + ": Read-only file system"},
  };
  configure("verify_group = " + std::to_string(kMembers) + "\n");
  write_service("quiet");
  for (const WithoutSegment &host : hosts) {
    remove_segments();
    write_shadow({{kId, kHash}});
    const auto lines = module_lines_of([&] {
      in_child([&] {
        host.act();
        return 0;
      });
    });
    std::vector<std::string> about;
    for (const std::string &line : lines) {
      if (line.find("the cache is off") != std::string::npos) {
        about.push_back(line);
      }
    }
    assert_int_equal(about.size(), 1);
    assert_text_equal(
        std::regex_replace(about[0], std::regex(" [0-9]+ (sh|ob)"), " N $1"),
        "<" + std::to_string(LOG_AUTHPRIV | LOG_WARNING) +
            ">pam_pbstoken(pbs:auth): the cache is off, and every "
            "request reads the file: " +
            host.why + "; see 'pbstoken check'");
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(log_success_is_one_line_but_for_hits),
      PAM_TEST(log_refusals_are_one_line_with_the_reason),
      PAM_TEST(log_items_of_the_service_are_escaped),
      PAM_TEST(log_host_of_the_longest_name_is_whole),
      PAM_TEST(log_name_that_was_meant_as_a_token_id_says_what_is_missed),
      PAM_TEST(log_combined_password_that_is_none_of_ours_is_not_there),
      PAM_TEST(log_hits_are_logged_where_they_are_wanted),
      PAM_TEST(log_user_name_that_is_no_token_id_is_not_there),
      PAM_TEST(log_never_holds_a_secret_or_a_hash),
      PAM_TEST(log_what_is_broken_names_its_place),
      PAM_TEST(log_what_is_broken_is_no_authentication_failure),
      PAM_TEST(log_debug_says_where_the_answer_came_from),
      PAM_TEST(log_quiet_leaves_out_what_went_well),
      PAM_TEST(log_bad_configuration_does_not_flood),
      PAM_TEST(log_cache_that_is_off_says_why_once_a_minute),
  };
  return cmocka_run_group_tests_name("module_log", tests, replace_dev,
                                     restore_dev);
}
