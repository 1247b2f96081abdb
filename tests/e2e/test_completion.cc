// SPDX-License-Identifier: BSD-3-Clause
// The completion of pbstoken-helper and pbstoken, in an interactive bash on a
// terminal.  To be run at the top of the tree.
#include <pty.h>

#include "e2e_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// bash counts its commands there, since readline prints a prompt more than
// once.
constexpr const char *kPrompt = "@ready \\#> ";
constexpr const char *kQuotePrompt = "@quote> ";

// In the place of both programs: runs `list` to list, else notes its arguments,
// each in a line of its own.
void write_stub(const std::string &list) {
  std::filesystem::create_directories(scratch("bin"));
  for (const char *program : {"bin/pbstoken", "bin/pbstoken-helper"}) {
    write_file(scratch(program),
               "#!/bin/bash\n"
               "case ${0##*/},$* in\n"
               "pbstoken,*list) printf '%s\\n' \"$@\" >>" +
                   scratch("asked") + "\n" + list +
                   ";;\n"
                   "*) printf '%s\\n' \"$@\" >" +
                   scratch("arguments") + ";;\nesac\n",
               0755);
  }
}

// A list of these ids, escaped for JSON.
void write_list(const std::vector<std::string> &json_ids,
                const std::string &then = ":") {
  std::string list;
  for (const std::string &id : json_ids) {
    list += std::string(list.empty() ? "[" : ",") + "{\"tokenid\":\"" + id +
            "\",\"method\":\"yescrypt\"}";
  }
  write_file(scratch("list"), list + "]\n");
  write_stub("cat " + scratch("list") + "\n" + then);
}

int completion_host(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  std::filesystem::remove(scratch("asked"));
  std::filesystem::remove(scratch("arguments"));
  write_list({"john@pbs!client1", "john@pbs!other", "jane@ad!x"});
  write_file(scratch("bashrc"),
             "PATH=" + scratch("bin") + ":$PATH\n" +
                 "bind 'set enable-bracketed-paste off'\n" +
                 ". helper/pbstoken-helper.bash-completion\n" + "PS1='" +
                 kPrompt + "' PS2='" + kQuotePrompt + "'\n");
  return 0;
}

// Reads what the shell says, until it waits for its command of this number, or
// for the end of a quote that was left open.
void read_to_prompt(int terminal, std::size_t number) {
  const std::string prompt = "@ready " + std::to_string(number) + "> ";
  std::string said;
  std::array<char, 4096> part{};
  while (said.find(prompt) == std::string::npos &&
         said.find(kQuotePrompt) == std::string::npos) {
    const ssize_t count = read(terminal, part.data(), part.size());
    if (count <= 0) {
      break;
    }
    said.append(part.data(), static_cast<std::size_t>(count));
  }
}

