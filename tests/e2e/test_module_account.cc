// SPDX-License-Identifier: BSD-3-Clause
// The account rules, in account and in auth, and who the user is afterwards.
#include <ctime>
#include <tuple>

#include "e2e_accounts.h"
#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

void write_users(const std::string &text) {
  write_file(kUserCfg, text);
}

// `auth` and `account` with the same options.
void write_both(const std::string &options) {
  write_stack(kService, {auth_line("required", options),
                         "account required " + module_path() + " " + options});
}

// cache_ttl 0: what is edited here counts at once.
int setup(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  write_file("/etc/pbstoken/pbs.conf", "cache_ttl = 0\n");
  Tokens tokens;
  for (const AccountRow &row : kAccountRows) {
    tokens.push_back({row.id, kHash});
  }
  write_shadow(tokens);
  write_users(kAccounts);
  write_both("");
  return 0;
}

int manage(const std::string &user) {
  Conversation conversation = {.answer = kSecret};
  return PamHandle(kService, user, &conversation).manage_account();
}

void account_gives_upstreams_answer_for_every_row(void ** /*state*/) {
  for (int round = 0; round < 2; ++round) {
    for (const AccountRow &row : kAccountRows) {
      Conversation conversation = {.answer = kSecret};
      PamHandle handle(kService, row.id, &conversation);
      assert_pam(handle.authenticate(), PAM_SUCCESS);
      assert_pam(handle.manage_account(), row.code);
      // Also without auth before it.
      assert_pam(manage(row.id), row.code);
    }
  }
}

void check_account_refuses_in_auth(void ** /*state*/) {
  write_both("check_account");
  for (const AccountRow &row : kAccountRows) {
    assert_pam(authenticate(row.id, kSecret), row.code);
    // A wrong secret learns nothing of the rules.
    assert_pam(authenticate(row.id, kOldSecret), PAM_AUTH_ERR);
  }
}

void refused_account_leaves_nobody_verified(void ** /*state*/) {
  write_both("check_account");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, "john@pbs!off", &conversation);
  for (int i = 0; i < 3; ++i) {
    assert_pam(handle.authenticate(), PAM_PERM_DENIED);
    assert_text_equal(handle.variable("PBSTOKEN_ID"), "(none)");
    assert_pam(handle.manage_account(), PAM_PERM_DENIED);
  }
}

// The second look must not be kinder than the first one: neither by a password
// that is there already nor by the segment.
void second_try_after_a_refusal_is_refused(void ** /*state*/) {
  for (const char *options :
       {"check_account", "check_account try_first_pass",
        "check_account use_first_pass", "check_account nocache"}) {
    write_stack(kService, {auth_line("sufficient", "check_account"),
                           auth_line("required", options),
                           "account required " + module_path()});
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, "john@pbs!off", &conversation);
    for (int i = 0; i < 3; ++i) {
      assert_pam(handle.authenticate(), PAM_PERM_DENIED);
      assert_pam(handle.manage_account(), PAM_PERM_DENIED);
    }
  }
}

