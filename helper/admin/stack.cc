// SPDX-License-Identifier: BSD-3-Clause
#include "admin/stack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "pbstoken/os/file.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

constexpr std::string_view kOurs = "pam_pbstoken.so";
constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostOfLine = 1023;

constexpr std::string_view kBlanks = " \t\n";

constexpr bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

std::string_view trim_end(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

bool has_words(std::string_view line) {
  const std::size_t first = line.find_first_not_of(kBlanks);
  return first != std::string_view::npos && line[first] != '#';
}

// A word in brackets may hold blanks, and "\]" for a bracket.  Ends it with a
// NUL; returns what follows.
char *end_bracket_word(char *word, bool *is_open) {
  char *out = word;
  char *in = word + 1;
  while (*in != '\0' && *in != ']') {
    in += in[0] == '\\' && in[1] == ']' ? 1 : 0;
    *out++ = *in++;
  }
  *is_open = *in == '\0';
  char *rest = *is_open ? in : in + 1;
  *out = '\0';
  return rest;
}

char *end_word(char *word) {
  while (*word != '\0' && !is_blank(*word)) {
    ++word;
  }
  char *rest = *word == '\0' ? word : word + 1;
  *word = '\0';
  return rest;
}

// --- controls: pairs such as success=ok, read as libpam does it

constexpr std::string_view kValues =
    "success open_err symbol_err service_err system_err buf_err perm_denied "
    "auth_err cred_insufficient authinfo_unavail user_unknown maxtries "
    "new_authtok_reqd acct_expired session_err cred_unavail cred_expired "
    "cred_err no_module_data conv_err authtok_err authtok_recover_err "
    "authtok_lock_busy authtok_disable_aging try_again ignore abort "
    "authtok_expired module_unknown bad_item conv_again incomplete default";

constexpr std::string_view kActions = "ignore ok done bad die reset";

struct ControlWord {
  std::string_view word;
  std::string_view pairs;  // what it stands for
};

constexpr std::array<ControlWord, 4> kControlWords = {{
    {"required", "success=ok new_authtok_reqd=ok ignore=ignore default=bad"},
    {"requisite", "success=ok new_authtok_reqd=ok ignore=ignore default=die"},
    {"sufficient", "success=done new_authtok_reqd=done default=ignore"},
    {"optional", "success=ok new_authtok_reqd=ok default=ignore"},
}};

std::string_view pairs_of(std::string_view control) {
  for (const ControlWord &known : kControlWords) {
    if (is_same_word(control, known.word)) {
      return known.pairs;
    }
  }
  return control;
}

void skip_space(std::string_view *text) {
  text->remove_prefix(
      std::min(text->find_first_not_of(" \t\n\v\f\r"), text->size()));
}

// Takes one of the words from the text, whatever follows it; empty if none of
// them is there.
std::string_view take_one_of(std::string_view words, std::string_view *text) {
  while (!words.empty()) {
    const std::string_view word = take_until(' ', &words);
    if (text->starts_with(word)) {
      text->remove_prefix(word.size());
      return word;
    }
  }
  return {};
}

// Takes how many lines to jump over: never none, and no more than an int holds.
std::string_view take_jump(std::string_view *text) {
  const std::string_view digits =
      slice(*text, 0, text->find_first_not_of("0123456789"));
  text->remove_prefix(digits.size());
  const bool is_number = parse_number(digits).value_or(0) - 1 < INT_MAX;
  return is_number ? digits : std::string_view();
}

// Calls visit(value, action) at each pair, up to one that libpam does not
// understand.  Returns what that is; nullptr if there is none.
template <typename Visit>
const char *for_each_pair(std::string_view text, Visit visit) {
  if (text.find('=') == std::string_view::npos) {
    return "its control is not one of libpam's";
  }
  for (skip_space(&text); !text.empty(); skip_space(&text)) {
    const std::string_view value = take_one_of(kValues, &text);
    if (value.empty()) {
      return "its control has a return value that is not one of libpam's";
    }
    skip_space(&text);
    if (!text.starts_with('=')) {
      return "its control has a return value without '='";
    }
    text.remove_prefix(1);
    skip_space(&text);
    std::string_view action = take_one_of(kActions, &text);
    action = action.empty() ? take_jump(&text) : action;
    if (action.empty()) {
      return "its control has an action that is not one of libpam's";
    }
    visit(value, action);
  }
  return nullptr;
}

// --- modules

// Where libpam looks for a module that has no path.
#ifndef PBSTOKEN_MODULES
#define PBSTOKEN_MODULES "/lib/security"
#endif
constexpr std::string_view kModules = PBSTOKEN_MODULES "/";

// A directory that is not there is not libpam's.
bool is_module_missing(std::string_view module) {
  PathText path(module.starts_with('/') ? std::string_view() : kModules);
  const bool can_tell = path.empty() || access(path.c_str(), F_OK) == 0;
  struct stat status = {};
  if (stat(path.append(module).c_str(), &status) != 0) {
    return can_tell && (errno == ENOENT || errno == ENOTDIR);
  }
  return !S_ISREG(status.st_mode);
}

}  // namespace

