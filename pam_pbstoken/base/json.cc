// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/json.h"

#include <algorithm>
#include <array>

// The parser never needs what would be allocated with new: every allocator is
// handed to it.
#define RAPIDJSON_NEW(x) nullptr
#define RAPIDJSON_DELETE(x) static_cast<void>(x)
#define RAPIDJSON_ASSERT(x) static_cast<void>(0)
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#include <rapidjson/writer.h>

namespace pbstoken {

namespace {

// RapidJSON's stack in a fixed place.  The iterative parser pushes two words
// for each level, and decoding in place pushes nothing, so the depth limit
// keeps it within the first block that it asks for.
class FixedAllocator {
 public:
  static constexpr std::size_t kSize = (kMaxJsonDepth + 2) * 2 * sizeof(void *);

  void *Malloc(std::size_t size) {
    return size <= kSize ? place_.data() : nullptr;
  }
  void *Realloc(void *, std::size_t, std::size_t size) { return Malloc(size); }
  static void Free(void *) {}

 private:
  alignas(std::max_align_t) std::array<char, kSize> place_{};
};

// A rapidjson::InsituStringStream that the reader never copies, so that Tell()
// is true while a handler runs, and with a count of lines: once a string is
// decoded in place, its "\n" looks like one.
struct InPlaceStream : rapidjson::InsituStringStream {
  using rapidjson::InsituStringStream::GenericInsituStringStream;

  Ch Take() {
    const Ch c = rapidjson::InsituStringStream::Take();
    if (c == '\n') {
      ++line;
      line_start = Tell();
    }
    return c;
  }

  // Where the next token begins: between two of them nothing is decoded.
  [[nodiscard]] std::size_t token_after(std::size_t offset) const {
    constexpr std::string_view kBetween = " \t\r\n,:";
    while (kBetween.find(head_[offset]) != std::string_view::npos) {
      ++offset;
    }
    return offset;
  }