// The arguments that the helper gets from a line typed so, with its tabs.
std::string typed_after(const std::vector<std::string> &before,
                        const std::string &line) {
  std::filesystem::remove(scratch("arguments"));
  int terminal = -1;
  std::fflush(nullptr);
  const pid_t shell = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (shell == 0) {
    alarm(kHangs);
    setenv("TERM", "dumb", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    execl("/bin/bash", "bash", "--noprofile", "--rcfile",
          scratch("bashrc").c_str(), "-i", nullptr);
    _exit(126);
  }
  auto lines = before;
  lines.push_back(line);
  std::size_t number = 1;
  for (const std::string &input : lines) {
    read_to_prompt(terminal, number++);
    if (write(terminal, (input + "\n").data(), input.size() + 1) < 0) {
      break;
    }
  }
  read_to_prompt(terminal, number);
  close(terminal);
  wait_for(shell);
  return read_file(scratch("arguments"));
}

std::string typed(const std::string &line) {
  return typed_after({}, line);
}

void completion_of_commands_and_options(void ** /*state*/) {
  configure("");
  write_file("/etc/pbstoken/second.conf", "");
  write_file("/etc/pbstoken/No Store.conf", "");
  write_file("/etc/pam.d/something-of-ours", "");
  assert_text_equal(typed("pbstoken stat\t"), "status\n");
  assert_text_equal(typed("true; pbstoken ch\t"), "check\n");
  assert_text_equal(typed("pbstoken expl\tja\t--serv\tsomet\t"),
                    "explain\njane@ad!x\n--service\nsomething-of-ours\n");
  assert_text_equal(typed("pbstoken explain --service=somet\tja\t"),
                    "explain\n--service=something-of-ours\njane@ad!x\n");
  assert_text_equal(typed("pbstoken-helper acc\tja\t"), "account\njane@ad!x\n");
  assert_text_equal(typed("pbstoken-helper stat\t"), "stat\n");
  assert_text_equal(typed("pbstoken gen\t"), "gen\n");
  assert_text_equal(typed("pbstoken sav\t"), "save\n");
  assert_text_equal(typed("pbstoken me\t"), "metrics\n");
  assert_text_equal(typed("pbstoken list --we\t--unu\t9"),
                    "list\n--weak\n--unused\n9\n");
  assert_text_equal(typed("pbstoken check --we\t"), "check\n--we\n");
  assert_text_equal(typed("pbstoken retire j\t"), "retire\nj\n");
  assert_text_equal(typed("pbstoken --out\tjson-\tstatu\t"),
                    "--output-format\njson-pretty\nstatus\n");
  assert_text_equal(typed("pbstoken --store=se\tstatu\t"),
                    "--store=second\nstatus\n");
  assert_text_equal(typed("pbstoken --store p\tflu\t"),
                    "--store\npbs\nflush\n");
  assert_text_equal(typed("pbstoken --store N\t flu\t"), "--store\nN\nflush\n");
  assert_text_equal(typed("pbstoken --config /etc/pbst\tsec\tcheck"),
                    "--config\n/etc/pbstoken/second.conf\ncheck\n");
  assert_text_equal(typed("pbstoken --config=/etc/pbst\tN\tcheck"),
                    "--config=/etc/pbstoken/No Store.conf\ncheck\n");
}

void completion_of_tokens_and_users(void ** /*state*/) {
  assert_text_equal(typed("pbstoken tok\trem\tja\t"),
                    "token\nremove\njane@ad!x\n");
  assert_text_equal(typed("pbstoken token comm\tja\tfor c"),
                    "token\ncomment\njane@ad!x\nfor\nc\n");
  assert_text_equal(typed("pbstoken token add --exp\t90d --dis\tnew@pbs\\!t"),
                    "token\nadd\n--expire\n90d\n--disabled\nnew@pbs!t\n");
  assert_text_equal(typed("pbstoken us\ten\tja\t"), "user\nenable\nja\n");
  assert_text_equal(typed("pbstoken user expire --exp\t"),
                    "user\nexpire\n--exp\n");
  assert_text_equal(typed("pbstoken-helper tok\t"), "tok\n");
}

void completion_of_one_tokens_throttling(void ** /*state*/) {
  assert_text_equal(typed("pbstoken stat\t--tok\tja\t"),
                    "status\n--token\njane@ad!x\n");
  assert_text_equal(typed("pbstoken status --token=ja\t"),
                    "status\n--token=jane@ad!x\n");
  assert_text_equal(typed("pbstoken res\tja\t"), "reset\njane@ad!x\n");
  assert_text_equal(typed("pbstoken list --tok\t"), "list\n--tok\n");
}

void completion_of_rhost_is_for_client_secrets(void ** /*state*/) {
  assert_text_equal(typed("pbstoken-helper verify --rh\t192.0.2.1 ja\t"),
                    "verify\n--rhost\n192.0.2.1\njane@ad!x\n");
  assert_text_equal(typed("pbstoken-helper --rh\t192.0.2.1 rot\tja\t"),
                    "--rhost\n192.0.2.1\nrotate\njane@ad!x\n");
  assert_text_equal(typed("pbstoken-helper delete --rh\t"), "delete\n--rh\n");
  assert_text_equal(typed("pbstoken --rh\t"), "--rh\n");
}

// However far the id has been typed, and in what quotes.
void completion_of_a_token_id(void ** /*state*/) {
  for (const char *word :
       {"jo\tc\t", "john\tc\t", "john@\tc\t", "john@p\tc\t", "john@pbs\\!\tc\t",
        "john@pbs\\!c\t", "-- jo\tc\t", "'jo\tc\t", "'john@p\tc\t",
        "'john@pbs!c\t", "'jo'\tc\t", "j\\o\tc\t", "j\\ohn@p\tc\t",
        "'jo'hn@p\tc\t", "''jo\tc\t"}) {
    const bool operands = std::string(word).starts_with("--");
    assert_text_equal(typed(std::string("pbstoken-helper verify ") + word),
                      std::string("verify\n") + (operands ? "--\n" : "") +
                          "john@pbs!client1\n");
  }
  // Whatever the shell thinks a word is.
  for (const char *breaks : {"' \t\n'", "$' \\t\\n!@:=\"\\''"}) {
    assert_text_equal(typed_after({std::string("COMP_WORDBREAKS=") + breaks},
                                  "pbstoken-helper verify john@p\tc\t"),
                      "verify\njohn@pbs!client1\n");
  }
}

// In double quotes the history would be expanded: better nothing.
void completion_in_double_quotes_needs_no_history(void ** /*state*/) {
  assert_text_equal(typed("pbstoken-helper verify \"ja\t\""), "verify\nja\n");
  assert_text_equal(typed_after({"set +H"}, "pbstoken-helper verify \"ja\t"),
                    "verify\njane@ad!x\n");
}

void completion_of_odd_ids_runs_nothing(void ** /*state*/) {
  write_list({"a$(touch${IFS}ran)`touch${IFS}ran`;&|<>*?~#{}[]^()@pbs!t",
              "b\\\"\\\\n\\\"$HOME@pbs!t", "c;touch${IFS}ran;@pbs!t",
              "dü\u200b@pbs!t", "e'e@pbs!t", "-e@pbs!t", "f\\u0007@pbs!t",
              "g@pbs", "h g@pbs!t"});
  const std::string verify = "pbstoken-helper verify -- ";
  const std::pair<const char *, const char *> cases[] = {
      {"a\t", "a$(touch${IFS}ran)`touch${IFS}ran`;&|<>*?~#{}[]^()@pbs!t"},
      {"b\t", "b\"\\n\"$HOME@pbs!t"},
      {"'b\t", "b\"\\n\"$HOME@pbs!t"},
      {"c\t", "c;touch${IFS}ran;@pbs!t"},
      {"c\\;to\t", "c;touch${IFS}ran;@pbs!t"},
      {"d\t", "dü\u200b@pbs!t"},
      {"dü\t", "dü\u200b@pbs!t"},
      {"e\t", "e'e@pbs!t"},
      {"'e\t", "e'e@pbs!t"},
      {"-\t", "-e@pbs!t"},
      {"f\t", "f"},
      {"g\t", "g"},
      {"h\t", "h"}};
  for (const auto &[word, id] : cases) {
    assert_text_equal(typed("cd " + scratch("") + "; " + verify + word),
                      std::string("verify\n--\n") + id + "\n");
  }
  assert_text_equal(typed(verify + "$(echo a)\t"), "verify\n--\na\n");
  assert_false(std::filesystem::exists(scratch("ran")));
}

void completion_asks_the_store_of_the_line(void ** /*state*/) {
  typed("pbstoken-helper --store 'second' --config=/x delete ja\t");
  assert_text_equal(read_file(scratch("asked")),
                    "--store=second\n--config=/x\n--output-format\njson\n"
                    "list\n");
}

// Who may not list, and a helper that says nothing.
// Before -- such an id would be taken for an option.
void completion_of_an_id_like_an_option_needs_the_dashes(void ** /*state*/) {
  write_list({"--store=x@pbs!t"});
  assert_text_equal(typed("pbstoken-helper verify \t"), "verify\n");
  assert_text_equal(typed("pbstoken-helper verify -- \t"),
                    "verify\n--\n--store=x@pbs!t\n");
}

// Who may not list, and a helper that does not end before its next use.
void completion_without_a_list_goes_on(void ** /*state*/) {
  write_stub("echo 'only root may do this' >&2; exit 3");
  assert_text_equal(typed("pbstoken-helper verify ja\t"), "verify\nja\n");
  // For 30 s, lest it outlive a test that fails.
  const std::string hang = "for _ in {1..300}; do [ -e " +
                           scratch("arguments") + " ] || sleep 0.1; done\n";
  write_list({"jane@pbs!" + std::string(9000, 'x'),
              "jill@pbs!" + std::string(9000, 'x')},
             hang);
  assert_text_equal(typed("pbstoken-helper verify ja\t"), "verify\nja\n");
}

// As sudo's own completion calls it.
void completion_behind_sudo(void ** /*state*/) {
  write_file(scratch("bin/sudo"), "#!/bin/sh\nexec \"$@\"\n", 0755);
  for (const char *word : {"jo\tc\t", "john@\tc\t", "john@pbs\\!c\t",
                           "'jo\tc\t", "'john@p\tc\t", "jo'hn@p\tc\t"}) {
    assert_text_equal(
        typed_after({". /usr/share/bash-completion/bash_completion"},
                    std::string("sudo pbstoken-helper verify ") + word),
        "verify\njohn@pbs!client1\n");
  }
}

}  // namespace
}  // namespace pbstoken

#define COMPLETION_TEST(name) cmocka_unit_test_setup(name, completion_host)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      COMPLETION_TEST(completion_of_commands_and_options),
      COMPLETION_TEST(completion_of_one_tokens_throttling),
      COMPLETION_TEST(completion_of_rhost_is_for_client_secrets),
      COMPLETION_TEST(completion_of_tokens_and_users),
      COMPLETION_TEST(completion_of_a_token_id),
      COMPLETION_TEST(completion_in_double_quotes_needs_no_history),
      COMPLETION_TEST(completion_of_odd_ids_runs_nothing),
      COMPLETION_TEST(completion_asks_the_store_of_the_line),
      COMPLETION_TEST(completion_of_an_id_like_an_option_needs_the_dashes),
      COMPLETION_TEST(completion_without_a_list_goes_on),
      COMPLETION_TEST(completion_behind_sudo),
  };
  return cmocka_run_group_tests_name("completion", tests, nullptr, nullptr);
}
