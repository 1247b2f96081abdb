// SPDX-License-Identifier: BSD-3-Clause
// The module as a guest: parallel processes and threads, and what it leaves
// behind in its host.  (More hosts, for any module: tests/hosts.)
#include <pthread.h>
#include <signal.h>
#include <syslog.h>

#include <array>
#include <sstream>

#include "e2e_pam.h"
#include "slice_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::size_t kSmallStack = std::size_t{64} * 1024;

// --- parallel

// How often one handle was refused what it may have: 0, or 1 for any number.
int hammer(const char *id, const char *secret, int times) {
  Conversation conversation = {.answer = secret};
  PamHandle handle(kService, id, &conversation);
  int failures = 0;
  for (int i = 0; i < times; ++i) {
    failures += handle.authenticate() == PAM_SUCCESS ? 0 : 1;
  }
  return failures == 0 && conversation.questions == times ? 0 : 1;
}

void authenticate_two_processes_2000_times_each_succeeds(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  constexpr int kTimes = 2000;
  const std::array<pid_t, 2> children = {
      start_child([] { return hammer(kId, kSecret, kTimes); }),
      start_child([] { return hammer(kOldId, kOldSecret, kTimes); }),
  };
  for (const pid_t child : children) {
    assert_int_equal(wait_for(child), 0);
  }
  // What no process has hashed came out of the segment.
  assert_true(counter("hits") + counter("rechecks") + counter("hashes") ==
              2 * kTimes);
}

void authenticate_while_others_are_changed_succeeds(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  constexpr int kTimes = 2000;
  const std::array<pid_t, 2> children = {
      start_child([] { return hammer(kId, kSecret, kTimes); }),
      start_child([] { return hammer(kOldId, kOldSecret, kTimes); }),
  };
  for (int i = 0; i < 20; ++i) {
    helper_output({"set", "other@pbs!t"}, kWrongSecret + std::to_string(i));
  }
  helper_output({"delete", "other@pbs!t"});
  for (const pid_t child : children) {
    assert_int_equal(wait_for(child), 0);
  }
}

void *hammer_in_thread(void *id) {
  const int failed = hammer(static_cast<const char *>(id), kSecret, 300);
  return failed == 0 ? id : nullptr;
}

// In a child: what does not fit the stack ends in a signal.
int hammer_in_threads() {
  static std::array<std::string, 4> ids = {"a@pbs!t", "b@pbs!t", "c@pbs!t",
                                           "d@pbs!t"};
  pthread_attr_t small{};
  if (pthread_attr_init(&small) != 0 ||
      pthread_attr_setstacksize(&small, kSmallStack) != 0) {
    return 2;
  }
  std::array<pthread_t, 4> threads{};
  for (std::size_t i = 0; i < threads.size(); ++i) {
    if (pthread_create(&threads[i], &small, hammer_in_thread, ids[i].data()) !=
        0) {
      return 2;
    }
  }
  int failed = 0;
  for (const pthread_t thread : threads) {
    void *good = nullptr;
    failed += pthread_join(thread, &good) == 0 && good != nullptr ? 0 : 1;
  }
  return failed == 0 ? 0 : 1;
}

void authenticate_four_threads_on_small_stacks_succeeds(void ** /*state*/) {
  // Each thread begins with a password hash of its own.
  write_shadow({{"a@pbs!t", kHash},
                {"b@pbs!t", kHash},
                {"c@pbs!t", kHash},
                {"d@pbs!t", kHash}});
  write_service("debug");
  assert_int_equal(in_child(hammer_in_threads), 0);
  write_service("debug nocache");
  assert_pam(authenticate("a@pbs!t", kSecret), PAM_SUCCESS);
}

void authenticate_wrong_secret_on_a_small_stack_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto refused = [](void * /*unused*/) -> void * {
    static int mark = 0;
    const bool good = authenticate(kId, kWrongSecret) == PAM_AUTH_ERR &&
                      authenticate(kId, kWrongSecret) == PAM_AUTH_ERR &&
                      authenticate("x@pbs!t", kWrongSecret) == PAM_USER_UNKNOWN;
    return good ? &mark : nullptr;
  };
  assert_int_equal(in_child([&] {
                     pthread_attr_t small{};
                     pthread_attr_init(&small);
                     pthread_attr_setstacksize(&small, kSmallStack);
                     pthread_t thread{};
                     void *good = nullptr;
                     pthread_create(&thread, &small, refused, nullptr);
                     pthread_join(thread, &good);
                     return good != nullptr ? 0 : 1;
                   }),
                   0);
}

// --- forks

// As sshd does: one child for each connection, which loses its privileges.
void authenticate_child_without_privileges_is_unavailable(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_int_equal(in_child([&] {
                     become_nobody();
                     return handle.authenticate();
                   }),
                   PAM_AUTHINFO_UNAVAIL);
}

// --- what is left behind

std::string descriptors() {
  std::string text;
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) {
      text += std::to_string(fd) + " ";
    }
  }
  return text;
}

