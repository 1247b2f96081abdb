// SPDX-License-Identifier: BSD-3-Clause
// What `check` has found: where, and what is wrong there.
//
// Texts are for people, a line each; they name ids, escaped, but never a
// secret, a stored hash or other content of a file.
#ifndef PBSTOKEN_PROBLEMS_H_
#define PBSTOKEN_PROBLEMS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "admin/report.h"
#include "io/command.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

using ProblemText = FixedText<kMaxPath + 512>;

// A place in a file.  Lines and columns count from 1, columns in bytes; 0:
// none.
struct TextPlace {
  std::uint64_t line = 0;
  std::uint64_t column = 0;
};

class Problems {
 public:
  // More are only counted: otherwise the owner of a file could fill the memory
  // with its problems.
  static constexpr std::size_t kMost = 1000;

  explicit Problems(OutputFormat format) : format_(format), array_(format) {}

  // Adds a problem of the file or object `path`.
  void add(std::string_view path, std::string_view what, TextPlace place = {});

  // Does the same, but adds nothing that was found before.
  void add_once(std::string_view path, std::string_view what);

  // True if something was added about this path.
  [[nodiscard]] bool has(std::string_view path) const;

  // Adds what an error says of the path, and what to do, if it is a problem of
  // the file.  If the file could not be looked at, this complains at once.
  void add_error(std::string_view path, const Error &error,
                 std::string_view what_to_do = {});

  // Prints them in the order in which they were added.  Returns kDone without
  // problems, kRefused with problems, kUnavailable if something could not be
  // looked at, or the problems could not be printed.
  [[nodiscard]] ExitStatus print();

 private:
  [[nodiscard]] bool append(std::string_view path, std::string_view what,
                            TextPlace place);

  OutputFormat format_;
  Buffer lines_;               // for people
  JsonArray array_;            // otherwise
  bool is_whole_ = true;       // else memory ran out, which was said
  List<std::uint64_t> paths_;  // hashes, of what was added
  List<std::uint64_t> once_;   // the same with what add_once() has added
  std::uint64_t count_ = 0;
  bool failed_ = false;
};

// True if such an error is a problem of the file itself, and not of looking at
// it.
bool is_finding(const Error &error);

// Appends an id, escaped, of at most kMaxWrittenId characters: longer ones end
// in "...".
void append_id(ProblemText *out, std::string_view id);

}  // namespace pbstoken

#endif  // PBSTOKEN_PROBLEMS_H_
