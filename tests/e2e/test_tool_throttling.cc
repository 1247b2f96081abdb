// SPDX-License-Identifier: BSD-3-Clause
// One token's throttling: `pbstoken status --token` shows it, and `reset` ends
// it, in services that run and in the trail of changes.
#include <regex>

#include "e2e_log.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kHome = "192.0.2.1";
constexpr const char *kOther = "192.0.2.2";

std::string fresh_secret() {
  static int count = 0;
  return "not the secret " + std::to_string(++count);
}

// A service of root, in this process, which keeps what it has attached.
int authenticate_from(const char *host, const std::string &secret) {
  Conversation conversation = {.answer = secret};
  PamHandle handle(kService, kId, &conversation);
  pam_set_item(handle.get(), PAM_RHOST, host);
  const int code = handle.authenticate();
  log_lines();  // a log that is full holds up the module
  return code;
}

std::uint64_t throttled_so_far() {
  return status_json()["throttled"].GetUint64();
}

void assert_throttled(bool expected) {
  const std::uint64_t before = throttled_so_far();
  assert_pam(authenticate_from(kHome, fresh_secret()), PAM_AUTH_ERR);
  assert_true((throttled_so_far() > before) == expected);
}

// One client is throttled, and another has a window.
void throttle() {
  configure("fail_limit = 3\nfail_window = 600\n");
  write_shadow({{kId, kHash}});
  for (int i = 0; i < 3; ++i) {
    authenticate_from(kHome, fresh_secret());
  }
  authenticate_from(kOther, fresh_secret());
  assert_throttled(true);
}

rapidjson::Document token_json() {
  return parse_json(
      tool_output({"--output-format", "json", "status", "--token", kId}));
}

void assert_windows(const rapidjson::Document &object, std::uint64_t clients,
                    std::uint64_t throttled, std::uint64_t mismatches) {
  assert_int_equal(object["clients"].GetUint64(), clients);
  assert_int_equal(object["throttled"].GetUint64(), throttled);
  assert_int_equal(object["mismatches"].GetUint64(), mismatches);
}

void status_of_a_token_has_its_windows(void ** /*state*/) {
  throttle();
  const auto object = token_json();
  assert_text_equal(object["store"].GetString(), "pbs");
  assert_text_equal(object["tokenid"].GetString(), kId);
  assert_int_equal(object["fail_limit"].GetUint64(), 3);
  assert_int_equal(object["fail_window"].GetUint64(), 600);
  assert_windows(object, 2, 1, 4);
  assert_in_range(object["ends_in"].GetUint64(), 500, 600);
  const std::string text = tool_output({"status", "--token", kId});
  assert_true(std::regex_search(text, std::regex("\nthrottled: +1\n")));
  assert_true(text.find("hashes") == std::string::npos);
}

void status_of_a_token_that_nobody_fails_for(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto object = token_json();
  assert_windows(object, 0, 0, 0);
  assert_true(object["ends_in"].IsNull());
}

void reset_ends_the_throttling_of_services_that_run(void ** /*state*/) {
  throttle();
  const auto object =
      parse_json(tool_output({"--output-format", "json", "reset", kId}));
  assert_text_equal(object["store"].GetString(), "pbs");
  assert_text_equal(object["tokenid"].GetString(), kId);
  assert_windows(object, 2, 1, 4);
  assert_windows(token_json(), 0, 0, 0);
  assert_throttled(false);
}

void reset_of_the_helpers_windows(void ** /*state*/) {
  configure("fail_limit = 1\n");
  write_shadow({{kId, kHash}});
  const auto verify = [] {
    return run_helper({"--rhost", kHome, "verify", kId}, fresh_secret()).status;
  };
  assert_int_equal(verify(), 1);
  assert_int_equal(verify(), 6);
  tool_output({"reset", kId});
  assert_int_equal(verify(), 1);
}

void reset_without_windows_is_done_and_says_so(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string text = tool_output({"reset", "other@pbs!t"});
  assert_true(std::regex_search(text, std::regex("\nclients: +0\n")));
}

std::vector<std::string> trail_of_reset() {
  return trail_of("pbstoken", [] { tool_output({"reset", kId}); });
}

void reset_is_in_the_trail_of_changes(void ** /*state*/) {
  throttle();
  const auto lines = trail_of_reset();
  assert_int_equal(lines.size(), 1);
  assert_text_equal(lines[0],
                    kTrail + "pbstoken: reset; uid=0 store=pbs tokenid=" + kId);
  // Nothing was to be changed.
  assert_int_equal(trail_of_reset().size(), 0);
}

void bad_ids_and_places_are_usage_errors(void ** /*state*/) {
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{{"reset"},
                                             {"reset", "john@pbs"},
                                             {"reset", kId, kId},
                                             {"reset", "--token", kId, kId},
                                             {"status", "--token"},
                                             {"status", "--token", "john@pbs"},
                                             {"status", kId},
                                             {"list", "--token", kId}}) {
    const RunResult outcome = run_tool(arguments);
    assert_int_equal(outcome.status, 2);
    assert_text_equal(outcome.out, "");
  }
}

void reset_is_for_root_alone(void ** /*state*/) {
  throttle();
  const std::string tool = scratch("tool");
  std::filesystem::copy_file(tool_path(), tool);
  const RunResult outcome =
      run({.path = tool, .arguments = {"reset", kId}, .prepare = [] {
             become(kMember, {kMembers});
           }});
  assert_int_equal(outcome.status, 3);
  assert_windows(token_json(), 2, 1, 4);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using namespace pbstoken::testing;
  const CMUnitTest tests[] = {
      MEMBER_TEST(status_of_a_token_has_its_windows),
      MEMBER_TEST(status_of_a_token_that_nobody_fails_for),
      MEMBER_TEST(reset_ends_the_throttling_of_services_that_run),
      MEMBER_TEST(reset_of_the_helpers_windows),
      MEMBER_TEST(reset_without_windows_is_done_and_says_so),
      MEMBER_TEST(reset_is_in_the_trail_of_changes),
      MEMBER_TEST(bad_ids_and_places_are_usage_errors),
      MEMBER_TEST(reset_is_for_root_alone),
  };
  return cmocka_run_group_tests_name("tool_throttling", tests, replace_dev,
                                     restore_dev);
}