// Everything that a process has one of, as text.
std::string host_state() {
  // Its descriptor is libc's, for as long as syslog(3) is in use.
  closelog();
  std::ostringstream text;
  text << "descriptors " << descriptors() << "\n";
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) == 0) {
      text << "signal " << number << " "
           << reinterpret_cast<std::uintptr_t>(action.sa_handler) << " "
           << action.sa_flags << "\n";
    }
  }
  sigset_t mask{};
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int number = 1; number < NSIG; ++number) {
    text << sigismember(&mask, number);
  }
  const mode_t old = umask(0);
  umask(old);
  text << "\nslice " << slice_of(0) << "\numask " << old << "\ndirectory "
       << std::filesystem::current_path() << "\n";
  for (char **variable = environ; *variable != nullptr; ++variable) {
    text << *variable << "\n";
  }
  return text.str();
}

// Each way through the module once; not 0 if one is answered wrong.
int authenticate_every_way() {
  const bool good =
      authenticate(kId, kSecret) == PAM_SUCCESS &&
      authenticate(kId, kSecret) == PAM_SUCCESS &&
      authenticate(kId, kWrongSecret) == PAM_AUTH_ERR &&
      authenticate(kId, kWrongSecret) == PAM_AUTH_ERR &&
      authenticate(kId, "") == PAM_AUTH_ERR &&
      authenticate("x@pbs!t", kSecret) == PAM_USER_UNKNOWN &&
      authenticate("john", kSecret) == PAM_USER_UNKNOWN &&
      authenticate("nocache", kId, kSecret) == PAM_SUCCESS &&
      authenticate("nosuch", kId, kSecret) == PAM_AUTHINFO_UNAVAIL;
  return good ? 0 : 1;
}

void write_every_service() {
  write_stack("nocache", {auth_line("required", "nocache")});
  write_stack("nosuch", {auth_line("required", "store=nosuch")});
}

void authenticate_leaves_the_host_as_it_was(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_every_service();
  const int changed = in_child([] {
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_IGN);
    sigset_t blocked{};
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    umask(0123);
    const std::string before = host_state();
    if (authenticate_every_way() != 0) {
      return 1;
    }
    const std::string after = host_state();
    if (before != after) {
      std::fprintf(stderr, "%s---\n%s", before.c_str(), after.c_str());
      return 2;
    }
    return 0;
  });
  assert_int_equal(changed, 0);
}

void authenticate_between_start_and_end_keeps_no_descriptor(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  closelog();
  const std::string before = descriptors();
  for (int i = 0; i < 3; ++i) {
    assert_pam(handle.authenticate(), PAM_SUCCESS);
    closelog();
    assert_text_equal(descriptors(), before);
  }
}

void authenticate_without_standard_descriptors_works(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_every_service();
  assert_int_equal(in_child([] {
                     closelog();
                     close_range(0, ~0U, 0);
                     const int wrong = authenticate_every_way();
                     closelog();
                     return wrong != 0 ? 1 : descriptors().empty() ? 0 : 2;
                   }),
                   0);
  // And none of them was token.shadow when something was printed.
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

int attachments() {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("/SYSV") != std::string::npos ? 1 : 0;
  }
  return count;
}

// Segments that are replaced again and again are not kept attached.
void authenticate_flushed_segments_are_let_go(void ** /*state*/) {
  write_shadow({{kOldId, kOldHash}});
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
  const int attached = attachments();
  for (int i = 0; i < 40; ++i) {
    tool_output({"flush"});
    assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
    assert_true(attachments() <= attached);
  }
}

// --- the file itself

void module_exports_its_entry_points_only(void ** /*state*/) {
  const RunResult listed =
      run({.path = "/usr/bin/nm",
           .arguments = {"-D", "--defined-only", module_path()}});
  assert_int_equal(listed.status, 0);
  std::istringstream lines(listed.out);
  std::set<std::string> names;
  for (std::string address, type, name; lines >> address >> type >> name;) {
    names.insert(name);
  }
  assert_true(names ==
              std::set<std::string>({"pam_sm_acct_mgmt", "pam_sm_authenticate",
                                     "pam_sm_chauthtok", "pam_sm_setcred"}));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(authenticate_two_processes_2000_times_each_succeeds),
      PAM_TEST(authenticate_while_others_are_changed_succeeds),
      PAM_TEST(authenticate_four_threads_on_small_stacks_succeeds),
      PAM_TEST(authenticate_wrong_secret_on_a_small_stack_is_refused),
      PAM_TEST(authenticate_child_without_privileges_is_unavailable),
      PAM_TEST(authenticate_leaves_the_host_as_it_was),
      PAM_TEST(authenticate_between_start_and_end_keeps_no_descriptor),
      PAM_TEST(authenticate_without_standard_descriptors_works),
      PAM_TEST(authenticate_flushed_segments_are_let_go),
      PAM_TEST(module_exports_its_entry_points_only),
  };
  return cmocka_run_group_tests_name("module_guest", tests, nullptr, nullptr);
}
