// SPDX-License-Identifier: BSD-3-Clause
// The helper's commands: exit status, output, messages.
#include <array>
#include <regex>

#include "e2e/exhausted.h"
#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

void assert_status(const std::vector<std::string> &arguments,
                   const std::string &input, int status) {
  const RunResult outcome = run_helper(arguments, input);
  if (outcome.status != status) {
    std::string line;
    for (const std::string &argument : arguments) {
      line += argument + " ";
    }
    fail_msg("%s: exit status %d, not %d: %s", line.c_str(), outcome.status,
             status, outcome.err.c_str());
  }
  // Every refusal has a line, and in one form.
  if (status != 0) {
    assert_true(outcome.err.starts_with("pbstoken-helper: "));
    assert_true(outcome.err.ends_with("\n"));
    assert_text_equal(outcome.out, "");
  }
}

bool is_uuid_v4(const std::string &text) {
  const std::string form = "hhhhhhhh-hhhh-4hhh-Nhhh-hhhhhhhhhhhh";
  bool good = text.size() == form.size();
  for (std::size_t i = 0; good && i < form.size(); ++i) {
    const std::string allowed = form[i] == 'h'   ? "0123456789abcdef"
                                : form[i] == 'N' ? "89ab"
                                                 : form.substr(i, 1);
    good = allowed.find(text[i]) != std::string::npos;
  }
  return good;
}

// --- usage

void usage_error_is_exit_2(void ** /*state*/) {
  const std::string long_id = std::string(56, 'a') + "@pbs!1234";  // 65
  for (const std::vector<std::string> &arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"nosuch"},
           {"Status"},
           {""},
           {"generate"},
           {"generate", "--"},
           {"generate", "john@pbs"},
           {"generate", "john"},
           {"generate", ""},
           {"generate", "john@pbs!t\n"},
           {"generate", "jo hn@pbs!t"},
           {"generate", "\xff@pbs!t"},
           {"generate", kId, kOldId},
           {"serve", kId},
           {"serve", "now"},
           {"--nosuch", "serve"},
           {"-x", "serve"},
           {"--store"},
           {"--store", "", "serve"},
           {"--store", "../pbs", "serve"},
           {"--store", std::string(33, 'a'), "serve"},
           {"--config", "pbs.conf", "serve"},
           {"--output-format", "yaml", "serve"},
           {"--output-format", "JSON", "serve"},
           {"generate", long_id},
           {"set", long_id},
           {"rotate", long_id},
       }) {
    assert_status(arguments, kSecret, 2);
  }
  assert_true(names_in(kDirectory).empty());
}

void help_is_exit_0(void ** /*state*/) {
  const std::string text = helper_output({"--help"});
  for (const char *command : {"generate", "set", "delete", "rotate", "verify",
                              "account", "serve", "--rhost", "--store"}) {
    assert_true(text.find(command) != std::string::npos);
  }
}

void help_that_nobody_can_read_is_exit_4(void ** /*state*/) {
  const RunResult outcome =
      run({.path = helper_path(), .arguments = {"--help"}, .prepare = [] {
             dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
           }});
  assert_int_equal(outcome.status, 4);
}

void generate_id_of_64_characters_is_written(void ** /*state*/) {
  // Characters, not bytes.
  std::string id;
  for (int i = 0; i < 55; ++i) {
    id += "ü";
  }
  id += "@pbs!1234";
  const std::string secret = generate(id);
  assert_status({"verify", id}, secret, 0);
  assert_status({"generate", "ü" + id}, "", 2);
}

void verify_and_delete_longer_ids_of_others_work(void ** /*state*/) {
  const std::string id = std::string(200, 'a') + "@pbs!t";
  write_shadow({{id, kHash}});
  assert_status({"verify", id}, kSecret, 0);
  assert_status({"delete", id}, "", 0);
  assert_text_equal(read_file(kShadow), "{}");
}

void generate_id_that_looks_like_an_option_works(void ** /*state*/) {
  const std::string id = "--store=x@pbs!t";
  const std::string secret = generate(id);
  assert_status({"verify", "--", id}, secret, 0);
  assert_status({"--", "verify", id}, secret, 0);
  assert_status({"delete", "--", id}, "", 0);
}

// --- generate

