// SPDX-License-Identifier: BSD-3-Clause
// The account rules for a service that may not read user.cfg: upstream's
// answers over the real pamtester(1), what they cost, and how soon a change is
// known.
#include <ctime>

#include "e2e_accounts.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kPamService = "/etc/pam.d/pbstoken-test";

// The module where everybody gets to it.
std::string installed_module() {
  return scratch("installed-module.so");
}

void write_users(const std::string &text) {
  write_file(kUserCfg, text, 0640);
  assert_int_equal(chown(kUserCfg, 0, kBackup), 0);
}

int setup(void **state) {
  if (clean_host_with_members(state) != 0) {
    return -1;
  }
  std::filesystem::copy_file(module_path(), installed_module(),
                             std::filesystem::copy_options::overwrite_existing);
  chmod(installed_module().c_str(), 0755);
  Tokens tokens;
  for (const AccountRow &row : kAccountRows) {
    tokens.emplace_back(row.id, kOldHash);
  }
  write_shadow(tokens);
  write_users(kAccounts);
  return 0;
}

// The service of pamtester(1), and kService in the same words.
void write_services(const std::string &helper, const std::string &options) {
  const std::string ours = installed_module() + " helper=" + helper + " ";
  const std::vector<std::string> lines = {"auth required " + ours + options,
                                          "account required " + ours};
  write_stack(kService, lines);
  write_file(kPamService, lines[0] + "\n" + lines[1] + "\n");
}

using Who = std::function<void()>;

RunResult pamtester(const Who &who, const std::string &id,
                    const std::string &operation,
                    const std::string &secret = kOldSecret) {
  return run({.path = "/usr/bin/pamtester",
              .arguments = {"pbstoken-test", id, operation},
              .input = secret + "\n",
              .prepare = who});
}

void assert_answer(const RunResult &outcome, const AccountRow &row) {
  const bool right =
      row.code == PAM_SUCCESS
          ? outcome.status == 0
          : outcome.status == 1 && outcome.err.find(pam_strerror(
                                       nullptr, row.code)) != std::string::npos;
  if (!right) {
    fail_msg("%s: exit status %d: %s", row.id, outcome.status,
             outcome.err.c_str());
  }
}

void as_root() {}

void assert_every_row(const std::string &operation) {
  for (const char *configuration : {"cache_ttl = 0\n", "", "cache = no\n"}) {
    configure(configuration);
    remove_segments();
    for (int round = 0; round < 2; ++round) {
      for (const AccountRow &row : kAccountRows) {
        // Each first with a segment that the other has filled.
        const bool member_first = round == 0;
        assert_answer(pamtester(member_first ? become_member : as_root, row.id,
                                operation),
                      row);
        assert_answer(pamtester(member_first ? as_root : become_member, row.id,
                                operation),
                      row);
      }
    }
  }
}

void member_may_not_read_user_cfg(void ** /*state*/) {
  assert_int_equal(in_child([] {
                     become_member();
                     return open(kUserCfg, O_RDONLY | O_CLOEXEC) < 0 ? errno
                                                                     : 0;
                   }),
                   EACCES);
}

void acct_mgmt_gives_upstreams_answer_for_every_row(void ** /*state*/) {
  write_services(setuid_helper(), "");
  assert_every_row("acct_mgmt");
}

void check_account_gives_the_same_answers_in_auth(void ** /*state*/) {
  write_services(setuid_helper(), "check_account");
  assert_every_row("authenticate");
  for (const AccountRow &row : kAccountRows) {
    assert_answer(pamtester(become_member, row.id, "authenticate", kSecret),
                  {row.id, PAM_AUTH_ERR});
  }
}

// --- what it costs

std::string counted_helper() {
  return write_script("echo run >>" + scratch("anybody/runs") + "\nexec " +
                      setuid_helper() + " \"$@\"");
}

int helper_runs() {
  int count = 0;
  for (const char c : read_file(scratch("anybody/runs"))) {
    count += c == '\n' ? 1 : 0;
  }
  return count;
}

constexpr int kTimes = 1000;

