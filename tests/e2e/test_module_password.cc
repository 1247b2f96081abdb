// SPDX-License-Identifier: BSD-3-Clause
// Changing a secret over PAM: what is shown, what then counts, and that nothing
// is changed that was not shown.
#include "e2e_log.h"
#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kShown = "New token secret: ";

int token_with_rotation(void **state) {
  const int made = clean_host_with_socket(state);
  configure("member_rotate = yes\ncache_ttl = 0\n");
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  return made;
}

struct Change {
  int code = -1;
  std::vector<std::string> shown = {};
  int questions = 0;

  // The new secret.
  [[nodiscard]] std::string secret() const {
    for (const std::string &text : shown) {
      if (text.starts_with(kShown)) {
        return text.substr(std::string(kShown).size());
      }
    }
    return "";
  }
};

// What a user gets who asks for a change in a process of his own.
// at_message(handle, conversation) is called at each message.
using AtMessage = std::function<void(PamHandle &, Conversation &)>;

Change change_as(const std::function<void()> &become_other,
                 const std::string &id, const std::string &secret,
                 const AtMessage &at_message = {}, int flags = 0) {
  Pipe pipe;
  Change change;
  const pid_t child = start_child([&] {
    Conversation conversation = {.answer = secret};
    PamHandle handle(kService, id, &conversation);
    conversation.at_question = [&] {
      if (at_message) {
        at_message(handle, conversation);
      }
    };
    become_other();
    const int code = handle.change_secret(flags);
    std::string told = std::to_string(conversation.questions) + "\n";
    for (const std::string &text : conversation.shown) {
      told += text + "\n";
    }
    return write(pipe.writer(), told.data(), told.size()) > 0 ? code : 126;
  });
  std::istringstream told(pipe.read_all());
  std::string line;
  if (std::getline(told, line)) {
    change.questions = std::stoi(line);
  }
  while (std::getline(told, line)) {
    change.shown.push_back(line);
  }
  change.code = wait_for(child);
  return change;
}

void as_root() {}

void as_su() {
  if (setresuid(kMember, 0, 0) != 0) {
    std::abort();
  }
}

void assert_unchanged_file() {
  assert_text_equal(read_file(kShadow),
                    shadow_of({{kId, kHash}, {kOldId, kOldHash}}));
}

void assert_unchanged() {
  assert_unchanged_file();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
}

// By the program that an option names; by the socket where that cannot work.
void write_service_of(void (*who)()) {
  if (who == become_member_without_new_privileges) {
    write_socket_service();
  } else {
    write_service("helper=" + setuid_helper());
  }
}

// --- success

void change_shows_the_secret_that_counts_from_then_on(void ** /*state*/) {
  // Root; one who is not root alone; a member; a member under no_new_privs.
  for (const auto &who :
       {as_root, as_su, become_member, become_member_without_new_privileges}) {
    write_service_of(who);
    write_shadow({{kId, kHash}, {kOldId, kOldHash}});
    const Change change = change_as(who, kId, kSecret);
    assert_pam(change.code, PAM_SUCCESS);
    assert_int_equal(change.shown.size(), 1);
    assert_int_equal(change.questions, 2);  // one of them a question
    assert_int_equal(change.secret().size(), 36);
    assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
    assert_pam(authenticate(kId, change.secret()), PAM_SUCCESS);
    assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTH_ERR);
    assert_pam(authenticate_as_member(kId, change.secret()), PAM_SUCCESS);
    assert_pam(authenticate(kOldId, kOldSecret), PAM_SUCCESS);
    const std::string file = read_file(kShadow);
    assert_true(file.find(kHash) == std::string::npos);
    assert_true(file.find(change.secret()) == std::string::npos);
  }
}

void change_again_and_again_goes_on_from_the_last(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  std::string secret = kSecret;
  for (int i = 0; i < 3; ++i) {
    const Change change = change_as(become_member, kId, secret);
    assert_pam(change.code, PAM_SUCCESS);
    assert_pam(change_as(become_member, kId, secret).code, PAM_AUTH_ERR);
    secret = change.secret();
  }
}

// --- refusals

