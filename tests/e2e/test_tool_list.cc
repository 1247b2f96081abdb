// SPDX-License-Identifier: BSD-3-Clause
// The tool's list command.
#include <algorithm>
#include <ctime>
#include <random>
#include <regex>

#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// One of each kind.
constexpr const char *kAccounts = R"(user: john@pbs
	comment An example

token: john@pbs!client1
	comment Büro im 1. Stock

token: john@pbs!off
	enable false

token: john@pbs!gone
	expire 1700000000

token: john@pbs!later
	expire 4102444800

user: locked@pbs
	enable 0

token: locked@pbs!t1
	enable true

token: ghost@pbs!t1

token: root@pam!old
	expire 0
)";

void write_accounts(std::string_view text = kAccounts) {
  write_file(kUserCfg, text, 0640);
}

void write_every_kind() {
  write_accounts();
  write_shadow({{"john@pbs!later", kHash},
                {"jürgen@pbs!nosection", kHash},
                {"john@pbs!off", kHash},
                {"root@pam!old", kOldHash},
                {"john@pbs!gone", kHash},
                {kId, kHash},
                {"locked@pbs!t1", kHash},
                {"ghost@pbs!t1", kHash},
                {"john@pbs!broken", "$y$j9T$abc"}});
}

// What is said on standard error behind the table.
constexpr const char *kOldAdvice =
    "an old hash, marked (old), is cheaper to guess than what Proxmox makes "
    "today: replace the secret with pbstoken-helper rotate or generate\n";
constexpr const char *kBadAdvice =
    "a damaged hash, bad-hash, matches nothing: make a new secret with "
    "pbstoken-helper generate\n";

rapidjson::Document list_json(const char *format = "json") {
  rapidjson::Document document;
  document.Parse(tool_output({"--output-format", format, "list"}).c_str());
  assert_true(document.IsArray());
  return document;
}

// --- the table

void list_table_shows_every_kind(void ** /*state*/) {
  write_every_kind();
  assert_text_equal(tool_output({"list"}),
                    "TOKENID               METHOD            LAST USED  "
                    "ENABLED  EXPIRES               "
                    "STATE          COMMENT\n"
                    "ghost@pbs!t1          yescrypt          -          yes    "
                    "  never                 "
                    "no-user\n"
                    "john@pbs!broken       unknown           -          -      "
                    "  -                     "
                    "bad-hash\n"
                    "john@pbs!client1      yescrypt          -          yes    "
                    "  never                 "
                    "active         Büro im 1. Stock\n"
                    "john@pbs!gone         yescrypt          -          yes    "
                    "  2023-11-14T22:13:20Z  "
                    "expired\n"
                    "john@pbs!later        yescrypt          -          yes    "
                    "  2100-01-01T00:00:00Z  "
                    "active\n"
                    "john@pbs!off          yescrypt          -          no     "
                    "  never                 "
                    "disabled\n"
                    "jürgen@pbs!nosection  yescrypt          -          -      "
                    "  -                     "
                    "no-section\n"
                    "locked@pbs!t1         yescrypt          -          yes    "
                    "  never                 "
                    "user-disabled\n"
                    "root@pam!old          sha256crypt(old)  -          yes    "
                    "  never                 "
                    "active\n");
}

void list_section_without_a_secret_is_marked(void ** /*state*/) {
  write_accounts();
  assert_text_equal(
      tool_output({"list"}),
      "TOKENID           METHOD  LAST USED  ENABLED  EXPIRES               "
      "STATE      COMMENT\n"
      "ghost@pbs!t1      -       -          yes      never                 "
      "no-secret\n"
      "john@pbs!client1  -       -          yes      never                 "
      "no-secret  Büro im 1. Stock\n"
      "john@pbs!gone     -       -          yes      2023-11-14T22:13:20Z  "
      "no-secret\n"
      "john@pbs!later    -       -          yes      2100-01-01T00:00:00Z  "
      "no-secret\n"
      "john@pbs!off      -       -          no       never                 "
      "no-secret\n"
      "locked@pbs!t1     -       -          yes      never                 "
      "no-secret\n"
      "root@pam!old      -       -          yes      never                 "
      "no-secret\n");
}

