// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/user_cfg.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "pbstoken/base/utf8.h"

namespace pbstoken {

namespace {

using Section = UserCfg::Section;
using Remark = UserCfg::Remark;

// The lengths of an id and, in characters, of upstream's texts that have one.
constexpr std::size_t kMinId = 3;
constexpr std::size_t kMinName = 1;  // 2 in versions of upstream before 2026
constexpr std::size_t kMinAddress = 2;
constexpr std::size_t kMaxText = 64;
constexpr std::size_t kMaxComment = 128;
// Upstream's seconds are signed.
constexpr std::uint64_t kLastSecond = INT64_MAX;

constexpr Section kRoot = {.id = "root@pam"};

// --- words

std::optional<std::size_t> find_invalid_utf8(std::string_view line) {
  for (std::string_view rest = line; !rest.empty();) {
    if (!take_code_point(&rest)) {
      return line.size() - rest.size();
    }
  }
  return std::nullopt;
}

// The end of the first run of characters that are white space, or are not; a
// stray byte is not one.
std::size_t run_end(std::string_view text, bool of_white_space) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t at = text.size() - rest.size();
    const auto c = take_code_point(&rest);
    if (!c) {
      rest.remove_prefix(1);
    }
    if ((c && is_white_space(*c)) != of_white_space) {
      return at;
    }
  }
  return text.size();
}

std::string_view trim(std::string_view text) {
  text = slice(text, run_end(text, /*of_white_space=*/true));
  std::size_t end = 0;
  while (end < text.size()) {
    const std::size_t word = end + run_end(slice(text, end), false);
    const std::size_t next = word + run_end(slice(text, word), true);
    if (next == text.size()) {
      return slice(text, 0, word);
    }
    end = next;
  }
  return text;
}

// --- values: what is wrong with one, or null

using Problem = const char *;

Problem set_enable(Section *section, std::string_view value) {
  section->enable_text = value;
  constexpr std::array<std::string_view, 8> kWords = {
      "1", "on", "yes", "true", "0", "off", "no", "false"};
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (is_same_word(value, kWords[i])) {
      section->enabled = i < kWords.size() / 2;
      return nullptr;
    }
  }
  return "enable is neither true nor false";
}

// Takes what upstream's parser of signed numbers takes: a sign may lead.
Problem set_expire(Section *section, std::string_view value) {
  section->expire_text = value;
  const bool negative = value.starts_with('-');
  const bool has_sign = negative || value.starts_with('+');
  const std::string_view digits = slice(value, has_sign ? 1 : 0);
  const auto number = parse_number(digits);
  if (!number || *number > kLastSecond || (negative && *number != 0)) {
    return "expire is no number of seconds since the epoch";
  }
  section->expires = *number;
  return nullptr;
}

// Upstream forbids ASCII's control characters alone.
Problem check_text(std::string_view value) {
  return has_control(value) ? "a control character in a value" : nullptr;
}

// Takes a comment whatever its length: see Remark.
Problem set_comment(Section *section, std::string_view value) {
  section->comment = value;
  return check_text(value);
}

Problem check_name(Section * /*section*/, std::string_view value) {
  const std::size_t size = count_characters(value);
  return size < kMinName || size > kMaxText
             ? "a name must have 1 to 64 characters"
             : check_text(value);
}

Problem check_address(Section * /*section*/, std::string_view value) {
  const std::size_t size = count_characters(value);
  return size < kMinAddress || size > kMaxText
             ? "an address must have 2 to 64 characters"
             : check_text(value);
}

// Goes by the pattern and the length of the whole alone, as upstream: how long
// the realm is it asks where it looks an id up.
Problem check_id(std::string_view id, bool is_token) {
  const std::size_t size = count_characters(id);
  if (size < kMinId || size > kMaxWrittenId) {
    return "an id must have 3 to 64 characters";
  }
  if (is_token) {
    return has_token_form(id) ? nullptr : "not an API token ID";
  }
  return has_user_form(id) ? nullptr : "not a user id";
}

// Upstream never writes it, and puts the header's id in its place.
Problem check_own_id(Section *section, std::string_view value) {
  return check_id(value, section->is_token);
}

