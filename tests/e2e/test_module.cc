// SPDX-License-Identifier: BSD-3-Clause
// What the module answers: tokens, secrets, stored hashes, token.shadow.
#include <crypt.h>
#include <sys/sysmacros.h>

#include <array>

#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

// --- token ids and secrets

void authenticate_right_secret_succeeds(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_int_equal(conversation.questions, 1);
  assert_int_equal(conversation.style, PAM_PROMPT_ECHO_OFF);
  assert_pam(handle.set_credentials(), PAM_SUCCESS);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
}

// A service that knows questions by their first word, as OpenVPN can, takes
// this one for a password's.
void authenticate_question_begins_with_password(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const char *options : {"", "combined"}) {
    write_service(options);
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, kId, &conversation);
    static_cast<void>(handle.authenticate());
    assert_int_equal(conversation.questions, 1);
    assert_true(conversation.question.starts_with("Password"));
  }
}

void authenticate_unknown_token_is_unknown_user(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const char *id : {"john@pbs!client2", "John@pbs!client1",
                         "john@pbs!client1.", "\\u006aohn@pbs!client1"}) {
    assert_pam(authenticate(id, kSecret), PAM_USER_UNKNOWN);
  }
}

void authenticate_name_that_is_no_token_id_asks_nothing(void ** /*state*/) {
  // Even where token.shadow has such a name.
  write_shadow({{kId, kHash}, {"john@pbs", kHash}, {"john", kHash}});
  for (const std::string &user :
       {std::string("john@pbs"), std::string("john"), std::string(),
        std::string("john!t1"), std::string("john@pbs!"),
        std::string("john@pbs!tok@en"), std::string("john@pbs!client1\n"),
        std::string("jo hn@pbs!t1"), std::string("\xff@pbs!t1"),
        std::string(100000, 'a')}) {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, user, &conversation);
    assert_pam(handle.authenticate(), PAM_USER_UNKNOWN);
    assert_int_equal(conversation.questions, 0);
  }
}

void authenticate_wrong_secret_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  const std::string secret = kSecret;
  for (const std::string &wrong :
       {std::string("0F1E2D3C-4B5A-4697-8877-665544332211"), secret.substr(1),
        secret.substr(0, secret.size() - 1), secret + "0", secret + " ",
        std::string(kOldSecret), std::string(kHash), std::string("x"),
        std::string(kWrongSecret)}) {
    assert_pam(authenticate(kId, wrong), PAM_AUTH_ERR);
    // And again, where it may be a known mismatch.
    assert_pam(authenticate(kId, wrong), PAM_AUTH_ERR);
  }
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

void authenticate_unacceptable_secret_is_refused_unhashed(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  std::vector<std::string> secrets = {"", std::string(512, 'a'),
                                      std::string(700, 'a'),
                                      std::string(kSecret) + "\n"};
  for (char c = 1; c < ' '; ++c) {
    secrets.push_back(std::string("0f1e2d3c") + c);
  }
  secrets.emplace_back("\x7f");
  for (const std::string &secret : secrets) {
    assert_pam(authenticate(kId, secret), PAM_AUTH_ERR);
  }
  assert_int_equal(counter("hashes"), 0);
}

// As upstream asks: the token first.
void authenticate_unacceptable_secret_of_an_unknown_token_is_unknown(
    void ** /*state*/) {
  const std::vector<std::string> secrets = {"", std::string(512, 'a'),
                                            std::string(1U << 20U, 'a'),
                                            std::string(kSecret) + "\n"};
  for (const char *options : {"", "nocache"}) {
    write_service(options);
    write_shadow({{kId, kHash}, {kOldId, kOldHash}});
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    for (const std::string &secret : secrets) {
      assert_pam(authenticate("other@pbs!t", secret), PAM_USER_UNKNOWN);
      assert_pam(authenticate(kId, secret), PAM_AUTH_ERR);
    }
    // One that the segment knows, and that is gone.
    write_shadow({{kOldId, kOldHash}});
    assert_pam(authenticate(kId, ""), PAM_USER_UNKNOWN);
  }
  assert_int_equal(counter("hashes"), 2);
}