// Whichever comes first.
void list_merges_secrets_and_sections_by_id(void ** /*state*/) {
  write_accounts(
      "token: root@pam!a\n\ntoken: root@pam!c\n\ntoken: root@pam!d\n");
  write_shadow(
      {{"root@pam!e", kHash}, {"root@pam!d", kHash}, {"root@pam!b", kHash}});
  assert_text_equal(
      tool_output({"list"}),
      "TOKENID     METHOD    LAST USED  ENABLED  EXPIRES  STATE       COMMENT\n"
      "root@pam!a  -         -          yes      never    no-secret\n"
      "root@pam!b  yescrypt  -          -        -        no-section\n"
      "root@pam!c  -         -          yes      never    no-secret\n"
      "root@pam!d  yescrypt  -          yes      never    active\n"
      "root@pam!e  yescrypt  -          -        -        no-section\n");
}

// Users first, and one name before what only begins with it.
void list_is_sorted_by_the_parts_of_ids(void ** /*state*/) {
  configure("user_cfg =\n");
  write_shadow({{"user10@pbs!t", kHash},
                {"user1@pbs!t2", kHash},
                {"user1@pbs!t10", kHash},
                {"user1@pam!t", kHash},
                {"user-1@pbs!t", kHash}});
  assert_text_equal(tool_output({"list"}),
                    "TOKENID        METHOD    LAST USED\n"
                    "user-1@pbs!t   yescrypt  -\n"
                    "user1@pam!t    yescrypt  -\n"
                    "user1@pbs!t10  yescrypt  -\n"
                    "user1@pbs!t2   yescrypt  -\n"
                    "user10@pbs!t   yescrypt  -\n");
}

void list_of_nothing_is_a_title(void ** /*state*/) {
  assert_text_equal(
      tool_output({"list"}),
      "TOKENID  METHOD  LAST USED  ENABLED  EXPIRES  STATE  COMMENT\n");
  assert_text_equal(tool_output({"--output-format", "json", "list"}), "[]\n");
  assert_text_equal(tool_output({"--output-format", "json-pretty", "list"}),
                    "[]\n");
}

void list_without_user_cfg_has_token_shadow_alone(void ** /*state*/) {
  write_every_kind();
  write_accounts("not even a user.cfg");
  configure("user_cfg =\n");
  write_shadow({{kOldId, kOldHash}, {kId, "*"}});
  assert_text_equal(tool_output({"list"}),
                    "TOKENID           METHOD            LAST USED\n"
                    "john@pbs!client1  unknown           -\n"
                    "root@pam!old      sha256crypt(old)  -\n");
  const auto array = list_json();
  assert_int_equal(array.Size(), 2);
  for (const char *member : {"enabled", "expires", "comment", "section"}) {
    assert_true(array[1][member].IsNull());
  }
  assert_text_equal(array[1]["state"].GetString(), "active");
  assert_true(array[1]["secret"].GetBool());
  assert_text_equal(array[0]["state"].GetString(), "bad-hash");
}

// What is no token id may be a secret in the wrong place.
void list_leaves_out_what_is_no_token(void ** /*state*/) {
  write_file(kShadow,
             std::string(R"({"john@pbs":"x","top secret":"x","a@pbs!t":7,)") +
                 R"("root@pam!old":"x","root@pam!old":")" + kHash + "\"}",
             0640);
  assert_text_equal(
      tool_output({"list"}),
      "TOKENID       METHOD    LAST USED  ENABLED  EXPIRES  STATE       "
      "COMMENT\n"
      "a@pbs!t       unknown   -          -        -        bad-hash\n"
      "root@pam!old  yescrypt  -          -        -        no-section\n");
}

// Which upstream makes no more; and what no secret matches.
void list_old_and_damaged_hashes_come_with_advice(void ** /*state*/) {
  const auto advice_for = [](const Tokens &tokens) {
    write_shadow(tokens);
    const RunResult outcome = run_tool({"list"});
    assert_int_equal(outcome.status, 0);
    // Programs read the members in place of it.
    assert_text_equal(run_tool({"--output-format", "json", "list"}).err, "");
    return outcome.err;
  };
  const std::string start = "pbstoken: ";
  assert_text_equal(advice_for({{kId, kHash}}), "");
  assert_text_equal(advice_for({{kId, kHash}, {kOldId, kOldHash}}),
                    start + kOldAdvice);
  assert_text_equal(advice_for({{kId, "*"}, {"a@pbs!t", "*"}}),
                    start + kBadAdvice);
  assert_text_equal(advice_for({{kId, "*"}, {kOldId, kOldHash}}),
                    start + kBadAdvice + start + kOldAdvice);
  const auto array = list_json();
  assert_true(array[0]["old_hash"].IsNull());
  assert_true(array[1]["old_hash"].GetBool());
  write_shadow({{kId, kHash}});
  assert_false(list_json()[0]["old_hash"].GetBool());
}

