// SPDX-License-Identifier: BSD-3-Clause
// The tool's list command with --unused, --expiring and --weak: the tokens that
// need somebody, and an exit status for a cron job.
#include <algorithm>
#include <ctime>
#include <map>

#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kSaved = std::string(kState) + "/pbs.use";
constexpr std::uint64_t kDay = 86400;

std::uint64_t now() {
  return static_cast<std::uint64_t>(std::time(nullptr));
}

// The ids that list prints, once as text and once as JSON; with its exit
// status.
struct Listed {
  std::vector<std::string> ids;
  int status;
  std::string err;

  bool operator==(const Listed &) const = default;
};

Listed list(std::vector<std::string> options) {
  options.insert(options.begin(), "list");
  const RunResult text = run_tool(options);
  options.insert(options.begin(), "--output-format=json");
  const RunResult json = run_tool(options);
  assert_int_equal(text.status, json.status);
  rapidjson::Document array;
  array.Parse(json.out.c_str());
  assert_true(array.IsArray());
  Listed listed{.ids = {}, .status = text.status, .err = text.err};
  for (const auto &token : array.GetArray()) {
    listed.ids.emplace_back(token["tokenid"].GetString());
    assert_true(text.out.find("\n" + listed.ids.back() + " ") !=
                std::string::npos);
  }
  assert_int_equal(std::count(text.out.begin(), text.out.end(), '\n'),
                   listed.ids.size() + 1);
  return listed;
}

void assert_listed(const std::vector<std::string> &options,
                   const std::vector<std::string> &ids) {
  const Listed listed = list(options);
  assert_true(listed.ids == ids);
  assert_int_equal(listed.status, ids.empty() ? 0 : 1);
}

// --- weak

void weak_are_old_and_unusable_hashes(void ** /*state*/) {
  configure("user_cfg =\n");
  write_shadow({{kId, kHash}});
  assert_listed({"--weak"}, {});
  write_shadow({{kId, kHash}, {kOldId, kOldHash}, {"a@pbs!t", "*"}});
  assert_listed({"--weak"}, {"a@pbs!t", kOldId});
  assert_int_equal(run_tool({"list"}).status, 0);
}

// --- expiring

std::string section(const std::string &header, std::uint64_t expires) {
  return header + "\n\texpire " + std::to_string(expires) + "\n\n";
}

void expiring_count_now_and_will_not_then(void ** /*state*/) {
  write_file(kUserCfg,
             section("user: john@pbs", 0) +
                 section("user: soon@pbs", now() + 3 * kDay) +
                 section("token: john@pbs!never", 0) +
                 section("token: john@pbs!gone", now() - kDay) +
                 section("token: john@pbs!soon", now() + 10 * kDay) +
                 section("token: john@pbs!later", now() + 20 * kDay) +
                 section("token: john@pbs!nosecret", now() + 10 * kDay) +
                 "token: john@pbs!off\n\tenable 0\n\texpire " +
                 std::to_string(now() + kDay) + "\n\n" +
                 section("token: soon@pbs!t", 0),
             0640);
  write_shadow({{"john@pbs!never", kHash},
                {"john@pbs!gone", kHash},
                {"john@pbs!soon", kHash},
                {"john@pbs!later", kHash},
                {"john@pbs!off", kHash},
                {"soon@pbs!t", kHash}});
  assert_listed({"--expiring", "14d"}, {"john@pbs!soon", "soon@pbs!t"});
  assert_listed({"--expiring=5d"}, {"soon@pbs!t"});
  assert_listed({"--expiring", "0s"}, {});
  assert_listed({"--expiring", "2d"}, {});
  assert_listed({"--expiring", "18446744073709551615s"},
                {"john@pbs!later", "john@pbs!soon", "soon@pbs!t"});
  configure("user_cfg =\n");
  assert_listed({"--expiring", "14d"}, {});
}

// --- unused

// What save has written, with other times: of the record, and of each token.
void write_record(
    std::uint64_t since,
    const std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>
        &used) {
  tool_output({"save"});
  const std::string before = read_file(kSaved);
  const auto line = [&before](const std::string &word) {
    const std::size_t at = before.find("\n" + word + " ") + 1;
    return before.substr(at, before.find('\n', at) + 1 - at);
  };
  std::string text = "pbstoken use 1\n" + line("token_shadow") + line("life") +
                     "since " + std::to_string(since) + "\n" + line("saved") +
                     line("lost") + line("root") + line("members") + "tokens " +
                     std::to_string(used.size()) + "\n";
  for (const auto &[id, times] : used) {
    text += std::to_string(times.first) + " " + std::to_string(times.second) +
            " 0 0 " + id + "\n";
  }
  write_file(kSaved, text, 0600);
}

void use_a_token() {
  configure("user_cfg =\n");
  write_shadow({{kId, kHash},
                {"a@pbs!new", kHash},
                {"a@pbs!newer", kHash},
                {"a@pbs!never", kHash},
                {"a@pbs!once", kHash},
                {"a@pbs!lately", kHash}});
  helper_output({"verify", "--", kId}, kSecret);
}