void authenticate_511_bytes_are_all_compared(void ** /*state*/) {
  write_shadow({{"long@pbs!t",
                 "$y$j9T$U3aMXFKNaR4OddqOgpaPj/LQmB5RpNrRsZbSvlLTyx5"
                 "$mfWVXmnowfHymBldEeLokC/x.tc12GVW/1saYpmqpN8"}});
  assert_pam(authenticate("long@pbs!t", std::string(511, 'a')), PAM_SUCCESS);
  assert_pam(authenticate("long@pbs!t", std::string(510, 'a')), PAM_AUTH_ERR);
  assert_pam(authenticate("long@pbs!t", std::string(512, 'a')), PAM_AUTH_ERR);
}

void authenticate_utf8_secret_and_unusual_ids_succeed(void ** /*state*/) {
  write_shadow({{"p@pbs!t",
                 "$y$j9T$.3YE1FIF4R2G7doGApYHD/JIGB3JJNpJMZZKPlJLSx3"
                 "$5xu.WNSqK8JkLnrlY.wiRrSNHfu9soMS6bE8Ov9DycA"},
                {R"(DOM\\svc@ad!sync)",
                 "$y$j9T$U2W6XEG7aQ08dcm8goW9j.HAmA1BpMnBsYXCvkHDyw1"
                 "$nXIXN48snfgx9.8AuQ.LTiW4/IC2DdC2lEEnmcGixI1"},
                {R"(j\"q@pbs!t1)", kOldHash},
                {R"(j\u00fcrgen@pbs!t1)", kOldHash},
                {"john@example.com@ad!ci", kOldHash}});
  assert_pam(authenticate("p@pbs!t", "päss wörd"), PAM_SUCCESS);
  assert_pam(authenticate("p@pbs!t", "pass word"), PAM_AUTH_ERR);
  assert_pam(
      authenticate("DOM\\svc@ad!sync", "a1b2c3d4-0001-4002-8003-00000000abcd"),
      PAM_SUCCESS);
  for (const char *id :
       {"j\"q@pbs!t1", "jürgen@pbs!t1", "john@example.com@ad!ci"}) {
    assert_pam(authenticate(id, kOldSecret), PAM_SUCCESS);
    assert_pam(authenticate(id, kSecret), PAM_AUTH_ERR);
  }
}

// --- stored hashes

void authenticate_hash_of_every_method_verifies(void ** /*state*/) {
  Tokens tokens;
  std::string id = "a@pbs!t";
  for (const char *prefix :
       {"$y$", "$gy$", "$7$", "$2b$", "$2a$", "$2y$", "$6$", "$5$", "$sha1",
        "$md5", "$1$", "$3$", "_", ""}) {
    std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
    const char random[] = "0123456789abcdef0123456789abcdef";
    assert_non_null(crypt_gensalt_rn(prefix, 0, random, sizeof(random) - 1,
                                     setting.data(),
                                     static_cast<int>(setting.size())));
    // Short: the oldest method looks at eight characters.
    tokens.emplace_back(id, crypt("s3cret", setting.data()));
    ++id.front();
  }
  write_shadow(tokens);
  for (const auto &[token, hash] : tokens) {
    if (authenticate(token, "s3cret") != PAM_SUCCESS ||
        authenticate(token, "s3creT") != PAM_AUTH_ERR) {
      fail_msg("%s", hash.c_str());
    }
  }
}

