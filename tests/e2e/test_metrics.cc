// SPDX-License-Identifier: BSD-3-Clause
// The tool's metrics command: a text that OpenMetrics' own parser takes, and
// numbers that are true.
#include <algorithm>
#include <ctime>
#include <map>
#include <sstream>

#include "helper_support.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {
namespace {

using namespace testing;

// The samples by name and labels, as the parser gives them; fails the test
// unless it takes the text.
using Samples = std::map<std::string, std::string>;

constexpr const char *kParser = R"(
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name
    assert family.type in ('counter', 'gauge'), family.name
    for sample in family.samples:
        labels = ','.join(f'{k}={v}' for k, v in sample.labels.items())
        print(f'{sample.name}{{{labels}}}\t{sample.value:.0f}')
)";

Samples parsed(const std::string &text) {
  const RunResult outcome = run({.path = "/usr/bin/python3",
                                 .arguments = {"-c", kParser},
                                 .input = text});
  if (outcome.status != 0) {
    fail_msg("%s\n%s", outcome.err.c_str(), text.c_str());
  }
  Samples samples;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t tab = line.find('\t');
    samples[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return samples;
}

Samples metrics(const std::vector<std::string> &options = {}) {
  std::vector<std::string> arguments = options;
  arguments.emplace_back("metrics");
  return parsed(tool_output(arguments));
}

void assert_sample(const Samples &samples, const std::string &name,
                   const std::string &value) {
  const auto found = samples.find(name);
  if (found == samples.end()) {
    fail_msg("no %s", name.c_str());
  }
  assert_text_equal(found->second, value);
}

void assert_missing(const Samples &samples, const std::string &name) {
  assert_false(samples.contains(name));
}

std::string event(const char *name, const char *party = "root") {
  return std::string("pbstoken_events_total{store=pbs,party=") + party +
         ",event=" + name + "}";
}

std::string tokens_in(const char *state) {
  return std::string("pbstoken_tokens{store=pbs,state=") + state + "}";
}

RunResult verify(const std::string &secret = kSecret,
                 const std::string &host = {}) {
  return host.empty()
             ? run_helper({"verify", "--", kId}, secret)
             : run_helper({"verify", "--rhost", host, "--", kId}, secret);
}

// --- the text

void metrics_of_each_store_stand_in_one_text(void ** /*state*/) {
  for (const int stores : {1, 2, 3}) {
    const Samples samples = metrics();
    assert_int_equal(
        std::count_if(samples.begin(), samples.end(),
                      [](const auto &sample) {
                        return sample.first.starts_with("pbstoken_up{");
                      }),
        stores);
    write_file("/etc/pbstoken/store" + std::to_string(stores) + ".conf",
               "token_shadow = /etc/proxmox-backup/shadow" +
                   std::to_string(stores) + "\nuser_cfg =\n");
  }
  assert_int_equal(
      metrics({"--store", "store1"}).count("pbstoken_up{store=store1}"), 1);
  assert_missing(metrics({"--store", "store1"}), "pbstoken_up{store=pbs}");
  assert_missing(metrics({"--config", "/etc/pbstoken/store1.conf"}),
                 "pbstoken_up{store=store1}");
}

void metrics_end_with_the_mark_of_the_end(void ** /*state*/) {
  assert_true(tool_output({"metrics"}).ends_with("\n# EOF\n"));
}

void metrics_have_no_other_format(void ** /*state*/) {
  const RunResult outcome = run_tool({"metrics", "--output-format", "json"});
  assert_int_equal(outcome.status, 2);
  assert_text_equal(outcome.err,
                    "pbstoken: 'metrics' does not take --output-format\n");
}

void metrics_that_cannot_be_printed_are_exit_4(void ** /*state*/) {
  const RunResult outcome =
      run({.path = tool_path(), .arguments = {"metrics"}, .prepare = [] {
             dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
           }});
  assert_int_equal(outcome.status, 4);
}

// --- a store that cannot be read

void broken_configuration_takes_no_other_store_along(void ** /*state*/) {
  write_file("/etc/pbstoken/broken.conf", "nonsense\n");
  const RunResult outcome = run_tool({"metrics"});
  assert_int_equal(outcome.status, 0);
  assert_text_equal(outcome.err,
                    "pbstoken: /etc/pbstoken/broken.conf:1: nonsense: not a "
                    "'key = value' line\n");
  const Samples samples = parsed(outcome.out);
  assert_sample(samples, "pbstoken_up{store=broken}", "0");
  assert_sample(samples, "pbstoken_up{store=pbs}", "1");
  assert_missing(samples, "pbstoken_tokens_weak{store=broken}");
}

void malformed_file_leaves_the_counters(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  verify();
  write_file(kShadow, "{", 0640);
  const RunResult outcome = run_tool({"metrics"});
  assert_int_equal(outcome.status, 0);
  const Samples samples = parsed(outcome.out);
  assert_sample(samples, "pbstoken_up{store=pbs}", "0");
  assert_sample(samples, event("hash"), "1");
  assert_missing(samples, tokens_in("active"));
}

// --- numbers

void events_are_those_of_status(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  verify();
  verify();
  verify(kWrongSecret);
  verify(kWrongSecret);
  const auto status = status_json();
  const auto samples = metrics();
  for (const auto &[name, member] :
       {std::pair("hit", "hits"), std::pair("recheck", "rechecks"),
        std::pair("hash", "hashes"), std::pair("bypassed", "bypassed"),
        std::pair("known_mismatch", "known_mismatches"),
        std::pair("throttled", "throttled")}) {
    assert_sample(samples, event(name),
                  std::to_string(status["use"]["root"][member].GetUint64()));
    assert_sample(samples, event(name, "members"), "0");
  }
  assert_sample(samples, event("hash"), "2");
  assert_sample(samples, event("hit"), "1");
  assert_sample(samples, event("known_mismatch"), "1");
  assert_missing(samples,
                 "pbstoken_counting_saved_timestamp_seconds{store=pbs}");
}

// A collector takes a counter that is smaller for a new one.
void counters_go_on_after_a_restart(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  verify();
  tool_output({"save"});
  remove_segments();
  verify();
  const auto samples = metrics();
  assert_sample(samples, event("hash"), "2");
  assert_int_equal(
      samples.count("pbstoken_counting_saved_timestamp_seconds{store=pbs}"), 1);
}

void tokens_are_counted_by_state(void ** /*state*/) {
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  constexpr std::uint64_t kDay = 86400;
  write_file(kUserCfg,
             "user: john@pbs\n\ntoken: john@pbs!client1\n\ntoken: john@pbs!soon"
             "\n\texpire " +
                 std::to_string(now + 13 * kDay) +
                 "\n\ntoken: john@pbs!later\n\texpire " +
                 std::to_string(now + 15 * kDay) +
                 "\n\ntoken: john@pbs!gone\n\texpire 1\n\n"
                 "token: john@pbs!off\n\tenable 0\n\n"
                 "token: john@pbs!nosecret\n\n",
             0640);
  write_shadow({{kId, kHash},
                {"john@pbs!soon", kOldHash},
                {"john@pbs!later", kHash},
                {"john@pbs!gone", kHash},
                {"john@pbs!off", kHash},
                {"john@pbs!bad", "*"},
                {"john@pbs!alone", kHash}});
  const auto samples = metrics();
  for (const auto &[state, count] :
       {std::pair("active", "3"), std::pair("no-secret", "1"),
        std::pair("bad-hash", "1"), std::pair("no-section", "1"),
        std::pair("no-user", "0"), std::pair("user-disabled", "0"),
        std::pair("disabled", "1"), std::pair("expired", "1")}) {
    assert_sample(samples, tokens_in(state), count);
  }
  assert_sample(samples, "pbstoken_tokens_expiring{store=pbs}", "1");
  assert_sample(samples, "pbstoken_tokens_weak{store=pbs}", "2");
}

void clients_that_are_kept_out_are_counted(void ** /*state*/) {
  configure("fail_limit = 2\n");
  write_shadow({{kId, kHash}});
  const std::string name = "pbstoken_clients_throttled{store=pbs}";
  assert_sample(metrics(), name, "0");
  for (const char *host :
       {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"}) {
    verify("wrong", host);
  }
  const auto samples = metrics();
  assert_sample(samples, name, "1");
  assert_sample(samples, event("throttled"), "1");
  configure("fail_limit = 0\n");
  assert_sample(metrics(), name, "0");
}

void hashes_under_way_are_counted(void ** /*state*/) {
  configure("max_hashes = 6\n");
  const std::string root = "pbstoken_hashes_under_way{store=pbs,party=root}";
  assert_sample(metrics(), root, "0");
  const auto store = load_store("pbs", PathText(kConfiguration));
  const auto places =
      std::array{enter_hash_gate(*store, {}), enter_hash_gate(*store, {})};
  const auto samples = metrics();
  assert_sample(samples, root, "2");
  assert_sample(samples, "pbstoken_hashes_under_way{store=pbs,party=members}",
                "0");
  assert_sample(samples, "pbstoken_hash_places{store=pbs,party=root}", "3");
  configure("max_hashes = 0\n");
  assert_missing(metrics(), root);
}

void lease_is_told_before_it_ends(void ** /*state*/) {
  const std::string name = "pbstoken_lease_left_seconds{store=pbs}";
  write_shadow({{kId, kHash}});
  assert_missing(metrics(), name);
  configure("lease = 3600\n");
  assert_sample(metrics(), name, "0");
  const std::uint64_t asked =
      boottime_now() / kNanosecondsPerMillisecond - 1500;
  assert_int_equal(run({.path = tool_path(),
                        .arguments = {"adopt", "--revision", "1", "--asked",
                                      std::to_string(asked)},
                        .input = "{}"})
                       .status,
                   0);
  const std::uint64_t left = std::stoull(metrics().at(name));
  assert_in_range(left, 3500, 3598);
  configure("lease = 1\n");
  assert_sample(metrics(), name, "0");
}

void cache_is_on_or_off_for_each_party(void ** /*state*/) {
  configure_groups();
  write_shadow({{kId, kHash}});
  verify();
  const auto on = [](const char *cache, const char *party) {
    return std::string("pbstoken_cache_on{store=pbs,cache=") + cache +
           ",party=" + party + "}";
  };
  auto samples = metrics();
  assert_sample(samples, on("secrets", "root"), "1");
  assert_sample(samples, on("secrets", "members"), "1");
  assert_sample(samples, "pbstoken_slots_used{store=pbs,cache=secrets}", "1");
  assert_sample(samples, on("accounts", "root"), "1");
  assert_int_equal(
      samples.count("pbstoken_stamp_age_seconds{store=pbs,cache=secrets}"), 1);
  // No member can enter the directory above.
  configure_groups("token_shadow = /etc/proxmox-backup/inner/token.shadow\n");
  std::filesystem::create_directory("/etc/proxmox-backup/inner");
  samples = metrics();
  assert_sample(samples, on("secrets", "root"), "1");
  assert_sample(samples, on("secrets", "members"), "0");
  configure("cache = no\nuser_cfg =\n");
  samples = metrics();
  assert_sample(samples, on("secrets", "root"), "0");
  assert_missing(samples, on("accounts", "root"));
}

void metrics_change_nothing(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto before = names_in(kDirectory);
  tool_output({"metrics"});
  assert_true(names_in(kDirectory) == before);
  assert_true(status_json()["id"].IsNull());
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(metrics_of_each_store_stand_in_one_text),
      E2E_TEST(metrics_end_with_the_mark_of_the_end),
      E2E_TEST(metrics_have_no_other_format),
      E2E_TEST(metrics_that_cannot_be_printed_are_exit_4),
      E2E_TEST(broken_configuration_takes_no_other_store_along),
      E2E_TEST(malformed_file_leaves_the_counters),
      E2E_TEST(events_are_those_of_status),
      E2E_TEST(counters_go_on_after_a_restart),
      E2E_TEST(tokens_are_counted_by_state),
      E2E_TEST(clients_that_are_kept_out_are_counted),
      E2E_TEST(hashes_under_way_are_counted),
      E2E_TEST(lease_is_told_before_it_ends),
      E2E_TEST(cache_is_on_or_off_for_each_party),
      E2E_TEST(metrics_change_nothing),
  };
  return cmocka_run_group_tests_name("metrics", tests, nullptr, nullptr);
}
