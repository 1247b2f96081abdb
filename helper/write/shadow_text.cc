// SPDX-License-Identifier: BSD-3-Clause
#include "write/shadow_text.h"

#include <algorithm>
#include <utility>

#include "pbstoken/base/json.h"
#include "pbstoken/base/text.h"
#include "pbstoken/store/token_shadow.h"

namespace pbstoken {

namespace {

struct Rewriter {
  std::string_view original;  // before it was decoded in place
  std::string_view token_id;
  ChangedText *out;

  std::string_view raw(const JsonRange &range) const {
    return slice(original, range.begin, range.end - range.begin);
  }

  bool separate() {
    return out->text.view().ends_with('{') || out->text.append(",");
  }

  bool keep(const JsonMember &member) {
    return separate() && out->text.append(raw(member.raw_name)) &&
           out->text.append(":") && out->text.append(raw(member.raw_value));
  }

  bool leave_out(const JsonMember &member) {
    ++out->old_members;
    out->old_hash.clear();
    return out->old_hash.append(member.value);
  }

  bool add(std::string_view stored_hash) {
    return separate() && append_json_string(&out->text, token_id) &&
           out->text.append(":") && append_json_string(&out->text, stored_hash);
  }
};

Result<TokenShadow> read_copy(const Buffer *text, const PathText &path) {
  if (text == nullptr) {
    return TokenShadow();
  }
  Buffer copy;
  if (!copy.append(text->view()) || !copy.terminate()) {
    return no_memory("cannot change token.shadow");
  }
  return TokenShadow::parse(std::move(copy), path);
}

// Compares both in the order of their files, in which a change moves nothing
// but the token itself.
bool has_same_others(const TokenShadow &before, const TokenShadow &after,
                     std::string_view token_id) {
  const auto is_other = [token_id](const TokenShadow::Entry &entry) {
    return entry.token_id != token_id;
  };
  auto found = after.entries().begin();
  const auto end = after.entries().end();
  for (const TokenShadow::Entry &wanted : before.entries()) {
    if (!is_other(wanted)) {
      continue;
    }
    found = std::find_if(found, end, is_other);
    if (found == end || found->token_id != wanted.token_id ||
        found->stored_hash != wanted.stored_hash) {
      return false;
    }
    ++found;
  }
  return std::none_of(found, end, is_other);
}

bool take_member(void *context, const JsonMember &member) {
  auto *rewriter = static_cast<Rewriter *>(context);
  return member.name == rewriter->token_id ? rewriter->leave_out(member)
                                           : rewriter->keep(member);
}

}  // namespace

Result<ChangedText> change_shadow_text(
    const Buffer *text, const PathText &path, std::string_view token_id,
    std::optional<std::string_view> stored_hash) {
  ChangedText changed;
  if (!changed.text.append("{")) {
    return no_memory("cannot change token.shadow");
  }
  Rewriter rewriter = {.original = {}, .token_id = token_id, .out = &changed};
  Buffer decoded;
  if (text != nullptr) {
    rewriter.original = text->view();
    if (!decoded.append(text->view()) || !decoded.terminate()) {
      return no_memory("cannot change token.shadow");
    }
    const auto parsed = parse_json_members({decoded.data(), decoded.size()},
                                           path, take_member, &rewriter);
    if (!parsed) {
      return parsed.error();
    }
  }
  if ((stored_hash && !rewriter.add(*stored_hash)) ||
      !changed.text.append("}")) {
    return no_memory("cannot change token.shadow");
  }
  return changed;
}

Result<void> prove_change(const Buffer *old_text, const Buffer &new_text,
                          const PathText &path, std::string_view token_id,
                          std::optional<std::string_view> stored_hash) {
  const auto before = read_copy(old_text, path);
  if (!before) {
    return before.error();
  }
  const auto after = read_copy(&new_text, path);
  if (!after) {
    return after.error();
  }
  if (after->find(token_id) == stored_hash &&
      has_same_others(*before, *after, token_id)) {
    return {};
  }
  return plain_error(Errc::kMalformed, "cannot change", path.view(),
                     "the new text does not say what it should");
}

}  // namespace pbstoken
