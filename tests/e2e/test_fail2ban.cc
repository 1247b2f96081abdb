// SPDX-License-Identifier: BSD-3-Clause
// The filter for fail2ban, by fail2ban-regex(1), on lines that the module has
// logged.  To be run at the top of the tree.
#include "e2e_log.h"
#include "e2e_pam.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kFilter = "/etc/fail2ban/filter.d/pbstoken.conf";
constexpr const char *kUnknown = "other@pbs!t";
constexpr const char *kHost = "192.0.2.1";
// Whom a client would like to have banned.
constexpr const char *kVictim = "6.6.6.6";

int fail2ban_host(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  write_shadow({{kId, kHash}});
  log_lines();
  write_file(kFilter, read_file("pam_pbstoken/fail2ban-filter.conf"));
  return 0;
}

// What a service says of the client.
struct Client {
  std::string rhost = kHost;
  std::string tty = {};
  std::string ruser = {};
};

// What one call makes the module log, from "pam_pbstoken(" on.
std::string logged(int (PamHandle::*call)(), const std::string &user,
                   const std::string &password, const Client &client) {
  Conversation conversation = {.answer = password};
  PamHandle handle(kService, user, &conversation);
  pam_set_item(handle.get(), PAM_RHOST, client.rhost.c_str());
  pam_set_item(handle.get(), PAM_TTY, client.tty.c_str());
  pam_set_item(handle.get(), PAM_RUSER, client.ruser.c_str());
  (handle.*call)();
  const auto lines = log_lines();
  const std::size_t start =
      lines.empty() ? std::string::npos : lines.back().find("pam_pbstoken(");
  return start == std::string::npos ? "" : lines.back().substr(start);
}

std::string logged(const std::string &id, const std::string &secret,
                   const Client &client = {}) {
  return logged(&PamHandle::authenticate, id, secret, client);
}

std::string joined(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts) {
    text += part + "\n";
  }
  return text;
}

// How a log is kept, and how fail2ban is told to read it.
struct LogForm {
  const char *type;
  const char *prefix = "";
  const char *encoding = "UTF-8";
};
constexpr LogForm kForms[] = {
    // A file of syslog's, with a program's pid and without.
    {"file", "Nov 21 10:00:00 host.example nginx: "},
    {"file", "2026-11-21T10:00:00.5+01:00 host sshd[42]: ", "ISO-8859-1"},
    {"journal", "2026-11-21T10:00:00.5 host auth[7]: "},
    {"rfc5424", "<85>1 2026-11-21T10:00:00Z host su 42 - - "},
};

// The hosts that fail2ban finds in a log, a line each; no name is resolved.
std::string hosts_in(const std::string &log, const LogForm &form) {
  const std::string path = scratch("log");
  write_file(path, log);
  const RunResult outcome =
      run({.path = "/usr/bin/fail2ban-regex",
           .arguments = {"--raw", "-e", form.encoding, "-o", "ip", path,
                         std::string("pbstoken[logtype=") + form.type + "]"}});
  // 255: no line at all was found.
  if ((outcome.status != 0 && outcome.status != 255) || !outcome.err.empty()) {
    fail_msg("fail2ban-regex: exit status %d: %s", outcome.status,
             outcome.err.c_str());
  }
  return outcome.out;
}

void assert_found(const std::vector<std::string> &messages,
                  const std::vector<std::string> &hosts) {
  for (const LogForm &form : kForms) {
    std::string log;
    for (const std::string &message : messages) {
      assert_true(message.starts_with("pam_pbstoken("));
      log += form.prefix + message + "\n";
    }
    assert_text_equal(hosts_in(log, form), joined(hosts));
  }
}

void fail2ban_every_refusal_is_found_with_its_host(void ** /*state*/) {
  write_shadow({{kId, kHash}, {"bad@pbs!t", "*0"}});
  assert_found({logged(kId, kWrongSecret, {.rhost = "192.0.2.1"}),
                logged(kId, kWrongSecret, {.rhost = "192.0.2.2"}),
                logged(kId, "", {.rhost = "192.0.2.3"}),
                logged(kUnknown, kSecret, {.rhost = "192.0.2.4"}),
                logged("bad@pbs!t", kSecret, {.rhost = "2001:db8::5"}),
                logged(kUnknown, kSecret,
                       {.rhost = "192.0.2.6", .tty = "ssh", .ruser = "bob"})},
               {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
                "2001:db8::5", "192.0.2.6"});
}

void fail2ban_account_refusals_are_found(void ** /*state*/) {
  write_file(kUserCfg,
             std::string("user: john@pbs\n\ntoken: ") + kId + "\n\tenable 0\n");
  write_stack(kService, {auth_line("required", "check_account"),
                         "account required " + module_path()});
  const auto by_account = &PamHandle::manage_account;
  assert_found({logged(kId, kSecret, {.rhost = "192.0.2.1"}),
                logged(by_account, kId, "", {.rhost = "192.0.2.2"}),
                logged(by_account, kUnknown, "", {.rhost = "192.0.2.3"})},
               {"192.0.2.1", "192.0.2.2", "192.0.2.3"});
}

