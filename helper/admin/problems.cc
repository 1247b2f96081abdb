// SPDX-License-Identifier: BSD-3-Clause
#include "admin/problems.h"

#include <algorithm>
#include <array>

#include "io/message.h"
#include "io/output.h"
#include "pbstoken/base/utf8.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

namespace {

bool contains(const List<std::uint64_t> &hashes, std::uint64_t hash) {
  const auto all = hashes.items();
  return std::find(all.begin(), all.end(), hash) != all.end();
}

Field number_or_null(std::string_view name, std::uint64_t number) {
  return number != 0 ? Field::count(name, number) : Field::unknown(name);
}

}  // namespace

void Problems::add(std::string_view path, std::string_view what,
                   TextPlace place) {
  static_cast<void>(paths_.append(quick_hash(path)));
  ++count_;
  if (is_whole_ && count_ <= kMost && !append(path, what, place)) {
    is_whole_ = false;
    add_error(path, no_memory("cannot check"));
  }
}

void Problems::add_once(std::string_view path, std::string_view what) {
  const std::uint64_t hash = quick_hash(what, quick_hash(path));
  if (!contains(once_, hash)) {
    // If memory runs out it is said twice.
    static_cast<void>(once_.append(hash));
    add(path, what);
  }
}

bool Problems::has(std::string_view path) const {
  return contains(paths_, quick_hash(path));
}

bool Problems::append(std::string_view path, std::string_view what,
                      TextPlace place) {
  if (format_ != OutputFormat::kText) {
    const std::array fields = {
        Field::string("path", path), number_or_null("line", place.line),
        number_or_null("column", place.column), Field::string("problem", what)};
    return array_.add(fields);
  }
  FixedText<2 * kMaxPath> start;
  start.append_escaped(path);
  for (const std::uint64_t number : {place.line, place.column}) {
    if (number != 0) {
      start.append(":").append(number);
    }
  }
  return lines_.append(start.view()) && lines_.append(": ") &&
         lines_.append(what) && lines_.append("\n");
}

void Problems::add_error(std::string_view path, const Error &error,
                         std::string_view what_to_do) {
  if (!is_finding(error)) {
    complain(error);
    failed_ = true;
    return;
  }
  // append() puts the place in front, as it does for every problem.
  Error rest = error;
  rest.where.clear();
  rest.subject.clear();
  rest.line = 0;
  ProblemText what(error.subject.view());
  what.append(error.subject.empty() ? "" : ": ").append(describe(rest).view());
  what.append(what_to_do);
  add(path, what.view(), {.line = error.line, .column = error.column});
}

ExitStatus Problems::print() {
  const auto print_all = [this] {
    return format_ != OutputFormat::kText
               ? array_.print()
               : lines_.size() == 0 || pbstoken::print(lines_.view());
  };
  if (is_whole_ && !print_all()) {
    complain(output_error());
    failed_ = true;
  }
  if (count_ > kMost) {
    FixedText<63> more("more problems than are shown: ");
    complain(more.append(count_ - kMost).view());
  }
  if (failed_) {
    return ExitStatus::kUnavailable;
  }
  return count_ == 0 ? ExitStatus::kDone : ExitStatus::kRefused;
}

bool is_finding(const Error &error) {
  return error.code == Errc::kMalformed || error.code == Errc::kUnsafe ||
         error.code == Errc::kBadConfiguration || error.code == Errc::kNotFound;
}

void append_id(ProblemText *out, std::string_view id) {
  std::string_view rest = id;
  for (std::size_t i = 0; i < kMaxWrittenId && !rest.empty(); ++i) {
    if (!take_code_point(&rest)) {
      rest.remove_prefix(1);
    }
  }
  out->append_escaped(slice(id, 0, id.size() - rest.size()));
  out->append(rest.empty() ? "" : "...");
}

}  // namespace pbstoken