void generate_prints_the_secret_in_each_format(void ** /*state*/) {
  const std::string json =
      helper_output({"--output-format", "json", "generate", kId});
  assert_true(json.ends_with("}\n"));
  assert_true(json.find('\n') == json.size() - 1);
  const auto object = parse_json(json);
  assert_int_equal(object.MemberCount(), 2);
  assert_text_equal(object["tokenid"].GetString(), kId);
  assert_true(is_uuid_v4(object["value"].GetString()));
  assert_status({"verify", kId}, object["value"].GetString(), 0);

  const auto pretty = parse_json(
      helper_output({"generate", kId, "--output-format", "json-pretty"}));
  assert_int_equal(pretty.MemberCount(), 2);
  assert_status({"verify", kId}, pretty["value"].GetString(), 0);
  assert_status({"verify", kId}, object["value"].GetString(), 1);

  const std::string text = helper_output({"generate", kId});
  const std::string last = text.substr(text.size() - 37, 36);
  assert_true(is_uuid_v4(last));
  assert_text_equal(
      text, std::string("tokenid: ") + kId + "\nvalue:   " + last + "\n");
  assert_status({"verify", kId}, last, 0);
}

void generate_id_with_quotes_is_escaped(void ** /*state*/) {
  for (const char *id : {"j\"q@pbs!t1", "DOM\\svc@ad!sync", "jürgen@pbs!t"}) {
    for (const char *format : {"json", "json-pretty"}) {
      const auto object = parse_json(
          helper_output({"--output-format", format, "generate", "--", id}));
      assert_text_equal(object["tokenid"].GetString(), id);
      assert_status({"verify", id}, object["value"].GetString(), 0);
    }
  }
}

void generate_secrets_are_all_different(void ** /*state*/) {
  std::set<std::string> secrets;
  std::set<std::string> texts;
  for (int i = 0; i < 5; ++i) {
    secrets.insert(generate(kId));
    texts.insert(read_file(kShadow));
  }
  assert_int_equal(secrets.size(), 5);
  assert_int_equal(texts.size(), 5);
}

// --- set

void set_then_verify_accepts_that_secret_alone(void ** /*state*/) {
  assert_status({"set", kId}, kSecret, 0);
  assert_status({"verify", kId}, kSecret, 0);
  assert_status({"verify", kId}, kWrongSecret, 1);
  assert_status({"set", kId}, kWrongSecret, 0);
  assert_status({"verify", kId}, kSecret, 1);
  assert_pam(authenticate(kId, kWrongSecret), PAM_SUCCESS);
}

void set_short_secret_warns(void ** /*state*/) {
  configure("user_cfg =\n");  // else it also warns that there is no section
  const RunResult weak = run_helper({"set", kId}, std::string(31, 'x'));
  assert_int_equal(weak.status, 0);
  assert_true(weak.err.starts_with("pbstoken-helper: warning: "));
  const RunResult strong = run_helper({"set", kId}, std::string(32, 'x'));
  assert_int_equal(strong.status, 0);
  assert_text_equal(strong.err, "");
  assert_text_equal(strong.out, "");
}