void unused_are_those_that_the_record_knows_for_so_long(void ** /*state*/) {
  use_a_token();
  const std::uint64_t began = now() - 100 * kDay;
  write_record(began, {{"a@pbs!lately", {began, now() - 10 * kDay}},
                       {"a@pbs!never", {began, 0}},
                       {"a@pbs!new", {now() - 5 * kDay, 0}},
                       {"a@pbs!once", {began, now() - 95 * kDay}}});
  assert_listed({"--unused", "90d"}, {"a@pbs!never", "a@pbs!once"});
  assert_listed({"--unused", "1w"},
                {"a@pbs!lately", "a@pbs!never", "a@pbs!once"});
  // One that no save has seen may have been made today.
  assert_listed({"--unused", "3d"},
                {"a@pbs!lately", "a@pbs!never", "a@pbs!new", "a@pbs!once"});
  const auto array = [] {
    rapidjson::Document document;
    document.Parse(tool_output({"--output-format=json", "list"}).c_str());
    return document;
  }();
  assert_int_equal(array[1]["since"].GetUint64(), began);
  assert_true(tool_output({"list"}).find("a@pbs!never       yescrypt  not "
                                         "since 20") != std::string::npos);
}

// The record began with the first use, three days ago.
void unused_cannot_be_told_of_a_time_before_the_record(void ** /*state*/) {
  use_a_token();
  const std::uint64_t began = now() - 3 * kDay;
  write_record(began, {{"a@pbs!lately", {began, now() - 60}},
                       {"a@pbs!never", {began, 0}},
                       {"a@pbs!new", {began, now() - 60}},
                       {"a@pbs!newer", {began, now() - 60}},
                       {"a@pbs!once", {began, now() - 2 * kDay}}});
  assert_listed({"--unused", "1d"}, {"a@pbs!never", "a@pbs!once"});
  // Whatever was used in that time was not unused.
  const Listed listed = list({"--unused", "90d"});
  assert_true(listed.ids.empty());
  assert_int_equal(listed.status, 4);
  assert_true(
      listed.err.starts_with("pbstoken: the record of use begins at 20"));
  assert_true(listed.err.ends_with(
      "Z; tokens that were not used since, and are not listed: 1\n"));
}

void unused_without_a_record_is_exit_4(void ** /*state*/) {
  configure("user_cfg =\n");
  assert_listed({"--unused", "90d"}, {});
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  const Listed listed = list({"--unused", "90d"});
  assert_true(listed.ids.empty());
  assert_int_equal(listed.status, 4);
  assert_text_equal(listed.err,
                    "pbstoken: no use was counted yet; tokens that are not "
                    "listed: 2\n");
}

// A token may be as young as it likes, where no save has seen it.
void unused_cannot_be_told_before_the_first_save(void ** /*state*/) {
  use_a_token();
  sleep(1);
  const Listed listed = list({"--unused", "1s"});
  assert_int_equal(listed.status, 1);
  assert_true(listed.ids == std::vector<std::string>{kId});
  assert_text_equal(
      listed.err,
      "pbstoken: nothing was saved yet, run pbstoken save; tokens "
      "that are not listed: 5\n");
}

void unused_without_a_secret_is_not_listed(void ** /*state*/) {
  use_a_token();
  configure("");
  write_file(kUserCfg, "token: b@pbs!t\n\n", 0640);
  write_record(now() - 100 * kDay, {{"b@pbs!t", {1, 0}}});
  assert_listed({"--unused", "90d"}, {});
}

// --- the command line

void options_narrow_what_is_listed(void ** /*state*/) {
  use_a_token();
  write_shadow({{kId, kHash}, {kOldId, kOldHash}, {"a@pbs!never", kHash}});
  write_record(now() - 100 * kDay, {{"a@pbs!never", {1, 0}}, {kOldId, {1, 0}}});
  assert_listed({"--unused", "90d", "--weak"}, {kOldId});
  assert_listed({"--unused", "90d", "--weak", "--expiring", "14d"}, {});
}

void options_are_strict(void ** /*state*/) {
  for (const char *value : {"", "90", "d", "-1d", "90y", "1d12h"}) {
    const RunResult outcome =
        run_tool({"list", "--unused=" + std::string(value)});
    assert_int_equal(outcome.status, 2);
    assert_text_equal(
        outcome.err, "pbstoken: not a duration, such as 12h, 90d or 2w:" +
                         std::string(*value == '\0' ? "" : " ") + value + "\n");
  }
  assert_int_equal(run_tool({"list", "--weak=yes"}).status, 2);
  assert_int_equal(run_tool({"status", "--weak"}).status, 2);
  assert_int_equal(run_tool({"check", "--unused", "1d"}).status, 2);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(weak_are_old_and_unusable_hashes),
      E2E_TEST(expiring_count_now_and_will_not_then),
      E2E_TEST(unused_are_those_that_the_record_knows_for_so_long),
      E2E_TEST(unused_cannot_be_told_of_a_time_before_the_record),
      E2E_TEST(unused_without_a_record_is_exit_4),
      E2E_TEST(unused_cannot_be_told_before_the_first_save),
      E2E_TEST(unused_without_a_secret_is_not_listed),
      E2E_TEST(options_narrow_what_is_listed),
      E2E_TEST(options_are_strict),
  };
  return cmocka_run_group_tests_name("tool_filter", tests, nullptr, nullptr);
}
