// SPDX-License-Identifier: BSD-3-Clause
// The text of a token.shadow with one token changed: every other member keeps
// its place and its bytes.
//
// Input: a line with the token id, a line with the new stored hash (empty: the
// token is removed), and the file; nothing behind the first line: there is
// none.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/store/token_shadow.h"
#include "second_reader.h"
#include "write/shadow_text.h"

namespace pbstoken::fuzz {
namespace {

const PathText kPath("/etc/proxmox-backup/token.shadow");

struct RawMember {
  std::string_view name;  // with its quotes
  std::string_view value;
  bool operator==(const RawMember &) const = default;
};

// The members of a text that both readers take, found by counting brackets.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : rest_(text) {}

  std::vector<RawMember> split() {
    std::vector<RawMember> members;
    skip_blank();
    if (!rest_.starts_with('{')) {
      return members;  // null
    }
    for (take_and_skip(); !rest_.starts_with('}'); skip_blank()) {
      if (rest_.starts_with(',')) {
        take_and_skip();
      }
      RawMember member;
      member.name = take_value();
      skip_blank();
      take_and_skip();  // the colon
      member.value = take_value();
      members.push_back(member);
    }
    return members;
  }

 private:
  void skip_blank() {
    rest_.remove_prefix(
        std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  void take_and_skip() {
    rest_.remove_prefix(1);
    skip_blank();
  }
  [[nodiscard]] std::size_t string_size(std::size_t start) const {
    std::size_t end = start + 1;
    while (rest_[end] != '"') {
      end += rest_[end] == '\\' ? 2 : 1;
    }
    return end + 1 - start;
  }
  std::string_view take(std::size_t size) {
    const std::string_view taken = slice(rest_, 0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view take_value() {
    std::size_t depth = 0;
    for (std::size_t i = 0;;) {
      const char c = rest_[i];
      if (c == '"') {
        i += string_size(i);
      } else if (c == '{' || c == '[') {
        ++depth;
        ++i;
      } else if (depth > 0) {
        depth -= c == '}' || c == ']' ? 1 : 0;
        ++i;
      } else {
        return take(rest_.find_first_of(" \t\r\n,:}", i));
      }
      const bool was_string_or_end =
          depth == 0 && i > 0 &&
          (rest_[i - 1] == '"' || rest_[i - 1] == '}' || rest_[i - 1] == ']');
      if (was_string_or_end) {
        return take(i);
      }
    }
  }

  std::string_view rest_;
};

struct Wanted {
  std::string_view id;
  std::optional<std::string_view> hash;
};

bool is_of(const RawMember &member, std::string_view id) {
  const std::string text = "{" + std::string(member.name) + ":\"\"}";
  return find_again(read_again(text), id).has_value();
}

void require_changed(std::string_view before, const ChangedText &changed,
                     const Wanted &wanted) {
  std::string expected = "{";
  std::size_t removed = 0;
  const auto append = [&expected](std::string_view name,
                                  std::string_view value) {
    expected.append(expected.size() == 1 ? "" : ",").append(name);
    expected.append(":").append(value);
  };
  for (const RawMember &member : Splitter(before).split()) {
    if (is_of(member, wanted.id)) {
      ++removed;
    } else {
      append(member.name, member.value);
    }
  }
  const std::string_view text = changed.text.view();
  require(text.starts_with(expected), "the others keep place and bytes");
  require(removed == changed.old_members, "all members of the name are gone");
  const SecondReading after = read_again(text);
  require(find_again(after, wanted.id) ==
              (wanted.hash ? std::optional<std::string>(*wanted.hash)
                           : std::nullopt),
          "the token is as wanted");
  if (!wanted.hash) {
    require(text == expected + "}", "nothing else is added");
    return;
  }
  std::vector<RawMember> members = Splitter(text).split();
  require(!members.empty() && is_of(members.back(), wanted.id),
          "the token comes last");
  append(members.back().name, members.back().value);
  require(text == expected + "}", "nothing else is added");
}

void test(const Buffer *file, const Wanted &wanted) {
  const std::string_view before = file == nullptr ? "null" : file->view();
  const auto changed = change_shadow_text(file, kPath, wanted.id, wanted.hash);
  const auto readable = TokenShadow::parse(terminated(before), kPath);
  require(static_cast<bool>(changed) == static_cast<bool>(readable),
          "what can be read can be changed, and nothing else");
  if (!changed) {
    return;
  }
  require(changed->old_hash.view() ==
              readable->find(wanted.id).value_or(std::string_view()),
          "the old hash is what readers see");
  if (read_again(before).root != SecondRoot::kBeyondNumber) {
    require_changed(before, *changed, wanted);
  }
  require(static_cast<bool>(
              prove_change(file, changed->text, kPath, wanted.id, wanted.hash)),
          "the change can be proved");
  require(!prove_change(file, changed->text, kPath, wanted.id, "$9$other"),
          "another change cannot");
  if (!readable->entries().empty()) {
    const std::string_view other = readable->entries().front().token_id;
    require(other == wanted.id ||
                !prove_change(file, changed->text, kPath, other, wanted.hash),
            "nor the change of another token");
  }
}

std::optional<std::string_view> plain_hash(std::string_view line) {
  for (const char c : line) {
    if (c < ' ' || c > '~') {
      return std::nullopt;  // no hash has that
    }
  }
  return line.empty() || line == "$9$other" ? std::nullopt
                                            : std::optional(line);
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken;
  using namespace pbstoken::fuzz;
  Input input(data, size);
  std::string_view id = input.take_line();
  if (!parse_token_id(id)) {
    id = "john@pbs!client1";
  }
  const bool has_file = !input.empty();
  const Wanted wanted = {.id = id, .hash = plain_hash(input.take_line())};
  const Buffer file = terminated(input.rest());
  test(has_file ? &file : nullptr, wanted);
  return 0;
}