void set_unacceptable_secret_is_exit_2(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string strong(32, 'x');
  for (const std::string &secret :
       {std::string(), std::string("\n"), std::string("\n\n"),
        std::string(512, 'x'), std::string(512, 'x') + "\n",
        std::string(60000, 'x'), strong + "\n\n", strong + "\r\n",
        strong + '\0', strong + "\t", strong + "\x7f", "\1" + strong,
        strong + "\n" + strong, std::string(511, 'x') + "\nx"}) {
    assert_status({"set", kId}, secret, 2);
  }
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

void set_drops_one_trailing_newline(void ** /*state*/) {
  assert_status({"set", kId}, std::string(kSecret) + "\n", 0);
  assert_status({"verify", kId}, kSecret, 0);
  assert_status({"verify", kId}, std::string(kSecret) + "\n", 0);
  assert_status({"verify", kId}, std::string(kSecret) + "\n\n", 1);
  assert_status({"set", kId}, std::string(511, 'x') + "\n", 0);
  assert_pam(authenticate(kId, std::string(511, 'x')), PAM_SUCCESS);
}

void set_reads_to_the_end_of_input(void ** /*state*/) {
  // In pieces, as a slow writer sends them.
  Pipe input;
  const pid_t child = start_child([&] {
    dup2(input.reader(), STDIN_FILENO);
    execl(helper_path().c_str(), "pbstoken-helper", "set", kId, nullptr);
    return 126;
  });
  for (const char c : std::string_view(kSecret)) {
    assert_int_equal(write(input.writer(), &c, 1), 1);
    usleep(500);
  }
  input.close_writer();
  assert_int_equal(wait_for(child), 0);
  assert_status({"verify", kId}, kSecret, 0);
}

// --- delete

void delete_token_is_gone(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_status({"delete", kId}, "", 0);
  assert_text_equal(read_file(kShadow), "{}");
  assert_pam(authenticate(kId, kSecret), PAM_USER_UNKNOWN);
  assert_status({"verify", kId}, kSecret, 5);
}

void delete_missing_token_is_exit_5_and_touches_nothing(void ** /*state*/) {
  assert_status({"delete", kId}, "", 5);
  assert_false(std::filesystem::exists(kShadow));
  write_shadow({{kOldId, kOldHash}});
  const struct stat before = status_of(kShadow);
  assert_status({"delete", kId}, "", 5);
  const struct stat after = status_of(kShadow);
  assert_int_equal(after.st_ino, before.st_ino);
  assert_int_equal(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  assert_text_equal(read_file(kShadow), shadow_of({{kOldId, kOldHash}}));
}

// --- rotate

void rotate_wrong_secret_is_exit_1(void ** /*state*/) {
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  const std::string before = read_file(kShadow);
  for (const std::string &secret :
       {std::string(kWrongSecret), std::string(), std::string(512, 'x')}) {
    assert_status({"rotate", kId}, secret, 1);
  }
  assert_status({"rotate", "bad@pbs!t"}, kSecret, 1);
  assert_status({"rotate", "other@pbs!t"}, kSecret, 5);
  assert_text_equal(read_file(kShadow), before);
}

void rotate_right_secret_prints_a_new_one(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto object = parse_json(helper_output(
      {"--output-format", "json", "rotate", kId}, std::string(kSecret) + "\n"));
  assert_int_equal(object.MemberCount(), 2);
  assert_text_equal(object["tokenid"].GetString(), kId);
  assert_true(is_uuid_v4(object["value"].GetString()));
  assert_status({"verify", kId}, kSecret, 1);
  assert_status({"verify", kId}, object["value"].GetString(), 0);
}

// The host has the old secret in its handle, its attachment and the segment.
void rotate_old_secret_is_refused_by_who_had_it_cached(void ** /*state*/) {
  std::string secret = generate(kId);
  Conversation conversation = {.answer = secret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  const auto hashes = counter("hashes");
  for (int i = 0; i < 10; ++i) {
    const auto object = parse_json(
        helper_output({"--output-format", "json", "rotate", kId}, secret));
    assert_pam(handle.authenticate(), PAM_AUTH_ERR);
    conversation.answer = secret = object["value"].GetString();
    assert_pam(handle.authenticate(), PAM_SUCCESS);
  }
  // One for each old secret, none for the new ones.
  assert_int_equal(counter("hashes"), hashes + 10);
}

// --- verify

void verify_answers_by_exit_status(void ** /*state*/) {
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  assert_status({"verify", kId}, kSecret, 0);
  assert_status({"verify", kId}, kWrongSecret, 1);
  assert_status({"verify", kId}, "", 1);
  assert_status({"verify", kId}, std::string(512, 'x'), 1);
  assert_status({"verify", kId}, std::string(kSecret) + '\0', 1);
  assert_status({"verify", "bad@pbs!t"}, kSecret, 1);
  for (const std::string &secret :
       {std::string(kSecret), std::string(), std::string(512, 'x')}) {
    assert_status({"verify", "other@pbs!t"}, secret, 5);
    assert_status({"rotate", "other@pbs!t"}, secret, 5);
  }
}

void verify_too_many_wrong_secrets_is_exit_6(void ** /*state*/) {
  configure("fail_limit = 2\n");
  write_shadow({{kId, kHash}});
  const auto verify = [](const std::string &host, const std::string &secret) {
    return run_helper({"--rhost", host, "verify", kId}, secret);
  };
  for (const char *wrong : {"wrong 1", "wrong 2"}) {
    assert_int_equal(verify("192.0.2.1", wrong).status, 1);
  }
  const RunResult outcome = verify("192.0.2.1", "wrong 3");
  assert_int_equal(outcome.status, 6);
  assert_text_equal(outcome.err,
                    "pbstoken-helper: too many wrong secrets, wait a while\n");
  assert_int_equal(counter("hashes"), 2);
  // Of that host; and to rotate is no way round.
  assert_int_equal(verify("192.0.2.2", "wrong 3").status, 1);
  const RunResult rotated =
      run_helper({"--rhost", "192.0.2.1", "rotate", kId}, "wrong 4");
  assert_int_equal(rotated.status, 6);
  assert_text_equal(rotated.out, "");
  assert_int_equal(counter("hashes"), 3);
}

void account_answers_by_exit_status_and_says_why(void ** /*state*/) {
  write_file(kUserCfg,
             "user: john@pbs\n\ntoken: john@pbs!on\n\ntoken: john@pbs!off\n"
             "\tenable 0\n\ntoken: john@pbs!old\n\texpire 1\n\n"
             "user: jane@pbs\n\tenable 0\n\ntoken: jane@pbs!t\n\n",
             0640);
  for (const auto &[id, status, said] :
       {std::tuple{"john@pbs!on", 0, ""},
        {"john@pbs!off", 1, "the token is disabled"},
        {"john@pbs!old", 1, "has expired"},
        {"jane@pbs!t", 1, "the user is disabled"},
        {"john@pbs!other", 1, "no section for the token"},
        {"nobody@pbs!t", 1, "no section for the user"}}) {
    const RunResult outcome = run_helper({"account", id});
    assert_int_equal(outcome.status, status);
    assert_true(outcome.err.empty() == (status == 0));
    assert_true(outcome.err.find(said) != std::string::npos);
  }
  configure("user_cfg =\n");
  assert_status({"account", "john@pbs!off"}, "", 0);
}

void verify_fills_the_cache(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_status({"verify", kId}, kSecret, 0);
  assert_int_equal(counter("hashes"), 1);
  assert_status({"verify", kId}, kSecret, 0);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 1);
}

// --- status and flush

constexpr std::array<const char *, 22> kMembers = {"verify_group_members",
                                                   "admin_group_members",
                                                   "store",
                                                   "cache_root",
                                                   "cache_members",
                                                   "hit_share",
                                                   "accounts",
                                                   "use",
                                                   "key",
                                                   "id",
                                                   "size",
                                                   "mode",
                                                   "generation",
                                                   "stamp_age",
                                                   "slots",
                                                   "slots_used",
                                                   "hits",
                                                   "rechecks",
                                                   "hashes",
                                                   "known_mismatches",
                                                   "throttled",
                                                   "bypassed"};

void status_has_every_member(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (const bool with_segment : {false, true}) {
    for (const char *format : {"json", "json-pretty"}) {
      const auto object =
          parse_json(tool_output({"--output-format", format, "status"}));
      for (const char *member : kMembers) {
        if (!object.HasMember(member)) {
          fail_msg("%s", member);
        }
      }
      assert_text_equal(object["store"].GetString(), "pbs");
      assert_true(object["key"].IsUint() && object["key"].GetUint() != 0);
      assert_true(object["id"].IsNull() == !with_segment);
      assert_true(object["hashes"].IsUint64());
    }
    assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  }
  const auto object = status_json();
  assert_text_equal(object["mode"].GetString(), "0600");
  assert_true(object["generation"].GetUint64() % 2 == 0);
  assert_true(object["stamp_age"].IsUint64());
  assert_int_equal(object["slots_used"].GetUint64(), 1);
  assert_true(object["slots"].GetUint64() >= 8192);
  assert_true(tool_output({"status"}).find("hashes:") != std::string::npos);
}

// Plain numbers are for programs.
void status_sizes_have_units_for_people(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const std::string text = tool_output({"status"});
  assert_true(
      std::regex_search(text, std::regex("\\nuse\\.size: +4\\.0 MiB\\n")));
  assert_true(std::regex_search(
      text, std::regex("\\nsize: +[1-9][0-9]*\\.[0-9] [KM]iB\\n")));
  assert_in_range(status_json()["use"]["size"].GetUint64(), 4 << 20, 5 << 20);
}

void status_segment_is_the_verify_groups_to_read(void ** /*state*/) {
  configure("verify_group = backup\n");
  assert_status({"set", kId}, kSecret, 0);
  const auto object = status_json();
  assert_text_equal(object["mode"].GetString(), "0640");
  shmid_ds segment{};
  assert_int_equal(shmctl(object["id"].GetInt(), IPC_STAT, &segment), 0);
  assert_int_equal(segment.shm_perm.uid, 0);
  assert_int_equal(segment.shm_perm.gid, kBackup);
  assert_int_equal(segment.shm_segsz, object["size"].GetUint64());
}

void flush_forgets_what_was_verified(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  Conversation conversation = {.answer = kSecret};
  PamHandle handle(kService, kId, &conversation);
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  const int old = status_json()["id"].GetInt();
  tool_output({"flush"});
  const auto object = status_json();
  assert_int_not_equal(object["id"].GetInt(), old);
  assert_int_equal(object["slots_used"].GetUint64(), 0);
  // The old one is gone as soon as its last user has noticed.
  assert_pam(handle.authenticate(), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 2);
  shmid_ds segment{};
  assert_int_equal(shmctl(old, IPC_STAT, &segment), -1);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 2);
}

void flush_on_a_full_host_leaves_the_segment(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const int id = status_json()["id"].GetInt();
  RunResult outcome;
  {
    const NoMoreObjects exhausted(kSegmentLimit);
    outcome = run_tool({"flush"});
  }
  assert_int_equal(outcome.status, 4);
  assert_int_equal(status_json()["id"].GetInt(), id);
  assert_int_equal(run_tool({"flush"}).status, 0);
  // Under the key, and the only one.
  const auto status = status_json();
  assert_int_not_equal(status["id"].GetInt(), id);
  assert_int_equal(shmget(static_cast<key_t>(status["key"].GetUint()), 0, 0),
                   status["id"].GetInt());
}

void flush_without_a_segment_makes_one(void ** /*state*/) {
  tool_output({"flush"});
  assert_true(status_json()["id"].IsInt());
}

// --- stores

void store_option_chooses_the_store(void ** /*state*/) {
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n"
             "file_owner = 1234\nfile_group = root\nfile_mode = 0600\n");
  assert_status({"--store", "other", "set", kId}, kSecret, 0);
  assert_false(std::filesystem::exists(kShadow));
  const struct stat made = status_of("/etc/proxmox-backup/other.shadow");
  assert_int_equal(made.st_uid, 1234);
  assert_int_equal(made.st_gid, 0);
  assert_int_equal(made.st_mode, S_IFREG | 0600);
  assert_status({"verify", kId}, kSecret, 5);
  assert_status({"--store", "other", "verify", kId}, kSecret, 0);
  assert_status({"--config", "/etc/pbstoken/other.conf", "verify", kId},
                kSecret, 0);
  assert_true(parse_json(tool_output({"--store=other", "--output-format=json",
                                      "status"}))["key"] !=
              status_json()["key"]);
}

