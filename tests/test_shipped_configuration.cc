// SPDX-License-Identifier: BSD-3-Clause
// The configuration files that are installed: what they say about defaults is
// true, and complete.  Run where the sources are.
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "pbstoken/store/store.h"
#include "support.h"

namespace pbstoken {
namespace {

constexpr const char *kShipped = "pam_pbstoken/pbs.conf";
constexpr const char *kExample = "pam_pbstoken/pdm.conf.example";

std::string content_of(const char *path) {
  std::ifstream file(path);
  if (!file) {
    fail_msg("no %s: to be run where the sources are", path);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

Store parsed(const std::string &text) {
  const auto store = parse_store("pbs", text, PathText("/some/pbs.conf"));
  if (!store) {
    fail_msg("%s: %s", text.c_str(), describe(store.error()).c_str());
  }
  return *store;
}

// The commented settings: key and value.
std::map<std::string, std::string> shown_defaults() {
  std::map<std::string, std::string> defaults;
  std::istringstream text(content_of(kShipped));
  const std::regex setting("#([a-z_]+) =(?: (.+))?");
  for (std::string line; std::getline(text, line);) {
    if (std::smatch match; std::regex_match(line, match, setting)) {
      if (!defaults.emplace(match[1], match[2]).second) {
        fail_msg("twice: %s", line.c_str());
      }
    }
  }
  return defaults;
}

// Keys as the parser has them, in its own words: there is no other list.
std::set<std::string> known_keys() {
  const std::string text = content_of("pam_pbstoken/store/store.cc");
  const std::regex entry(R"re(\n    \{"([a-z_]+)",)re");
  std::set<std::string> keys;
  for (std::sregex_iterator at(text.begin(), text.end(), entry), end; at != end;
       ++at) {
    keys.insert((*at)[1]);
    // So that what is collected here are keys.
    const auto unknown =
        parse_store("pbs", (*at)[1].str() + " = ,", PathText("/some/pbs.conf"));
    assert_false(!unknown &&
                 std::string_view(unknown.error().what) == "unknown key");
  }
  return keys;
}

// One line for each member, so that two stores compare as texts.
std::string text_of(const Store &store) {
  const auto principal = [](const Principal &who) {
    return std::string(who.name.view()) + "\n";
  };
  const auto number = [](std::uint64_t value) {
    return std::to_string(value) + "\n";
  };
  const auto path = [](const PathText &text) {
    return std::string(text.view()) + "\n";
  };
  return path(store.token_shadow) + path(store.lock_file) +
         path(store.user_cfg) + principal(store.file_owner) +
         principal(store.file_group) + number(store.file_mode) +
         number(store.cache ? 1 : 0) + number(store.cache_ttl) +
         number(store.cache_slots.value_or(99999)) +
         number(store.look ? 1 : 0) + path(store.user_lock) +
         principal(store.verify_group) + number(store.member_rotate ? 1 : 0) +
         principal(store.admin_group) + number(store.fail_limit) +
         number(store.fail_window) + number(store.max_hashes.value_or(99999)) +
         number(store.shared_fs ? 1 : 0) + number(store.lease) +
         path(store.version_cache);
}

void pbs_conf_changes_nothing(void ** /*state*/) {
  assert_text_equal(text_of(parsed(content_of(kShipped))), text_of(parsed("")));
}

void pbs_conf_shows_every_key(void ** /*state*/) {
  std::set<std::string> shown;
  for (const auto &[key, value] : shown_defaults()) {
    shown.insert(key);
  }
  std::set<std::string> known = known_keys();
  assert_int_equal(known.erase("shm_key"), 1);  // of earlier versions
  assert_true(known.size() >= 20);
  for (const std::string &key : known) {
    if (shown.count(key) == 0) {
      fail_msg("not shown: %s", key.c_str());
    }
  }
  assert_int_equal(shown.size(), known.size());
}

void pbs_conf_shows_true_defaults(void ** /*state*/) {
  std::string text;
  for (const auto &[key, value] : shown_defaults()) {
    if (key == "verify_group") {
      // The one name that a host may lack.
      assert_text_equal(value, parsed("").verify_group.name.view());
    } else if (key == "max_hashes") {
      assert_text_equal(value, "");  // it has no value of its own
    } else {
      text.append(key).append(" = ").append(value).append("\n");
    }
  }
  assert_text_equal(text_of(parsed(text)), text_of(parsed("")));
}

void pdm_example_is_another_store(void ** /*state*/) {
  const Store store = parsed(content_of(kExample));
  assert_text_equal(store.token_shadow.view(),
                    "/etc/proxmox-datacenter-manager/access/token.shadow");
  assert_text_equal(store.lock_file.view(),
                    "/etc/proxmox-datacenter-manager/access/token.shadow.lock");
  assert_text_equal(store.user_cfg.view(),
                    "/etc/proxmox-datacenter-manager/access/user.cfg");
  assert_text_equal(store.version_cache.view(), "");
  assert_text_equal(store.file_owner.name.view(), "www-data");
  assert_text_equal(store.file_group.name.view(), "www-data");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(pbs_conf_changes_nothing),
      cmocka_unit_test(pbs_conf_shows_every_key),
      cmocka_unit_test(pbs_conf_shows_true_defaults),
      cmocka_unit_test(pdm_example_is_another_store),
  };
  return cmocka_run_group_tests_name("shipped_configuration", tests, nullptr,
                                     nullptr);
}
