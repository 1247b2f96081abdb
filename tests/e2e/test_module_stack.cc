// SPDX-License-Identifier: BSD-3-Clause
// The module in a stack: its options, its configuration, its neighbours, the
// conversation.
#include <array>

#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kOtherShadow = "/etc/proxmox-backup/other.shadow";
constexpr const char *kOtherConfiguration = "/etc/pbstoken/other.conf";

// A second store, in which kId has another secret.
void make_other_store() {
  write_file(kOtherConfiguration,
             std::string("token_shadow = ") + kOtherShadow + "\n");
  write_file(kOtherShadow, shadow_of({{kId, kOldHash}}));
}

// --- options

void authenticate_bad_option_is_service_error(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const char *options :
       {"nocahe", "debug nocahe", "store", "store=", "store=../pbs",
        "store=PBS", "store=-x", "config=", "config=pbs.conf", "nocache=yes",
        "NOCACHE", "debug=1", "try_first_pass=", "[store=a b]", "/"}) {
    write_service(options);
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    if (handle.authenticate() != PAM_SERVICE_ERR) {
      fail_msg("%s", options);
    }
    assert_int_equal(conversation.questions, 0);
  }
}

void authenticate_store_option_chooses_the_store(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_other_store();
  write_service("store=other");
  assert_pam(authenticate(kId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
  write_service("store=pbs debug");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kOldSecret), PAM_AUTH_ERR);
}

void authenticate_unknown_store_is_unavailable(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const char *options :
       {"store=nosuch", "store=pdm", "config=/etc/pbstoken/nosuch.conf"}) {
    write_service(options);
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  }
}

void authenticate_config_option_as_root_is_honoured(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_other_store();
  write_service(std::string("config=") + kOtherConfiguration);
  assert_pam(authenticate(kId, kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
}

void authenticate_config_option_not_as_root_is_service_error(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_other_store();
  write_service(std::string("config=") + kOtherConfiguration);
  Conversation conversation = {.answer = kOldSecret};
  PamHandle handle(kService, kId, &conversation);
  // The effective uid decides, not the real one.
  assert_int_equal(in_child([&] {
                     become_nobody_effectively();
                     return handle.authenticate();
                   }),
                   PAM_SERVICE_ERR);
  assert_int_equal(
      in_child([&] {
        return setresuid(kNobody, 0, 0) == 0 ? handle.authenticate() : -1;
      }),
      PAM_SUCCESS);
}

void authenticate_nocache_hashes_every_time(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("nocache");
  constexpr int kTimes = 4;
  for (int i = 1; i <= kTimes; ++i) {
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    assert_int_equal(counter("hashes"), i);
  }
  assert_int_equal(counter("hits"), 0);
  // Nor has it told the others anything.
  write_service();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), kTimes + 1);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), kTimes + 1);
  assert_int_equal(counter("hits"), 1);
}

void authenticate_cache_off_in_the_store_hashes_every_time(void ** /*state*/) {
  configure("cache = no\n");
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 2);
}

void authenticate_known_mismatch_is_not_hashed_again(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (int i = 0; i < 3; ++i) {
    assert_pam(authenticate(kId, kWrongSecret), PAM_AUTH_ERR);
  }
  assert_int_equal(counter("hashes"), 1);
  assert_int_equal(counter("known_mismatches"), 2);
  // A short one may be a person's password: not ours to keep.
  for (int i = 0; i < 3; ++i) {
    assert_pam(authenticate(kId, "a person's password"), PAM_AUTH_ERR);
  }
  assert_int_equal(counter("hashes"), 4);
}

// --- the configuration file

// A hit needs no group, all else may need one.
void authenticate_unknown_group_is_unavailable_but_for_a_hit(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const char *text :
       {"file_group = nosuchgroup\n", "verify_group = nosuchgroup\n"}) {
    configure("");
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    configure(text);
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    remove_segments();
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
    assert_int_equal(run_helper({"set", kId}, kSecret).status, 4);
  }
}

