// SPDX-License-Identifier: BSD-3-Clause
// Every stack that README.md, a page or an example shows, with every
// configuration that pbstoken.conf(5) shows: what the text promises is so. They
// are read from the files, so that none is forgotten.
#include <crypt.h>

#include <map>
#include <regex>
#include <sstream>

#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kUser = "zoe";
const std::string kOwnPassword = kOldSecret;
const std::string kOddUser = "yan";
// What looks like somebody's token.
const std::string kOddPassword = "me@home!correct:horse";

// --- the pages

std::string read_source(const std::string &path) {
  const std::string text = read_file(path);
  assert_false(text.empty());
  return text;
}

std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

// What stands between .Bd -literal and .Ed; an escaped line end is none.
std::vector<std::string> literal_blocks(const std::string &path) {
  std::vector<std::string> blocks;
  std::string block;
  bool is_inside = false;
  for (const std::string &line : lines_of(read_source(path))) {
    if (line.starts_with(".Bd -literal")) {
      is_inside = true;
      block.clear();
    } else if (line == ".Ed") {
      blocks.push_back(
          std::regex_replace(block, std::regex(R"(\\e\n\s*)"), " "));
      is_inside = false;
    } else if (is_inside) {
      block += line + "\n";
    }
  }
  return blocks;
}

// Of Markdown: lines that are indented by four.
std::vector<std::string> indented_blocks(const std::string &path) {
  std::vector<std::string> blocks(1);
  for (const std::string &line : lines_of(read_source(path))) {
    if (line.starts_with("    ")) {
      blocks.back() += line.substr(4) + "\n";
    } else if (!blocks.back().empty()) {
      blocks.emplace_back();
    }
  }
  return blocks;
}

struct Shown {
  std::string name;
  std::string text;
};

bool is_stack(const std::string &text) {
  return std::regex_search(text, std::regex("(^|\n)auth .*pam_pbstoken"));
}

std::vector<Shown> shown_stacks() {
  std::vector<Shown> stacks;
  const auto add = [&](const std::string &name, const std::string &text) {
    if (is_stack(text)) {
      stacks.push_back({name + " " + std::to_string(stacks.size()), text});
    }
  };
  for (const std::string &block : indented_blocks("README.md")) {
    add("README.md", block);
  }
  for (const std::string &block :
       literal_blocks("pam_pbstoken/pam_pbstoken.8")) {
    add("pam_pbstoken(8)", block);
  }
  for (const std::string &name : names_in("pam_pbstoken/examples")) {
    add(name, read_source("pam_pbstoken/examples/" + name));
  }
  return stacks;
}

std::vector<Shown> shown_configurations() {
  std::vector<Shown> all = {{"none", ""}, {"no user_cfg", "user_cfg =\n"}};
  for (const std::string &block :
       literal_blocks("pam_pbstoken/pbstoken.conf.5")) {
    if (block.find(" = ") != std::string::npos &&
        block.find("key = value") == std::string::npos) {
      all.push_back({"conf(5) " + std::to_string(all.size()), block});
    }
  }
  return all;
}

// --- a host with one of each

std::string setting_of(const std::string &text, const std::string &key,
                       const std::string &otherwise) {
  std::smatch found;
  return std::regex_search(text, found,
                           std::regex("(^|\n)" + key + " *=[ \t]*([^\n]*)"))
             ? found[2].str()
             : otherwise;
}

struct Host {
  Shown stack;
  Shown configuration;
  std::string user_cfg = {};
  bool is_combined = false;
  bool maps_user = false;
  bool takes_passwords = false;
  std::string realm = {};

  [[nodiscard]] std::string token() const {
    return kUser + "@" + realm + "!client1";
  }
  [[nodiscard]] std::string user() const {
    return is_combined ? kUser : token();
  }
  [[nodiscard]] std::string password(const std::string &secret) const {
    return is_combined ? token() + ":" + secret : secret;
  }
};

// Of Debian's files; the man page's line stands before one of them.
constexpr const char *kCommonAuth =
    "auth [success=1 default=ignore] pam_unix.so nullok\n"
    "auth requisite pam_deny.so\nauth required pam_permit.so\n";
constexpr const char *kCommonAccount =
    "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
    "account requisite pam_deny.so\naccount required pam_permit.so\n";

void write_shown_stack(Host *host) {
  std::string text;
  for (const std::string &line : lines_of(host->stack.text)) {
    if (std::regex_search(line, std::regex("^(auth|account) ")) ||
        line.starts_with("@include common-auth") ||
        line.starts_with("@include common-account")) {
      text += line + "\n";
    }
  }
  const std::string module = module_path() + " helper=" + helper_path() + " ";
  host->is_combined = text.find(" combined") != std::string::npos;
  host->maps_user = text.find("map_user=") != std::string::npos;
  std::smatch realm;
  host->realm = std::regex_search(text, realm, std::regex("realm=([a-z]+)"))
                    ? realm[1].str()
                    : std::string(host->is_combined ? "pam" : "pbs");
  if (host->is_combined && host->stack.name.starts_with("pam_pbstoken(8)") &&
      text.find("pam_unix") == std::string::npos && realm.empty()) {
    text += "@include common-auth\n";
  }
  host->takes_passwords = text.find("pam_unix") != std::string::npos ||
                          text.find("common-auth") != std::string::npos;
  if (text.find("account") == std::string::npos) {
    text += "account required pam_permit.so\n";
  }
  text = std::regex_replace(text, std::regex("pam_pbstoken\\.so ?"), module);
  write_file(scratch("pam.d/" + std::string(kService)), text);
  write_file(scratch("pam.d/common-auth"), kCommonAuth);
  write_file(scratch("pam.d/common-account"), kCommonAccount);
}

