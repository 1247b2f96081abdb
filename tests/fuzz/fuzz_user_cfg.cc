// SPDX-License-Identifier: BSD-3-Clause
// user.cfg: what is taken can be written again and means the same, also with
// other line ends, twice over, or with more blank lines; verdicts follow from
// the sections; errors name a place.
#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/store/account_verdict.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken::fuzz {
namespace {

const PathText kPath("/etc/proxmox-backup/user.cfg");

using Section = UserCfg::Section;

Result<UserCfg> parse(std::string_view text) {
  Buffer content;
  require(content.append(text), "there is memory");
  return UserCfg::parse(std::move(content), kPath);
}

bool same(const Section &a, const Section &b) {
  return a.id == b.id && a.comment == b.comment && a.expires == b.expires &&
         a.is_token == b.is_token && a.enabled == b.enabled;
}

bool same(const UserCfg &a, const UserCfg &b) {
  const auto equal = [](std::span<const Section> x,
                        std::span<const Section> y) {
    return std::equal(
        x.begin(), x.end(), y.begin(), y.end(),
        [](const Section &s, const Section &t) { return same(s, t); });
  };
  return equal(a.users(), b.users()) && equal(a.tokens(), b.tokens());
}

void require_same(const UserCfg &cfg, const std::string &text,
                  const char *property) {
  const auto other = parse(text);
  require(other && same(cfg, *other), property);
}

void write_section(std::string *out, const Section &section) {
  out->append(section.is_token ? "token: " : "user: ").append(section.id);
  out->append("\n");
  if (!section.comment.empty()) {
    out->append("\tcomment ").append(section.comment).append("\n");
  }
  if (!section.enabled) {
    out->append("\tenable no\n");
  }
  out->append("\texpire ").append(std::to_string(section.expires));
  out->append("\n\n");
}

std::string written(const UserCfg &cfg) {
  std::string text;
  for (const auto sections : {cfg.users(), cfg.tokens()}) {
    for (const Section &section : sections) {
      write_section(&text, section);
    }
  }
  return text;
}

std::string with_line_ends(std::string_view text, std::string_view end) {
  std::string changed;
  for (const char c : text) {
    if (c == '\n') {
      changed.append(end);
    } else {
      changed.push_back(c);
    }
  }
  return changed;
}

void require_sorted_sections(std::span<const Section> sections,
                             bool are_tokens) {
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const Section &section = sections[i];
    require(section.is_token == are_tokens, "users and tokens are apart");
    require(i == 0 || sections[i - 1].id < section.id, "one section an id");
    require(are_tokens ? parse_token_id(section.id).has_value()
                       : is_user_id(section.id),
            "an id is one");
    require(section.expires <= INT64_MAX, "seconds are upstream's");
    require(section.comment.find_first_of("\n\r\t\x1b\x7f") ==
                std::string_view::npos,
            "a comment has no control character");
  }
}

bool is_allowed_at(const Section &section, std::uint64_t now) {
  return section.enabled && (section.expires == 0 || now < section.expires);
}

// By the sections alone.
void require_verdict(const UserCfg &cfg, const TokenId &id) {
  const AccountVerdict verdict = cfg.judge(id);
  const Section *user = cfg.find_user(user_id_of(id));
  const Section *token = cfg.find_token(id.text);
  const std::uint64_t last = INT64_MAX;
  for (const std::uint64_t now :
       {std::uint64_t{1}, verdict.expires - 1, verdict.expires, last}) {
    const std::uint64_t at = std::clamp(now, std::uint64_t{1}, last);
    const bool allowed = user != nullptr && token != nullptr &&
                         is_allowed_at(*user, at) && is_allowed_at(*token, at);
    require((outcome_of(verdict, at) == Outcome::kAllowed) == allowed,
            "a token counts while it and its user do");
  }
}

bool is_plain(const std::string &line) {
  return std::all_of(line.begin(), line.end(), [](char c) {
    return c == '\t' || (c >= ' ' && c <= '~');
  });
}

// What a section says it says once.  Lines with other blanks are left out.
void require_every_property_counts(const std::string &text) {
  bool in_section = false;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    const bool is_blank = line.find_first_not_of(" \t") == std::string::npos;
    if (!is_plain(line) || is_blank) {
      in_section = in_section && !is_blank && is_plain(line);
    } else if (line[0] != ' ' && line[0] != '\t') {
      in_section = true;
    } else if (in_section) {
      require(!parse(text.substr(0, end) + "\n" + line),
              "no property is given twice");
    }
  }
}

void test_accepted(std::string_view text, const UserCfg &cfg) {
  require_sorted_sections(cfg.users(), false);
  require_sorted_sections(cfg.tokens(), true);
  for (const Section &token : cfg.tokens()) {
    require_verdict(cfg, *parse_token_id(token.id));
  }
  require(cfg.find_user("root@pam") != nullptr, "root@pam always exists");
  for (const Section &user : cfg.users()) {
    const std::string none = std::string(user.id) + "!-";
    require(!parse_token_id(none) && cfg.find_token(none) == nullptr,
            "what is not there is not found");
    const std::string of_user = std::string(user.id) + "!fuzz";
    require_verdict(cfg, *parse_token_id(of_user));
  }
  require_same(cfg, written(cfg), "what is written anew means the same");
  const std::string whole(text);
  require_every_property_counts(whole);
  // Behind which a line feed would make it the end of a line.
  if (!whole.ends_with('\r')) {
    require_same(cfg, whole + "\n\n" + whole, "twice is as once");
    require_same(cfg, "\n \n" + whole + "\n\n", "blank lines do not matter");
  }
  if (text.find('\r') == std::string_view::npos) {
    require_same(cfg, with_line_ends(text, "\r\n"), "CRLF is as LF");
  }
}

// What is before the line that is refused is taken.
void test_refused(std::string_view text, const Error &error) {
  require(error.code == Errc::kMalformed && error.line >= 1,
          "what is refused is malformed");
  std::size_t start = 0;
  for (std::uint64_t line = 1; line < error.line; ++line) {
    start = text.find('\n', start);
    require(start != std::string_view::npos, "the line is in the text");
    ++start;
  }
  const std::size_t end = std::min(text.find('\n', start), text.size());
  require(error.column >= 1 && error.column <= end - start + 1,
          "the column is in the line");
  require(static_cast<bool>(parse(text.substr(0, start))),
          "the first bad line is named");
  require(!parse(text.substr(0, end + 1)), "that line is bad");
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken::fuzz;
  const std::string_view text = text_of(data, size);
  const auto cfg = parse(text);
  if (cfg) {
    test_accepted(text, *cfg);
  } else {
    test_refused(text, cfg.error());
  }
  return 0;
}
