// SPDX-License-Identifier: BSD-3-Clause
// Helpers that die, hang, lie or are not there: nobody gets in by them, and
// nobody waits for long.
#include <signal.h>

#include <ctime>

#include "e2e_log.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kMatchWord = shell_print(word_text(Outcome::kMatch));

// Both as a member and as a root that needs the helper.
void assert_both(const std::string &script, int code) {
  write_service_with_script(script, "nocache");
  const auto su = [] {
    if (setresuid(kMember, 0, 0) != 0) {
      std::abort();
    }
  };
  for (const auto &other :
       {std::function<void()>(become_member), std::function<void()>(su)}) {
    const int actual = authenticate_as(other, kId, kSecret);
    if (actual != code) {
      fail_msg("%s: %s", script.c_str(), pam_code_name(actual).c_str());
    }
  }
}

void match_alone_with_status_0_is_success(void ** /*state*/) {
  assert_both(kMatchWord, PAM_SUCCESS);
  assert_both(kMatchWord + "; exit 0", PAM_SUCCESS);
  // In pieces, and slowly.
  const std::string word = word_text(Outcome::kMatch);
  assert_both(shell_print(word.substr(0, 3)) + "; sleep 0.1; " +
                  shell_print(word.substr(3)),
              PAM_SUCCESS);
}

void match_word_with_another_status_is_unavailable(void ** /*state*/) {
  for (int status = 1; status < 256; status += status < 9 ? 1 : 41) {
    assert_both(kMatchWord + "; exit " + std::to_string(status),
                PAM_AUTHINFO_UNAVAIL);
  }
}

void match_word_and_more_is_unavailable(void ** /*state*/) {
  for (const std::string &more :
       {std::string("x"), std::string(1, '\0'), std::string("\n"),
        word_text(Outcome::kMatch), word_text(Outcome::kWrongSecret),
        std::string(2000, 'a')}) {
    assert_both(kMatchWord + "; " + shell_print(more), PAM_AUTHINFO_UNAVAIL);
  }
}

void garbage_is_unavailable(void ** /*state*/) {
  const std::string word = word_text(Outcome::kMatch);
  for (const std::string &bytes :
       {std::string(), std::string("x"), word.substr(0, 7), word.substr(1),
        "x" + word, std::string(8, '\0'), std::string(8, '\xff'),
        std::string("0\n"), std::string("PAM_SUCCESS"), std::string(100, 'a'),
        word_text(Outcome::kOffer), word_text(Outcome::kOffer) + "secret\n",
        word_text(Outcome::kAllowed), word_text(Outcome::kDone)}) {
    assert_both(shell_print(bytes), PAM_AUTHINFO_UNAVAIL);
  }
  assert_both("exec cat /dev/zero", PAM_AUTHINFO_UNAVAIL);
  // Our secret, back to us.
  write_service("helper=" + write_script("exec cat"));
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
}

// Before a word, and after it: the keeper sees how the helper ended.
void death_by_any_signal_is_unavailable(void ** /*state*/) {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN ||
        number == SIGTTOU || number == SIGCHLD || number == SIGURG ||
        number == SIGWINCH || number == SIGCONT ||
        sigaction(number, nullptr, &action) != 0) {
      continue;  // it would not end it
    }
    const std::string die = "kill -" + std::to_string(number) + " $$";
    for (const std::string &script : {die, kMatchWord + "; " + die}) {
      write_service_with_script(script, "nocache");
      const int actual = authenticate_as_member(kId, kSecret);
      if (actual != PAM_AUTHINFO_UNAVAIL) {
        fail_msg("%s: %s", script.c_str(), pam_code_name(actual).c_str());
      }
    }
  }
}

