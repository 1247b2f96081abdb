// SPDX-License-Identifier: BSD-3-Clause
// What a host that is not root notices of the helper: nothing, whatever it has
// done to its signals and children.  (More hosts, for any module: tests/hosts.)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>

#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kMatchWord = shell_print(word_text(Outcome::kMatch));

// Setup: every authentication runs the helper.
int host_of_the_helper(void **state) {
  if (clean_host_with_members(state) != 0) {
    return -1;
  }
  write_shadow({{kId, kOldHash}});
  write_service("nocache helper=" + setuid_helper());
  return 0;
}

// 0 if each answer is as it has to be.
int authenticate_both_ways(PamHandle &handle, Conversation &conversation) {
  conversation.answer = kOldSecret;
  if (handle.authenticate() != PAM_SUCCESS) {
    return 1;
  }
  conversation.answer = kWrongSecret;
  return handle.authenticate() == PAM_AUTH_ERR ? 0 : 2;
}

void assert_works(const std::function<void()> &prepare) {
  assert_int_equal(as_other(
                       [&] {
                         prepare();
                         become_member();
                       },
                       kId, authenticate_both_ways),
                   0);
}

// --- children

// Then the status is still seen: it belongs to nobody else.
void status_counts_although_sigchld_is_ignored(void ** /*state*/) {
  write_service_with_script(kMatchWord + "; exit 1", "nocache");
  assert_int_equal(as_other(
                       [] {
                         signal(SIGCHLD, SIG_IGN);
                         become_member();
                       },
                       kId,
                       [](PamHandle &handle, Conversation &) {
                         return handle.authenticate();
                       }),
                   PAM_AUTHINFO_UNAVAIL);
}

std::atomic<int> children_noticed = 0;

void note_child(int /*number*/) {
  ++children_noticed;
}

void host_gets_no_sigchld_and_no_child(void ** /*state*/) {
  assert_int_equal(
      as_other(
          [] {
            signal(SIGCHLD, note_child);
            become_member();
          },
          kId,
          [](PamHandle &handle, Conversation &conversation) {
            const int wrong = authenticate_both_ways(handle, conversation);
            if (children_noticed != 0) {
              return 10;
            }
            // Of neither kind.
            return waitpid(-1, nullptr, __WALL) == -1 && errno == ECHILD ? wrong
                                                                         : 11;
          }),
      0);
}

std::atomic<bool> done = false;

// As if somebody else always had been faster: for the module's own wait, which
// is the one with __WCLONE, there is no child.
void steal_every_status() {
  const auto options_at = static_cast<std::uint32_t>(
      offsetof(seccomp_data, args) + 2 * sizeof(std::uint64_t));
  std::array<sock_filter, 6> filter = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_wait4, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, options_at),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(__WCLONE), 0,
               1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ECHILD),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
  // As root, so that it takes no no_new_privs.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
    std::abort();
  }
}

void stolen_status_leaves_it_to_the_word(void ** /*state*/) {
  assert_works(steal_every_status);
  const auto code_of = [](const std::string &script) {
    write_service_with_script(script, "nocache");
    return as_other(
        [] {
          steal_every_status();
          become_member();
        },
        kId,
        [](PamHandle &handle, Conversation &) {
          return handle.authenticate();
        });
  };
  assert_pam(code_of(kMatchWord + "; exit 1"), PAM_SUCCESS);
  assert_pam(code_of(kMatchWord + "; echo"), PAM_AUTHINFO_UNAVAIL);
  assert_pam(code_of("exit 0"), PAM_AUTHINFO_UNAVAIL);
  assert_pam(code_of("kill -9 $$"), PAM_AUTHINFO_UNAVAIL);
}

// --- signals

std::string signals() {
  std::string text;
  sigset_t mask{};
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) == 0) {
      text +=
          std::to_string(reinterpret_cast<std::uintptr_t>(action.sa_handler)) +
          " " + std::to_string(action.sa_flags) + " ";
    }
    text += sigismember(&mask, number) == 1 ? "blocked\n" : "\n";
  }
  return text;
}

void host_keeps_its_signals(void ** /*state*/) {
  assert_int_equal(as_other(
                       [] {
                         signal(SIGPIPE, SIG_DFL);
                         signal(SIGUSR1, SIG_IGN);
                         sigset_t some{};
                         sigaddset(&some, SIGUSR2);
                         sigprocmask(SIG_SETMASK, &some, nullptr);
                         become_member();
                       },
                       kId,
                       [](PamHandle &handle, Conversation &conversation) {
                         const std::string before = signals();
                         const int wrong =
                             authenticate_both_ways(handle, conversation);
                         return before == signals() ? wrong : 10;
                       }),
                   0);
}

// --- threads

void *fork_all_the_time(void * /*unused*/) {
  while (!done) {
    const pid_t child = fork();
    if (child == 0) {
      // With whatever descriptors there were, until that thread ends.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      sleep(kHangs);
      _exit(0);
    }
    usleep(2'000);
  }
  return nullptr;
}

// A child that another thread forks meanwhile keeps a copy of our descriptors,
// and nobody waits for it.
void children_of_other_threads_delay_nothing(void ** /*state*/) {
  assert_int_equal(as_other(
                       [] {
                         signal(SIGCHLD, SIG_IGN);
                         become_member();
                       },
                       kId,
                       [](PamHandle &handle, Conversation &conversation) {
                         pthread_t thread{};
                         pthread_create(&thread, nullptr, fork_all_the_time,
                                        nullptr);
                         int wrong = 0;
                         for (int i = 0; i < 20 && wrong == 0; ++i) {
                           wrong = authenticate_both_ways(handle, conversation);
                         }
                         done = true;
                         pthread_join(thread, nullptr);
                         return wrong;
                       }),
                   0);
}

}  // namespace
}  // namespace pbstoken

#define HOST_TEST(name) cmocka_unit_test_setup(name, host_of_the_helper)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      HOST_TEST(status_counts_although_sigchld_is_ignored),
      HOST_TEST(host_gets_no_sigchld_and_no_child),
      HOST_TEST(stolen_status_leaves_it_to_the_word),
      HOST_TEST(host_keeps_its_signals),
      HOST_TEST(children_of_other_threads_delay_nothing),
  };
  return cmocka_run_group_tests_name("module_helper_host", tests, nullptr,
                                     nullptr);
}