void fail2ban_refusals_of_combined_are_found(void ** /*state*/) {
  write_service("combined");
  assert_found(
      {logged("bob", "PBSAPIToken=john@pam!t:s", {.rhost = "192.0.2.1"}),
       logged("john", "PBSAPIToken=" + std::string(kId) + ":s",
              {.rhost = "192.0.2.2"}),
       logged("john", "PBSAPIToken=hunter2", {.rhost = "192.0.2.3"}),
       logged("john", "john@pam!t:s", {.rhost = "192.0.2.4"})},
      {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"});
}

void fail2ban_throttled_clients_are_found(void ** /*state*/) {
  configure("fail_limit = 1\n");
  logged(kId, "wrong");
  const std::string message = logged(kId, "wronger");
  assert_true(message.ends_with("reason=throttled"));
  assert_found({message}, {kHost});
}

// Whatever a token id may hold, cut or not.
void fail2ban_odd_token_ids_are_found(void ** /*state*/) {
  std::vector<std::string> messages;
  std::vector<std::string> hosts;
  for (const std::string &id :
       {std::string("j\"q\\x@pbs!t"), std::string("jürgenà@pbs!t"),
        std::string("a\xe2\x80\x8b\xef\xbb\xbf@pbs!t"), std::string("!@pam!t"),
        "a" + std::string(200, 'a') + "@pbs!t",
        "a" + std::string(126, 'a') + "à@pbs!t"}) {
    hosts.push_back("192.0.2." + std::to_string(hosts.size() + 1));
    messages.push_back(logged(id, kSecret, {.rhost = hosts.back()}));
  }
  assert_found(messages, hosts);
}

void fail2ban_client_cannot_name_another_host(void ** /*state*/) {
  const std::string fields =
      std::string("rhost=") + kVictim + " tty= ruser= reason=wrong secret";
  const std::string line = "authentication failure; tokenid=a@pbs!t " + fields;
  assert_found(
      {logged(std::string("rhost=") + kVictim + "@pbs!t", kSecret),
       logged(std::string("x;rhost=") + kVictim + ";tty=@pbs!t", kSecret),
       logged(kUnknown, kSecret, {.tty = fields}),
       logged(kUnknown, kSecret, {.ruser = fields}),
       logged(kUnknown, kSecret, {.ruser = "\npam_pbstoken(a:auth): " + line}),
       logged(kUnknown, kSecret, {.tty = line, .ruser = line})},
      std::vector<std::string>(6, kHost));
}

// Who owns a zone may call a host so.
void fail2ban_name_is_no_address(void ** /*state*/) {
  const std::string name = std::string(kVictim) + ".invalid";
  assert_found({logged(kUnknown, kSecret, {.rhost = name})}, {name});
}

void fail2ban_nothing_else_is_found(void ** /*state*/) {
  look_every_time();
  std::vector<std::string> messages = {
      logged(kId, kSecret),                      // accepted
      logged(kUnknown, kSecret, {.rhost = ""}),  // of no host
      logged(kUnknown, kSecret, {.rhost = "", .ruser = kVictim})};
  write_file(kShadow, "{");
  messages.push_back(logged(kId, kSecret));
  write_shadow({{kId, kHash}});
  configure("cache_tll = 5\n");
  messages.push_back(logged(kId, kSecret));
  write_service("nocahe");
  messages.push_back(logged(kId, kSecret));
  assert_found(messages, {});
}

// Other programs log what clients send, too.
void fail2ban_other_programs_are_not_believed(void ** /*state*/) {
  const std::string message = logged(kUnknown, kSecret);
  assert_found({message}, {kHost});
  std::string log;
  for (const char *before :
       {"host sshd[42]: Invalid user ", "host sshd[42]: word ",
        "sshd[42]: word ",
        "host sshd[42]: pam_unix(sshd:auth): ", "host sshd[42]: x: "}) {
    log += "Nov 21 10:00:00 " + std::string(before) + message + "\n";
  }
  assert_text_equal(hosts_in(log, {.type = "file"}), "");
  assert_text_equal(hosts_in(log, {.type = "journal"}), "");
}

}  // namespace
}  // namespace pbstoken

#define FAIL2BAN_TEST(name) cmocka_unit_test_setup(name, fail2ban_host)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      FAIL2BAN_TEST(fail2ban_every_refusal_is_found_with_its_host),
      FAIL2BAN_TEST(fail2ban_account_refusals_are_found),
      FAIL2BAN_TEST(fail2ban_refusals_of_combined_are_found),
      FAIL2BAN_TEST(fail2ban_throttled_clients_are_found),
      FAIL2BAN_TEST(fail2ban_odd_token_ids_are_found),
      FAIL2BAN_TEST(fail2ban_client_cannot_name_another_host),
      FAIL2BAN_TEST(fail2ban_name_is_no_address),
      FAIL2BAN_TEST(fail2ban_nothing_else_is_found),
      FAIL2BAN_TEST(fail2ban_other_programs_are_not_believed),
  };
  return cmocka_run_group_tests_name("fail2ban", tests, testing::replace_dev,
                                     testing::restore_dev);
}