void helper_that_cannot_be_executed_is_unavailable(void ** /*state*/) {
  const std::string text = scratch("no-program");
  write_file(text, "no program", 0755);
  const std::string no_mode = scratch("no-mode");
  write_file(no_mode, "#!/bin/sh\n" + kMatchWord + "\n", 0644);
  for (const std::string &path :
       {scratch("nosuch"), scratch("nosuch/helper"), scratch(""), text, no_mode,
        setuid_helper() + "/x"}) {
    write_service("helper=" + path);
    assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  }
}

// One that hangs, one that closes what it has and hangs, one that leaves a
// child behind with its descriptors.
void helper_that_hangs_is_given_up_and_killed(void ** /*state*/) {
  const std::string directory = public_directory();
  // A file each: of another user's, fs.protected_regular makes an error.
  const std::array pids = {directory + "/first", directory + "/second"};
  write_service_with_script("echo $$ >" + pids[0] + "; exec sleep 1000");
  const timespec before = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
  }();
  std::array<pid_t, 2> children{};
  const auto start = [](const std::function<void()> &other) {
    return start_child([&] {
      Conversation conversation = {.answer = kSecret};
      PamHandle handle(kService, kId, &conversation);
      other();
      return handle.authenticate();
    });
  };
  children[0] = start(become_member);
  while (read_file(pids[0]).empty()) {
    usleep(10'000);
  }
  write_service_with_script("echo $$ >" + pids[1] +
                            "; exec </dev/null >/dev/null; exec sleep 1000");
  children[1] = start([] {
    if (setresuid(kMember, 0, 0) != 0) {
      std::abort();
    }
  });
  for (const pid_t child : children) {
    assert_int_equal(wait_for(child), PAM_AUTHINFO_UNAVAIL);
  }
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  assert_true(now.tv_sec - before.tv_sec < 60);
  // Nobody goes on sleeping.
  for (const std::string &file : pids) {
    const pid_t pid = std::stoi(read_file(file));
    for (int i = 0; i < 500 && kill(pid, 0) == 0; ++i) {
      usleep(10'000);
    }
    assert_int_equal(kill(pid, 0), -1);
  }
}

void helper_that_leaves_a_child_behind_is_not_waited_for(void ** /*state*/) {
  const std::string pid = public_directory() + "/pid";
  write_service_with_script("sleep 1000 & echo $! >" + pid + "; " + kMatchWord);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  kill(std::stoi(read_file(pid)), SIGKILL);
}

// The secret fits, and is not waited for; who writes to nobody is not killed.
void helper_that_never_reads_does_no_harm(void ** /*state*/) {
  const std::string longest(511, 'a');
  for (const std::string &script :
       {std::string("exec <&-; sleep 0.01"), std::string("exit 4"),
        shell_print(word_text(Outcome::kWrongSecret)) + "; exit 1"}) {
    write_service("nocache helper=" + write_script(script));
    for (int i = 0; i < 20; ++i) {
      const int code = authenticate_as_member(kId, longest);
      assert_pam(code, script.starts_with("printf") ? PAM_AUTH_ERR
                                                    : PAM_AUTHINFO_UNAVAIL);
    }
  }
}

// --- what the helper is given

void helper_is_given_nothing_of_the_host(void ** /*state*/) {
  const std::string told = public_directory() + "/told";
  const std::string open = scratch("anybody/open");
  // 10 and 11 are the shell's own.
  write_service_with_script(
      "ls /proc/$$/fd >" + open +
      "\n{ tr '\\0' '\\n' </proc/$$/cmdline; echo; tr '\\0' '\\n' "
      "</proc/$$/environ; echo; grep -vx 1[01] " +
      open +
      "; readlink /proc/$$/fd/2; "
      "while read -r line; do case $line in SigBlk*|SigIgn*) echo \"$line\";; "
      "esac; done </proc/$$/status; } >" +
      told + "\n" + kMatchWord);
  assert_int_equal(as_other(
                       [] {
                         setenv("SECRET", kSecret, 1);
                         setenv("LD_PRELOAD_", "x", 1);
                         // As a host has them: not all close on exec, signals
                         // ignored.
                         fcntl(STDERR_FILENO, F_DUPFD, 100);
                         signal(SIGPIPE, SIG_IGN);
                         signal(SIGTERM, SIG_IGN);
                         sigset_t all{};
                         sigfillset(&all);
                         sigprocmask(SIG_BLOCK, &all, nullptr);
                         become_member();
                       },
                       kId,
                       [](PamHandle &handle, Conversation &) {
                         pam_set_item(handle.get(), PAM_RHOST, "2001:db8::1");
                         return handle.authenticate();
                       }),
                   PAM_SUCCESS);
  const std::string text = read_file(told);
  assert_text_equal(
      text, "/bin/sh\n" + scratch("script-helper") +
                "\nrequest\n\n\n0\n1\n2\n/dev/null\n" +
                "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

void helper_reads_the_request_and_the_end(void ** /*state*/) {
  const std::string read = public_directory() + "/read";
  write_service("helper=" + write_script("cat >" + read + "\n" + kMatchWord));
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  struct stat directory = {};
  assert_int_equal(stat(kDirectory, &directory), 0);
  assert_true(read_file(read) ==
              request_bytes({.store = "pbs",
                             .host = "",
                             .token_id = kId,
                             .secret = kSecret,
                             .directory_device = directory.st_dev,
                             .directory_inode = directory.st_ino,
                             .real_uid = kMember}));
}

// --- what the log says

void log_says_how_the_helper_failed(void ** /*state*/) {
  const auto assert_says = [](const std::string &script,
                              const std::string &text) {
    write_service_with_script(script);
    assert_logs([] { authenticate_as_member(kId, kSecret); }, LOG_ERR,
                "cannot verify: " + text);
  };
  assert_says("exit 2", "the helper gave no answer (exit status 2)");
  assert_says("kill -9 $$", "the helper gave no answer (signal 9)");
  assert_says("echo hello",
              "the helper's answer makes no sense (exit status 0)");
  assert_says(kMatchWord + "; exit 1",
              "the helper's answer does not count (exit status 1)");
  write_service("helper=/nosuch");
  assert_logs([] { authenticate_as_member(kId, kSecret); }, LOG_ERR,
              "cannot verify: cannot use /nosuch (No such file or directory) "
              "and the socket is not asked with config= or helper=");
  chmod(setuid_helper().c_str(), 0755);
  write_service("helper=" + setuid_helper());
  assert_logs([] { authenticate_as_member(kId, kSecret); }, LOG_ERR,
              "cannot verify: cannot use " + setuid_helper() +
                  " (cannot run: not installed setuid root) and "
                  "the socket is not asked with config= or helper=");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      MEMBER_TEST(match_alone_with_status_0_is_success),
      MEMBER_TEST(match_word_with_another_status_is_unavailable),
      MEMBER_TEST(match_word_and_more_is_unavailable),
      MEMBER_TEST(garbage_is_unavailable),
      MEMBER_TEST(death_by_any_signal_is_unavailable),
      MEMBER_TEST(helper_that_cannot_be_executed_is_unavailable),
      MEMBER_TEST(helper_that_hangs_is_given_up_and_killed),
      MEMBER_TEST(helper_that_leaves_a_child_behind_is_not_waited_for),
      MEMBER_TEST(helper_that_never_reads_does_no_harm),
      MEMBER_TEST(helper_is_given_nothing_of_the_host),
      MEMBER_TEST(helper_reads_the_request_and_the_end),
  };
  const CMUnitTest log_tests[] = {
      MEMBER_TEST(log_says_how_the_helper_failed),
  };
  const int failed = cmocka_run_group_tests_name("module_helper_faults", tests,
                                                 nullptr, nullptr);
  return failed + cmocka_run_group_tests_name("module_helper_faults_log",
                                              log_tests, replace_dev,
                                              restore_dev);
}
