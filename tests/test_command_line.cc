// SPDX-License-Identifier: BSD-3-Clause
// The command line of both programs, from callers who mean no good.
#include "io/command_line.h"

#include <getopt.h>

#include <array>
#include <cstdlib>
#include <iterator>
#include <sstream>
#include <tuple>
#include <vector>

#include "admin/admin.h"
#include "commands.h"
#include "support.h"

namespace pbstoken {
namespace {

using Arguments = std::vector<std::string>;
using Parsed = Result<CommandLine>;

// Of a command's name.
Arguments words_of(const std::string &name) {
  std::istringstream words(name);
  return {std::istream_iterator<std::string>(words), {}};
}

// The program that has the line's command; the helper if none has.
const Program &program_of(const Arguments &arguments) {
  for (const std::string &argument : arguments) {
    for (const CommandEntry &entry : kAdminProgram.commands) {
      if (words_of(std::string(entry.name())).front() == argument) {
        return kAdminProgram;
      }
    }
  }
  return kHelperProgram;
}

// The views in what is parsed are into argv, so it has to live as long.
class CommandLineOf {
 public:
  explicit CommandLineOf(const Arguments &arguments)
      : CommandLineOf(program_of(arguments), arguments) {}
  CommandLineOf(const Program &program, Arguments arguments)
      : program_(program), arguments_(std::move(arguments)) {
    arguments_.insert(arguments_.begin(), std::string(program.name));
    for (std::string &argument : arguments_) {
      argv_.push_back(argument.data());
    }
    argv_.push_back(nullptr);
  }

  Parsed parse() {
    start_getopt();
    return parse_command_line(program_, static_cast<int>(arguments_.size()),
                              argv_.data());
  }

 private:
  // getopt_long(3) keeps its state in the process.  0 asks for a new start;
  // going once through an empty line then leaves everything as it is in a new
  // process, where optind is 1.
  static void start_getopt() {
    std::string name = "x";
    std::array<char *, 2> nothing = {name.data(), nullptr};
    optind = 0;
    assert_int_equal(getopt(1, nothing.data(), ""), -1);
    assert_int_equal(optind, 1);
  }

