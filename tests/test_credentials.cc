// SPDX-License-Identifier: BSD-3-Clause
// Token id and secret out of a user name and a password.
#include <security/pam_modules.h>

#include <string>
#include <vector>

#include "pbstoken/module/call.h"
#include "pbstoken/verify/credentials.h"
#include "support.h"

namespace pbstoken {
namespace {

ModuleOptions combined(const std::string &realm) {
  ModuleOptions options;
  options.combined = true;
  options.realm = FixedText<32>(realm);
  return options;
}

ModuleOptions mapping(const std::string &realm) {
  ModuleOptions options;
  options.realm = FixedText<32>(realm);
  options.map_user = FixedText<32>("user");
  return options;
}

// "john@pbs!t / SECRET", or the name of the code.
std::string found(const ModuleOptions &options, const std::string &user,
                  const std::string &password) {
  Credentials credentials;
  const auto refused = find_credentials(options, user, password, &credentials);
  if (!refused) {
    return std::string(credentials.id.text) + " / " +
           std::string(credentials.secret);
  }
  if (refused == Outcome::kNoTokenId) {
    return "user unknown";
  }
  assert_false(info_of(*refused).reason.empty());
  assert_true(credentials.id.text.empty() ==
              (refused == Outcome::kNoTokenInHeader));
  return pam_code(*refused) == PAM_AUTH_ERR ? "auth err" : "?";
}

struct Case {
  const char *user;
  const char *password;
  const char *expected;
};

void assert_all(const ModuleOptions &options, const std::vector<Case> &cases) {
  for (const Case &each : cases) {
    assert_text_equal(found(options, each.user, each.password), each.expected);
  }
}

void plain_user_is_the_id_and_password_the_secret(void ** /*state*/) {
  assert_all(
      {}, {
              {"john@pbs!t", "s", "john@pbs!t / s"},
              {"john@pbs!t", "", "john@pbs!t / "},
              {"john@pbs!t", "a:b%20", "john@pbs!t / a:b%20"},
              {"john@pbs!t", "PBSAPIToken=x:y", "john@pbs!t / PBSAPIToken=x:y"},
              {"john@pbs", "s", "user unknown"},
              {"john", "john@pbs!t:s", "user unknown"},
              {"", "s", "user unknown"},
          });
}

void combined_password_holds_both(void ** /*state*/) {
  assert_all(
      combined("pam"),
      {
          {"alice", "alice@pam!laptop:s", "alice@pam!laptop / s"},
          {"alice", "alice@pam!laptop:", "alice@pam!laptop / "},
          {"alice", "alice@pam!laptop:a:b:c", "alice@pam!laptop / a:b:c"},
          {"alice", "alice@pam!laptop:%3A%", "alice@pam!laptop / %3A%"},
          {"root", "root@pam!x:s", "root@pam!x / s"},
          {"a!b", "a!b@pam!x:s", "a!b@pam!x / s"},
      });
}

void combined_password_without_token_id_is_unknown(void ** /*state*/) {
  assert_all(combined("pam"),
             {
                 {"alice", "", "user unknown"},
                 {"alice", ":", "user unknown"},
                 {"alice", "correct horse", "user unknown"},
                 {"alice", "alice@pam!laptop", "user unknown"},
                 {"alice", "alice@pam:s", "user unknown"},
                 {"alice", "alice:alice@pam!laptop:s", "user unknown"},
                 {"alice", " alice@pam!laptop:s", "user unknown"},
                 {"alice", "PBSAPIToken", "user unknown"},
                 {"alice", "PBSAPITokens=alice@pam!t:s", "user unknown"},
             });
}

// What has the header was meant as a token.
void header_without_token_id_is_refused(void ** /*state*/) {
  assert_all(combined("pam"),
             {
                 {"alice", "PBSAPIToken=", "auth err"},
                 {"alice", "PBSAPIToken=:s", "auth err"},
                 {"alice", "PBSAPIToken=alice@pam:s", "auth err"},
                 {"alice", "PBSAPIToken=alice@pam!t=s", "auth err"},
                 {"alice", "PDMAPIToken alice", "auth err"},
             });
}

// It may be a person's own password: only with the header it is a token's.
void combined_password_of_somebody_else_is_no_token(void ** /*state*/) {
  for (const auto &[user, password] :
       std::vector<std::pair<const char *, std::string>>{
           {"alice", "bob@pam!laptop:s"},
           {"alice", "alice@pbs!laptop:s"},
           {"alice", "Alice@pam!laptop:s"},
           {"alice", "alice@@pam!laptop:s"},
           {"alice", "alic@pam!laptop:s"},
           {"", "alice@pam!laptop:s"},
           {"root", "toor@pam!x:s"},
           {"alice", "me@home!correct:horse"}}) {
    assert_text_equal(found(combined("pam"), user, password), "user unknown");
    assert_text_equal(found(combined("pam"), user, "PBSAPIToken=" + password),
                      "auth err");
  }
  assert_all(combined("pbs"),
             {
                 {"alice", "alice@pbs!t:s", "alice@pbs!t / s"},
                 {"alice", "alice@pam!t:s", "user unknown"},
                 {"alice", "PBSAPIToken=alice@pam!t:s", "auth err"},
             });
}

void header_form_is_percent_decoded_and_only_that(void ** /*state*/) {
  assert_all(
      combined("pam"),
      {
          {"alice", "PBSAPIToken=alice@pam!t:a%20b", "alice@pam!t / a b"},
          {"alice", "PBSAPIToken alice@pam!t:a%20b", "alice@pam!t / a b"},
          {"alice", "PDMAPIToken=alice@pam!t:%41%3a%3A", "alice@pam!t / A::"},
          {"alice", "PBSAPIToken=alice@pam!t:100%", "alice@pam!t / 100%"},
          {"alice", "PBSAPIToken=alice@pam!t:%4", "alice@pam!t / %4"},
          {"alice", "PBSAPIToken=alice@pam!t:%zz%41", "alice@pam!t / %zzA"},
          {"alice", "PBSAPIToken=alice@pam!t:%%41", "alice@pam!t / %A"},
          {"alice", "PBSAPIToken=alice@pam!t:%2541", "alice@pam!t / %41"},
          // The id is not: this is a user's, and no token's.
          {"alice", "PBSAPIToken=alice@pam%21t:s", "auth err"},
          {"alice", "pbsapitoken=alice@pam!t:s", "user unknown"},
          {"alice", "PBSAPIToken:alice@pam!t:s", "user unknown"},
          {"alice", "PBSAPIToken==alice@pam!t:s", "auth err"},
          {"alice", "PBSAPIToken  alice@pam!t:s", "auth err"},
          {"alice", "PVEAPIToken=alice@pam!t:s", "user unknown"},
      });
  Credentials credentials;
  assert_false(find_credentials(combined("pam"), "alice",
                                "PBSAPIToken=alice@pam!t:%00%ff", &credentials)
                   .has_value());
  assert_true(credentials.secret == std::string_view("\0\xff", 2));
}

void map_user_takes_names_of_local_users_only(void ** /*state*/) {
  assert_all(mapping("pbs"), {
                                 {"alice@pbs!t", "s", "alice@pbs!t / s"},
                                 {"_x-9@pbs!t", "s", "_x-9@pbs!t / s"},
                                 {"root@pbs!t", "s", "auth err"},
                                 {"-froot@pbs!t", "s", "auth err"},
                                 {"0@pbs!t", "s", "auth err"},
                                 {"#0@pbs!t", "s", "auth err"},
                                 {"..@pbs!t", "s", "auth err"},
                                 {"$(id)@pbs!t", "s", "auth err"},
                                 {"a@b@pbs!t", "s", "auth err"},
                                 {"Alice@pbs!t", "s", "auth err"},
                                 {"al.ice@pbs!t", "s", "auth err"},
                                 {"alic\xc3\xa9@pbs!t", "s", "auth err"},
                                 {"alice@pam!t", "s", "auth err"},
                                 {"alice@pbs", "s", "user unknown"},
                             });
  assert_true(is_local_name(std::string(32, 'a')));
  assert_false(is_local_name(std::string(33, 'a')));
  assert_false(is_local_name(""));
  assert_false(is_local_name("a\n"));
  // A name of the administrator's own choice: any token of the realm.
  ModuleOptions literal = mapping("");
  literal.map_user = FixedText<32>("www");
  assert_all(literal, {{"A@pbs!t", "s", "A@pbs!t / s"},
                       {"root@pam!t", "s", "root@pam!t / s"}});
  literal.realm = FixedText<32>("pbs");
  assert_all(literal,
             {{"A@pbs!t", "s", "A@pbs!t / s"}, {"A@pam!t", "s", "auth err"}});
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(plain_user_is_the_id_and_password_the_secret),
      cmocka_unit_test(combined_password_holds_both),
      cmocka_unit_test(combined_password_without_token_id_is_unknown),
      cmocka_unit_test(header_without_token_id_is_refused),
      cmocka_unit_test(combined_password_of_somebody_else_is_no_token),
      cmocka_unit_test(header_form_is_percent_decoded_and_only_that),
      cmocka_unit_test(map_user_takes_names_of_local_users_only),
  };
  return cmocka_run_group_tests_name("credentials", tests, nullptr, nullptr);
}