// 0 if all of them went well.
int authenticate_1000_times() {
  return in_child([] {
    become_member();
    for (int i = 0; i < kTimes; ++i) {
      Conversation conversation = {.answer = kOldSecret};
      PamHandle handle(kService, kId, &conversation);
      if (handle.authenticate() != PAM_SUCCESS ||
          handle.manage_account() != PAM_SUCCESS) {
        return 1;
      }
    }
    return 0;
  });
}

void a_thousand_times_cost_one_helper_run(void ** /*state*/) {
  for (const char *options : {"", "check_account"}) {
    remove_segments();
    public_directory();
    configure("cache_ttl = 3600\n");
    tool_output({"prepare"});
    write_services(counted_helper(), options);
    assert_int_equal(authenticate_1000_times(), 0);
    print_message("%d times, auth%s%s and account: %d helper runs\n", kTimes,
                  *options == '\0' ? "" : " with ", options, helper_runs());
    assert_int_equal(helper_runs(), 1);
  }
}

// As long as it takes: a run for each second begun, and no more.
void each_ttl_costs_one_helper_run(void ** /*state*/) {
  public_directory();
  configure("cache_ttl = 1\n");
  tool_output({"prepare"});
  write_services(counted_helper(), "");
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_BOOTTIME, &before);
  int failed = 0;
  do {
    failed += authenticate_1000_times();
    clock_gettime(CLOCK_BOOTTIME, &after);
  } while (after.tv_sec - before.tv_sec < 3);
  assert_int_equal(failed, 0);
  const auto seconds = static_cast<int>(after.tv_sec - before.tv_sec);
  print_message("%d s with cache_ttl = 1: %d helper runs\n", seconds,
                helper_runs());
  assert_in_range(helper_runs(), 1, static_cast<unsigned>(seconds) + 2);
}

// --- how soon a change is known

void disabled_token_is_refused_to_members_within_cache_ttl(void ** /*state*/) {
  configure("cache_ttl = 1\n");
  for (const char *options : {"", "check_account"}) {
    const std::string operation =
        *options == '\0' ? "acct_mgmt" : "authenticate";
    const auto fill = [&](const std::string &users) {
      write_users(users);
      usleep(1'100'000);
      return pamtester(become_member, kId, operation);
    };
    write_services(setuid_helper(), options);
    const std::string user = "user: john@pbs\n\ntoken: john@pbs!client1\n";
    assert_answer(fill(user), {kId, PAM_SUCCESS});
    assert_answer(pamtester(become_member, kId, operation), {kId, PAM_SUCCESS});
    assert_answer(fill(user + "\tenable 0\n"), {kId, PAM_PERM_DENIED});
    assert_answer(fill("user: john@pbs\n"), {kId, PAM_USER_UNKNOWN});
  }
}

// However long cache_ttl is: the tool claims the verdicts of the segment.
void change_by_the_tool_counts_for_members_at_once(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  write_users("user: john@pbs\n\ntoken: john@pbs!client1\n");
  tool_output({"prepare"});
  write_services(setuid_helper(), "");
  const auto answer = [] { return pamtester(become_member, kId, "acct_mgmt"); };
  assert_answer(answer(), {kId, PAM_SUCCESS});
  for (int i = 0; i < 3; ++i) {
    tool_output({"token", "disable", kId});
    assert_answer(answer(), {kId, PAM_PERM_DENIED});
    tool_output({"token", "enable", kId});
    assert_answer(answer(), {kId, PAM_SUCCESS});
    tool_output({"user", "expire", "john@pbs", "2020-01-01"});
    assert_answer(answer(), {kId, PAM_ACCT_EXPIRED});
    tool_output({"user", "expire", "john@pbs", "never"});
    assert_answer(answer(), {kId, PAM_SUCCESS});
  }
}

}  // namespace
}  // namespace pbstoken

#define with_members(test) cmocka_unit_test_setup(test, pbstoken::setup)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_members(member_may_not_read_user_cfg),
      with_members(acct_mgmt_gives_upstreams_answer_for_every_row),
      with_members(check_account_gives_the_same_answers_in_auth),
      with_members(a_thousand_times_cost_one_helper_run),
      with_members(each_ttl_costs_one_helper_run),
      with_members(disabled_token_is_refused_to_members_within_cache_ttl),
      with_members(change_by_the_tool_counts_for_members_at_once),
  };
  return cmocka_run_group_tests_name("account_member", tests, nullptr, nullptr);
}
