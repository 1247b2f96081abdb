// SPDX-License-Identifier: BSD-3-Clause
#include "admin/stack.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "pbstoken/os/file.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

namespace {

constexpr std::string_view kOurs = "pam_pbstoken.so";
constexpr std::size_t kMostBytes = std::size_t{1} << 20U;

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trim_end(std::string_view text) {
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// A word in brackets may hold blanks, and "\]" for a bracket.  Ends it with a
// NUL; returns what follows.
char *end_bracket_word(char *word) {
  char *out = word;
  char *in = word + 1;
  while (*in != '\0' && *in != ']') {
    in += in[0] == '\\' && in[1] == ']' ? 1 : 0;
    *out++ = *in++;
  }
  char *rest = *in == '\0' ? in : in + 1;
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

}  // namespace

PathText stack_path(std::string_view name) {
  if (name.starts_with('/')) {
    return PathText(name);
  }
  for (const std::string_view directory : {"/etc/pam.d/", "/usr/lib/pam.d/"}) {
    PathText path(directory);
    if (access(path.append(name).c_str(), F_OK) == 0) {
      return path;
    }
  }
  return PathText("/etc/pam.d/").append(name);
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
  while (words_.items().empty()) {
    if (at_ == text_.size()) {
      return false;
    }
    if (!take_line() || !split()) {
      return no_memory("cannot read", path_.view());
    }
  }
  return true;
}

// A backslash at its end joins the next line to it; a comment ends it.
bool StackFile::take_line() {
  line_.clear();
  number_ = lines_ + 1;
  bool goes_on = true;
  bool ok = true;
  while (ok && goes_on && at_ < text_.size()) {
    const std::string_view rest = slice(text_.view(), at_);
    const std::string_view whole = slice(rest, 0, rest.find('\n'));
    at_ += std::min(whole.size() + 1, rest.size());
    ++lines_;
    const std::size_t comment = whole.find('#');
    std::string_view part = trim_end(slice(whole, 0, comment));
    goes_on = comment == std::string_view::npos && part.ends_with('\\');
    part.remove_suffix(goes_on ? 1 : 0);
    ok = line_.append(part) && line_.append(" ");
  }
  return ok && line_.terminate();
}

bool StackFile::split() {
  bool ok = true;
  for (char *rest = line_.data(); ok && *rest != '\0';) {
    if (is_blank(*rest)) {
      ++rest;
      continue;
    }
    const char *word = rest;
    rest = *rest == '[' ? end_bracket_word(rest) : end_word(rest);
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
  // Then it may be missing.
  name.remove_prefix(name.starts_with('-') ? 1 : 0);
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (is_same_word(name, kTypes[i])) {
      return static_cast<StackType>(i);
    }
  }
  return StackType::kNone;
}

bool StackFile::is_broken() const {
  constexpr std::array<std::string_view, 6> kControls = {
      "required", "requisite", "sufficient", "optional", "include", "substack"};
  if (type() == StackType::kEach) {
    return word(1).empty();
  }
  // In brackets stand pairs of a value and an action.
  const bool is_known = control().find('=') != std::string_view::npos ||
                        std::any_of(kControls.begin(), kControls.end(),
                                    [this](std::string_view known) {
                                      return is_same_word(control(), known);
                                    });
  return type() == StackType::kNone || !is_known || word(2).empty();
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