void write_users(const Host &host, bool is_enabled) {
  if (!host.user_cfg.empty()) {
    write_file(host.user_cfg, "user: " + kUser + "@" + host.realm +
                                  "\n\ntoken: " + host.token() + "\n\tenable " +
                                  (is_enabled ? "1" : "0") + "\n");
  }
}

Host set_up(const Shown &stack, const Shown &configuration) {
  Host host = {.stack = stack, .configuration = configuration};
  const std::string &text = configuration.text;
  const std::string shadow = setting_of(text, "token_shadow", kShadow);
  host.user_cfg = setting_of(text, "user_cfg", kUserCfg);
  configure(text + (text.find("cache_ttl") == std::string::npos
                        ? "\ncache_ttl = 0\n"
                        : ""));
  for (const std::string &file : {shadow, host.user_cfg}) {
    if (!file.empty()) {
      std::filesystem::create_directories(
          std::filesystem::path(file).parent_path());
    }
  }
  write_shown_stack(&host);
  write_file(shadow, shadow_of({{host.token(), kHash}}), 0640);
  write_users(host, true);
  return host;
}

// --- what a transaction ends with

struct Ends {
  int auth;
  int account;
  int credentials;

  [[nodiscard]] bool lets_in() const {
    return auth == PAM_SUCCESS && account == PAM_SUCCESS &&
           credentials == PAM_SUCCESS;
  }
};

// pam_unix wants two seconds after each failure, which a service may leave out.
void without_delay(int /*status*/, unsigned /*microseconds*/, void * /*data*/) {
}

Ends log_in(const std::string &user, const std::string &password) {
  std::filesystem::remove_all("/run/faillock");
  Conversation conversation = {.answer = password};
  PamHandle handle(kService, user, &conversation);
  void (*delay)(int, unsigned, void *) = without_delay;
  pam_set_item(handle.get(), PAM_FAIL_DELAY,
               reinterpret_cast<const void *>(delay));
  Ends ends = {handle.authenticate(), PAM_PERM_DENIED, PAM_PERM_DENIED};
  if (ends.auth == PAM_SUCCESS) {
    ends.account = handle.manage_account();
    ends.credentials = handle.set_credentials();
  }
  return ends;
}

void assert_lets_in(const Host &host, const char *who, bool expected,
                    const Ends &ends) {
  if (ends.lets_in() != expected) {
    fail_msg("%s, %s, %s: auth %s, account %s, setcred %s",
             host.stack.name.c_str(), host.configuration.name.c_str(), who,
             pam_code_name(ends.auth).c_str(),
             pam_code_name(ends.account).c_str(),
             pam_code_name(ends.credentials).c_str());
  }
}

void assert_cell(const Shown &stack, const Shown &configuration) {
  const Host host = set_up(stack, configuration);
  const auto check = [&](const char *who, bool expected, const Ends &ends) {
    assert_lets_in(host, who, expected, ends);
  };
  check("a token", true, log_in(host.user(), host.password(kSecret)));
  check("a wrong secret", false,
        log_in(host.user(), host.password(kWrongSecret)));
  check("no secret", false, log_in(host.user(), host.password("")));
  check("another user's token", false,
        log_in(host.is_combined ? "bob" : "bob@pbs!t", host.password(kSecret)));
  check("a user's password", host.takes_passwords, log_in(kUser, kOwnPassword));
  check("a password that looks like a token", host.takes_passwords,
        log_in(kOddUser, kOddPassword));
  write_users(host, false);
  check("a disabled token", host.user_cfg.empty(),
        log_in(host.user(), host.password(kSecret)));
}

int make_users(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  crypt_data data{};
  const std::string odd = crypt_r(kOddPassword.c_str(), "$5$odd$", &data);
  for (const auto &[name, hash] :
       std::map<std::string, std::string>{{kUser, kOldHash}, {kOddUser, odd}}) {
    run({.path = "/usr/sbin/useradd", .arguments = {"-M", "-p", hash, name}});
  }
  run({.path = "/usr/sbin/groupadd", .arguments = {"-f", "operators"}});
  return 0;
}

void each_stack_does_what_it_promises_with_each_configuration(
    void ** /*state*/) {
  const auto stacks = shown_stacks();
  const auto configurations = shown_configurations();
  // As many as there were when this was written, or more.
  assert_true(stacks.size() >= 17);
  assert_true(configurations.size() >= 5);
  for (const Shown &stack : stacks) {
    for (const Shown &configuration : configurations) {
      assert_cell(stack, configuration);
    }
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(
          each_stack_does_what_it_promises_with_each_configuration, make_users),
  };
  return cmocka_run_group_tests_name("stacks", tests, nullptr, nullptr);
}
