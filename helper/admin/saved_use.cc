// SPDX-License-Identifier: BSD-3-Clause
#include "admin/saved_use.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "pbstoken/store/token_id.h"

namespace pbstoken {

namespace {

constexpr std::string_view kVersion = "use 1";  // of what is saved
constexpr std::array<std::string_view, kParties> kPartyNames = {"root",
                                                                "members"};

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return std::min(a + b, kMostUses);  // both are smaller
}

// Reads a file line by line.  After the first thing that is wrong nothing is
// read any more.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // A line that begins with this word, and a blank; the rest of it.
  std::string_view field(std::string_view word) {
    std::string_view line = next_line();
    check(take_until(' ', &line) == word);
    return line;
  }

  std::uint64_t number(std::string_view word) {
    std::string_view line = field(word);
    const std::uint64_t value = take_number(&line, UINT64_MAX);
    check(line.empty());
    return value;
  }

  Gap gap(std::string_view word) {
    std::string_view line = field(word);
    Gap gap;
    gap.from = take_number(&line, UINT64_MAX);
    gap.to = take_number(&line, UINT64_MAX);
    check(line.empty());
    return gap;
  }

  PartyCounters counters(std::string_view word) {
    std::string_view line = field(word);
    PartyCounters counters{};
    for (Counter &counter : counters) {
      counter = take_counter(&line);
    }
    check(line.empty());
    return counters;
  }

  SavedToken token() {
    std::string_view line = next_line();
    SavedToken token{};
    token.since = take_number(&line, UINT64_MAX);
    token.last = take_number(&line, UINT64_MAX);
    token.uses = take_counter(&line);
    token.id = line;
    check(parse_token_id(token.id).has_value());
    return token;
  }

  void check(bool is_right) { is_right_ = is_right_ && is_right; }

  // True if all has been right so far.
  [[nodiscard]] bool is_right() const { return is_right_; }
  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  [[nodiscard]] std::uint64_t line() const { return line_; }

 private:
  std::string_view next_line() {
    if (!is_right_) {
      return {};
    }
    ++line_;
    check(rest_.find('\n') != std::string_view::npos);
    return take_until('\n', &rest_);
  }

  std::uint64_t take_number(std::string_view *line, std::uint64_t most) {
    const auto number = parse_number(take_until(' ', line));
    check(number.has_value() && *number <= most);
    return is_right_ ? *number : 0;
  }

  Counter take_counter(std::string_view *line) {
    Counter counter;
    counter.former = take_number(line, kMostUses);
    counter.current = take_number(line, kMostUses);
    return counter;
  }

  std::string_view rest_;
  std::uint64_t line_ = 0;
  bool is_right_ = true;
};

Error malformed(const PathText &path, const Reader &reader) {
  Error error = plain_error(Errc::kMalformed, "not what 'pbstoken save' writes",
                            path.view());
  error.line = reader.line();
  return error;
}

// The lines in front of those of tokens.
Result<void> parse_head(Reader *reader, const PathText &path,
                        const PathText &token_shadow, SavedUse *out) {
  const bool is_ours = reader->field("pbstoken") == kVersion;
  if (reader->is_right() && !is_ours) {
    return plain_error(Errc::kOtherVersion, "cannot use", path.view(),
                       "another version of pbstoken has saved it");
  }
  const bool is_same = reader->field("token_shadow") == token_shadow.view();
  if (reader->is_right() && !is_same) {
    return plain_error(Errc::kUnsafe, "cannot use", path.view(),
                       "it was saved of another token_shadow: move it away");
  }
  out->life = reader->number("life");
  out->since = reader->number("since");
  out->saved = reader->number("saved");
  out->lost = reader->gap("lost");
  for (std::size_t party = 0; party < kParties; ++party) {
    out->events[party] = reader->counters(kPartyNames[party]);
  }
  return reader->is_right() ? Result<void>() : malformed(path, *reader);
}

// Collects a text, until memory runs out.
class Writer {
 public:
  explicit Writer(Buffer *out) : out_(out) {}

  Writer &text(std::string_view text) {
    ok_ = ok_ && out_->append(text);
    return *this;
  }
  Writer &number(std::uint64_t number) {
    text::Digits digits;
    return text(text::digits_of(number, &digits));
  }
  Writer &counter(const Counter &counter) {
    return number(counter.former).text(" ").number(counter.current);
  }
  Writer &field(std::string_view name, std::uint64_t value) {
    return text(name).text(" ").number(value).text("\n");
  }

  [[nodiscard]] bool ok() const { return ok_; }

 private:
  Buffer *out_;
  bool ok_ = true;
};

}  // namespace

Counter Counter::at(std::uint64_t now, bool is_same_life) const {
  const std::uint64_t next = std::min(now, kMostUses);
  return is_same_life && next >= current
             ? Counter{.former = former, .current = next}
             : Counter{.former = add(former, current), .current = next};
}

std::uint64_t Counter::total() const {
  return add(former, current);
}

const SavedToken *SavedUse::find(std::string_view id) const {
  const auto all = tokens.items();
  const auto found =
      std::lower_bound(all.begin(), all.end(), id,
                       [](const SavedToken &token, std::string_view wanted) {
                         return token.id < wanted;
                       });
  return found != all.end() && found->id == id ? &*found : nullptr;
}

Result<SavedUse> parse_saved_use(Buffer text, const PathText &path,
                                 const PathText &token_shadow) {
  SavedUse use;
  Reader reader(text.view());
  if (const auto head = parse_head(&reader, path, token_shadow, &use); !head) {
    return head.error();
  }
  std::string_view previous;
  const std::uint64_t count = reader.number("tokens");
  for (std::uint64_t i = 0; i < count && reader.is_right(); ++i) {
    const SavedToken token = reader.token();
    reader.check(previous < token.id);
    previous = token.id;
    if (!use.tokens.append(token)) {
      return no_memory("cannot read", path.view());
    }
  }
  if (!reader.is_right() || !reader.is_at_end()) {
    return malformed(path, reader);
  }
  use.text = std::move(text);
  return use;
}

bool append_saved_use(const SavedUse &use, const PathText &token_shadow,
                      Buffer *out) {
  Writer writer(out);
  writer.text("pbstoken ").text(kVersion).text("\n");
  writer.text("token_shadow ").text(token_shadow.view()).text("\n");
  writer.field("life", use.life).field("since", use.since);
  writer.field("saved", use.saved);
  writer.text("lost ").number(use.lost.from).text(" ");
  writer.number(use.lost.to).text("\n");
  for (std::size_t party = 0; party < kParties; ++party) {
    writer.text(kPartyNames[party]);
    for (const Counter &counter : use.events[party]) {
      writer.text(" ").counter(counter);
    }
    writer.text("\n");
  }
  writer.field("tokens", use.tokens.items().size());
  for (const SavedToken &token : use.tokens.items()) {
    writer.number(token.since).text(" ").number(token.last).text(" ");
    writer.counter(token.uses).text(" ").text(token.id).text("\n");
  }
  return writer.ok();
}

}  // namespace pbstoken
