// SPDX-License-Identifier: BSD-3-Clause
// JSON, by RapidJSON: the members of a flat object, and small objects of ours.
//
// The parser decodes in place, is iterative, takes no memory from the heap and
// refuses nesting deeper than kMaxJsonDepth.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_JSON_H_
#define PBSTOKEN_JSON_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

// The outermost object counts.  serde_json, which upstream reads with, refuses
// the 128th level, too.
constexpr std::size_t kMaxJsonDepth = 127;

// A stretch of the text, as offsets.
struct JsonRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// A member of the outermost object.
struct JsonMember {
  std::string_view name;   // decoded
  std::string_view value;  // decoded, if is_string
  bool is_string = false;
  JsonRange raw_name;  // with its quotes, as it stood in the text
  JsonRange raw_value;
};

// Takes the members in the order of the text.  Returns false to stop the
// parser: no memory.
using JsonMemberSink = bool (*)(void *context, const JsonMember &member);

// Decodes text, which is followed by a NUL byte, in place: the views handed to
// sink are into it.  The root must be an object, or null: that has no members.
// Anything else, or what is not JSON in UTF-8, is kMalformed with line and
// column; members may have been handed over by then.  path is for messages.
Result<void> parse_json_members(std::span<char> text, const PathText &path,
                                JsonMemberSink sink, void *context);

// Appends text as a JSON string with its quotes; '/' and everything outside of
// ASCII stay as they are.  Returns false without memory.
[[nodiscard]] bool append_json_string(Buffer *out, std::string_view text);

}  // namespace pbstoken

#endif  // PBSTOKEN_JSON_H_