void change_without_member_rotate_is_denied(void ** /*state*/) {
  configure("member_rotate = no\ncache_ttl = 0\n");
  for (const auto &who :
       {become_member, become_member_without_new_privileges}) {
    write_service_of(who);
    const Change change = change_as(who, kId, kSecret);
    assert_pam(change.code, PAM_PERM_DENIED);
    assert_true(change.shown.empty());
    assert_unchanged();
  }
}

void change_with_a_wrong_secret_is_refused(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  for (const auto &who : {as_root, become_member}) {
    for (const std::string &secret :
         {std::string(kWrongSecret), std::string(kOldSecret), std::string(),
          std::string(600, 'a'), std::string(kSecret) + "\n"}) {
      const Change change = change_as(who, kId, secret);
      assert_pam(change.code, PAM_AUTH_ERR);
      assert_true(change.shown.empty());
    }
    assert_pam(change_as(who, "other@pbs!t", kSecret).code, PAM_USER_UNKNOWN);
    const Change person = change_as(who, "john", kSecret);
    assert_pam(person.code, PAM_USER_UNKNOWN);
    assert_int_equal(person.questions, 0);
  }
  assert_unchanged();
}

void change_by_a_stranger_is_not_begun(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  const Change change = change_as([] { become(kMember, {}); }, kId, kSecret);
  assert_pam(change.code, PAM_TRY_AGAIN);
  assert_true(change.shown.empty());
  assert_unchanged();
}

void change_that_cannot_be_made_asks_nothing(void ** /*state*/) {
  stop_socket(nullptr);
  write_service("helper=/nosuch");
  for (const auto &who : {as_root, become_member}) {
    const Change change = change_as(who, kId, kSecret);
    assert_pam(change.code, PAM_TRY_AGAIN);
    assert_int_equal(change.questions, 0);
  }
  write_service("helper=" + setuid_helper());
  assert_pam(change_as(become_member_without_new_privileges, kId, kSecret).code,
             PAM_TRY_AGAIN);
  write_service("nosuch");
  assert_pam(change_as(as_root, kId, kSecret).code, PAM_SERVICE_ERR);
  write_service("helper=" + setuid_helper());
  configure("nosuch = 1\n");
  assert_pam(change_as(as_root, kId, kSecret).code, PAM_TRY_AGAIN);
  configure("cache_ttl = 0\n");
  assert_unchanged();
}

// What could not be shown must not become the secret; a secret does not age.
void change_by_flags_that_forbid_it_is_none(void ** /*state*/) {
  const Change silent = change_as(as_root, kId, kSecret, {}, PAM_SILENT);
  assert_pam(silent.code, PAM_AUTHTOK_ERR);
  assert_int_equal(silent.questions, 0);
  const Change expired =
      change_as(as_root, kId, kSecret, {}, PAM_CHANGE_EXPIRED_AUTHTOK);
  assert_true(expired.code != PAM_SUCCESS);
  assert_int_equal(expired.questions, 0);
  assert_unchanged();
}

// --- the conversation fails

void change_that_could_not_be_shown_changes_nothing(void ** /*state*/) {
  for (const auto &who :
       {as_root, become_member, become_member_without_new_privileges}) {
    write_service_of(who);
    for (const int code : {PAM_CONV_ERR, PAM_ABORT, PAM_BUF_ERR}) {
      const Change change = change_as(
          who, kId, kSecret, [code](PamHandle &, Conversation &conversation) {
            if (conversation.style == PAM_TEXT_INFO) {
              conversation.status = code;
            }
          });
      assert_pam(change.code, code);
      assert_int_equal(change.secret().size(), 36);
      assert_pam(authenticate(kId, change.secret()), PAM_AUTH_ERR);
      assert_unchanged();
    }
  }
}