void authenticate_bad_configuration_is_unavailable(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  for (const char *text :
       {"cache_tll = 5\n", "cache_ttl = -1\n", "cache_ttl = 5s\n",
        "cache_ttl\n", "cache = maybe\n", "cache = yes\ncache = yes\n",
        "token_shadow = token.shadow\n", "cache_slots = 0\n", "[pbs]\n"}) {
    configure(text);
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    if (handle.authenticate() != PAM_AUTHINFO_UNAVAIL) {
      fail_msg("%s", text);
    }
    assert_text_equal(handle.variable("PBSTOKEN_ID"), "(none)");
  }
  configure("# nothing but the defaults\n\n cache_ttl=5 # seconds\n");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

void authenticate_configuration_not_roots_alone_is_unavailable(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::array<std::function<void()>, 7> mistakes = {{
      [] { chmod(kConfiguration, 0664); },
      [] { chmod(kConfiguration, 0646); },
      [] { assert_int_equal(chown(kConfiguration, 34, 0), 0); },
      [] { chmod("/etc/pbstoken", 0775); },
      [] { chmod("/etc/pbstoken", 0757); },
      [] {
        std::filesystem::rename(kConfiguration, "/etc/pbstoken/real.conf");
        std::filesystem::create_symlink("/etc/pbstoken/real.conf",
                                        kConfiguration);
      },
      [] {
        std::filesystem::remove(kConfiguration);
        mkfifo(kConfiguration, 0644);
      },
  }};
  for (const auto &make_mistake : mistakes) {
    configure("cache_ttl = 0\n");
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    make_mistake();
    assert_int_equal(in_child([] { return authenticate(kId, kSecret); }),
                     PAM_AUTHINFO_UNAVAIL);
    std::filesystem::remove(kConfiguration);
    chmod("/etc/pbstoken", 0755);
  }
}

void authenticate_configuration_below_a_public_directory_is_unavailable(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  std::filesystem::create_directories(scratch("public/conf"));
  chmod(scratch("public").c_str(), 01777);
  write_file(scratch("public/conf/pbs.conf"), "cache_ttl = 5\n");
  write_service("config=" + scratch("public/conf/pbs.conf"));
  assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
}

// --- the conversation

void authenticate_failing_conversation_its_error_comes_back(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const int code : {PAM_CONV_ERR, PAM_BUF_ERR, PAM_ABORT}) {
    Conversation conversation = {.answer = kSecret, .status = code};
    PamHandle handle(kService, kId, &conversation);
    assert_pam(handle.authenticate(), code);
    assert_int_equal(conversation.questions, 1);
  }
}

void authenticate_conversation_without_answer_is_an_error(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  Conversation conversation;
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_CONV_ERR);
  assert_text_equal(handle.variable("PBSTOKEN_ID"), "(none)");
}

// A conversation may give the handle another user name: that one counts.
void authenticate_user_changed_meanwhile_is_judged_anew(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  for (const auto &[user, expected] :
       std::vector<std::pair<std::string, int>>{{kOldId, PAM_AUTH_ERR},
                                                {kId, PAM_SUCCESS},
                                                {"john", PAM_USER_UNKNOWN}}) {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    conversation.at_question = [&handle, name = user] {
      pam_set_item(handle.get(), PAM_USER, name.c_str());
    };
    assert_pam(handle.authenticate(), expected);
  }
}

// --- neighbours in the stack

void authenticate_use_first_pass_without_password_is_refused(
    void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("use_first_pass");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_AUTH_ERR);
  assert_int_equal(conversation.questions, 0);
}

// The line before asks, for another store; its answer does not matter.
void authenticate_first_pass_of_an_earlier_module_is_used(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_other_store();
  for (const char *option : {"use_first_pass", "try_first_pass"}) {
    write_stack(kService, {auth_line("optional", "store=other"),
                           auth_line("required", option)});
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    assert_pam(handle.authenticate(), PAM_SUCCESS);
    conversation.answer = kOldSecret;
    assert_pam(handle.authenticate(), PAM_AUTH_ERR);
    assert_int_equal(conversation.questions, 2);
  }
}

void authenticate_try_first_pass_without_password_asks(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("try_first_pass");
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_int_equal(conversation.questions, 1);
}

// Without either option each line asks for itself.
void authenticate_two_lines_ask_twice(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_other_store();
  write_stack(kService,
              {auth_line("required"), auth_line("required", "store=other")});
  Conversation conversation = {.answer = kSecret};
  conversation.at_question = [&conversation] {
    conversation.answer = conversation.questions == 1 ? kSecret : kOldSecret;
  };
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_int_equal(conversation.questions, 2);
}