void expire_now_is_refused(void ** /*state*/) {
  const std::time_t now = std::time(nullptr);
  const auto token = [](std::time_t expire) {
    write_users("user: john@pbs\n\ntoken: john@pbs!client1\n\texpire " +
                std::to_string(expire) + "\n");
  };
  token(now);
  assert_pam(manage(kId), PAM_ACCT_EXPIRED);
  token(now + 1000);
  assert_pam(manage(kId), PAM_SUCCESS);
  // Out of the segment as well: the verdict says until when.
  token(now + 2);
  assert_pam(manage(kId), PAM_SUCCESS);
  while (std::time(nullptr) < now + 2) {
    usleep(50'000);
  }
  assert_pam(manage(kId), PAM_ACCT_EXPIRED);
  // The earlier of the two counts.
  write_users("user: john@pbs\n\texpire 1\n\ntoken: john@pbs!client1\n");
  assert_pam(manage(kId), PAM_ACCT_EXPIRED);
}

void account_of_no_token_id_is_ignored(void ** /*state*/) {
  // libpam turns PAM_IGNORE of the only module into a refusal of its own.
  write_stack(kService, {"account required " + module_path(),
                         "account required pam_permit.so"});
  for (const char *user : {"john", "john@pbs", "root", ""}) {
    assert_pam(manage(user), PAM_SUCCESS);
  }
  assert_pam(manage("john@pbs!off"), PAM_PERM_DENIED);
}

void no_user_cfg_means_no_account_checks(void ** /*state*/) {
  write_file("/etc/pbstoken/pbs.conf", "user_cfg =\n");
  write_stack(kService, {auth_line("required", "check_account"),
                         "account required " + module_path(),
                         "account required pam_permit.so"});
  assert_pam(authenticate("john@pbs!off", kSecret), PAM_SUCCESS);
  assert_pam(manage("john@pbs!off"), PAM_SUCCESS);
}

void user_cfg_that_cannot_be_read_is_unavailable(void ** /*state*/) {
  for (const char *text : {"nonsense\n", "user: john@pbs\ntoken: a@b!c\n",
                           "user: john@pbs\n\tcolour red\n"}) {
    write_users(text);
    assert_pam(manage(kId), PAM_AUTHINFO_UNAVAIL);
  }
  std::filesystem::remove(kUserCfg);
  std::filesystem::create_directory(kUserCfg);
  assert_pam(manage(kId), PAM_AUTHINFO_UNAVAIL);
  std::filesystem::remove(kUserCfg);
  assert_pam(manage(kId), PAM_USER_UNKNOWN);
  write_both("nosuchoption");
  assert_pam(manage(kId), PAM_SERVICE_ERR);
}

// --- combined

const std::string kAlice = "alice@pam!laptop";

void write_alice(const std::string &properties) {
  write_shadow(
      {{kAlice, kHash}, {"alice@pbs!x", kHash}, {"root@pam!x", kHash}});
  write_users("user: alice@pam\n\ntoken: " + kAlice + "\n" + properties +
              "\nuser: alice@pbs\n\ntoken: alice@pbs!x\n\ntoken: root@pam!x\n");
}

void combined_takes_the_users_own_token(void ** /*state*/) {
  write_alice("");
  write_both("combined");
  Conversation conversation = {.answer = kAlice + std::string(":") + kSecret};
  PamHandle handle(kService, "alice", &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_text_equal(handle.user(), "alice");
  assert_text_equal(handle.variable("PBSTOKEN_ID"), kAlice);
  assert_pam(handle.manage_account(), PAM_SUCCESS);
  assert_pam(authenticate("root", std::string("root@pam!x:") + kSecret),
             PAM_SUCCESS);
  assert_pam(authenticate("alice",
                          "PBSAPIToken=" + kAlice + std::string(":") + kSecret),
             PAM_SUCCESS);
}

// What may be a password of another kind is left to the modules behind; with
// the header in front it was meant as a token.
void combined_leaves_what_is_not_the_users(void ** /*state*/) {
  write_alice("");
  write_both("combined");
  const std::string secret = std::string(":") + kSecret;
  for (const std::string &password :
       {kAlice + std::string(":") + kOldSecret, kAlice + std::string(":"),
        kAlice + secret + ":", "PBSAPIToken=bob@pam!x" + secret}) {
    assert_pam(authenticate("alice", password), PAM_AUTH_ERR);
  }
  for (const std::string &password :
       {"alice@pbs!x" + secret, "root@pam!x" + secret, std::string(kSecret),
        std::string(), std::string(kAlice),
        std::string("me@home!correct:horse")}) {
    assert_pam(authenticate("alice", password), PAM_USER_UNKNOWN);
  }
  assert_pam(authenticate("bob", kAlice + secret), PAM_USER_UNKNOWN);
}

// Two-line stacks of two stores: what one has verified the other leaves alone.
void account_of_another_store_is_left_to_that(void ** /*state*/) {
  const std::string directory = scratch("other-store");
  std::filesystem::create_directories(directory);
  write_file(directory + "/token.shadow", shadow_of({{kId, kHash}}), 0600);
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = " + directory + "/token.shadow\nuser_cfg = " +
                 directory + "/user.cfg\nversion_cache =\n");
  write_file(directory + "/user.cfg",
             std::string("user: john@pbs\n\tenable 0\n\ntoken: ") + kId + "\n");
  write_users(std::string("user: john@pbs\n\ntoken: ") + kId + "\n");
  const std::string module = " " + module_path();
  for (const auto &[first, second, code] :
       std::vector<std::tuple<std::string, std::string, int>>{
           // verified by `other`, where the user is disabled
           {"other", "pbs", PAM_PERM_DENIED},
           {"pbs", "other", PAM_SUCCESS}}) {
    write_stack(kService, {"auth required" + module + " store=" + first,
                           "account required" + module + " store=" + second,
                           "account required" + module + " store=" + first});
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    assert_pam(handle.authenticate(), PAM_SUCCESS);
    assert_pam(handle.manage_account(), code);
  }
  // Of two that both verify, the last one's counts; by whatever path it is
  // named.
  write_file("/etc/pbstoken/pbs.conf", "cache_ttl = 0\n");
  write_stack(kService, {"auth required" + module + " store=other",
                         "auth required" + module + " use_first_pass",
                         "account required" + module +
                             " config=/etc/../etc/pbstoken/pbs.conf"});
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_pam(handle.manage_account(), PAM_SUCCESS);
  write_users(std::string("user: john@pbs\n\tenable 0\n\ntoken: ") + kId +
              "\n");
  assert_pam(handle.manage_account(), PAM_PERM_DENIED);
  std::filesystem::remove_all(directory);
}

// A store without account rules: the two-line stack lets in what it verified,
// and nobody else.
void account_without_user_cfg_lets_in_what_was_verified(void ** /*state*/) {
  write_file("/etc/pbstoken/pbs.conf", "cache_ttl = 0\nuser_cfg =\n");
  write_both("");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_pam(handle.manage_account(), PAM_SUCCESS);
  conversation.answer = kOldSecret;
  assert_pam(handle.authenticate(), PAM_AUTH_ERR);
  assert_pam(handle.manage_account(), PAM_PERM_DENIED);  // libpam's
  assert_pam(manage(kId), PAM_PERM_DENIED);
}

// sshd(8) asks in a process that has not authenticated, for users with
// passwords too: no line that was ever shown may keep them out, and a jump
// leads on to the modules behind.
void setcred_of_a_fresh_handle_keeps_nobody_out(void ** /*state*/) {
  const std::string module = " " + module_path() + " combined";
  const auto ends_with = [](const std::vector<std::string> &lines) {
    write_stack(kService, lines);
    Conversation conversation = {.answer = kSecret};
    return PamHandle(kService, "alice", &conversation).set_credentials();
  };
  const std::string deny = "auth requisite pam_deny.so";
  const std::string permit = "auth required pam_permit.so";
  const std::string former =
      "auth [success=done user_unknown=ignore authinfo_unavail=ignore "
      "default=die]" +
      module;
  const std::string shown =
      "auth [success=2 user_unknown=ignore authinfo_unavail=ignore "
      "module_unknown=ignore default=die]" +
      module;
  assert_pam(ends_with({"auth required" + module}), PAM_SUCCESS);
  assert_pam(ends_with({former, deny}), PAM_SUCCESS);
  assert_pam(ends_with({shown, permit, deny, permit}), PAM_SUCCESS);
  // pam_deny(8) stands for a module behind, such as pam_cap(8).
  assert_true(ends_with({shown, permit, permit, permit, deny}) != PAM_SUCCESS);
}

void combined_applies_the_account_rules_everywhere(void ** /*state*/) {
  write_alice("\tenable 0\n");
  write_both("combined");
  Conversation conversation = {.answer = kAlice + std::string(":") + kSecret};
  PamHandle handle(kService, "alice", &conversation);
  assert_pam(handle.authenticate(), PAM_PERM_DENIED);
  // Enabled when auth looks, disabled when account does.
  write_alice("");
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  write_alice("\tenable 0\n");
  assert_pam(handle.manage_account(), PAM_PERM_DENIED);
}

void combined_falls_through_with_the_same_password(void ** /*state*/) {
  write_alice("");
  write_stack(kService,
              {"auth [success=done user_unknown=ignore default=die] " +
                   module_path() + " combined",
               "auth required pam_unix.so use_first_pass",
               "account required pam_permit.so"});
  assert_int_equal(run({.path = "/usr/sbin/useradd",
                        .arguments = {"-M", "-p", kHash, "zoe"}})
                       .status,
                   0);
  Conversation conversation = {.answer = kSecret};
  assert_pam(PamHandle(kService, "zoe", &conversation).authenticate(),
             PAM_SUCCESS);
  assert_int_equal(conversation.questions, 1);
  assert_pam(authenticate("zoe", std::string("zoe@pam!none:") + kSecret),
             PAM_AUTH_ERR);
}

// --- map_user

void map_user_makes_a_local_user_of_a_token(void ** /*state*/) {
  write_alice("");
  write_both("map_user=user realm=pbs");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, "alice@pbs!x", &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_text_equal(handle.user(), "alice");
  assert_text_equal(handle.variable("PBSTOKEN_ID"), "alice@pbs!x");
  // The rules are the token's, though the name is none any more.
  assert_pam(handle.manage_account(), PAM_SUCCESS);
  write_users("user: alice@pbs\n\ntoken: alice@pbs!x\n\tenable 0\n");
  assert_pam(handle.manage_account(), PAM_PERM_DENIED);
  assert_pam(authenticate("alice@pbs!x", kSecret), PAM_PERM_DENIED);
}

void map_user_leaves_the_name_of_who_is_refused(void ** /*state*/) {
  const std::vector<std::string> users = {"root", "-froot", "0",   "#0",
                                          "..",   "$(id)",  "a@b", "Alice"};
  Tokens tokens = {{"alice@pam!x", kHash}};
  std::string text = "user: alice@pam\n\ntoken: alice@pam!x\n\n";
  for (const std::string &user : users) {
    tokens.push_back({user + "@pbs!x", kHash});
    text += "user: " + user + "@pbs\n\ntoken: " + user + "@pbs!x\n\n";
  }
  write_shadow(tokens);
  write_users(text);
  write_both("map_user=user realm=pbs");
  for (const auto &[id, hash] : tokens) {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, id, &conversation);
    assert_pam(handle.authenticate(), PAM_AUTH_ERR);
    assert_text_equal(handle.user(), id);
  }
}