void change_host_dying_while_it_shows_changes_nothing(void ** /*state*/) {
  for (const auto &who :
       {as_root, become_member, become_member_without_new_privileges}) {
    write_service_of(who);
    const Change change =
        change_as(who, kId, kSecret, [](PamHandle &, Conversation &talk) {
          if (talk.style == PAM_TEXT_INFO) {
            kill(getpid(), SIGKILL);
          }
        });
    assert_int_equal(change.code, 128 + SIGKILL);
    usleep(200'000);  // for a helper that would go on
    assert_unchanged();
  }
}

// While somebody reads the new secret, nobody else waits for the lock.
void change_that_is_being_shown_holds_up_nobody(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  const Change change =
      change_as(as_root, kId, kSecret, [](PamHandle &, Conversation &talk) {
        if (talk.style != PAM_TEXT_INFO) {
          return;
        }
        const RunResult other =
            run_helper({"set", "--", "other@pbs!t"}, kWrongSecret);
        if (other.status != 0 ||
            authenticate("other@pbs!t", kWrongSecret) != PAM_SUCCESS) {
          _exit(99);
        }
      });
  assert_pam(change.code, PAM_SUCCESS);
  assert_pam(authenticate(kId, change.secret()), PAM_SUCCESS);
  assert_pam(authenticate("other@pbs!t", kWrongSecret), PAM_SUCCESS);
}

void change_of_what_somebody_else_changed_is_an_error(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  const Change change =
      change_as(as_root, kId, kSecret, [](PamHandle &, Conversation &talk) {
        if (talk.style == PAM_TEXT_INFO &&
            run_helper({"set", kId}, kOldSecret).status != 0) {
          _exit(99);
        }
      });
  assert_pam(change.code, PAM_AUTHTOK_ERR);
  assert_text_equal(change.shown.back(),
                    "The secret was not changed: the new one does not count.");
  assert_pam(authenticate(kId, change.secret()), PAM_AUTH_ERR);
  assert_pam(authenticate(kId, kOldSecret), PAM_SUCCESS);
}

// --- neighbours in the stack

void change_with_first_pass_takes_it_or_refuses(void ** /*state*/) {
  write_stack(kService, {auth_line("required"),
                         password_line("required", "use_first_pass")});
  const Change alone = change_as(as_root, kId, kSecret);
  assert_pam(alone.code, PAM_AUTHTOK_RECOVERY_ERR);
  assert_int_equal(alone.questions, 0);
  assert_unchanged();
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n");
  for (const char *option : {"use_first_pass", "try_first_pass"}) {
    write_shadow({{kId, kHash}, {kOldId, kOldHash}});
    write_stack(kService, {password_line("optional", "store=other"),
                           password_line("required", option)});
    const Change change = change_as(as_root, kId, kSecret);
    assert_pam(change.code, PAM_SUCCESS);
    assert_int_equal(change.questions, 2);
    write_service();
    assert_pam(authenticate(kId, change.secret()), PAM_SUCCESS);
  }
}

// Nobody else is to take it for a password.
void change_leaves_no_new_authtok_to_other_modules(void ** /*state*/) {
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n");
  write_file("/etc/proxmox-backup/other.shadow", shadow_of({{kId, kHash}}),
             0640);
  write_stack(kService, {password_line("required"),
                         password_line("required", "store=other")});
  const Change change = change_as(
      as_root, kId, kSecret, [](PamHandle &handle, Conversation &talk) {
        const void *item = nullptr;
        if (talk.shown.size() == 2 &&
            (pam_get_item(handle.get(), PAM_AUTHTOK, &item) != PAM_SUCCESS ||
             item != nullptr)) {
          _exit(99);
        }
      });
  assert_pam(change.code, PAM_SUCCESS);
  assert_int_equal(change.shown.size(), 2);
}

// --- helpers that lie

void change_by_a_helper_that_lies_is_an_error(void ** /*state*/) {
  const std::string match = shell_print(word_text(Outcome::kMatch));
  const std::string offered = word_text(Outcome::kOffer) + kWrongSecret + "\n";
  const std::string offer = shell_print(offered);
  const std::string done = shell_print(word_text(Outcome::kDone));
  const auto script = [&](const std::string &rotate) {
    // Verifies, whatever it is asked; and then this.
    write_service("helper=" +
                  write_script("command=$(dd bs=8192 count=1 2>/dev/null |"
                               " od -An -tu1 -j12 -N1); case $command in "
                               "*3) " +
                               rotate + ";; *) " + match + ";; esac"));
    return change_as(become_member, kId, kSecret,
                     [](PamHandle &, Conversation &talk) {
                       if (talk.style == PAM_TEXT_INFO) {
                         usleep(100'000);  // for a helper that ends then
                       }
                     });
  };
  const std::string unknown =
      "It is not known whether the secret was changed: try both.";
  // Never offered.
  for (const std::string &rotate :
       {done, match, std::string("exit 0"), shell_print(offered + offered),
        shell_print(word_text(Outcome::kOffer) + "\n"),
        shell_print(word_text(Outcome::kOffer) + "\x1b[2J\n")}) {
    const Change change = script(rotate);
    assert_pam(change.code, PAM_AUTHTOK_ERR);
    if (!change.shown.empty()) {
      assert_text_equal(change.shown.back(), unknown);
    }
  }
  // Offered, and no word after it: a process that goes on writing to it must
  // not be killed for it.
  for (const std::string &end :
       {std::string("exit 0"), std::string("read -r ack; exit 0"),
        "read -r ack; " + done + "; exit 1", "read -r ack; " + done + "; echo",
        std::string("read -r ack; kill -9 $$")}) {
    const Change change = script(offer + "; " + end);
    assert_pam(change.code, PAM_AUTHTOK_ERR);
    assert_text_equal(change.shown.back(), unknown);
  }
  // And as it should be.
  assert_pam(script(offer + "; read -r ack; " + done).code, PAM_SUCCESS);
  assert_pam(script(offer + "; read -r ack; " +
                    shell_print(word_text(Outcome::kNotDurable)) + "; exit 7")
                 .code,
             PAM_SUCCESS);
  assert_pam(script(offer + "; read -r ack; " +
                    shell_print(word_text(Outcome::kNotDurable)) + "; exit 0")
                 .code,
             PAM_AUTHTOK_ERR);
}

std::string a_rotation() {
  return request_bytes({.command = HelperCommand::kRotate,
                        .store = "pbs",
                        .host = "",
                        .token_id = kId,
                        .secret = kSecret});
}

// What the helper says in the end to a member who has sent a secret, read the
// offer and then sent this; early: right behind the
// request.
std::optional<Outcome> rotate_and_say(const std::string &more,
                                      const std::string &early = {}) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    std::abort();
  }
  const pid_t child = start_child([&] {
    dup2(ends[1], STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    become_member();
    execl(setuid_helper().c_str(), "pbstoken-helper", "request", nullptr);
    return 126;
  });
  close(ends[1]);
  const auto say = [&](const std::string &text) {
    send(ends[0], text.data(), text.size(), MSG_NOSIGNAL);
  };
  say(a_rotation() + early);
  std::string answer;
  std::array<char, 1024> part{};
  ssize_t count = recv(ends[0], part.data(), part.size(), 0);
  if (count > 0 &&
      !parse_offer({part.data(), static_cast<std::size_t>(count)})) {
    answer.assign(part.data(), static_cast<std::size_t>(count));
  }
  say(more);
  shutdown(ends[0], SHUT_WR);
  while ((count = recv(ends[0], part.data(), part.size(), 0)) > 0) {
    answer.append(part.data(), static_cast<std::size_t>(count));
  }
  close(ends[0]);
  wait_for(child);
  const auto parsed = parse_answer(answer);
  return parsed ? std::optional(parsed->outcome) : std::nullopt;
}

void rotate_without_the_acknowledgement_changes_nothing(void ** /*state*/) {
  for (const std::string &more :
       {std::string(), std::string("ack"), std::string("nak\n"),
        std::string("ACK\n"), std::string("\n"), std::string("ack \n"),
        std::string("ack\nack\n"), std::string(1000, 'a')}) {
    assert_true(rotate_and_say(more) == Outcome::kUnavailable);
    assert_unchanged();
  }
  assert_true(rotate_and_say("ack\n") == Outcome::kDone);
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
}

// An acknowledgement of what was not yet offered is none.
void rotate_acknowledged_too_early_changes_nothing(void ** /*state*/) {
  assert_true(rotate_and_say("ack\n", "ack\n") == Outcome::kUnavailable);
  assert_unchanged();
}

// --- the log

void log_of_a_change_holds_no_secret(void ** /*state*/) {
  write_service("debug helper=" + setuid_helper());
  Change change;
  const auto lines =
      module_lines_of([&] { change = change_as(become_member, kId, kSecret); });
  assert_pam(change.code, PAM_SUCCESS);
  assert_true(!lines.empty());
  assert_text_equal(lines.back(),
                    "<" + std::to_string(LOG_AUTHPRIV | LOG_INFO) +
                        ">pam_pbstoken(pbs:chauthtok): secret changed; "
                        "tokenid=" +
                        kId + " rhost=");
  for (const std::string &line : lines) {
    assert_true(line.find(kSecret) == std::string::npos);
    assert_true(line.find(change.secret()) == std::string::npos);
  }
}

// The user keeps his name, and the token is his own.
void change_with_combined_is_of_the_users_own_token(void ** /*state*/) {
  write_service("combined realm=pbs helper=" + setuid_helper());
  const std::string current = std::string(kId) + ":";
  for (const char *user : {"mary", "root"}) {
    assert_pam(change_as(become_member, user, current + kSecret).code,
               PAM_USER_UNKNOWN);
    assert_pam(
        change_as(become_member, user, "PBSAPIToken=" + current + kSecret).code,
        PAM_AUTH_ERR);
  }
  assert_pam(change_as(become_member, "john", current + kWrongSecret).code,
             PAM_AUTH_ERR);
  assert_pam(change_as(become_member, "john", kSecret).code, PAM_USER_UNKNOWN);
  assert_unchanged_file();
  const Change change = change_as(become_member, "john", current + kSecret);
  assert_pam(change.code, PAM_SUCCESS);
  assert_int_equal(change.secret().size(), 36);
  write_service();
  assert_pam(authenticate(kId, change.secret()), PAM_SUCCESS);
  assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
}

void log_of_a_change_that_was_refused_says_why(void ** /*state*/) {
  write_service("helper=" + setuid_helper());
  const auto assert_says = [](const std::string &secret,
                              const std::string &text) {
    const auto lines =
        module_lines_of([&] { change_as(become_member, kId, secret); });
    assert_int_equal(lines.size(), 1);
    if (!lines.front().ends_with(text)) {
      fail_msg("%s", lines.front().c_str());
    }
  };
  assert_says(kWrongSecret, std::string("authentication failure; tokenid=") +
                                kId +
                                " rhost= tty= ruser= reason=wrong secret");
  configure("member_rotate = no\ncache_ttl = 0\n");
  assert_says(kSecret,
              "cannot change the secret: the helper: not permitted: only root "
              "may do this, not uid 33");
}

}  // namespace
}  // namespace pbstoken

