// SPDX-License-Identifier: BSD-3-Clause
// The module in a service that is not root, or not root alone: what it answers,
// whom it asks, and how often.
#include <linux/capability.h>
#include <sys/syscall.h>

#include "e2e_log.h"
#include "e2e_member.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr int kTimes = 1000;

// How often one handle was refused what it may have: 0, or 1 for any number.
int authenticate_often(PamHandle &handle) {
  bool good = true;
  for (int i = 0; i < kTimes; ++i) {
    good = handle.authenticate() == PAM_SUCCESS && good;
  }
  return good ? 0 : 1;
}

// --- how often the helper is run

void member_1000_times_within_the_ttl_is_one_run(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  write_shadow({{kId, kHash}});
  const RunCounter counter;
  assert_int_equal(as_other(become_member, kId,
                            [](PamHandle &handle, Conversation &) {
                              return authenticate_often(handle);
                            }),
                   0);
  assert_int_equal(counter.runs(), 1);
  // Another process, another handle.
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter.runs(), 1);
  assert_int_equal(testing::counter("hashes"), 1);
}

void member_1000_times_is_at_most_one_run_each_ttl(void ** /*state*/) {
  configure("cache_ttl = 1\n");
  write_shadow({{kId, kHash}});
  // Seen for so long that nobody need read it again.
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  usleep(2'100'000);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
  const RunCounter counter;
  const std::uint64_t before = boottime_now();
  assert_int_equal(as_other(become_member, kId,
                            [](PamHandle &handle, Conversation &) {
                              const int failed = authenticate_often(handle);
                              usleep(1'100'000);  // over the end of one
                              return failed + authenticate_often(handle);
                            }),
                   0);
  const std::uint64_t seconds =
      (boottime_now() - before) / kNanosecondsPerSecond;
  assert_true(counter.runs() >= 1);
  assert_true(static_cast<std::uint64_t>(counter.runs()) <= seconds + 1);
  // The file is looked at, and not hashed for.
  assert_int_equal(testing::counter("hashes"), 1);
}

void member_known_mismatch_is_no_further_run(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  write_shadow({{kId, kHash}});
  const RunCounter counter;
  for (int i = 0; i < 5; ++i) {
    assert_pam(authenticate_as_member(kId, kWrongSecret), PAM_AUTH_ERR);
  }
  assert_int_equal(counter.runs(), 1);
}

void member_without_a_cache_is_a_run_each_time(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunCounter counter("nocache");
  for (int i = 1; i <= 3; ++i) {
    assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
    assert_int_equal(counter.runs(), i);
    assert_int_equal(testing::counter("hashes"), i);
  }
  // Nor has the helper put anything into a segment.
  assert_int_equal(status_json()["slots_used"].GetUint64(), 0);
}

// The helper alone can tell whether there is such a token; it hashes nothing.
void member_unacceptable_secret_is_one_run(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunCounter counter;
  int runs = 0;
  for (const std::string &secret :
       {std::string(), std::string(512, 'a'), std::string(1U << 20U, 'a'),
        std::string(kSecret) + "\n"}) {
    assert_pam(authenticate_as_member(kId, secret), PAM_AUTH_ERR);
    assert_int_equal(counter.runs(), ++runs);
    assert_pam(authenticate_as_member("other@pbs!t", secret), PAM_USER_UNKNOWN);
    assert_int_equal(counter.runs(), ++runs);
  }
  assert_int_equal(testing::counter("hashes"), 0);
}

// --- what it answers

void member_gets_the_answers_that_root_gets(void ** /*state*/) {
  look_every_time();
  write_shadow({{kId, kHash}, {kOldId, kOldHash}, {"bad@pbs!t", "*0"}});
  for (const char *options : {"", " nocache"}) {
    write_service("helper=" + setuid_helper() + options);
    const auto same = [](const std::string &id, const std::string &secret,
                         int code) {
      assert_pam(authenticate_as_member(id, secret), code);
      assert_pam(authenticate(id, secret), code);
    };
    same(kId, kSecret, PAM_SUCCESS);
    same(kOldId, kOldSecret, PAM_SUCCESS);
    same(kId, kWrongSecret, PAM_AUTH_ERR);
    same(kId, "x", PAM_AUTH_ERR);
    same(kId, std::string(511, 'a'), PAM_AUTH_ERR);
    same("bad@pbs!t", kSecret, PAM_AUTH_ERR);
    same("other@pbs!t", kSecret, PAM_USER_UNKNOWN);
    same("--store=x@pbs!t", kSecret, PAM_USER_UNKNOWN);
    same("john", kSecret, PAM_USER_UNKNOWN);
    for (const std::size_t length : {4096U, 4097U, 32768U}) {
      same(std::string(length - 6, 'u') + "@pbs!t", kSecret, PAM_USER_UNKNOWN);
    }
  }
  write_file(kShadow, "{");
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  std::filesystem::remove(kShadow);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_USER_UNKNOWN);
}

