// SPDX-License-Identifier: BSD-3-Clause
// Every allocation and every system call of a verification fails once, and from
// there on: nobody gets in by it, and nothing is left behind.
//
// The stacks end in pam_permit.so, so that an answer of ours that does not
// count is a success.
#include <crypt.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <syslog.h>

#include <climits>
#include <span>

#include "e2e_faults.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

// What the configuration names.  The files of the defaults let in who must not
// be: an unread configuration is no configuration.
constexpr const char *kTokens = "/etc/proxmox-backup/sweep.shadow";
constexpr const char *kUsers = "/etc/proxmox-backup/sweep.cfg";
constexpr const char *kDisabled = "john@pbs!off";
constexpr const char *kEnabled = "john@pbs!client1";

constexpr const char *kUsersText =
    "user: john@pbs\n\ntoken: john@pbs!client1\n\n"
    "token: john@pbs!off\n\tenable 0\n";

// A hash that costs a fifth of what new ones of its method do.
std::string cheap_hash() {
  return crypt(kSecret, "$5$rounds=1000$saltSALT");
}

enum class Segment : std::uint8_t { kCold, kWarm, kLooking };

void configure_sweep(Segment segment) {
  // One place at the gate: one that is not given back is missed.
  configure(std::string("token_shadow = ") + kTokens +
            "\nuser_cfg = " + kUsers + "\nmax_hashes = 1\ncache_ttl = " +
            (segment == Segment::kLooking ? "0" : "3600") + "\n");
}

int setup(void **state) {
  if (clean_host_with_members(state) != 0) {
    return -1;
  }
  const std::string hash = cheap_hash();
  write_file(kTokens, shadow_of({{kEnabled, hash}, {kDisabled, hash}}), 0640);
  write_file(kUsers, kUsersText, 0640);
  const std::string wrong = crypt(kWrongSecret, "$5$rounds=1000$saltSALT");
  write_shadow({{kEnabled, wrong}, {kDisabled, hash}});
  write_file(kUserCfg,
             "user: john@pbs\n\ntoken: john@pbs!client1\n\n"
             "token: john@pbs!off\n",
             0640);
  configure_sweep(Segment::kWarm);
  return 0;
}

void write_stacks(const std::string &control, const std::string &options) {
  const std::string ours = "helper=" + setuid_helper() + " " + options;
  write_stack(
      kService,
      {auth_line(control, ours), "auth required pam_permit.so",
       stack_line("account", control, ours), "account required pam_permit.so",
       stack_line("password", control, ours),
       "password required pam_permit.so"});
}

// --- one call with faults, in a child

enum class Call : std::uint8_t { kAuth, kAccount };

struct Attempt {
  const char *name;
  Call call;
  const char *id;
  const char *secret;
  int code;  // without faults
};

constexpr Attempt kRight = {"right secret", Call::kAuth, kEnabled, kSecret,
                            PAM_SUCCESS};
constexpr Attempt kWrong = {"wrong secret", Call::kAuth, kEnabled, kWrongSecret,
                            PAM_AUTH_ERR};
constexpr Attempt kOff = {"disabled token", Call::kAuth, kDisabled, kSecret,
                          PAM_PERM_DENIED};
constexpr Attempt kOn = {"account of an enabled token", Call::kAccount,
                         kEnabled, kSecret, PAM_SUCCESS};
constexpr Attempt kOffLater = {"account of a disabled token", Call::kAccount,
                               kDisabled, kSecret, PAM_PERM_DENIED};

// The conversation is the service's: it does not fail.
int undisturbed_converse(int count, const pam_message **messages,
                         pam_response **out_responses, void *data) {
  const bool armed = std::exchange(faults.armed, false);
  const int status = converse(count, messages, out_responses, data);
  faults.armed = armed;
  return status;
}

std::size_t open_files() {
  closelog();  // libc's own
  return names_in("/proc/self/fd").size();
}

// What the child found; signals are above.
enum : int {
  kNoFault,
  kRefused,
  kLetIn,
  kWronglyLetIn,
  kLeftAVariable,
  kLeakedDescriptor,
  kNotTheSameAfterwards,
};

const char *text_of(int finding) {
  switch (finding) {
    case kWronglyLetIn:
      return "let in";
    case kLeftAVariable:
      return "refused, with a variable";
    case kLeakedDescriptor:
      return "a descriptor more than before";
    case kNotTheSameAfterwards:
      return "another answer when nothing fails any more";
    default:
      return "killed by a signal";
  }
}