#define CHANGE_TEST(name)                                    \
  cmocka_unit_test_setup_teardown(name, token_with_rotation, \
                                  pbstoken::testing::stop_socket)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      CHANGE_TEST(change_shows_the_secret_that_counts_from_then_on),
      CHANGE_TEST(change_again_and_again_goes_on_from_the_last),
      CHANGE_TEST(change_without_member_rotate_is_denied),
      CHANGE_TEST(change_with_a_wrong_secret_is_refused),
      CHANGE_TEST(change_by_a_stranger_is_not_begun),
      CHANGE_TEST(change_that_cannot_be_made_asks_nothing),
      CHANGE_TEST(change_by_flags_that_forbid_it_is_none),
      CHANGE_TEST(change_that_could_not_be_shown_changes_nothing),
      CHANGE_TEST(change_host_dying_while_it_shows_changes_nothing),
      CHANGE_TEST(change_that_is_being_shown_holds_up_nobody),
      CHANGE_TEST(change_of_what_somebody_else_changed_is_an_error),
      CHANGE_TEST(change_with_first_pass_takes_it_or_refuses),
      CHANGE_TEST(change_leaves_no_new_authtok_to_other_modules),
      CHANGE_TEST(change_by_a_helper_that_lies_is_an_error),
      CHANGE_TEST(rotate_without_the_acknowledgement_changes_nothing),
      CHANGE_TEST(rotate_acknowledged_too_early_changes_nothing),
  };
  const CMUnitTest log_tests[] = {
      CHANGE_TEST(log_of_a_change_holds_no_secret),
      CHANGE_TEST(change_with_combined_is_of_the_users_own_token),
      CHANGE_TEST(log_of_a_change_that_was_refused_says_why),
  };
  const int failed =
      cmocka_run_group_tests_name("module_password", tests, nullptr, nullptr);
  return failed + cmocka_run_group_tests_name("module_password_log", log_tests,
                                              replace_dev, restore_dev);
}