void member_sees_a_changed_secret_at_once(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  const std::string first = generate(kId);
  assert_pam(authenticate_as_member(kId, first), PAM_SUCCESS);
  const std::string second = generate(kId);
  assert_pam(authenticate_as_member(kId, first), PAM_AUTH_ERR);
  assert_pam(authenticate_as_member(kId, second), PAM_SUCCESS);
  helper_output({"delete", kId});
  assert_pam(authenticate_as_member(kId, second), PAM_USER_UNKNOWN);
}

void stranger_is_served_by_neither(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const auto stranger = [] { become(kMember, {kMembers + 1}); };
  assert_pam(authenticate_as(stranger, kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_pam(authenticate_as(stranger, kId, kWrongSecret),
             PAM_AUTHINFO_UNAVAIL);
  // Nor is anything hashed for him.
  assert_int_equal(counter("hashes"), 1);
  // By his own group, he is none.
  write_file("/etc/group", read_file("/etc/group") + "other:x:33:\n");
  configure("verify_group = other\n");
  assert_pam(authenticate_as(stranger, kId, kSecret), PAM_SUCCESS);
}

void member_other_store_is_asked_for_by_name(void ** /*state*/) {
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n");
  write_file("/etc/proxmox-backup/other.shadow", shadow_of({{kId, kOldHash}}),
             0640);
  write_shadow({{kId, kHash}});
  write_service("store=other helper=" + setuid_helper());
  assert_pam(authenticate_as_member(kId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTH_ERR);
}

// The longest items, and more than an argument may have.
void member_hostile_items_do_no_harm(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const std::string &host :
       {std::string(5000, 'h'), std::string("--store=x"), std::string("\n"),
        std::string("\xff\x1b[2J")}) {
    assert_int_equal(as_other(become_member, kId,
                              [&](PamHandle &handle, Conversation &) {
                                pam_set_item(handle.get(), PAM_RHOST,
                                             host.c_str());
                                return handle.authenticate();
                              }),
                     PAM_SUCCESS);
  }
  assert_pam(authenticate_as_member(std::string(200000, 'a') + "@pbs!t", "x"),
             PAM_AUTHINFO_UNAVAIL);
}

// --- root, but not alone, or not almighty

// Writes down who runs it, and goes on as the real one.
void write_service_telling_ids(const std::string &options = {}) {
  write_service("helper=" +
                write_script("grep -E '^(Uid|Groups)' /proc/self/status >" +
                             public_directory() + "/ids\nexec " +
                             helper_path() + " \"$@\"") +
                " " + options);
}

std::string told_ids() {
  return read_file(scratch("anybody/ids"));
}

void root_with_other_ids_runs_the_helper_as_root_alone(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  // Real, effective and saved.
  constexpr std::array<std::array<uid_t, 3>, 3> kIds = {
      {{kMember, 0, 0}, {kMember, 0, kMember}, {0, 0, kMember}}};
  for (const auto &ids : kIds) {
    write_service_telling_ids();
    const auto half_root = [&ids] {
      if (setresuid(ids[0], ids[1], ids[2]) != 0) {
        std::abort();
      }
    };
    tool_output({"flush"});
    assert_pam(authenticate_as(half_root, kId, kSecret), PAM_SUCCESS);
    assert_true(told_ids().starts_with("Uid:\t0\t0\t0\t0\n"));
    // A hit needs no helper, and root's own look keeps it one.
    write_service_with_script("exit 1");
    assert_pam(authenticate_as(half_root, kId, kSecret), PAM_SUCCESS);
  }
}

void root_alone_runs_no_helper(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunCounter counter;
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kWrongSecret), PAM_AUTH_ERR);
  assert_int_equal(counter.runs(), 0);
}

void other_ids_than_the_effective_one_gain_nothing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  // Its effective uid is not 0: the program is started as it is, and serves who
  // is root by its real uid.
  const auto was_root = [] {
    if (setresuid(0, kMember, kMember) != 0) {
      std::abort();
    }
  };
  chmod(setuid_helper().c_str(), 0755);
  write_service("helper=" + setuid_helper());
  assert_pam(authenticate_as(was_root, kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  chmod(setuid_helper().c_str(), 04755);
  write_service("helper=" + setuid_helper());
  assert_pam(authenticate_as(was_root, kId, kSecret), PAM_SUCCESS);
}

void root_with_config_option_passes_it_on(void ** /*state*/) {
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n");
  write_file("/etc/proxmox-backup/other.shadow", shadow_of({{kId, kOldHash}}),
             0640);
  write_shadow({{kId, kHash}});
  const auto su = [] {
    if (setresuid(kMember, 0, 0) != 0) {
      std::abort();
    }
  };
  write_service("config=/etc/pbstoken/other.conf helper=" + helper_path());
  assert_pam(authenticate_as(su, kId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate_as(su, kId, kSecret), PAM_AUTH_ERR);
}

void drop_file_capabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) {
    std::abort();
  }
  const std::uint32_t gone =
      (1U << CAP_DAC_OVERRIDE) | (1U << CAP_DAC_READ_SEARCH);
  data[0].effective &= ~gone;
  data[0].permitted &= ~gone;
  if (syscall(SYS_capset, &header, data.data()) != 0) {
    std::abort();
  }
}