void authenticate_unusable_stored_hash_is_refused_unhashed(void ** /*state*/) {
  look_every_time();
  const std::string hash = kHash;
  for (const std::string &stored :
       {std::string("*0"), std::string("*1"), std::string("*"),
        std::string("!"), std::string(), std::string("x"), std::string("$y$"),
        std::string("$y$j9T$"), hash.substr(0, hash.rfind('$') + 1),
        hash.substr(0, hash.size() - 1), hash + "C", hash + " ", "!" + hash,
        std::string("$9") + hash.substr(2), std::string(400, 'a'),
        std::string(kSecret)}) {
    write_shadow({{kId, stored}});
    for (const std::string &secret : {std::string(kSecret), stored}) {
      if (authenticate(kId, secret) != PAM_AUTH_ERR) {
        fail_msg("%s", stored.c_str());
      }
    }
  }
  assert_int_equal(counter("hashes"), 0);
}

// --- token.shadow

void authenticate_no_tokens_is_unknown_user(void ** /*state*/) {
  look_every_time();
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  for (const char *text : {"null", "{}", "  { }\n"}) {
    write_file(kShadow, text);
    assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  }
  std::filesystem::remove_all(kDirectory);
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
}

void authenticate_bad_neighbours_lock_nobody_out(void ** /*state*/) {
  const std::string good = std::string("\"") + kId + "\":\"" + kHash + "\"";
  look_every_time();
  for (const char *bad :
       {R"("not an id":"x")", R"("x@pam!t":7)", R"("x@pam!t":null)",
        R"("x@pam!t":["x",{}])", R"("":"")", R"("x@pam!t":"*0")"}) {
    write_file(kShadow, std::string("{") + bad + "," + good + "}");
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    write_file(kShadow, "{" + good + "," + bad + "}");
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    // A token with a value that is of no use is there, and matches nothing.
    assert_pam(authenticate("x@pam!t", kSecret),
               std::string_view(bad).starts_with("\"x@pam!t\"")
                   ? PAM_AUTH_ERR
                   : PAM_USER_UNKNOWN);
  }
}

void authenticate_duplicate_id_last_one_counts(void ** /*state*/) {
  write_shadow({{kId, kHash}, {kOldId, kOldHash}, {kId, kOldHash}});
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
  assert_pam(authenticate(kId, kOldSecret), PAM_SUCCESS);
}

const std::array<std::string, 11> kMalformed = {
    "",
    " ",
    "[]",
    "\"x\"",
    "true",
    "not JSON",
    std::string("{\"") + kId + "\":\"" + kHash + "\"",
    std::string("{\"") + kId + "\":\"" + kHash + "\",}",
    std::string("{\"") + kId + "\":\"" + kHash + "\"}x",
    std::string("\xef\xbb\xbf{\"") + kId + "\":\"" + kHash + "\"}",
    std::string("{\"") + kId + "\":\"" + kHash + "\"}" + std::string(1, '\0'),
};

void authenticate_malformed_file_is_unavailable(void ** /*state*/) {
  look_every_time();
  for (const std::string &text : kMalformed) {
    write_file(kShadow, text);
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  }
}