struct Property {
  std::string_view key;
  bool of_users;
  bool of_tokens;
  Problem (*set)(Section *section, std::string_view value);
};

constexpr std::array<Property, 8> kProperties = {{
    {"comment", true, true, set_comment},
    {"enable", true, true, set_enable},
    {"expire", true, true, set_expire},
    {"firstname", true, false, check_name},
    {"lastname", true, false, check_name},
    {"email", true, false, check_address},
    {"userid", true, false, check_own_id},
    {"tokenid", false, true, check_own_id},
}};

// --- lines

// Takes the file line by line.
class Parser {
 public:
  Parser(const PathText &path, List<Section> *sections, List<Remark> *remarks)
      : path_(path), sections_(sections), remarks_(remarks) {}

  Result<void> parse(std::string_view content) {
    while (!content.empty()) {
      ++number_;
      const std::size_t end = content.find('\n');
      line_ = slice(content, 0, end);
      const bool is_ended = end != std::string_view::npos;
      whole_line_ = slice(content, 0, is_ended ? end + 1 : end);
      content.remove_prefix(whole_line_.size());
      // At the end of the file it ends no line, and is white space.
      if (is_ended && line_.ends_with('\r')) {
        line_.remove_suffix(1);
      }
      if (const auto taken = take_line(); !taken) {
        return taken.error();
      }
    }
    return finish_section();
  }

 private:
  Result<void> take_line() {
    // Upstream reads text, and has none if one byte of it is wrong.
    if (const auto at = find_invalid_utf8(line_); at) {
      return refuse("invalid UTF-8", slice(line_, *at));
    }
    if (trim(line_).empty()) {
      return finish_section();
    }
    return section_ ? take_property() : take_header();
  }

  Result<void> take_header() {
    const std::size_t colon = line_.find(':');
    // What is indented belongs to no section.
    if (run_end(line_, /*of_white_space=*/true) != 0 ||
        colon == std::string_view::npos) {
      return refuse("not the header of a section", line_);
    }
    const std::string_view type = trim(slice(line_, 0, colon));
    if (type != "user" && type != "token") {
      return refuse("unknown type of section", line_);
    }
    const Section section = {.id = trim(slice(line_, colon + 1)),
                             .text = whole_line_,
                             .line = number_,
                             .is_token = type == "token"};
    // The error does not name it: what is no id may be anything.
    if (const Problem problem = check_id(section.id, section.is_token);
        problem != nullptr) {
      return refuse(problem, section.id);
    }
    section_ = section;
    seen_ = {};
    return {};
  }

  Result<void> take_property() {
    const std::size_t indent = run_end(line_, /*of_white_space=*/true);
    if (indent == 0) {
      return refuse("no blank line before a header, or no indent", line_);
    }
    const std::string_view text = slice(line_, indent);
    const std::size_t key_size = run_end(text, false);
    const std::string_view key = slice(text, 0, key_size);
    // Upstream has an empty value only where white space follows the key.
    if (key_size == text.size()) {
      return refuse("a property without a value", key);
    }
    const std::string_view value = trim(slice(text, key_size));
    for (std::size_t i = 0; i < kProperties.size(); ++i) {
      const Property &property = kProperties[i];
      if (property.key != key ||
          !(section_->is_token ? property.of_tokens : property.of_users)) {
        continue;
      }
      if (std::exchange(seen_[i], true)) {
        return refuse("a property given twice", key);
      }
      const Problem problem = property.set(&*section_, value);
      if (problem != nullptr) {
        return refuse(problem, value);
      }
      // The lines of a section follow each other.
      section_->text = {section_->text.data(),
                        section_->text.size() + whole_line_.size()};
      return property.set == set_comment &&
                     count_characters(value) > kMaxComment
                 ? remark({Remark::kLongComment, section_->id, number_})
                 : Result<void>();
    }
    return refuse("unknown property", key);
  }

  // Runs at a blank line, and at the end of the file.
  Result<void> finish_section() {
    const auto section = std::exchange(section_, std::nullopt);
    if (!section) {
      return {};
    }
    if (!(section->is_token ? parse_token_id(section->id).has_value()
                            : is_user_id(section->id))) {
      return remark({Remark::kOddRealm, section->id, section->line});
    }
    return sections_->append(*section) ? Result<void>() : out_of_memory();
  }

