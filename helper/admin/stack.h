// SPDX-License-Identifier: BSD-3-Clause
// The stacks of PAM services: files in /etc/pam.d, taken apart as libpam does
// it.
//
// One thread per object.  Nothing is changed.
#ifndef PBSTOKEN_STACK_H_
#define PBSTOKEN_STACK_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"
#include "pbstoken/base/result.h"

namespace pbstoken {

enum class StackType : std::uint8_t {
  kAuth,
  kAccount,
  kPassword,
  kSession,
  kEach,  // of a line that takes a file in, whatever stands there
  kNone   // no type: libpam refuses the stack
};

// Where libpam looks for stacks: what the first has, it takes from there.
constexpr std::array<std::string_view, 2> kStackDirectories = {
    "/etc/pam.d/", "/usr/lib/pam.d/"};

// Returns where a service's stack is, or a file that a stack takes in; in
// /etc/pam.d if it is nowhere.
PathText stack_path(std::string_view name);

// One file, line by line.  What the members return is about the present line,
// and valid until next() goes on.
class StackFile {
 public:
  static Result<StackFile> open(const PathText &path);

  // Goes to the next line with a word in it; false at the end of the file.
  Result<bool> next();

  [[nodiscard]] const PathText &path() const { return path_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }

  [[nodiscard]] StackType type() const;
  // Returns it without the brackets.
  [[nodiscard]] std::string_view control() const { return word(1); }
  // Returns what libpam does not understand of the line; nullptr if all is
  // well.
  [[nodiscard]] const char *fault() const;
  // True if it is not to be told where the line ends.  Then libpam may refuse
  // the whole file, whatever stands in the line.
  [[nodiscard]] bool is_torn() const { return torn_ != nullptr; }
  // True if the line is read well, and its module, or what that has for the
  // type, is not there.
  [[nodiscard]] bool lacks_module() const;
  // Returns what libpam does once the module has returned a value, both named
  // as in a control: an action, or a number of lines to jump over.
  [[nodiscard]] std::string_view action_on(std::string_view value) const;
  // True if a value that is not success refuses the user then.
  [[nodiscard]] bool refuses_on(std::string_view value) const;
  // True if libpam, once it comes to the line, refuses all users for the fault.
  [[nodiscard]] bool keeps_users_out() const;
  // True if a word of the line has one in it: for libpam it is no blank.
  [[nodiscard]] bool has_carriage_return() const;
  // True if a word of the line has pam_pbstoken.so in it, wherever it stands.
  [[nodiscard]] bool mentions_us() const;
  // True if the line names pam_pbstoken.so.
  [[nodiscard]] bool is_ours() const;
  [[nodiscard]] std::span<const char *const> options() const;
  // The file that the line takes in; empty if it takes in none.
  [[nodiscard]] std::string_view included() const;

 private:
  StackFile() = default;
  [[nodiscard]] std::string_view word(std::size_t place) const;
  [[nodiscard]] bool is_in_a_word(std::string_view text) const;
  [[nodiscard]] const char *fault_of_control() const;
  [[nodiscard]] const char *fault_of_words() const;
  [[nodiscard]] const char *fault_of_module() const;
  [[nodiscard]] std::string_view result_of_fault() const;
  [[nodiscard]] bool take_line();
  [[nodiscard]] bool split();

  PathText path_;
  Buffer text_;
  std::size_t at_ = 0;        // in text_: where the next line begins
  std::uint64_t lines_ = 0;   // before that
  std::uint64_t number_ = 0;  // of the present line, where it begins
  Buffer line_;               // what the words view
  List<const char *> words_;
  const char *torn_ = nullptr;  // of the present line: why it is
  bool is_open_ = false;        // the last word: a bracket that nothing closes
};

// Such files may take in each other, but not for ever: as libpam has it.
constexpr unsigned kMostIncludes = 16;

constexpr const char *kStackIsRefused =
    "libpam refuses the stack for this line";
constexpr const char *kLineFails = "libpam fails this line";
constexpr const char *kCarriageReturn =
    "a carriage return: the file has line ends of Windows";

// Calls visit(file, type, is_in_substack) at each line of this type, those of
// the files that are taken in included, but not at those that take them in. The
// type is the one that libpam takes the line for.  An error if a file cannot be
// read.
template <typename Visit>
Result<void> for_each_line(const PathText &path, StackType type, Visit &visit,
                           bool is_in_substack = false, unsigned depth = 0) {
  auto file = StackFile::open(path);
  if (!file) {
    return file.error();
  }
  while (true) {
    const auto more = file->next();
    if (!more || !*more) {
      return more ? Result<void>() : more.error();
    }
    const StackType own = file->type();
    const char *fault = file->fault();
    if (file->is_torn() || (own == StackType::kEach && fault != nullptr)) {
      Error error =
          plain_error(Errc::kMalformed, kStackIsRefused, path.view(), fault);
      error.line = file->number();
      return error;
    }
    if (type != StackType::kEach && own < StackType::kEach && own != type) {
      continue;
    }
    const StackType taken = own < StackType::kEach ? own : type;
    if (fault != nullptr || file->included().empty()) {
      visit(*file, taken == StackType::kEach ? StackType::kAuth : taken,
            is_in_substack);
    } else if (depth == kMostIncludes) {
      return plain_error(Errc::kMalformed, "cannot follow", path.view(),
                         "it takes in files, and these others, too deep");
    } else if (const auto done = for_each_line(
                   stack_path(file->included()), taken, visit,
                   is_in_substack || is_same_word(file->control(), "substack"),
                   depth + 1);
               !done) {
      return done.error();
    }
  }
}

}  // namespace pbstoken

#endif  // PBSTOKEN_STACK_H_