PathText stack_path(std::string_view name) {
  if (name.starts_with('/')) {
    return PathText(name);
  }
  for (const std::string_view directory : kStackDirectories) {
    PathText path(directory);
    if (access(path.append(name).c_str(), F_OK) == 0) {
      return path;
    }
  }
  return PathText(kStackDirectories[0]).append(name);
}

Result<StackFile> StackFile::open(const PathText &path) {
  if (path.truncated()) {
    return plain_error(Errc::kMalformed, "cannot open", path.view(),
                       "longer than 1023 bytes");
  }
  // A symbolic link is followed, as libpam does it.
  const UniqueFd file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    return system_error("cannot open", path.view());
  }
  auto text = read_whole(file, path, kMostBytes);
  if (!text) {
    return text.error();
  }
  StackFile opened;
  opened.path_ = path;
  opened.text_ = std::move(*text);
  return opened;
}

Result<bool> StackFile::next() {
  words_ = {};
  torn_ = nullptr;
  while (words_.items().empty() && !is_torn()) {
    if (at_ == text_.size()) {
      return false;
    }
    if (!take_line() || !split()) {
      return no_memory("cannot read", path_.view());
    }
  }
  return true;
}

// A backslash at its end joins the next line to it; a comment ends it.  What
// follows a line that is torn is read as libpam 1.7 does it.
bool StackFile::take_line() {
  line_.clear();
  number_ = lines_ + 1;
  bool goes_on = true;
  bool ok = true;
  while (ok && goes_on) {
    const std::string_view rest = slice(text_.view(), at_);
    const bool is_joined = lines_ >= number_;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view whole = slice(rest, 0, end + 1);
    if (line_.size() + end > kMostOfLine) {
      torn_ = "longer than 1023 bytes, which libpam 1.5 takes for two lines";
    } else if (whole.empty()) {
      torn_ = "the file ends behind its backslash";
    } else if (is_joined && !has_words(whole)) {
      torn_ =
          "a blank line or a comment behind its backslash, where some releases "
          "of libpam end it";
    }
    at_ += whole.size();
    ++lines_;
    const std::size_t comment = whole.find('#');
    const std::string_view part = trim_end(slice(whole, 0, comment));
    goes_on =
        !is_torn() && comment == std::string_view::npos && part.ends_with('\\');
    ok = goes_on ? line_.append(slice(part, 0, part.size() - 1)) &&
                       line_.append(" ")
                 : line_.append(slice(whole, 0, comment));
  }
  return ok && line_.terminate();
}

bool StackFile::split() {
  bool ok = true;
  is_open_ = false;
  for (char *rest = line_.data(); ok && *rest != '\0';) {
    if (is_blank(*rest)) {
      ++rest;
      continue;
    }
    const char *word = rest;
    rest = *rest == '[' ? end_bracket_word(rest, &is_open_) : end_word(rest);
    ok = words_.append(word);
  }
  return ok;
}

std::string_view StackFile::word(std::size_t place) const {
  const auto words = words_.items();
  return place < words.size() ? words[place] : std::string_view();
}