int perform(PamHandle &handle, const Attempt &attempt) {
  return attempt.call == Call::kAuth ? handle.authenticate()
                                     : handle.manage_account();
}

int answer_without_faults(const Attempt &attempt) {
  Conversation conversation = {.answer = attempt.secret};
  PamHandle handle(kService, attempt.id, &conversation);
  return perform(handle, attempt);
}

using Who = std::function<void()>;

// start() and stop() are the fault; stop says whether it came to one.
template <typename Start, typename Stop>
int attempt_under(const Attempt &attempt, const Who &who, Start start,
                  Stop stop) {
  return in_child([&] {
    // Well beyond what anything of ours takes: a hang, and a busy one.
    alarm(60);
    const rlimit seconds = {.rlim_cur = 3, .rlim_max = 3};
    setrlimit(RLIMIT_CPU, &seconds);
    Conversation conversation = {.answer = attempt.secret};
    const pam_conv conv = {.conv = undisturbed_converse,
                           .appdata_ptr = &conversation};
    // Started by root: only root gets to the module that was built.
    PamHandle handle(kService, attempt.id, &conversation);
    PamHandle again(kService, attempt.id, &conversation);
    Conversation right_answer = {.answer = kSecret};
    PamHandle right(kService, kEnabled, &right_answer);
    pam_set_item(handle.get(), PAM_CONV, &conv);
    who();
    const std::size_t files = open_files();
    start();
    const int code = perform(handle, attempt);
    const bool was_hit = stop();
    if (code == PAM_SUCCESS && attempt.code != PAM_SUCCESS) {
      return static_cast<int>(kWronglyLetIn);
    }
    // PAM_SYSTEM_ERR is libpam's own, which writes to the audit log when the
    // modules have let the user in, and takes it back if it cannot.
    if (code != PAM_SUCCESS && code != PAM_SYSTEM_ERR &&
        pam_getenv(handle.get(), "PBSTOKEN_ID") != nullptr) {
      return static_cast<int>(kLeftAVariable);
    }
    if (open_files() != files) {
      return static_cast<int>(kLeakedDescriptor);
    }
    if (perform(again, attempt) != attempt.code ||
        right.authenticate() != PAM_SUCCESS) {
      return static_cast<int>(kNotTheSameAfterwards);
    }
    if (!was_hit) {
      return static_cast<int>(code == attempt.code ? kNoFault
                                                   : kNotTheSameAfterwards);
    }
    return static_cast<int>(code == PAM_SUCCESS ? kLetIn : kRefused);
  });
}

// --- the sweep over all calls

constexpr Fault kFaults[] = {
    {"allocation", ENOMEM, true, false},
    {"allocations from there on", ENOMEM, true, true},
    {"EIO", EIO, false, false},
    {"EIO from there on", EIO, false, true},
    {"EACCES", EACCES, false, false},
    {"EACCES from there on", EACCES, false, true},
};
// Where the calls are the same as in another sweep.
constexpr Fault kFewFaults[] = {kFaults[0], kFaults[2], kFaults[5]};

struct Count {
  int faults = 0;
  int let_in = 0;
};

void prepare(Segment segment, const Attempt &attempt) {
  if (segment == Segment::kCold) {
    remove_segments();
    return;
  }
  in_child([&] {
    answer_without_faults(attempt);
    return answer_without_faults(kRight);
  });
}

Count sweep(const Attempt &attempt, const Who &who, Segment segment,
            const Fault &fault) {
  constexpr int kMost = 2000;
  Count count;
  for (int at = 1; at < kMost; ++at) {
    if (at == 1 || segment == Segment::kCold) {
      prepare(segment, attempt);
    }
    const int finding = attempt_under(
        attempt, who, [&] { arm(fault, at); }, [] { return disarm(); });
    if (finding > kLetIn) {
      fail_msg("%s, %s at call %d: %s (%d)", attempt.name, fault.name, at,
               text_of(finding), finding);
    }
    if (finding == kNoFault) {
      return count;
    }
    ++count.faults;
    count.let_in += finding == kLetIn ? 1 : 0;
  }
  fail_msg("%s: no end of calls", fault.name);
  return count;
}