void bad_configuration_is_exit_4(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_status({"--store", "nosuch", "account", kId}, "", 4);
  assert_status({"--config", "/etc/pbstoken/nosuch.conf", "account", kId}, "",
                4);
  configure("cache_ttl = 5\ncache_tll = 5\n");
  for (const char *command :
       {"generate", "set", "delete", "rotate", "verify"}) {
    assert_status({command, kId}, kSecret, 4);
  }
  const RunResult outcome = run_tool({"flush"});
  assert_int_equal(outcome.status, 4);
  assert_text_equal(outcome.err,
                    "pbstoken: /etc/pbstoken/pbs.conf:2: cache_tll: "
                    "unknown key\n");
  configure("");
  chmod(kConfiguration, 0664);
  assert_status({"account", kId}, "", 4);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(usage_error_is_exit_2),
      PAM_TEST(help_is_exit_0),
      PAM_TEST(help_that_nobody_can_read_is_exit_4),
      PAM_TEST(generate_id_of_64_characters_is_written),
      PAM_TEST(verify_and_delete_longer_ids_of_others_work),
      PAM_TEST(generate_id_that_looks_like_an_option_works),
      PAM_TEST(generate_prints_the_secret_in_each_format),
      PAM_TEST(generate_id_with_quotes_is_escaped),
      PAM_TEST(generate_secrets_are_all_different),
      PAM_TEST(set_then_verify_accepts_that_secret_alone),
      PAM_TEST(set_short_secret_warns),
      PAM_TEST(set_unacceptable_secret_is_exit_2),
      PAM_TEST(set_drops_one_trailing_newline),
      PAM_TEST(set_reads_to_the_end_of_input),
      PAM_TEST(delete_token_is_gone),
      PAM_TEST(delete_missing_token_is_exit_5_and_touches_nothing),
      PAM_TEST(rotate_wrong_secret_is_exit_1),
      PAM_TEST(rotate_right_secret_prints_a_new_one),
      PAM_TEST(rotate_old_secret_is_refused_by_who_had_it_cached),
      PAM_TEST(verify_answers_by_exit_status),
      PAM_TEST(verify_too_many_wrong_secrets_is_exit_6),
      PAM_TEST(account_answers_by_exit_status_and_says_why),
      PAM_TEST(verify_fills_the_cache),
      PAM_TEST(status_has_every_member),
      PAM_TEST(status_sizes_have_units_for_people),
      PAM_TEST(status_segment_is_the_verify_groups_to_read),
      PAM_TEST(flush_forgets_what_was_verified),
      PAM_TEST(flush_on_a_full_host_leaves_the_segment),
      PAM_TEST(flush_without_a_segment_makes_one),
      PAM_TEST(store_option_chooses_the_store),
      PAM_TEST(bad_configuration_is_exit_4),
  };
  return cmocka_run_group_tests_name("helper", tests, nullptr, nullptr);
}