void map_user_to_one_name_for_all(void ** /*state*/) {
  write_alice("");
  write_both("map_user=www-data realm=pam");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kAlice, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_text_equal(handle.user(), "www-data");
  // No token id any more: nothing for us to do.
  assert_pam(handle.authenticate(), PAM_USER_UNKNOWN);
  assert_pam(authenticate("alice@pbs!x", kSecret), PAM_AUTH_ERR);
}

// --- one handle, several attempts

void rename_user(const PamHandle &handle, const char *name) {
  assert_pam(pam_set_item(handle.get(), PAM_USER, name), PAM_SUCCESS);
}

// In whatever way an attempt ends, the one before it does not count any more.
void failure_takes_the_verified_token_away(void ** /*state*/) {
  write_alice("");
  write_both("");
  struct Attempt {
    const char *user;
    Conversation conversation;
    int code;
  };
  for (const Attempt &next : std::vector<Attempt>{
           {kAlice.c_str(), {.answer = kWrongSecret}, PAM_AUTH_ERR},
           {kAlice.c_str(), {.answer = ""}, PAM_AUTH_ERR},
           {kAlice.c_str(), {.answer = {}}, PAM_CONV_ERR},
           {kAlice.c_str(),
            {.answer = kSecret, .status = PAM_CONV_ERR},
            PAM_CONV_ERR},
           {"none@pam!x", {.answer = kSecret}, PAM_USER_UNKNOWN},
           {"alice", {.answer = kSecret}, PAM_USER_UNKNOWN}}) {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kAlice, &conversation);
    assert_pam(handle.authenticate(), PAM_SUCCESS);
    rename_user(handle, "somebody");
    assert_pam(handle.manage_account(), PAM_SUCCESS);

    conversation = next.conversation;
    rename_user(handle, next.user);
    assert_pam(handle.authenticate(), next.code);
    assert_text_equal(handle.variable("PBSTOKEN_ID"), "(none)");
    // Ignored, and so denied by libpam.
    rename_user(handle, "somebody");
    assert_pam(handle.manage_account(), PAM_PERM_DENIED);
  }
}