// Every fault, and the numbers.
void sweep_all(const char *title, std::span<const Attempt> attempts,
               const Who &who, Segment segment,
               std::span<const Fault> faults_of_it = kFaults) {
  configure_sweep(segment);
  for (const Fault &fault : faults_of_it) {
    Count sum;
    for (const Attempt &attempt : attempts) {
      const Count count = sweep(attempt, who, segment, fault);
      sum.faults += count.faults;
      sum.let_in += count.let_in;
    }
    // An attempt without any call at all was not the one that was meant.
    if (!fault.of_memory) {
      assert_true(sum.faults > 0);
    }
    print_message("%s, %s: %d faults, %d successes with the right secret\n",
                  title, fault.name, sum.faults, sum.let_in);
  }
}

constexpr Attempt kAuthentications[] = {kRight, kWrong, kOff};
constexpr Attempt kAccounts[] = {kOn, kOffLater};

constexpr const char *kFallThrough =
    "[success=done user_unknown=ignore default=die]";

void as_root() {}

void auth_of_root_with_cold_segment(void ** /*state*/) {
  write_stacks("required", "check_account");
  // The last one is swept where others follow.
  sweep_all("root, cold", kAuthentications, as_root, Segment::kCold,
            std::span(kFaults).first<5>());
}

void auth_of_root_with_warm_segment(void ** /*state*/) {
  write_stacks("required", "check_account");
  sweep_all("root, warm", kAuthentications, as_root, Segment::kWarm);
}

void auth_of_root_that_looks_at_the_file(void ** /*state*/) {
  write_stacks("required", "check_account");
  sweep_all("root, looking", kAuthentications, as_root, Segment::kLooking,
            kFewFaults);
}

void auth_of_root_before_others(void ** /*state*/) {
  write_stacks(kFallThrough, "check_account");
  sweep_all("root, fall-through, cold", kAuthentications, as_root,
            Segment::kCold, kFewFaults);
  sweep_all("root, fall-through, warm", kAuthentications, as_root,
            Segment::kWarm, kFewFaults);
}

void auth_of_a_member_with_cold_segment(void ** /*state*/) {
  write_stacks(kFallThrough, "check_account");
  sweep_all("member, cold", kAuthentications, become_member, Segment::kCold);
}

void auth_of_a_member_with_warm_segment(void ** /*state*/) {
  write_stacks("required", "check_account");
  sweep_all("member, warm", kAuthentications, become_member, Segment::kWarm);
}

void account_of_root(void ** /*state*/) {
  write_stacks("required", "");
  sweep_all("account of root, cold", kAccounts, as_root, Segment::kCold);
  sweep_all("account of root, warm", kAccounts, as_root, Segment::kWarm);
}

void account_of_a_member(void ** /*state*/) {
  write_stacks("required", "");
  sweep_all("account of a member, cold", kAccounts, become_member,
            Segment::kCold, kFewFaults);
  sweep_all("account of a member, warm", kAccounts, become_member,
            Segment::kWarm);
}

// --- descriptors, processes, files

void no_descriptor_is_free(void ** /*state*/) {
  write_stacks(kFallThrough, "check_account");
  int faults_found = 0;
  for (const Who &who : {Who(as_root), Who(become_member)}) {
    for (const Attempt &attempt : kAuthentications) {
      for (rlim_t more = 0; more < 12; ++more) {
        remove_segments();
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        const int finding = attempt_under(
            attempt, who,
            [&] {
              const rlimit few = {.rlim_cur = open_files() - 1 + more,
                                  .rlim_max = before.rlim_max};
              setrlimit(RLIMIT_NOFILE, &few);
            },
            [&] { return setrlimit(RLIMIT_NOFILE, &before) == 0; });
        if (finding > kLetIn) {
          fail_msg("%s, %d descriptors: %s (%d)", attempt.name,
                   static_cast<int>(more), text_of(finding), finding);
        }
        ++faults_found;
      }
    }
  }
  print_message("%d limits of descriptors\n", faults_found);
}

struct Mistake {
  const char *name;
  std::function<void()> make;
  const char *options;
};