// A section that can never count has no row.
void list_leaves_out_what_nobody_can_look_up(void ** /*state*/) {
  write_accounts("token: x@y!t\n\ntoken: root@pam!a\n");
  assert_text_equal(
      tool_output({"list"}),
      "TOKENID     METHOD  LAST USED  ENABLED  EXPIRES  STATE      COMMENT\n"
      "root@pam!a  -       -          yes      never    no-secret\n");
}

void list_duplicate_id_is_listed_once_and_last(void ** /*state*/) {
  write_file(kShadow,
             std::string(R"({"root@pam!old":")") + kOldHash +
                 R"(","root\u0040pam!old":")" + kHash + "\"}",
             0640);
  const auto array = list_json();
  assert_int_equal(array.Size(), 1);
  assert_text_equal(array[0]["method"].GetString(), "yescrypt");
}

void list_prints_no_hash(void ** /*state*/) {
  write_every_kind();
  for (const char *format : {"text", "json", "json-pretty"}) {
    const std::string text = tool_output({"--output-format", format, "list"});
    assert_true(text.find('$') == std::string::npos);
  }
}

void list_control_characters_are_escaped(void ** /*state*/) {
  // No control character of ASCII can be in either file's ids and comments.
  const std::string id = "a" + utf8(0x9b) + "\\@pbs!t";
  write_accounts("token: " + id + "\n\tcomment x" + utf8(0x9b) + "y\n");
  const std::string text = tool_output({"list"});
  assert_true(text.find("a\\xc2\\x9b\\x5c@pbs!t") != std::string::npos);
  assert_true(text.find("x\\xc2\\x9by") != std::string::npos);
  assert_text_equal(list_json()[0]["tokenid"].GetString(), id);
}

void list_expiry_at_this_second_is_expired(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto with_expiry = [](std::time_t expiry) {
    write_accounts("user: john@pbs\n\texpire " + std::to_string(expiry) +
                   "\n\ntoken: john@pbs!client1\n");
    const auto array = list_json();
    return std::string(array[0]["state"].GetString());
  };
  // The user's, which is not the token's to show.
  assert_text_equal(with_expiry(std::time(nullptr)), "expired");
  assert_text_equal(with_expiry(std::time(nullptr) + 600), "active");
  assert_true(list_json()[0]["expires"].IsNull());
}

void list_shows_the_last_use(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  configure("user_cfg =\n");
  const std::time_t before = std::time(nullptr);
  for (int i = 0; i < 3; ++i) {
    helper_output({"verify", "--", kId}, kSecret);
  }
  const auto array = list_json();
  assert_in_range(array[0]["last_used"].GetUint64(), before, before + 60);
  assert_int_equal(array[0]["uses"].GetUint64(), 3);
  const std::string table = tool_output({"list"});
  assert_true(std::regex_search(
      table, std::regex("john@pbs!client1  yescrypt  20[0-9-]{8}T[0-9:]{8}Z")));
}

// --- JSON

void list_json_has_every_member(void ** /*state*/) {
  write_every_kind();
  for (const char *format : {"json", "json-pretty"}) {
    const auto array = list_json(format);
    assert_int_equal(array.Size(), 9);
    for (const auto &token : array.GetArray()) {
      assert_int_equal(token.MemberCount(), 12);
      assert_true(token["last_used"].IsNull());
      assert_int_equal(token["uses"].GetUint64(), 0);
      assert_true(token["since"].IsNull());
      assert_true(token["section"].IsBool());
      assert_true(token["secret"].GetBool());
    }
    const auto &client = array[2];
    assert_text_equal(client["tokenid"].GetString(), kId);
    assert_text_equal(client["method"].GetString(), "yescrypt");
    assert_true(client["enabled"].GetBool());
    assert_true(client["expires"].IsNull());
    assert_text_equal(client["comment"].GetString(), "Büro im 1. Stock");
    assert_true(client["section"].GetBool());
    assert_text_equal(client["state"].GetString(), "active");
    assert_int_equal(array[3]["expires"].GetUint64(), 1700000000);
    assert_false(array[5]["enabled"].GetBool());
    const auto &no_section = array[6];
    assert_false(no_section["section"].GetBool());
    assert_true(no_section["enabled"].IsNull());
    assert_true(no_section["comment"].IsNull());
    assert_true(array[1]["method"].IsNull());
  }
}

