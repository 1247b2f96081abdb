// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "pbstoken/base/json.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/stored_hash.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/store/token_shadow.h"

namespace pbstoken {

namespace {

// Methods that are broken, or so cheap that a stolen file gives away every
// secret that a person chose; their names are those of crypt(5).
constexpr std::array<std::string_view, 8> kWeakMethods = {
    "descrypt", "bigcrypt",  "bsdicrypt", "md5crypt",
    "sunmd5",   "sha1crypt", "nt",        "bcrypt-x"};

constexpr std::string_view kReplace =
    ": replace the secret with pbstoken-helper rotate or generate";

bool is_weak(std::string_view method) {
  return std::find(kWeakMethods.begin(), kWeakMethods.end(), method) !=
         kWeakMethods.end();
}

// Lines and columns of offsets that only grow.
class Scale {
 public:
  explicit Scale(std::string_view text) : text_(text) {}

  TextPlace place_of(std::size_t offset) {
    for (; at_ < offset; ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      }
    }
    return {.line = line_, .column = offset - line_start_ + 1};
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1;
  std::size_t line_start_ = 0;
};

class ShadowCheck {
 public:
  // original: the text before it is decoded in place.
  ShadowCheck(std::string_view original, const PathText &path,
              Problems *problems)
      : scale_(original), path_(path), problems_(problems) {}

  // A JsonMemberSink.
  static bool take(void *context, const JsonMember &member) {
    return static_cast<ShadowCheck *>(context)->take_member(member);
  }

  // Adds the tokens that have several members; names are compared decoded.
  void add_duplicates() {
    const auto all = names_.mutable_items();
    std::sort(all.begin(), all.end(), [](const Name &a, const Name &b) {
      return std::tie(a.id, a.place.line, a.place.column) <
             std::tie(b.id, b.place.line, b.place.column);
    });
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i].id == all[i - 1].id) {
        ProblemText what;
        append_id(&what, all[i].id);
        what.append(": also given in line ").append(all[i - 1].place.line);
        what.append(": the last one counts; remove the other");
        problems_->add(path_.view(), what.view(), all[i].place);
      }
    }
  }

 private:
  struct Name {
    std::string_view id;
    TextPlace place;
  };

  bool take_member(const JsonMember &member) {
    const TextPlace name = scale_.place_of(member.raw_name.begin);
    const TextPlace value = scale_.place_of(member.raw_value.begin);
    const auto id = parse_token_id(member.name);
    if (!id) {
      add_foreign(member.name, name);
    } else {
      check_id(*id, name);
    }
    if (!member.is_string) {
      // The problem does not quote the name: it may be a secret in the wrong
      // place.
      problems_->add(
          path_.view(),
          "a value that is no string: upstream refuses the file; remove it",
          value);
    } else if (id) {
      check_hash(*id, member.value, value);
    }
    return !id || names_.append({.id = id->text, .place = name});
  }

  void add_foreign(std::string_view name, TextPlace place) {
    if (!is_user_id(name)) {
      problems_->add(
          path_.view(),
          "a name that is no token id: upstream refuses the file; remove it",
          place);
      return;
    }
    add(name, "a user's id and no token's: it is never used; remove it", place);
  }

  void check_id(const TokenId &id, TextPlace place) {
    if (!is_writable(id)) {
      add(id.text,
          "longer than 64 characters: it cannot be written again; make one "
          "with a shorter name",
          place);
    }
  }

  void check_hash(const TokenId &id, std::string_view stored_hash,
                  TextPlace place) {
    const std::string_view method = hash_method(stored_hash);
    if (method.empty()) {
      add(id.text,
          "the stored hash is damaged or of no known method, and matches "
          "nothing: make a new secret with pbstoken-helper generate",
          place);
    } else if (is_weak(method)) {
      ProblemText what("hashed by a weak method, ");
      add(id.text, what.append(method).append(kReplace).view(), place);
    } else if (is_old_hash(stored_hash)) {
      ProblemText what(
          "an old hash, cheaper to guess than what Proxmox makes today");
      add(id.text, what.append(kReplace).view(), place);
    }
  }

  void add(std::string_view id, std::string_view what, TextPlace place) {
    ProblemText text;
    append_id(&text, id);
    problems_->add(path_.view(), text.append(": ").append(what).view(), place);
  }

  Scale scale_;
  const PathText &path_;
  Problems *problems_;
  List<Name> names_;
};

}  // namespace

void check_shadow(const UniqueFd &file, const PathText &path,
                  Problems *problems) {
  auto text = read_whole(file, path, kMaxShadowSize);
  if (!text) {
    problems->add_error(path.view(), text.error());
    return;
  }
  // The parser decodes in place, and then an escaped newline looks like one.
  Buffer original;
  if (!original.append(text->view())) {
    problems->add_error(path.view(), no_memory("cannot check"));
    return;
  }
  ShadowCheck check(original.view(), path, problems);
  const auto parsed = parse_json_members({text->data(), text->size()}, path,
                                         ShadowCheck::take, &check);
  check.add_duplicates();
  if (!parsed) {
    problems->add_error(path.view(), parsed.error());
  }
}

}  // namespace pbstoken
