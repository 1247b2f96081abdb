// SPDX-License-Identifier: BSD-3-Clause
// token.shadow: whatever the bytes are, our reader and a second one take the
// same files, find the same members in the same order, and the same stored hash
// for each name.
#include <optional>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/base/json.h"
#include "pbstoken/store/token_shadow.h"
#include "second_reader.h"

namespace pbstoken::fuzz {
namespace {

const PathText kPath("/etc/proxmox-backup/token.shadow");

// What we refuse and the second reader takes: see README.md.
bool may_refuse(std::string_view text, const Error &error) {
  const std::string_view why = error.why;
  return (why == "nested too deeply" && depth_of(text) > kMaxJsonDepth) ||
         why == "Number too big to be stored in double.";
}

void require_error_with_place(std::string_view text, const Error &error) {
  require(error.code == Errc::kMalformed, "what is refused is malformed");
  std::size_t lines = 1;
  for (const char c : text) {
    lines += c == '\n' ? 1 : 0;
  }
  require(
      error.line >= 1 && error.line <= lines && error.column <= text.size() + 1,
      "the place of an error is in the text");
}

void require_same_entries(const TokenShadow &shadow,
                          const SecondReading &second) {
  auto entry = shadow.entries().begin();
  for (const SecondMember &member : second.members) {
    if (member.name.find('\0') != std::string::npos) {
      continue;
    }
    require(entry != shadow.entries().end() && entry->token_id == member.name &&
                entry->stored_hash == member.value.value_or(""),
            "both readers find the same members");
    require(is_utf8(entry->token_id) && is_utf8(entry->stored_hash),
            "what is decoded is UTF-8");
    ++entry;
  }
  require(entry == shadow.entries().end(), "we find no member more");
}

void test(std::string_view text) {
  const auto shadow = TokenShadow::parse(terminated(text), kPath);
  const SecondReading second = read_again(text);
  const bool is_wanted =
      second.root == SecondRoot::kObject || second.root == SecondRoot::kNull;
  if (!shadow) {
    require_error_with_place(text, shadow.error());
    require(!is_wanted || may_refuse(text, shadow.error()),
            "what the second reader takes we take");
    return;
  }
  if (second.root == SecondRoot::kBeyondNumber) {
    require(has_json_numbers(text), "what is no number is refused");
    return;
  }
  require(is_wanted, "what the second reader refuses we refuse");
  require_same_entries(*shadow, second);
  for (const TokenShadow::Entry &entry : shadow->entries()) {
    require(shadow->find(entry.token_id) == find_again(second, entry.token_id),
            "of members of one name the last one counts");
  }
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  pbstoken::fuzz::test(pbstoken::fuzz::text_of(data, size));
  return 0;
}