// In auth, in account, and in account after the name was mapped, when only the
// id that auth has left can tell who it is.
void mistakes_of_the_administrator_let_nobody_in(void ** /*state*/) {
  const Mistake mistakes[] = {
      {"unknown option", [] {}, "check_account nosuch"},
      {"unknown store", [] {}, "check_account store=nosuch"},
      {"no helper", [] {}, "check_account helper=/nosuch"},
      {"a directory for a file",
       [] {
         for (const char *path : {kTokens, kUsers}) {
           std::filesystem::remove(path);
           std::filesystem::create_directory(path);
         }
       },
       "check_account"},
      {"truncated files",
       [] {
         write_file(kTokens, "{\"john@pbs!client1\":", 0640);
         write_file(kUsers, "user: john@pbs\n\ntoken", 0640);
       },
       "check_account"},
      {"unknown key", [] { configure("nosuch = 1\n"); }, "check_account"},
      {"no value", [] { configure("user_cfg\n"); }, "check_account"},
      {"a directory for the configuration",
       [] {
         std::filesystem::remove(kConfiguration);
         std::filesystem::create_directory(kConfiguration);
       },
       "check_account"},
      {"a configuration that others may write",
       [] { chmod(kConfiguration, 0666); }, "check_account"},
  };
  int count = 0;
  for (const char *control : {"required", kFallThrough}) {
    for (const Mistake &mistake : mistakes) {
      for (const Who &who : {Who(as_root), Who(become_member)}) {
        setup(nullptr);
        write_stacks(control, mistake.options);
        mistake.make();
        for (const Attempt &attempt : {kRight, kWrong, kOff, kOn, kOffLater}) {
          const int code = in_child([&] {
            Conversation conversation = {.answer = attempt.secret};
            PamHandle handle(kService, attempt.id, &conversation);
            who();
            return perform(handle, attempt);
          });
          // No helper is a mistake only where one is needed.
          const bool harmless = attempt.code == PAM_SUCCESS &&
                                mistake.name[0] == 'n' &&
                                mistake.name[3] == 'h';
          if (code >= 128 || (code == PAM_SUCCESS && !harmless)) {
            fail_msg("%s: %s, %s: %d", mistake.name, control, attempt.name,
                     code);
          }
          ++count;
        }
        std::filesystem::remove_all(kTokens);
        std::filesystem::remove_all(kUsers);
        std::filesystem::remove_all(kConfiguration);
      }
    }
  }
  print_message("%d attempts with mistakes\n", count);
}

void auth_that_cannot_map_leaves_nothing_behind(void ** /*state*/) {
  write_stacks("required", "map_user=user realm=pbs");
  configure_sweep(Segment::kLooking);
  int count = 0;
  for (const Fault &fault : kFewFaults) {
    for (int at = 1; at < 1000; ++at) {
      const int finding = in_child([&] {
        Conversation conversation = {.answer = kSecret};
        const pam_conv conv = {.conv = undisturbed_converse,
                               .appdata_ptr = &conversation};
        PamHandle handle(kService, kEnabled, &conversation);
        pam_set_item(handle.get(), PAM_CONV, &conv);
        arm(fault, at);
        const int code = handle.authenticate();
        const bool was_hit = disarm();
        // PAM_SYSTEM_ERR: see attempt_under().
        if (code != PAM_SUCCESS && code != PAM_SYSTEM_ERR &&
            (pam_getenv(handle.get(), "PBSTOKEN_ID") != nullptr ||
             handle.user() != kEnabled)) {
          return static_cast<int>(kLeftAVariable);
        }
        if (!was_hit) {
          return static_cast<int>(code == PAM_SUCCESS ? kNoFault
                                                      : kNotTheSameAfterwards);
        }
        return static_cast<int>(code == PAM_SUCCESS ? kLetIn : kRefused);
      });
      if (finding == kNoFault) {
        break;
      }
      if (finding != kRefused && finding != kLetIn) {
        fail_msg("%s at call %d: %s", fault.name, at, text_of(finding));
      }
      ++count;
    }
  }
  print_message("%d faults in auth with map_user\n", count);
}

