// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/token_shadow.h"

#include <utility>

#include "pbstoken/base/json.h"

namespace pbstoken {

namespace {

bool append_entry(void *context, const JsonMember &member) {
  // A reader of C strings would take a name with a NUL for another name.
  if (member.name.find('\0') != std::string_view::npos) {
    return true;
  }
  auto *entries = static_cast<List<TokenShadow::Entry> *>(context);
  return entries->append({member.name, member.value});
}

}  // namespace

Result<TokenShadow> TokenShadow::parse(Buffer content, const PathText &path) {
  TokenShadow shadow;
  shadow.content_ = std::move(content);
  const auto parsed =
      parse_json_members({shadow.content_.data(), shadow.content_.size()}, path,
                         append_entry, &shadow.entries_);
  if (!parsed) {
    return parsed.error();
  }
  return shadow;
}

Result<TokenShadow> TokenShadow::read(const Result<UniqueFd> &file,
                                      const PathText &path) {
  auto opened = read_opened(file, path, kMaxShadowSize);
  if (!opened) {
    return opened.error();
  }
  const bool is_there = opened->sighting.identity != FileIdentity{};
  auto shadow = is_there ? parse(std::move(opened->content), path)
                         : Result<TokenShadow>(TokenShadow{});
  if (shadow) {
    shadow->sighting_ = opened->sighting;
  }
  return shadow;
}

std::optional<std::string_view> TokenShadow::find(
    std::string_view token_id) const {
  const std::span<const Entry> all = entries_.items();
  for (std::size_t i = all.size(); i > 0; --i) {
    if (all[i - 1].token_id == token_id) {
      return all[i - 1].stored_hash;
    }
  }
  return std::nullopt;
}

}  // namespace pbstoken
