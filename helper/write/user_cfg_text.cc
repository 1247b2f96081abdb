// SPDX-License-Identifier: BSD-3-Clause
#include "write/user_cfg_text.h"

#include <algorithm>
#include <span>
#include <utility>

#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

namespace {

using Section = UserCfg::Section;
using Operation = SectionChange::Operation;

// Of a section that the file has; null if it has none.
const Section *find_section(const UserCfg &cfg, const SectionChange &change) {
  const Section *section =
      change.is_token ? cfg.find_token(change.id) : cfg.find_user(change.id);
  // root@pam is there without one.
  return section != nullptr && section->text.data() != nullptr ? section
                                                               : nullptr;
}

// A file whose text is changed piece by piece, and parsed after each.
class Editor {
 public:
  explicit Editor(const PathText &path) : path_(path) {}

  Result<void> parse(Buffer text) {
    auto cfg = UserCfg::parse(std::move(text), path_);
    if (!cfg) {
      return cfg.error();
    }
    cfg_ = std::move(*cfg);
    return {};
  }

  [[nodiscard]] const UserCfg &cfg() const { return cfg_; }

  // Puts `with` in the place of what these two are of the text; the first may
  // be empty.
  Result<void> replace(std::string_view what, std::string_view with_a,
                       std::string_view with_b = {},
                       std::string_view with_c = {}) {
    const std::string_view text = cfg_.text();
    const auto at = static_cast<std::size_t>(what.data() - text.data());
    Buffer changed;
    if (!changed.append(slice(text, 0, at)) || !changed.append(with_a) ||
        !changed.append(with_b) || !changed.append(with_c) ||
        !changed.append(slice(text, at + what.size()))) {
      return no_memory("cannot change", path_.view());
    }
    return parse(std::move(changed));
  }