void account_after_mapping_never_forgets_whose_it_is(void ** /*state*/) {
  write_stacks("required", "map_user=user realm=pbs");
  configure_sweep(Segment::kLooking);
  int count = 0;
  for (const Fault &fault : kFewFaults) {
    for (int at = 1; at < 1000; ++at) {
      write_file(kUsers, kUsersText, 0640);
      const int finding = in_child([&] {
        Conversation conversation = {.answer = kSecret};
        PamHandle handle(kService, kEnabled, &conversation);
        if (handle.authenticate() != PAM_SUCCESS || handle.user() != "john") {
          return static_cast<int>(kNotTheSameAfterwards);
        }
        write_file(kUsers,
                   "user: john@pbs\n\ntoken: john@pbs!client1\n\tenable 0\n",
                   0640);
        arm(fault, at);
        const int code = handle.manage_account();
        if (!disarm()) {
          return static_cast<int>(code == PAM_PERM_DENIED ? kNoFault : 99);
        }
        return static_cast<int>(code == PAM_SUCCESS ? kWronglyLetIn : kRefused);
      });
      if (finding == kNoFault) {
        break;
      }
      if (finding != kRefused) {
        fail_msg("%s at call %d: %d", fault.name, at, finding);
      }
      ++count;
    }
  }
  print_message("%d faults in account after map_user\n", count);
}

// --- a change of the secret

// Right or wrong, and whatever fails: one secret counts, and it is the one that
// was, or the one that was shown.
void change_of_a_secret(void ** /*state*/) {
  write_stacks("required", "");
  for (const Attempt &attempt : {kRight, kWrong}) {
    for (const Fault &fault : {kFaults[0], kFaults[2]}) {
      if (attempt.code != PAM_SUCCESS && !fault.of_memory) {
        continue;  // it ends before the calls that the other makes
      }
      int count = 0;
      for (int at = 1; at < 1000; ++at) {
        write_file(kTokens, shadow_of({{kEnabled, cheap_hash()}}), 0640);
        const std::string before = read_file(kTokens);
        const int finding = in_child([&] {
          prctl(PR_SET_CHILD_SUBREAPER, 1);
          Conversation conversation = {.answer = attempt.secret};
          const pam_conv conv = {.conv = undisturbed_converse,
                                 .appdata_ptr = &conversation};
          PamHandle handle(kService, attempt.id, &conversation);
          pam_set_item(handle.get(), PAM_CONV, &conv);
          const std::size_t files = open_files();
          arm(fault, at);
          const int code = handle.change_secret();
          const bool was_hit = disarm();
          // A helper that was told to write and then left alone still does: it
          // is not to do so in the next turn.
          while (wait(nullptr) > 0) {
          }
          if (open_files() != files) {
            return static_cast<int>(kLeakedDescriptor);
          }
          const bool changed = read_file(kTokens) != before;
          if (attempt.code != PAM_SUCCESS || !changed) {
            return static_cast<int>(code == PAM_SUCCESS || changed
                                        ? kWronglyLetIn
                                    : was_hit ? kRefused
                                              : kNoFault);
          }
          // Told, and it counts.
          for (const std::string &text : conversation.shown) {
            const std::size_t start = text.rfind(' ') + 1;
            if (text.starts_with("New token secret: ") &&
                authenticate(kEnabled, text.substr(start)) == PAM_SUCCESS) {
              return static_cast<int>(was_hit ? kLetIn : kNoFault);
            }
          }
          return static_cast<int>(kNotTheSameAfterwards);
        });
        if (finding > kLetIn) {
          fail_msg("%s, %s at call %d: %s (%d)", attempt.name, fault.name, at,
                   text_of(finding), finding);
        }
        if (finding == kNoFault) {
          break;
        }
        ++count;
      }
      print_message("change with the %s, %s: %d faults\n", attempt.name,
                    fault.name, count);
    }
  }
}

}  // namespace
}  // namespace pbstoken

#define with_sweep(test) cmocka_unit_test_setup(test, pbstoken::setup)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_sweep(auth_of_root_with_cold_segment),
      with_sweep(auth_of_root_with_warm_segment),
      with_sweep(auth_of_root_that_looks_at_the_file),
      with_sweep(auth_of_root_before_others),
      with_sweep(auth_of_a_member_with_cold_segment),
      with_sweep(auth_of_a_member_with_warm_segment),
      with_sweep(account_of_root),
      with_sweep(account_of_a_member),
      with_sweep(auth_that_cannot_map_leaves_nothing_behind),
      with_sweep(account_after_mapping_never_forgets_whose_it_is),
      with_sweep(no_descriptor_is_free),
      with_sweep(mistakes_of_the_administrator_let_nobody_in),
      with_sweep(change_of_a_secret),
  };
  return cmocka_run_group_tests_name("module_sweep", tests, nullptr, nullptr);
}