void authenticate_stack_falls_through_on_unknown_user(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string line =
      auth_line("[success=done user_unknown=ignore default=die]");
  write_stack("permit", {line, "auth required pam_permit.so"});
  write_stack("deny", {line, "auth required pam_deny.so"});
  for (const char *user : {"john", "john@pbs", "other@pbs!t"}) {
    assert_pam(authenticate("permit", user, kSecret), PAM_SUCCESS);
    assert_pam(authenticate("deny", user, kSecret), PAM_AUTH_ERR);
  }
  assert_pam(authenticate("deny", kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate("permit", kId, kWrongSecret), PAM_AUTH_ERR);
  write_file(kShadow, "not JSON");
  assert_pam(authenticate("permit", "other@pbs!t", kSecret),
             PAM_AUTHINFO_UNAVAIL);
}

// PAM_IGNORE or PAM_SUCCESS for any of these would let everybody in.
void authenticate_required_before_permit_never_fails_open(void ** /*state*/) {
  look_every_time();
  const auto service = [](const std::string &options) {
    write_stack(kService, {auth_line("required", options),
                           "auth required pam_permit.so"});
  };
  service("");
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  for (const char *user :
       {"john", "john@pbs", "", "other@pbs!t", "bad@pbs!t"}) {
    assert_int_not_equal(authenticate(user, kSecret), PAM_SUCCESS);
  }
  for (const std::string &secret : {std::string(), std::string(512, 'a'),
                                    std::string("\1"), std::string("x")}) {
    assert_int_not_equal(authenticate(kId, secret), PAM_SUCCESS);
  }
  for (const char *options :
       {"nosuch", "store=nosuch", "config=/nowhere", "use_first_pass"}) {
    service(options);
    assert_int_not_equal(authenticate(kId, kSecret), PAM_SUCCESS);
  }
  service("");
  Conversation silent;
  assert_int_not_equal(PamHandle(kService, kId, &silent).authenticate(),
                       PAM_SUCCESS);
  Conversation failing = {.answer = kSecret, .status = PAM_CONV_ERR};
  assert_int_not_equal(PamHandle(kService, kId, &failing).authenticate(),
                       PAM_SUCCESS);
  write_file(kShadow, "{");
  assert_int_not_equal(authenticate(kId, kSecret), PAM_SUCCESS);
  std::filesystem::remove(kShadow);
  assert_int_not_equal(authenticate(kId, kSecret), PAM_SUCCESS);
  write_shadow({{kId, kHash}});
  configure("nosuch = 1\n");
  assert_int_not_equal(authenticate(kId, kSecret), PAM_SUCCESS);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(authenticate_bad_option_is_service_error),
      PAM_TEST(authenticate_store_option_chooses_the_store),
      PAM_TEST(authenticate_unknown_store_is_unavailable),
      PAM_TEST(authenticate_config_option_as_root_is_honoured),
      PAM_TEST(authenticate_config_option_not_as_root_is_service_error),
      PAM_TEST(authenticate_nocache_hashes_every_time),
      PAM_TEST(authenticate_cache_off_in_the_store_hashes_every_time),
      PAM_TEST(authenticate_known_mismatch_is_not_hashed_again),
      PAM_TEST(authenticate_unknown_group_is_unavailable_but_for_a_hit),
      PAM_TEST(authenticate_bad_configuration_is_unavailable),
      PAM_TEST(authenticate_configuration_not_roots_alone_is_unavailable),
      PAM_TEST(
          authenticate_configuration_below_a_public_directory_is_unavailable),
      PAM_TEST(authenticate_failing_conversation_its_error_comes_back),
      PAM_TEST(authenticate_conversation_without_answer_is_an_error),
      PAM_TEST(authenticate_user_changed_meanwhile_is_judged_anew),
      PAM_TEST(authenticate_use_first_pass_without_password_is_refused),
      PAM_TEST(authenticate_first_pass_of_an_earlier_module_is_used),
      PAM_TEST(authenticate_try_first_pass_without_password_asks),
      PAM_TEST(authenticate_two_lines_ask_twice),
      PAM_TEST(authenticate_stack_falls_through_on_unknown_user),
      PAM_TEST(authenticate_required_before_permit_never_fails_open),
  };
  return cmocka_run_group_tests_name("module_stack", tests, nullptr, nullptr);
}