 private:
  const PathText &path_;
  UserCfg cfg_;
};

// How the lines around end.
std::string_view line_end(std::string_view text) {
  return text.ends_with("\r\n") ? "\r\n" : "\n";
}

bool ends_with_blank_line(std::string_view text) {
  const std::string_view lines = slice(text, 0, text.size() - 1);
  const std::size_t end = lines.rfind('\n');
  return slice(lines, end == std::string_view::npos ? 0 : end + 1)
             .find_first_not_of(" \t\r") == std::string_view::npos;
}

// A section stands alone between blank lines.
Result<void> add_section(Editor *editor, const SectionChange &change) {
  const std::string_view text = editor->cfg().text();
  const std::string_view end = line_end(text);
  FixedText<8> gap(text.empty() || text.ends_with('\n') ? "" : end);
  if (!text.empty() && (!gap.empty() || !ends_with_blank_line(text))) {
    gap.append(end);
  }
  FixedText<512> section(change.is_token ? "token: " : "user: ");
  section.append(change.id).append(end).append(end);
  return editor->replace(slice(text, text.size()), gap.view(), section.view());
}

// Its lines, and the blank one that ends it.
Result<void> remove_section(Editor *editor, const Section &section) {
  const std::string_view text = editor->cfg().text();
  const auto end = static_cast<std::size_t>(section.text.data() +
                                            section.text.size() - text.data());
  const std::string_view rest = slice(text, end);
  const std::size_t blank = rest.starts_with("\n")     ? 1
                            : rest.starts_with("\r\n") ? 2
                                                       : 0;
  return editor->replace({section.text.data(), section.text.size() + blank},
                         {});
}

// The whole line of the section that `part` is in.
std::string_view line_of(const Section &section, std::string_view part) {
  const auto at = static_cast<std::size_t>(part.data() - section.text.data());
  const std::size_t begin = section.text.rfind('\n', at - 1) + 1;
  const std::size_t end = section.text.find('\n', at);
  return slice(section.text, begin,
               end == std::string_view::npos ? end : end + 1 - begin);
}

// is: as it stands there; without data() the section does not have the
// property.  wanted: nullopt takes it out.
Result<void> set_property(Editor *editor, const Section &section,
                          std::string_view key, std::string_view is,
                          std::optional<std::string_view> wanted) {
  const bool has_it = is.data() != nullptr;
  if (has_it) {
    return wanted ? editor->replace(is, *wanted)
                  : editor->replace(line_of(section, is), {});
  }
  if (!wanted) {
    return {};
  }
  // Below the header.
  const std::size_t end = section.text.find('\n');
  const bool is_ended = end != std::string_view::npos;
  const std::string_view header =
      slice(section.text, 0, is_ended ? end + 1 : end);
  FixedText<700> line(is_ended ? "\t" : "\n\t");
  line.append(key).append(" ").append(*wanted);
  return editor->replace(slice(header, header.size()), line.view(),
                         is_ended ? line_end(header) : "");
}

// Each is put below the header, so the last one comes first.
Result<void> set_properties(Editor *editor, const SectionChange &change) {
  const auto section = [&]() -> const Section & {
    return *find_section(editor->cfg(), change);
  };
  Result<void> done;
  if (change.expire) {
    const bool is_given = section().expire_text.data() != nullptr;
    const auto number = FixedText<20>().append(*change.expire);
    done = set_property(editor, section(), "expire", section().expire_text,
                        *change.expire != 0 || is_given
                            ? std::optional(number.view())
                            : std::nullopt);
  }
  if (done && change.enable) {
    const bool is_given = section().enable_text.data() != nullptr;
    const std::string_view word = *change.enable ? "true" : "false";
    done = set_property(
        editor, section(), "enable", section().enable_text,
        !*change.enable || is_given ? std::optional(word) : std::nullopt);
  }
  if (done && change.comment) {
    done =
        set_property(editor, section(), "comment", section().comment,
                     change.comment->empty() ? std::nullopt : change.comment);
  }
  return done;
}

Result<SectionChanged> edit(Editor *editor, const SectionChange &change) {
  const Section *section = find_section(editor->cfg(), change);
  const bool is_new = change.operation == Operation::kAdd;
  if ((section != nullptr) == is_new) {
    return is_new ? SectionChanged::kThereAlready : SectionChanged::kNotThere;
  }
  Result<void> done;
  if (change.operation == Operation::kRemove) {
    // A section that it replaced would count now.
    for (; done && section != nullptr;
         section = find_section(editor->cfg(), change)) {
      done = remove_section(editor, *section);
    }
  } else {
    done = is_new ? add_section(editor, change) : Result<void>();
    if (done) {
      done = set_properties(editor, change);
    }
  }
  return done ? Result<SectionChanged>(SectionChanged::kDone) : done.error();
}

// --- proof

bool is_same(const Section &a, const Section &b) {
  return a.id == b.id && a.enabled == b.enabled && a.expires == b.expires &&
         a.comment == b.comment;
}

// Whether the sections are the same, the changed one apart.
bool are_same_but(std::string_view id, std::span<const Section> before,
                  std::span<const Section> after) {
  const auto skip = [id](std::span<const Section> rest) {
    return !rest.empty() && rest.front().id == id ? rest.subspan(1) : rest;
  };
  while (true) {
    before = skip(before);
    after = skip(after);
    if (before.empty() || after.empty()) {
      return before.empty() && after.empty();
    }
    if (!is_same(before.front(), after.front())) {
      return false;
    }
    before = before.subspan(1);
    after = after.subspan(1);
  }
}

bool is_as_wanted(const Section *section, const SectionChange &change) {
  if (change.operation == Operation::kRemove) {
    return section == nullptr;
  }
  return section != nullptr &&
         section->enabled == change.enable.value_or(section->enabled) &&
         section->expires == change.expire.value_or(section->expires) &&
         section->comment == change.comment.value_or(section->comment);
}

bool is_proven(const UserCfg &before, const UserCfg &after,
               const SectionChange &change) {
  const std::string_view user = change.is_token ? "" : change.id;
  const std::string_view token = change.is_token ? change.id : "";
  return are_same_but(user, before.users(), after.users()) &&
         are_same_but(token, before.tokens(), after.tokens()) &&
         is_as_wanted(find_section(after, change), change);
}

Result<void> start(Editor *editor, const Buffer *text, const PathText &path) {
  Buffer copy;
  if (text != nullptr && !copy.append(text->view())) {
    return no_memory("cannot change", path.view());
  }
  return editor->parse(std::move(copy));
}

}  // namespace

Result<SectionChanged> change_user_cfg_text(const Buffer *text,
                                            const PathText &path,
                                            const SectionChange &change,
                                            Buffer *out_text) {
  Editor before(path);
  Editor editor(path);
  for (Editor *each : {&before, &editor}) {
    if (const auto started = start(each, text, path); !started) {
      return started.error();
    }
  }
  const auto changed = edit(&editor, change);
  if (!changed || *changed != SectionChanged::kDone) {
    return changed;
  }
  if (!is_proven(before.cfg(), editor.cfg(), change)) {
    return plain_error(Errc::kMalformed, "cannot change", path.view(),
                       "the new text would not say what it should");
  }
  if (!out_text->append(editor.cfg().text())) {
    return no_memory("cannot change", path.view());
  }
  return SectionChanged::kDone;
}

}  // namespace pbstoken