  Result<void> remark(const Remark &remark) {
    return remarks_->append(remark) ? Result<void>() : out_of_memory();
  }

  [[nodiscard]] Error out_of_memory() const {
    return no_memory("cannot read", path_.view());
  }

  // at: a part of the line.
  [[nodiscard]] Error refuse(Problem problem, std::string_view at) const {
    Error error = plain_error(Errc::kMalformed, problem, path_.view());
    error.line = number_;
    error.column = static_cast<std::size_t>(at.data() - line_.data()) + 1;
    if (section_) {
      error.subject.append_escaped(section_->id);
    }
    return error;
  }

  const PathText &path_;
  List<Section> *sections_;
  List<Remark> *remarks_;
  std::uint64_t number_ = 0;
  std::string_view line_;
  std::string_view whole_line_;     // with its end
  std::optional<Section> section_;  // the one that the line belongs to
  std::array<bool, kProperties.size()> seen_{};  // its properties so far
};

const Section *find(std::span<const Section> sections, std::string_view id) {
  const auto found =
      std::lower_bound(sections.begin(), sections.end(), id,
                       [](const Section &section, std::string_view wanted) {
                         return section.id < wanted;
                       });
  return found != sections.end() && found->id == id ? &*found : nullptr;
}

}  // namespace

bool is_comment(std::string_view text) {
  return !text.empty() && trim(text) == text && !find_invalid_utf8(text) &&
         count_characters(text) <= kMaxComment && !has_control(text);
}

bool is_writable_user_id(std::string_view text) {
  return is_user_id(text) && check_id(text, /*is_token=*/false) == nullptr;
}

Result<UserCfg> UserCfg::parse(Buffer content, const PathText &path) {
  UserCfg cfg;
  cfg.content_ = std::move(content);
  const auto parsed =
      Parser(path, &cfg.sections_, &cfg.remarks_).parse(cfg.content_.view());
  if (!parsed) {
    return parsed.error();
  }
  cfg.sort_sections();
  return cfg;
}

Result<UserCfg> UserCfg::read(const Result<UniqueFd> &file,
                              const PathText &path) {
  auto opened = read_opened(file, path, kMaxUserCfgSize);
  if (!opened) {
    return opened.error();
  }
  auto cfg = parse(std::move(opened->content), path);
  if (cfg) {
    cfg->sighting_ = opened->sighting;
  }
  return cfg;
}

// Users before tokens, each by id, and of the same id the last one alone: what
// it replaces ends up behind.
void UserCfg::sort_sections() {
  const std::span<Section> all = sections_.mutable_items();
  const auto key = [](const Section &section) {
    return std::make_tuple(section.is_token, section.id, section.line);
  };
  std::sort(all.begin(), all.end(), [key](const Section &a, const Section &b) {
    return key(a) < key(b);
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool replaced = i + 1 < all.size() && all[i].id == all[i + 1].id;
    if (!replaced) {
      ++(all[i].is_token ? token_count_ : user_count_);
      std::swap(all[kept++], all[i]);
    }
  }
}

const Section *UserCfg::find_user(std::string_view id) const {
  const Section *user = find(users(), id);
  return user == nullptr && id == kRoot.id ? &kRoot : user;
}

const Section *UserCfg::find_token(std::string_view id) const {
  return find(tokens(), id);
}

AccountVerdict UserCfg::judge(const TokenId &id) const {
  const Section *user = find_user(user_id_of(id));
  const Section *token = find_token(id.text);
  if (user == nullptr || token == nullptr) {
    return {.status = user == nullptr ? AccountStatus::kNoUser
                                      : AccountStatus::kNoToken};
  }
  if (!user->enabled || !token->enabled) {
    return {.status = user->enabled ? AccountStatus::kDisabledToken
                                    : AccountStatus::kDisabledUser};
  }
  // 0 is never, and so the latest.
  const std::uint64_t earlier = std::min(user->expires - 1, token->expires - 1);
  return {.status = AccountStatus::kAllowed, .expires = earlier + 1};
}

}  // namespace pbstoken