void success_of_another_token_replaces_the_verified_one(void ** /*state*/) {
  // Each of them is the beginning of another.
  const std::string longer = kAlice + "2";
  const std::string shorter = kAlice.substr(0, kAlice.size() - 1);
  write_shadow({{kAlice, kHash}, {longer, kHash}, {shorter, kHash}});
  write_users("user: alice@pam\n\ntoken: " + kAlice +
              "\n\tenable 0\n\ntoken: " + longer + "\n\ntoken: " + shorter +
              "\n");
  write_both("");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kAlice, &conversation);
  for (const std::string &id : {kAlice, longer, kAlice, shorter, kAlice}) {
    // Twice: the second time nothing is new.
    for (int i = 0; i < 2; ++i) {
      rename_user(handle, id.c_str());
      assert_pam(handle.authenticate(), PAM_SUCCESS);
      assert_text_equal(handle.variable("PBSTOKEN_ID"), id);
      rename_user(handle, "somebody");
      assert_pam(handle.manage_account(),
                 id == kAlice ? PAM_PERM_DENIED : PAM_SUCCESS);
    }
  }
  rename_user(handle, kAlice.c_str());
  // What somebody else writes there does not last.
  assert_pam(pam_putenv(handle.get(), "PBSTOKEN_ID=alice@pam!x"), PAM_SUCCESS);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_text_equal(handle.variable("PBSTOKEN_ID"), kAlice);
}

