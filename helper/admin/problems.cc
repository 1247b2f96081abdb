// SPDX-License-Identifier: BSD-3-Clause
#include "admin/problems.h"

#include <array>

#include "admin/report.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/base/utf8.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

namespace {

// Whether such an error is a problem of the file itself.
bool is_finding(Errc code) {
  return code == Errc::kMalformed || code == Errc::kUnsafe ||
         code == Errc::kBadConfiguration || code == Errc::kNotFound;
}

Field number_or_null(std::string_view name, std::uint64_t number) {
  return number != 0 ? Field::count(name, number) : Field::unknown(name);
}

}  // namespace

void Problems::add(std::string_view path, std::string_view what,
                   TextPlace place) {
  ++count_;
  if (count_ <= kMost && !(text_.append(path) && text_.append(what) &&
                           problems_.append({.path_size = path.size(),
                                             .what_size = what.size(),
                                             .place = place}))) {
    add_error(path, no_memory("cannot check"));
  }
}

void Problems::add_error(std::string_view path, const Error &error) {
  if (!is_finding(error.code)) {
    complain(error);
    failed_ = true;
    return;
  }
  // print() puts the place in front, as it does for every problem.
  Error rest = error;
  rest.where.clear();
  rest.subject.clear();
  rest.line = 0;
  ProblemText what(error.subject.view());
  what.append(error.subject.empty() ? "" : ": ").append(describe(rest).view());
  add(path, what.view(), {.line = error.line, .column = error.column});
}

template <typename Sink>
bool Problems::for_each(Sink sink) const {
  std::string_view rest = text_.view();
  for (const Problem &problem : problems_.items()) {
    const std::string_view path = slice(rest, 0, problem.path_size);
    rest.remove_prefix(problem.path_size);
    if (!sink(path, slice(rest, 0, problem.what_size), problem.place)) {
      errno = ENOMEM;
      return false;
    }
    rest.remove_prefix(problem.what_size);
  }
  return true;
}

bool Problems::print_lines() const {
  Buffer out;
  return for_each([&out](std::string_view path, std::string_view what,
                         const TextPlace &place) {
           FixedText<2 * kMaxPath> start;
           start.append_escaped(path);
           for (const std::uint64_t number : {place.line, place.column}) {
             if (number != 0) {
               start.append(":").append(number);
             }
           }
           return out.append(start.view()) && out.append(": ") &&
                  out.append(what) && out.append("\n");
         }) &&
         (out.size() == 0 || pbstoken::print(out.view()));
}

bool Problems::print_json(OutputFormat format) const {
  JsonArray array(format);
  return for_each([&array](std::string_view path, std::string_view what,
                           const TextPlace &place) {
           const std::array<Field, 4> fields = {
               Field::string("path", path), number_or_null("line", place.line),
               number_or_null("column", place.column),
               Field::string("problem", what)};
           return array.add(fields);
         }) &&
         array.print();
}

ExitStatus Problems::print(OutputFormat format) {
  const bool printed =
      format == OutputFormat::kText ? print_lines() : print_json(format);
  if (!printed) {
    complain(system_error("cannot write to", "standard output"));
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