void authenticate_file_made_malformed_is_unavailable(void ** /*state*/) {
  look_every_time();
  for (const std::string &text : kMalformed) {
    // Known to the segment, and then nobody may be authenticated by it.
    write_shadow({{kId, kHash}});
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    write_file(kShadow, text);
    assert_pam(authenticate(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
    assert_pam(authenticate(kId, kWrongSecret), PAM_AUTHINFO_UNAVAIL);
  }
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

void authenticate_token_removed_by_hand_is_unknown(void ** /*state*/) {
  look_every_time();
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  write_shadow({{kOldId, kOldHash}});
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  std::filesystem::remove(kShadow);
  assert_pam(authenticate(kOldId, kOldSecret), PAM_USER_UNKNOWN);
}

// Each stands where token.shadow belongs; a FIFO must not block.
void authenticate_no_regular_file_is_unavailable(void ** /*state*/) {
  look_every_time();
  write_file(scratch("real"), shadow_of({{kId, kHash}}));
  const std::array<std::function<void()>, 5> planted = {{
      [] { std::filesystem::create_directory(kShadow); },
      [] { mkfifo(kShadow, 0640); },
      [] { std::filesystem::create_symlink(scratch("real"), kShadow); },
      [] { std::filesystem::create_symlink("/nowhere", kShadow); },
      [] { mknod(kShadow, S_IFCHR | 0640, makedev(1, 5)); },
  }};
  for (const auto &plant : planted) {
    write_shadow({{kId, kHash}});
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
    std::filesystem::remove(kShadow);
    plant();
    assert_int_equal(in_child([] { return authenticate(kId, kSecret); }),
                     PAM_AUTHINFO_UNAVAIL);
    std::filesystem::remove(kShadow);
  }
}

void authenticate_unreadable_for_the_caller_is_unavailable(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_int_equal(in_child([&] {
                     become_nobody_effectively();
                     return handle.authenticate();
                   }),
                   PAM_AUTHINFO_UNAVAIL);
}

void authenticate_20000_tokens_finds_each(void ** /*state*/) {
  constexpr int kTokens = 20000;
  Tokens tokens;
  for (int i = 0; i < kTokens; ++i) {
    tokens.emplace_back("u" + std::to_string(i) + "@pbs!t", kOldHash);
  }
  tokens[10000].second = kHash;
  write_shadow(tokens);
  assert_pam(authenticate("u0@pbs!t", kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate("u19999@pbs!t", kOldSecret), PAM_SUCCESS);
  assert_pam(authenticate("u10000@pbs!t", kSecret), PAM_SUCCESS);
  assert_pam(authenticate("u10000@pbs!t", kOldSecret), PAM_AUTH_ERR);
  assert_pam(authenticate("u20000@pbs!t", kOldSecret), PAM_USER_UNKNOWN);
}

// --- the PAM environment

void authenticate_sets_pbstoken_id_on_success_only(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  Conversation conversation = {.answer = kWrongSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_AUTH_ERR);
  assert_text_equal(handle.variable("PBSTOKEN_ID"), "(none)");
  conversation.answer = kSecret;
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_text_equal(handle.variable("PBSTOKEN_ID"), kId);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(authenticate_right_secret_succeeds),
      PAM_TEST(authenticate_question_begins_with_password),
      PAM_TEST(authenticate_unknown_token_is_unknown_user),
      PAM_TEST(authenticate_name_that_is_no_token_id_asks_nothing),
      PAM_TEST(authenticate_wrong_secret_is_refused),
      PAM_TEST(authenticate_unacceptable_secret_is_refused_unhashed),
      PAM_TEST(authenticate_unacceptable_secret_of_an_unknown_token_is_unknown),
      PAM_TEST(authenticate_511_bytes_are_all_compared),
      PAM_TEST(authenticate_utf8_secret_and_unusual_ids_succeed),
      PAM_TEST(authenticate_hash_of_every_method_verifies),
      PAM_TEST(authenticate_unusable_stored_hash_is_refused_unhashed),
      PAM_TEST(authenticate_no_tokens_is_unknown_user),
      PAM_TEST(authenticate_bad_neighbours_lock_nobody_out),
      PAM_TEST(authenticate_duplicate_id_last_one_counts),
      PAM_TEST(authenticate_malformed_file_is_unavailable),
      PAM_TEST(authenticate_file_made_malformed_is_unavailable),
      PAM_TEST(authenticate_token_removed_by_hand_is_unknown),
      PAM_TEST(authenticate_no_regular_file_is_unavailable),
      PAM_TEST(authenticate_unreadable_for_the_caller_is_unavailable),
      PAM_TEST(authenticate_20000_tokens_finds_each),
      PAM_TEST(authenticate_sets_pbstoken_id_on_success_only),
  };
  return cmocka_run_group_tests_name("module", tests, nullptr, nullptr);
}