void options_that_need_others_are_errors(void ** /*state*/) {
  for (const char *options :
       {"realm=pam", "map_user=user", "map_user=", "map_user=-x",
        "map_user=a.b", "realm= combined", "realm=p combined",
        "realm=a@b combined", "realm=a!b combined", "combined=1",
        "check_account=no", "quiet=1"}) {
    write_service(options);
    if (authenticate(kId, kSecret) != PAM_SERVICE_ERR) {
      fail_msg("%s", options);
    }
  }
}

}  // namespace
}  // namespace pbstoken

#define with_users(test) cmocka_unit_test_setup(test, pbstoken::setup)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_users(account_gives_upstreams_answer_for_every_row),
      with_users(check_account_refuses_in_auth),
      with_users(refused_account_leaves_nobody_verified),
      with_users(second_try_after_a_refusal_is_refused),
      with_users(expire_now_is_refused),
      with_users(account_of_no_token_id_is_ignored),
      with_users(no_user_cfg_means_no_account_checks),
      with_users(user_cfg_that_cannot_be_read_is_unavailable),
      with_users(combined_takes_the_users_own_token),
      with_users(combined_leaves_what_is_not_the_users),
      with_users(account_of_another_store_is_left_to_that),
      with_users(account_without_user_cfg_lets_in_what_was_verified),
      with_users(setcred_of_a_fresh_handle_keeps_nobody_out),
      with_users(combined_applies_the_account_rules_everywhere),
      with_users(combined_falls_through_with_the_same_password),
      with_users(map_user_makes_a_local_user_of_a_token),
      with_users(map_user_leaves_the_name_of_who_is_refused),
      with_users(map_user_to_one_name_for_all),
      with_users(failure_takes_the_verified_token_away),
      with_users(success_of_another_token_replaces_the_verified_one),
      with_users(options_that_need_others_are_errors),
  };
  return cmocka_run_group_tests_name("module_account", tests, nullptr, nullptr);
}