void list_json_is_one_line_and_pretty_is_not(void ** /*state*/) {
  write_shadow({{"j\\\"q@pbs!t", kHash}, {kOldId, kOldHash}});
  const std::string line = tool_output({"--output-format", "json", "list"});
  assert_true(line.starts_with("[{\"tokenid\":\"j\\\"q@pbs!t\",\"method\":"));
  assert_true(
      line.ends_with("\"state\":\"no-section\",\"last_used\":null,\"uses\":0,"
                     "\"since\":null}]\n"));
  assert_true(line.find('\n') == line.size() - 1);
  const std::string pretty =
      tool_output({"--output-format", "json-pretty", "list"});
  assert_true(
      pretty.starts_with("[\n  {\n    \"tokenid\": \"j\\\"q@pbs!t\",\n"));
  assert_true(pretty.find("\"since\": null\n  },\n  {\n") != std::string::npos);
  assert_true(pretty.ends_with("\"since\": null\n  }\n]\n"));
}

// --- failures

void list_of_bad_files_is_exit_4(void ** /*state*/) {
  write_every_kind();
  write_accounts("user: john@pbs\n\tpassword topsecret\n");
  RunResult outcome = run_tool({"list"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.out, "");
  assert_text_equal(outcome.err,
                    "pbstoken: /etc/proxmox-backup/user.cfg:2:2: "
                    "john@pbs: unknown property\n");
  write_accounts();
  write_file(kShadow, "{", 0640);
  outcome = run_tool({"list"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.out, "");
  assert_true(outcome.err.starts_with(
      "pbstoken: /etc/proxmox-backup/token.shadow:1:2: "));
}

void list_by_nobody_is_exit_3(void ** /*state*/) {
  const std::string path = install_tool();
  const RunResult outcome =
      run({.path = path, .arguments = {"list"}, .prepare = become_nobody});
  assert_int_equal(outcome.status, 3);
  assert_text_equal(outcome.out, "");
}

void list_takes_no_token_id(void ** /*state*/) {
  assert_int_equal(run_tool({"list", kId}).status, 2);
}

void list_changes_nothing(void ** /*state*/) {
  write_every_kind();
  const auto before = names_in(kDirectory);
  tool_output({"list"});
  assert_true(names_in(kDirectory) == before);
  assert_true(status_json()["id"].IsNull());
}

void list_of_many_tokens_is_whole(void ** /*state*/) {
  constexpr int kTokens = 20000;
  Tokens tokens;
  std::string accounts = "user: u@pbs\n\n";
  for (int i = 0; i < kTokens; ++i) {
    const std::string id = "u@pbs!t" + std::to_string(100000 + i);
    tokens.emplace_back(id, kHash);
    accounts += "token: " + id + "\n\n";
  }
  std::shuffle(tokens.begin(), tokens.end(), std::minstd_rand(7));
  write_shadow(tokens);
  write_accounts(accounts);
  const std::string file = scratch("list");
  const RunResult outcome =
      run({.path = "/bin/sh",
           .arguments = {"-c", "\"$0\" list > \"$1\"", tool_path(), file}});
  assert_int_equal(outcome.status, 0);
  const std::string text = read_file(file);
  assert_int_equal(std::count(text.begin(), text.end(), '\n'), kTokens + 1);
  assert_true(text.ends_with(
      "u@pbs!t119999  yescrypt  -          yes      never    active\n"));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(list_table_shows_every_kind),
      E2E_TEST(list_section_without_a_secret_is_marked),
      E2E_TEST(list_merges_secrets_and_sections_by_id),
      E2E_TEST(list_is_sorted_by_the_parts_of_ids),
      E2E_TEST(list_of_nothing_is_a_title),
      E2E_TEST(list_without_user_cfg_has_token_shadow_alone),
      E2E_TEST(list_leaves_out_what_is_no_token),
      E2E_TEST(list_old_and_damaged_hashes_come_with_advice),
      E2E_TEST(list_leaves_out_what_nobody_can_look_up),
      E2E_TEST(list_duplicate_id_is_listed_once_and_last),
      E2E_TEST(list_prints_no_hash),
      E2E_TEST(list_control_characters_are_escaped),
      E2E_TEST(list_expiry_at_this_second_is_expired),
      E2E_TEST(list_shows_the_last_use),
      E2E_TEST(list_json_has_every_member),
      E2E_TEST(list_json_is_one_line_and_pretty_is_not),
      E2E_TEST(list_of_bad_files_is_exit_4),
      E2E_TEST(list_by_nobody_is_exit_3),
      E2E_TEST(list_takes_no_token_id),
      E2E_TEST(list_changes_nothing),
      E2E_TEST(list_of_many_tokens_is_whole),
  };
  return cmocka_run_group_tests_name("tool_list", tests, nullptr, nullptr);
}