  std::size_t line = 1;
  std::size_t line_start = 0;
};

// RapidJSON takes the escape of a low surrogate that stands alone, and decodes
// it to bytes that are no UTF-8.  The text itself was found to be UTF-8, where
// this byte does nothing but lead.
bool has_surrogate(std::string_view text) {
  constexpr char kLead = '\xed';
  constexpr unsigned char kFirstOfSurrogates = 0xa0;
  for (std::size_t at = text.find(kLead); at != std::string_view::npos;
       at = text.find(kLead, at + 1)) {
    const std::string_view next = slice(text, at + 1, 1);
    if (!next.empty() &&
        static_cast<unsigned char>(next.front()) >= kFirstOfSurrogates) {
      return true;
    }
  }
  return false;
}

// How many bytes the character has that this byte leads.
std::size_t length_by_lead(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
}

// Where the text ends in the middle of a character, which RapidJSON would look
// for behind the NUL byte; the size of the text if it does not.
std::size_t find_cut_character(std::string_view text) {
  for (std::size_t left = 1; left <= 3 && left <= text.size(); ++left) {
    const std::size_t at = text.size() - left;
    if (length_by_lead(text[at]) > left) {
      return at;
    }
  }
  return text.size();
}

// Reports the members of the outermost object, and where they stood.
class MemberHandler
    : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, MemberHandler> {
 public:
  MemberHandler(InPlaceStream *stream, JsonMemberSink sink, void *context)
      : stream_(stream), sink_(sink), context_(context) {}

  // A number or a truth value.
  bool Default() { return scalar(/*allowed_as_root=*/false); }
  bool Null() { return scalar(true); }

  bool String(const char *text, rapidjson::SizeType size, bool) {
    if (depth_ == 1) {
      member_.value = {text, size};
      member_.is_string = true;
    }
    return has_characters({text, size}) && scalar(false);
  }

  bool Key(const char *text, rapidjson::SizeType size, bool) {
    if (depth_ == 1) {
      member_ = JsonMember{};
      member_.name = {text, size};
      member_.raw_name = take_range(stream_->Tell());
    }
    return has_characters({text, size});
  }

  bool StartObject() { return enter(/*is_object=*/true); }
  bool StartArray() { return enter(false); }
  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool EndArray(rapidjson::SizeType) { return leave(); }

  // Why it has stopped the parser; null if it has not, or the sink has.
  [[nodiscard]] const char *refusal() const { return refusal_; }

 private:
  bool refuse(const char *why) {
    refusal_ = why;
    return false;
  }

  bool has_characters(std::string_view text) {
    return !has_surrogate(text) || refuse("an escape of half a surrogate pair");
  }

  bool scalar(bool allowed_as_root) {
    if (depth_ == 0) {
      return allowed_as_root || refuse(kWrongRoot);
    }
    return depth_ > 1 || deliver(stream_->Tell());
  }

  bool enter(bool is_object) {
    if (depth_ == 0 && !is_object) {
      return refuse(kWrongRoot);
    }
    if (depth_ == kMaxJsonDepth) {
      return refuse("nested too deeply");
    }
    ++depth_;
    if (depth_ == 1) {
      // The brace is still to be taken.
      last_end_ = stream_->Tell() + 1;
    }
    return true;
  }

  bool leave() {
    --depth_;
    // Its closing brace or bracket is still to be taken.
    return depth_ != 1 || deliver(stream_->Tell() + 1);
  }

  bool deliver(std::size_t end) {
    member_.raw_value = take_range(end);
    return sink_(context_, member_);
  }

  // Returns the range from the first byte of the token that was read last to
  // its end.
  JsonRange take_range(std::size_t end) {
    const JsonRange range = {.begin = stream_->token_after(last_end_),
                             .end = end};
    last_end_ = range.end;
    return range;
  }

  static constexpr const char *kWrongRoot = "the root is not an object";

  InPlaceStream *stream_;
  JsonMemberSink sink_;
  void *context_;
  JsonMember member_;
  std::size_t last_end_ = 0;  // where the last token at depth 1 ended
  std::size_t depth_ = 0;
  const char *refusal_ = nullptr;
};

Error malformed(const InPlaceStream &stream, std::size_t offset,
                const char *why, const PathText &path) {
  Error error =
      plain_error(Errc::kMalformed, "malformed JSON", path.view(), why);
  error.line = stream.line;
  error.column =
      offset >= stream.line_start ? offset - stream.line_start + 1 : 0;
  return error;
}

Error cut_character(std::string_view text, std::size_t at,
                    const PathText &path) {
  Error error = plain_error(Errc::kMalformed, "malformed JSON", path.view(),
                            "a character is cut off");
  const std::string_view before = slice(text, 0, at);
  error.line = 1 + static_cast<std::uint64_t>(
                       std::count(before.begin(), before.end(), '\n'));
  // npos + 1 is 0: the first line.
  error.column = at - (before.rfind('\n') + 1) + 1;
  return error;
}

// Writes into a Buffer, and remembers that it could not.
class BufferStream {
 public:
  using Ch = char;
  explicit BufferStream(Buffer *out) : out_(out) {}
  void Put(char c) { ok_ = ok_ && out_->append({&c, 1}); }
  void Flush() {}
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  Buffer *out_;
  bool ok_ = true;
};

}  // namespace

Result<void> parse_json_members(std::span<char> text, const PathText &path,
                                JsonMemberSink sink, void *context) {
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag |
                              rapidjson::kParseIterativeFlag |
                              rapidjson::kParseValidateEncodingFlag;
  using Utf8 = rapidjson::UTF8<>;
  using Reader = rapidjson::GenericReader<Utf8, Utf8, FixedAllocator>;
  const std::string_view whole(text.data(), text.size());
  if (const std::size_t at = find_cut_character(whole); at != whole.size()) {
    return cut_character(whole, at, path);
  }
  FixedAllocator allocator;
  Reader reader(&allocator, FixedAllocator::kSize);
  InPlaceStream stream(text.data());
  MemberHandler handler(&stream, sink, context);
  const auto parsed = reader.Parse<kFlags>(stream, handler);
  if (!parsed.IsError()) {
    // The stream ends at a NUL byte; one inside would hide what follows it.
    if (stream.Tell() != text.size()) {
      return malformed(stream, stream.Tell(), "a NUL byte", path);
    }
    return {};
  }
  const std::size_t offset = parsed.Offset();
  if (handler.refusal() != nullptr) {
    return malformed(stream, offset, handler.refusal(), path);
  }
  if (parsed.Code() == rapidjson::kParseErrorTermination) {
    return no_memory("cannot read", path.view());
  }
  return malformed(stream, offset, rapidjson::GetParseError_En(parsed.Code()),
                   path);
}

bool append_json_string(Buffer *out, std::string_view text) {
  BufferStream stream(out);
  FixedAllocator allocator;
  using Utf8 = rapidjson::UTF8<>;
  rapidjson::Writer<BufferStream, Utf8, Utf8, FixedAllocator> writer(
      stream, &allocator, 1);
  const bool written =
      writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  return written && stream.ok();
}

}  // namespace pbstoken