StackType StackFile::type() const {
  constexpr std::array<std::string_view, 5> kTypes = {
      "auth", "account", "password", "session", "@include"};
  std::string_view name = word(0);
  // Then libpam does not log that the module is missing.
  name.remove_prefix(name.starts_with('-') ? 1 : 0);
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (is_same_word(name, kTypes[i])) {
      return static_cast<StackType>(i);
    }
  }
  return StackType::kNone;
}

const char *StackFile::fault_of_control() const {
  if (words_.items().size() < 2) {
    return "it has no control";
  }
  if (is_open_ && words_.items().size() == 2) {
    return "its control has a '[' without its ']'";
  }
  if (is_same_word(control(), "include") ||
      is_same_word(control(), "substack")) {
    return nullptr;
  }
  return for_each_pair(pairs_of(control()), [](auto, auto) {});
}

const char *StackFile::fault_of_words() const {
  if (type() == StackType::kNone) {
    return "its type is not one of libpam's";
  }
  const char *why = type() == StackType::kEach ? nullptr : fault_of_control();
  if (why == nullptr && included().find('\r') != std::string_view::npos) {
    return kCarriageReturn;
  }
  const bool is_whole = !word(type() == StackType::kEach ? 1 : 2).empty();
  return why != nullptr || is_whole ? why : "it names no module and no file";
}

const char *StackFile::fault_of_module() const {
  if (fault_of_words() != nullptr || !included().empty()) {
    return nullptr;
  }
  if (is_module_missing(word(2))) {
    return "the file of its module is not there";
  }
  return is_ours() && type() == StackType::kSession
             ? "its module has nothing for sessions"
             : nullptr;
}

bool StackFile::lacks_module() const {
  return !is_torn() && fault_of_module() != nullptr;
}

const char *StackFile::fault() const {
  if (is_torn()) {
    return torn_;
  }
  const char *why = lacks_module() ? fault_of_module() : fault_of_words();
  return why != nullptr && has_carriage_return() ? kCarriageReturn : why;
}

std::string_view StackFile::action_on(std::string_view value) const {
  std::string_view found;
  const char *fault = for_each_pair(
      pairs_of(control()), [&](std::string_view one, std::string_view action) {
        found = one == value || (one == "default" && found.empty()) ? action
                                                                    : found;
      });
  // Of a control that it cannot read libpam makes default=bad.
  return fault != nullptr || found.empty() ? "bad" : found;
}

// `ok` and `done` hand on what the module has returned.
bool StackFile::refuses_on(std::string_view value) const {
  const std::string_view action = action_on(value);
  return action == "bad" || action == "die" || action == "ok" ||
         action == "done";
}

// What libpam takes for the value of such a line.
std::string_view StackFile::result_of_fault() const {
  return lacks_module() ? "module_unknown" : "perm_denied";
}

bool StackFile::keeps_users_out() const {
  return is_torn() || (fault() != nullptr && type() != StackType::kPassword &&
                       refuses_on(result_of_fault()));
}

bool StackFile::is_in_a_word(std::string_view text) const {
  const auto words = words_.items();
  return std::any_of(words.begin(), words.end(), [text](std::string_view word) {
    return word.find(text) != std::string_view::npos;
  });
}

bool StackFile::has_carriage_return() const {
  return is_in_a_word("\r");
}

bool StackFile::mentions_us() const {
  return is_in_a_word(kOurs);
}

bool StackFile::is_ours() const {
  const std::string_view module = word(2);
  return included().empty() && slice(module, module.rfind('/') + 1) == kOurs;
}

std::span<const char *const> StackFile::options() const {
  constexpr std::size_t kBefore = 3;
  const auto words = words_.items();
  return words.subspan(std::min(words.size(), kBefore));
}

std::string_view StackFile::included() const {
  if (type() == StackType::kEach) {
    return word(1);
  }
  return is_same_word(control(), "include") ||
                 is_same_word(control(), "substack")
             ? word(2)
             : std::string_view();
}

}  // namespace pbstoken