  const Program &program_;
  Arguments arguments_;
  std::vector<char *> argv_;
};

std::string joined(const Arguments &arguments) {
  std::string all;
  for (const std::string &argument : arguments) {
    all += (all.empty() ? "" : " ") + argument.substr(0, 60);
  }
  return all;
}

// What a line means, as text that a table can hold.
std::string meaning(const Arguments &arguments) {
  CommandLineOf line(arguments);
  const auto parsed = line.parse();
  if (!parsed) {
    return "error";
  }
  const CommandLine &given = *parsed;
  if (given.about != About::kNothing) {
    return given.about == About::kHelp ? "help" : "version";
  }
  constexpr std::array<const char *, 3> kFormats = {"text", "json", "pretty"};
  const CommandEntry *entry =
      find_command(program_of(arguments), given.command);
  return std::string(entry != nullptr ? entry->name() : "no entry") + " [" +
         std::string(given.token_id.text) +
         "] store=" + std::string(given.store.view()) +
         " config=" + std::string(given.config.view()) + " " +
         kFormats.at(static_cast<std::size_t>(given.format));
}

std::string complaint(const Arguments &arguments) {
  CommandLineOf line(arguments);
  const auto parsed = line.parse();
  if (parsed) {
    fail_msg("accepted: %s", joined(arguments).c_str());
  }
  return std::string(describe(parsed.error()).view());
}

struct Line {
  Arguments arguments;
  std::string expected;
};

void assert_meanings(const std::vector<Line> &lines) {
  for (const Line &line : lines) {
    const std::string actual = meaning(line.arguments);
    if (actual != line.expected) {
      fail_msg("%s: %s, not %s", joined(line.arguments).c_str(), actual.c_str(),
               line.expected.c_str());
    }
  }
}

// getopt_long(3) takes its order from there; the helper has an empty one.
int clear_environment(void ** /*state*/) {
  return unsetenv("POSIXLY_CORRECT");
}

void parse_every_command_is_known(void ** /*state*/) {
  assert_meanings({
      {{"generate", "a@pbs!t"}, "generate [a@pbs!t] store=pbs config= text"},
      {{"set", "a@pbs!t"}, "set [a@pbs!t] store=pbs config= text"},
      {{"delete", "a@pbs!t"}, "delete [a@pbs!t] store=pbs config= text"},
      {{"rotate", "a@pbs!t"}, "rotate [a@pbs!t] store=pbs config= text"},
      {{"verify", "a@pbs!t"}, "verify [a@pbs!t] store=pbs config= text"},
      {{"list"}, "list [] store=pbs config= text"},
      {{"check"}, "check [] store=pbs config= text"},
      {{"explain", "a@pbs!t"}, "explain [a@pbs!t] store=pbs config= text"},
      {{"explain", "a@pbs!t", "--service", "x"},
       "explain [a@pbs!t] store=pbs config= text"},
      {{"status"}, "status [] store=pbs config= text"},
      {{"status", "--token", "a@pbs!t"},
       "status [a@pbs!t] store=pbs config= text"},
      {{"reset", "a@pbs!t"}, "reset [a@pbs!t] store=pbs config= text"},
      {{"flush"}, "flush [] store=pbs config= text"},
      {{"account", "a@pbs!t"}, "account [a@pbs!t] store=pbs config= text"},
      {{"serve"}, "serve [] store=pbs config= text"},
      {{"retire"}, "retire [] store=pbs config= text"},
  });
}

void parse_sections_take_two_words_and_a_value(void ** /*state*/) {
  CommandLineOf line({"token", "add", "--expire=2027-01-31", "--comment",
                      "for c", "--disabled", "--", "--x@pbs!t"});
  const auto added = line.parse();
  assert_true(static_cast<bool>(added));
  assert_true(added->command == Command::kTokenAdd);
  assert_text_equal(added->token_id.text, "--x@pbs!t");
  assert_true(added->expire == 1801353600U);
  assert_true(added->enable == false);
  assert_text_equal(added->comment.value_or("-"), "for c");

  CommandLineOf user({"--store=web", "user", "expire", "a@pbs", "never"});
  const auto expired = user.parse();
  assert_true(static_cast<bool>(expired));
  assert_true(expired->command == Command::kUserExpire);
  assert_text_equal(expired->user_id, "a@pbs");
  assert_true(expired->expire == 0U);

  for (const auto &[arguments, message] :
       std::vector<std::pair<Arguments, std::string>>{
           {{"token"},
            "unknown command token ('pbstoken token' and add, remove, enable, "
            "disable, expire or comment)"},
           {{"token", "revoke", "a@pbs!t"},
            "unknown command token revoke ('pbstoken token' and add, remove, "
            "enable, "
            "disable, expire or comment)"},
           {{"user", "remove", "a@pbs"},
            "unknown command user remove ('pbstoken user' and add, enable, "
            "disable or "
            "expire)"},
           {{"token", "add"}, "no token id given for token add"},
           {{"user", "add"}, "no user id given for user add"},
           {{"user", "add", "a@pbs!t"}, "not a user ID, USER@REALM: a@pbs!t"},
           {{"user", "add", "a"}, "not a user ID, USER@REALM: a"},
           {{"token", "expire", "a@pbs!t"}, "no WHEN given for token expire"},
           {{"token", "comment", "a@pbs!t"}, "no TEXT given for token comment"},
           {{"token", "expire", "a@pbs!t", "soon"},
            "not never, a duration such as 90d, a date such as 2027-01-31, or "
            "a time by RFC 3339: soon"},
           {{"token", "comment", "a@pbs!t", " x"},
            "not a comment of 1 to 128 characters without control characters "
            "and without blanks at its ends:  x"},
           {{"token", "add", "--comment=", "a@pbs!t"},
            "not a comment of 1 to 128 characters without control characters "
            "and without blanks at its ends:"},
           {{"token", "expire", "a@pbs!t", "90d", "x"},
            "too many arguments: x"},
           {{"token", "enable", "--disabled", "a@pbs!t"},
            "'token enable' does not take --disabled"},
           {{"list", "--comment=x"}, "'list' does not take --comment"},
           {{"token", "add", "a@pbs!" + std::string(64, 't')},
            "not an API token ID: longer than 64 characters: a@pbs!" +
                std::string(57, 't')},
           {{"user", "add", std::string(60, 'u') + "@pbs1"},
            "not a user ID, USER@REALM: " + std::string(60, 'u') + "@pb"}}) {
    CommandLineOf bad(kAdminProgram, arguments);
    const auto parsed = bad.parse();
    assert_false(static_cast<bool>(parsed));
    assert_text_equal(describe(parsed.error()).view(), message);
  }
}

// As the module starts it: all else is in the request.
void parse_line_of_the_module_asks_for_replies(void ** /*state*/) {
  CommandLineOf line({"--config=/etc/pbstoken/pdm.conf", "request"});
  const auto parsed = line.parse();
  assert_true(static_cast<bool>(parsed));
  assert_true(parsed->command == Command::kRequest);
  assert_true(parsed->replies);
  assert_text_equal(parsed->config.view(), "/etc/pbstoken/pdm.conf");
  for (const char *command : {"verify", "account", "rotate"}) {
    CommandLineOf plain({command, "a@pbs!t"});
    const auto without = plain.parse();
    assert_true(static_cast<bool>(without));
    assert_false(without->replies);
    assert_false(without->nocache);
    assert_true(without->remote_host.empty());
  }
  CommandLineOf remote({"--rhost=::1", "verify", "--", "--nocache@pbs!t"});
  const auto with = remote.parse();
  assert_true(static_cast<bool>(with));
  assert_text_equal(with->remote_host.view(), "::1");
  assert_text_equal(with->token_id.text, "--nocache@pbs!t");
}

void parse_options_of_earlier_versions_are_unknown(void ** /*state*/) {
  for (const char *option : {"--reply=2", "--nocache"}) {
    assert_text_equal(complaint({option, "verify", "a@pbs!t"}),
                      std::string("unknown option ") + option);
  }
}

void parse_token_id_has_its_parts(void ** /*state*/) {
  CommandLineOf line({"verify", "john@example.com@ad!ci"});
  const auto parsed = line.parse();
  assert_true(static_cast<bool>(parsed));
  const TokenId &id = parsed->token_id;
  assert_text_equal(id.text, "john@example.com@ad!ci");
  assert_text_equal(id.user, "john@example.com");
  assert_text_equal(id.realm, "ad");
  assert_text_equal(id.name, "ci");
}

void parse_options_may_stand_in_any_place(void ** /*state*/) {
  const std::string expected = "verify [a@pbs!t] store=pdm config=/c json";
  const std::array<Arguments, 3> options = {{
      {"--store", "pdm"},
      {"--config=/c"},
      {"--output-format", "json"},
  }};
  // Each of them before, between or behind the operands: 27 lines.
  for (int places = 0; places < 27; ++places) {
    std::array<Arguments, 3> parts;
    int rest = places;
    for (const Arguments &option : options) {
      Arguments &part = parts.at(static_cast<std::size_t>(rest % 3));
      part.insert(part.end(), option.begin(), option.end());
      rest /= 3;
    }
    Arguments line = parts[0];
    line.emplace_back("verify");
    line.insert(line.end(), parts[1].begin(), parts[1].end());
    line.emplace_back("a@pbs!t");
    line.insert(line.end(), parts[2].begin(), parts[2].end());
    assert_meanings({{line, expected}});
  }
}

void parse_option_values_joined_or_apart(void ** /*state*/) {
  assert_meanings({
      {{"--store", "pdm", "status"}, "status [] store=pdm config= text"},
      {{"--store=pdm", "status"}, "status [] store=pdm config= text"},
      {{"--store", "flush", "status"}, "status [] store=flush config= text"},
      {{"--config", "/a b/c", "status"},
       "status [] store=pbs config=/a b/c text"},
      {{"--config=/a=b", "status"}, "status [] store=pbs config=/a=b text"},
      {{"--output-format", "text", "status"},
       "status [] store=pbs config= text"},
      {{"--output-format=json", "status"}, "status [] store=pbs config= json"},
      {{"--output-format=json-pretty", "status"},
       "status [] store=pbs config= pretty"},
  });
}

void parse_after_two_dashes_nothing_is_an_option(void ** /*state*/) {
  assert_meanings({
      {{"verify", "--", "--store=x@pbs!t"},
       "verify [--store=x@pbs!t] store=pbs config= text"},
      {{"verify", "--", "--help@pbs!t"},
       "verify [--help@pbs!t] store=pbs config= text"},
      {{"verify", "--", "-x@pbs!t"},
       "verify [-x@pbs!t] store=pbs config= text"},
      {{"verify", "--", "--@pbs!t"},
       "verify [--@pbs!t] store=pbs config= text"},
      {{"--", "verify", "--store=x@pbs!t"},
       "verify [--store=x@pbs!t] store=pbs config= text"},
      {{"--store=pdm", "verify", "--", "--store=x@pbs!t"},
       "verify [--store=x@pbs!t] store=pdm config= text"},
      {{"verify", "--", "a@pbs!t"}, "verify [a@pbs!t] store=pbs config= text"},
      {{"status", "--"}, "status [] store=pbs config= text"},
      // Only the first of them ends the options.
      {{"verify", "--", "--", "a@pbs!t"}, "error"},
      {{"verify", "--", "a@pbs!t", "--store=pdm"}, "error"},
      {{"status", "--", "--store=pdm"}, "error"},
      {{"--", "--help"}, "error"},
      {{"verify", "--"}, "error"},
      {{"--"}, "error"},
  });
}

void parse_id_that_looks_like_an_option_is_one_without_dashes(
    void ** /*state*/) {
  assert_meanings({
      {{"verify", "--store=x@pbs!t"}, "error"},
      {{"verify", "--config=x@pbs!t"}, "error"},
      {{"verify", "--output-format=x@pbs!t"}, "error"},
      {{"verify", "-x@pbs!t"}, "error"},
      {{"verify", "--x@pbs!t"}, "error"},
  });
}

void parse_help_and_version_are_told(void ** /*state*/) {
  assert_meanings({
      {{"--help"}, "help"},
      {{"verify", "--help"}, "help"},
      {{"--help", "no-such-command"}, "help"},
      {{"verify", "a@pbs!t", "--help"}, "help"},
      {{"status", "--help"}, "help"},
      {{"--version"}, "version"},
      {{"status", "--version"}, "version"},
      {{"--version", "--help"}, "version"},
      {{"--help=yes"}, "error"},
      {{"--version=1"}, "error"},
      // What comes before it is looked at first.
      {{"--no-such-option", "--help"}, "error"},
      {{"--store=/", "--help"}, "error"},
  });
  for (const Program *program : {&kHelperProgram, &kAdminProgram}) {
    for (const CommandEntry &entry : program->commands) {
      assert_false(entry.summary.empty());
    }
  }
}

void parse_command_of_the_other_program_names_it(void ** /*state*/) {
  for (const auto &[program, other, manual] :
       {std::tuple(&kHelperProgram, &kAdminProgram, "pbstoken(8)"),
        {&kAdminProgram, &kHelperProgram, "pbstoken-helper(8)"}}) {
    for (const CommandEntry &entry : other->commands) {
      const std::string name(entry.name());
      Arguments words = words_of(name);
      words.emplace_back("a@pbs!t");
      CommandLineOf line(*program, words);
      const auto parsed = line.parse();
      assert_false(static_cast<bool>(parsed));
      assert_text_equal(describe(parsed.error()).view(),
                        "'" + name + "' is a command of " + manual);
    }
    // No name is without a program.
    assert_int_equal(program->commands.size() + other->commands.size(),
                     kCommandNames.size());
  }
}

// What has to do with secrets, or with the module, is the helper's.
void parse_options_of_the_helper_are_unknown_to_the_tool(void ** /*state*/) {
  for (const char *option : {"--rhost=h"}) {
    assert_meanings({{{option, "status"}, "error"}});
    assert_true(complaint({option, "status"}).find("unknown option") !=
                std::string::npos);
  }
}

void parse_missing_arguments_are_an_error(void ** /*state*/) {
  for (const char *command :
       {"generate", "set", "delete", "rotate", "verify"}) {
    assert_meanings({{{command}, "error"}, {{command, ""}, "error"}});
    const std::string message = complaint({command});
    assert_true(message.find("token id") != std::string::npos);
    assert_true(message.find(command) != std::string::npos);
  }
  assert_meanings({
      {{}, "error"},
      {{""}, "error"},
      {{"--store=pdm"}, "error"},
      {{"a@pbs!t"}, "error"},
      {{"a@pbs!t", "verify"}, "error"},
  });
}

void parse_unknown_commands_are_an_error(void ** /*state*/) {
  for (const char *command : {"Verify", "VERIFY", "verif", "verifyy", "verify ",
                              " verify", "verify\n", "stat", "-", "help"}) {
    assert_meanings({{{command}, "error"}, {{command, "a@pbs!t"}, "error"}});
  }
  const std::string message = complaint({"no-such-command"});
  assert_true(message.find("no-such-command") != std::string::npos);
}

void parse_extra_arguments_are_an_error(void ** /*state*/) {
  assert_meanings({
      {{"list", "a@pbs!t"}, "error"},
      {{"check", "a@pbs!t"}, "error"},
      {{"explain"}, "error"},
      {{"explain", "a@pbs"}, "error"},
      {{"explain", "a@pbs!t", "--service", "/x"}, "error"},
      {{"status", "a@pbs!t"}, "error"},
      {{"status", ""}, "error"},
      {{"flush", "a@pbs!t"}, "error"},
      {{"flush", "flush"}, "error"},
      {{"retire", "pbs"}, "error"},
      {{"verify", "a@pbs!t", "b@pbs!t"}, "error"},
      {{"verify", "a@pbs!t", ""}, "error"},
      {{"verify", "a@pbs!t", "a-secret"}, "error"},
  });
  assert_true(complaint({"verify", "a@pbs!t", "too-much"}).find("too-much") !=
              std::string::npos);
}

void parse_what_is_no_token_id_is_an_error(void ** /*state*/) {
  for (const char *id : {"john", "john@pbs", "john@pbs!", "@pbs!t", "a@p!t",
                         "a@pbs!t\n", "a b@pbs!t", "a@pbs!t!u", "\xff@pbs!t"}) {
    assert_meanings({{{"verify", id}, "error"},
                     {{"generate", id}, "error"},
                     {{"verify", "--", id}, "error"}});
  }
}

void parse_unknown_option_is_named(void ** /*state*/) {
  // Wherever it stands, and whatever stands around it.
  for (const char *option : {"--no-such-option", "--no-such-option=x", "-x"}) {
    for (const Arguments &line : std::vector<Arguments>{
             {option},
             {option, "status"},
             {"status", option},
             {"verify", "a@pbs!t", option},
             {"verify", option, "a@pbs!t"},
             {"--store=pdm", "verify", option, "a@pbs!t"},
             {"verify", "--store", "pdm", option, "a@pbs!t"}}) {
      const std::string message = complaint(line);
      if (message.find(option) == std::string::npos) {
        fail_msg("%s: %s", joined(line).c_str(), message.c_str());
      }
    }
  }
}

void parse_option_without_its_value_is_named(void ** /*state*/) {
  for (const char *option : {"--store", "--config", "--output-format"}) {
    for (const Arguments &line :
         std::vector<Arguments>{{option},
                                {"status", option},
                                {"verify", "a@pbs!t", option},
                                {"--store=pdm", "verify", "a@pbs!t", option}}) {
      const std::string message = complaint(line);
      if (message.find(option) == std::string::npos) {
        fail_msg("%s: %s", joined(line).c_str(), message.c_str());
      }
    }
    // An empty value is one, and a bad one.
    assert_meanings({{{std::string(option) + "=", "status"}, "error"},
                     {{option, "", "status"}, "error"}});
  }
}

void parse_bad_option_values_are_an_error(void ** /*state*/) {
  for (const char *store :
       {"PBS", "-a", "_a", "a.b", "../a", "a/b", "a b", "pbs\n", "x@pbs!t",
        "abcdefghijklmnopqrstuvwxyz0123456"}) {
    assert_meanings({{{"--store", store, "status"}, "error"}});
  }
  for (const char *format : {"JSON", "yaml", "json-", "j", "text ", "pretty"}) {
    assert_meanings({{{"--output-format", format, "status"}, "error"}});
  }
  for (const char *path : {"a", "./a", "../a", " /a", "~/a"}) {
    assert_meanings({{{"--config", path, "status"}, "error"}});
  }
  // Before a good one counts, too.
  assert_meanings({{{"--store=/", "--store=pdm", "status"}, "error"}});
}

void parse_option_values_at_their_limits(void ** /*state*/) {
  const std::string store(32, 's');
  const std::string path = "/" + std::string(1022, 'p');
  assert_meanings({
      {{"--store", store, "--config", path, "status"},
       "status [] store=" + store + " config=" + path + " text"},
      {{"--store", store + "s", "status"}, "error"},
      {{"--config", path + "p", "status"}, "error"},
  });
}

void parse_no_argv_at_all_is_an_error(void ** /*state*/) {
  // execve(2) can do that.
  std::array<char *, 1> nothing = {nullptr};
  const auto parsed = parse_command_line(kHelperProgram, 0, nothing.data());
  assert_false(static_cast<bool>(parsed));
  assert_false(describe(parsed.error()).empty());
}

void parse_huge_arguments_give_bounded_messages(void ** /*state*/) {
  constexpr std::size_t kHuge = 65536;
  const std::string huge(kHuge, 'h');
  for (const Arguments &line :
       std::vector<Arguments>{{huge},
                              {"verify", huge},
                              {"verify", "a@pbs!t", huge},
                              {"--store", huge, "status"},
                              {"--store=" + huge, "status"},
                              {"--config", "/" + huge, "status"},
                              {"--config", huge, "status"},
                              {"--output-format", huge, "status"},
                              {"--" + huge, "status"},
                              {"-" + huge, "status"},
                              {"verify", huge + "@" + huge + "!t"},
                              {huge, huge, huge}}) {
    const std::string message = complaint(line);
    assert_true(message.size() < 200);
    assert_false(message.empty());
  }
  // A token id has no limit where it is only read.
  assert_meanings({{{"verify", huge + "@pbs!t"},
                    "verify [" + huge + "@pbs!t] store=pbs config= text"}});
  // Nor has their number.
  Arguments many(5000, "x");
  many.insert(many.begin(), "status");
  assert_meanings({{many, "error"}});
}

void parse_messages_have_no_control_characters(void ** /*state*/) {
  const std::string evil = "\033[2J\n\r\t\x7f";
  for (const Arguments &line :
       std::vector<Arguments>{{evil},
                              {"verify", evil + "@pbs!t"},
                              {"verify", "a@pbs!t", evil},
                              {"--store", evil, "status"},
                              {"--config", evil, "status"},
                              {"--output-format", evil, "status"},
                              {"--" + evil, "status"},
                              {"-" + evil, "status"},
                              {"status", "--" + evil}}) {
    const std::string message = complaint(line);
    for (const char c : message) {
      const auto byte = static_cast<unsigned char>(c);
      assert_true(byte >= 0x20 && byte != 0x7f);
    }
  }
  assert_true(complaint({evil}).find("\\x1b[2J\\x0a") != std::string::npos);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(parse_every_command_is_known),
      cmocka_unit_test(parse_sections_take_two_words_and_a_value),
      cmocka_unit_test(parse_line_of_the_module_asks_for_replies),
      cmocka_unit_test(parse_options_of_earlier_versions_are_unknown),
      cmocka_unit_test(parse_token_id_has_its_parts),
      cmocka_unit_test(parse_options_may_stand_in_any_place),
      cmocka_unit_test(parse_option_values_joined_or_apart),
      cmocka_unit_test(parse_after_two_dashes_nothing_is_an_option),
      cmocka_unit_test(
          parse_id_that_looks_like_an_option_is_one_without_dashes),
      cmocka_unit_test(parse_help_and_version_are_told),
      cmocka_unit_test(parse_command_of_the_other_program_names_it),
      cmocka_unit_test(parse_options_of_the_helper_are_unknown_to_the_tool),
      cmocka_unit_test(parse_missing_arguments_are_an_error),
      cmocka_unit_test(parse_unknown_commands_are_an_error),
      cmocka_unit_test(parse_extra_arguments_are_an_error),
      cmocka_unit_test(parse_what_is_no_token_id_is_an_error),
      cmocka_unit_test(parse_unknown_option_is_named),
      cmocka_unit_test(parse_option_without_its_value_is_named),
      cmocka_unit_test(parse_bad_option_values_are_an_error),
      cmocka_unit_test(parse_option_values_at_their_limits),
      cmocka_unit_test(parse_no_argv_at_all_is_an_error),
      cmocka_unit_test(parse_huge_arguments_give_bounded_messages),
      cmocka_unit_test(parse_messages_have_no_control_characters),
  };
  return cmocka_run_group_tests_name("command_line", tests, clear_environment,
                                     nullptr);
}