void root_that_cannot_read_the_file_asks_the_helper(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunCounter counter("debug");
  assert_pam(authenticate_as(drop_file_capabilities, kId, kSecret),
             PAM_SUCCESS);
  assert_int_equal(counter.runs(), 1);
  assert_pam(authenticate_as(drop_file_capabilities, kId, kWrongSecret),
             PAM_AUTH_ERR);
}

// --- what the log says

void log_refusal_of_the_helper_has_its_reason(void ** /*state*/) {
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  write_service("nocache helper=" + setuid_helper());
  const auto refused = [](const std::string &id, const std::string &secret,
                          const std::string &reason) {
    assert_logs([&] { authenticate_as_member(id, secret); }, LOG_NOTICE,
                "authentication failure; tokenid=" + id +
                    " rhost= tty= ruser= reason=" + reason);
  };
  refused(kId, kWrongSecret, "wrong secret");
  refused("other@pbs!t", kSecret, "unknown token");
  refused("bad@pbs!t", kSecret, "unusable stored hash");
  write_service_with_script(shell_print(word_text(Outcome::kThrottled)) +
                            "; exit 6");
  refused(kId, kSecret, "throttled");
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTH_ERR);
  log_lines();
  write_service_with_script(shell_print(word_text(Outcome::kKnownMismatch)) +
                            "; exit 1");
  refused(kId, kSecret, "known mismatch");
}

void log_what_the_helper_says_is_broken(void ** /*state*/) {
  const auto attempt = [] { authenticate_as_member(kId, kSecret); };
  write_file(kShadow, "{");
  assert_logs(attempt, LOG_ERR,
              std::string("cannot verify: the helper: ") + kShadow +
                  ":1:2: malformed JSON: Missing a name for object member.");
  write_shadow({{kId, kHash}});
  assert_logs(
      [] { authenticate_as([] { become(kMember, {}); }, kId, kSecret); },
      LOG_ERR,
      "cannot verify: the helper: not permitted: only root or group pbstoken "
      "may do this, not uid 33");
  // Whatever it says is one line of bounded length, and nothing of it counts.
  write_service_with_script(shell_print(word_text(Outcome::kUnavailable)) +
                            "; printf 'a\\nb\\033[2J\\377'; exit 4");
  assert_logs(attempt, LOG_ERR,
              "cannot verify: the helper: a\\x0ab\\x1b[2J\xff");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      MEMBER_TEST(member_1000_times_within_the_ttl_is_one_run),
      MEMBER_TEST(member_1000_times_is_at_most_one_run_each_ttl),
      MEMBER_TEST(member_known_mismatch_is_no_further_run),
      MEMBER_TEST(member_without_a_cache_is_a_run_each_time),
      MEMBER_TEST(member_unacceptable_secret_is_one_run),
      MEMBER_TEST(member_gets_the_answers_that_root_gets),
      MEMBER_TEST(member_sees_a_changed_secret_at_once),
      MEMBER_TEST(stranger_is_served_by_neither),
      MEMBER_TEST(member_other_store_is_asked_for_by_name),
      MEMBER_TEST(member_hostile_items_do_no_harm),
      MEMBER_TEST(root_with_other_ids_runs_the_helper_as_root_alone),
      MEMBER_TEST(root_alone_runs_no_helper),
      MEMBER_TEST(other_ids_than_the_effective_one_gain_nothing),
      MEMBER_TEST(root_with_config_option_passes_it_on),
      MEMBER_TEST(root_that_cannot_read_the_file_asks_the_helper),
  };
  const CMUnitTest log_tests[] = {
      MEMBER_TEST(log_refusal_of_the_helper_has_its_reason),
      MEMBER_TEST(log_what_the_helper_says_is_broken),
  };
  const int failed =
      cmocka_run_group_tests_name("module_helper", tests, nullptr, nullptr);
  return failed + cmocka_run_group_tests_name("module_helper_log", log_tests,
                                              replace_dev, restore_dev);
}
