// SPDX-License-Identifier: BSD-3-Clause
// What `pbstoken explain` has found out about a token, and the verdict.
#ifndef PBSTOKEN_EXPLANATION_H_
#define PBSTOKEN_EXPLANATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "admin/problems.h"
#include "io/command.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/list.h"

namespace pbstoken {

enum class Finding : std::uint8_t {
  kFine,
  kNote,           // it keeps no token out, and may be what a reader looks for
  kRefuses,        // no service lets the token in
  kRefusesOthers,  // only services of root do
  kMissing,        // there is no such token
  kUnknown         // it could not be looked at
};

// The things that were looked at, in the order in which the module asks for
// them.
class Explanation {
 public:
  // `line` must outlive the object.
  explicit Explanation(const CommandLine &line) : line_(line) {}

  // `name` is static, and so is `what_to_do`, of a finding that is for the
  // verdict.
  void add(std::string_view name, Finding finding, std::string_view text,
           std::string_view what_to_do = {});

  // Does the same for what could not be read: it refuses the token if the file
  // itself is the reason.
  void add_error(std::string_view name, const Error &error,
                 std::string_view what_to_do);

  // Prints the verdict, which is the first finding that keeps the token out,
  // and all that was added.
  [[nodiscard]] ExitStatus print();

 private:
  struct Check {
    std::string_view name;
    Finding finding;
    std::size_t begin;  // in text_
    std::size_t size;
    std::string_view what_to_do;
  };

  [[nodiscard]] const Check *decisive() const;
  [[nodiscard]] std::string_view text_of(const Check &check) const;
  [[nodiscard]] bool print_text(const Check *decisive) const;
  [[nodiscard]] bool print_json(const Check *decisive) const;

  const CommandLine &line_;
  Buffer text_;  // of all checks
  List<Check> checks_;
  bool is_whole_ = true;  // else memory ran out
};

// The parts of the command that stand in files of their own.

// What a service's stack asks of the module.
struct StackDemands {
  bool account = true;  // whether it applies the account rules
};

// Looks at the lines of the service's stack that name the module.
StackDemands explain_stack(const Context &context, Explanation *out);

// Looks at what is there besides the files: limits, cache, helper, and when the
// token was last let in.
void explain_host(Context *context, Explanation *out);

}  // namespace pbstoken

#endif  // PBSTOKEN_EXPLANATION_H_
