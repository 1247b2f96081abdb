// SPDX-License-Identifier: BSD-3-Clause
#include "write/user_cfg_text.h"

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <utility>

#include "pbstoken/base/list.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

namespace {

using Section = UserCfg::Section;
using Operation = SectionChange::Operation;

// Returns the section that the file has; null if it has no such section.
const Section *find_section(const UserCfg &cfg, const SectionChange &change) {
  const Section *section =
      change.is_token ? cfg.find_token(change.id) : cfg.find_user(change.id);
  // root@pam is there without one.
  return section != nullptr && section->text.data() != nullptr ? section
                                                               : nullptr;
}

// The text of one section, which is changed piece by piece and parsed after
// each.
class Editor {
 public:
  explicit Editor(const PathText &path) : path_(path) {}

  Result<void> start(std::string_view text) { return replace({}, text); }

  [[nodiscard]] const UserCfg &cfg() const { return cfg_; }

  // Puts `with` in the place of a part of the text, which may be empty.
  Result<void> replace(std::string_view part, std::string_view with,
                       std::string_view end = {}) {
    const std::string_view text = cfg_.text();
    const auto at = static_cast<std::size_t>(part.data() - text.data());
    Buffer changed;
    if (!changed.append(slice(text, 0, at)) || !changed.append(with) ||
        !changed.append(end) ||
        !changed.append(slice(text, at + part.size()))) {
      return no_memory("cannot change", path_.view());
    }
    auto cfg = UserCfg::parse(std::move(changed), path_);
    if (!cfg) {
      return cfg.error();
    }
    cfg_ = std::move(*cfg);
    return {};
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

// What goes between the text and a section at its end: a section stands alone
// between blank lines.
FixedText<8> gap_behind(std::string_view text) {
  const std::string_view end = line_end(text);
  FixedText<8> gap(text.empty() || text.ends_with('\n') ? "" : end);
  if (!text.empty() && (!gap.empty() || !ends_with_blank_line(text))) {
    gap.append(end);
  }
  return gap;
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

// --- the whole text

// A part of the old text and what takes its place.
struct Piece {
  std::string_view old_part;
  std::string_view new_part;
};

// The pieces, in their order, in the place of what they were.
Result<void> replace_pieces(std::string_view text,
                            std::span<const Piece> pieces, const PathText &path,
                            Buffer *out_text) {
  std::size_t done = 0;
  bool ok = true;
  for (const Piece &piece : pieces) {
    const auto at =
        static_cast<std::size_t>(piece.old_part.data() - text.data());
    ok = ok && out_text->append(slice(text, done, at - done)) &&
         out_text->append(piece.new_part);
    done = at + piece.old_part.size();
  }
  ok = ok && out_text->append(slice(text, done));
  return ok ? Result<void>() : no_memory("cannot change", path.view());
}

Result<void> add_section(const UserCfg &cfg, const SectionChange &change,
                         const PathText &path, Buffer *out_text) {
  const std::string_view text = cfg.text();
  const std::string_view end = line_end(text);
  FixedText<512> header(change.is_token ? "token: " : "user: ");
  header.append(change.id).append(end).append(end);
  Editor editor(path);
  if (const auto started = editor.start(header.view()); !started) {
    return started.error();
  }
  if (const auto set = set_properties(&editor, change); !set) {
    return set.error();
  }
  const auto gap = gap_behind(text);
  const std::array<Piece, 2> pieces = {
      {{slice(text, text.size()), gap.view()},
       {slice(text, text.size()), editor.cfg().text()}}};
  return replace_pieces(text, pieces, path, out_text);
}

Result<void> change_section(const UserCfg &cfg, const Section &section,
                            const SectionChange &change, const PathText &path,
                            Buffer *out_text) {
  Editor editor(path);
  if (const auto started = editor.start(section.text); !started) {
    return started.error();
  }
  if (const auto set = set_properties(&editor, change); !set) {
    return set.error();
  }
  const std::array<Piece, 1> piece = {{{section.text, editor.cfg().text()}}};
  return replace_pieces(cfg.text(), piece, path, out_text);
}

// The lines of a section, and the blank one that ends it.
std::string_view with_blank_line(const UserCfg &cfg, const Section &section) {
  const auto end = static_cast<std::size_t>(
      section.text.data() + section.text.size() - cfg.text().data());
  const std::string_view rest = slice(cfg.text(), end);
  const std::size_t blank = rest.starts_with("\n")     ? 1
                            : rest.starts_with("\r\n") ? 2
                                                       : 0;
  return {section.text.data(), section.text.size() + blank};
}

// Those of the same id that it replaces go, too: one of them would count now.
Result<void> remove_sections(const UserCfg &cfg, const Section &section,
                             const PathText &path, Buffer *out_text) {
  List<Piece> pieces;
  bool ok = pieces.append({with_blank_line(cfg, section), {}});
  for (const Section &replaced : cfg.replaced()) {
    if (replaced.is_token == section.is_token && replaced.id == section.id) {
      ok = ok && pieces.append({with_blank_line(cfg, replaced), {}});
    }
  }
  if (!ok) {
    return no_memory("cannot change", path.view());
  }
  const auto all = pieces.mutable_items();
  std::sort(all.begin(), all.end(), [](const Piece &a, const Piece &b) {
    return std::less<>()(a.old_part.data(), b.old_part.data());
  });
  return replace_pieces(cfg.text(), all, path, out_text);
}

bool has_user(const UserCfg &cfg, const SectionChange &change) {
  const auto id = parse_token_id(change.id);
  return !id || cfg.find_user(user_id_of(*id)) != nullptr;
}

Result<SectionChanged> edit(const UserCfg &cfg, const SectionChange &change,
                            const PathText &path, Buffer *out_text) {
  const Section *section = find_section(cfg, change);
  const bool is_new = change.operation == Operation::kAdd;
  if (is_new && change.is_token && !has_user(cfg, change)) {
    return SectionChanged::kNoUser;
  }
  if ((section != nullptr) == is_new) {
    return is_new ? SectionChanged::kThereAlready : SectionChanged::kNotThere;
  }
  const auto done = is_new ? add_section(cfg, change, path, out_text)
                    : change.operation == Operation::kRemove
                        ? remove_sections(cfg, *section, path, out_text)
                        : change_section(cfg, *section, change, path, out_text);
  return done ? Result<SectionChanged>(SectionChanged::kDone) : done.error();
}

// --- proof

bool is_same(const Section &a, const Section &b) {
  return a.id == b.id && a.enabled == b.enabled && a.expires == b.expires &&
         a.comment == b.comment;
}

// True if the sections are the same, the changed one apart.
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

Result<UserCfg> parse_copy(std::string_view text, const PathText &path) {
  Buffer copy;
  if (!copy.append(text)) {
    return no_memory("cannot change", path.view());
  }
  return UserCfg::parse(std::move(copy), path);
}

}  // namespace

Result<SectionChanged> change_user_cfg_text(const Buffer *text,
                                            const PathText &path,
                                            const SectionChange &change,
                                            Buffer *out_text) {
  const auto before =
      parse_copy(text != nullptr ? text->view() : std::string_view(), path);
  if (!before) {
    return before.error();
  }
  auto changed = edit(*before, change, path, out_text);
  if (!changed || *changed != SectionChanged::kDone) {
    return changed;
  }
  const auto after = parse_copy(out_text->view(), path);
  if (!after || !is_proven(*before, *after, change)) {
    return plain_error(Errc::kMalformed, "cannot change", path.view(),
                       "the new text would not say what it should");
  }
  return SectionChanged::kDone;
}

}  // namespace pbstoken
