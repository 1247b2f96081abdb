// SPDX-License-Identifier: BSD-3-Clause
#include "admin/explanation.h"

#include <array>
#include <cerrno>

#include "io/message.h"
#include "io/output.h"

namespace pbstoken {

namespace {

struct FindingInfo {
  std::string_view word;     // in JSON
  std::string_view verdict;  // if this finding decides
  ExitStatus status;
};

const FindingInfo &info_of(Finding finding) {
  static constexpr std::array<FindingInfo, 6> kTable = {{
      {"fine", "let in", ExitStatus::kDone},
      {"note", "let in", ExitStatus::kDone},
      {"refuses", "refused", ExitStatus::kRefused},
      {"refuses others", "let in by services of root alone",
       ExitStatus::kRefused},
      {"missing", "no such token", ExitStatus::kNoSuchToken},
      {"unknown", "cannot tell", ExitStatus::kUnavailable},
  }};
  return kTable[static_cast<std::size_t>(finding)];
}

constexpr std::string_view kLetIn = "let in, with the right secret\n";

Field text_or_null(std::string_view name, std::string_view text) {
  return text.empty() ? Field::unknown(name) : Field::string(name, text);
}

}  // namespace

void Explanation::add(std::string_view name, Finding finding,
                      std::string_view text, std::string_view what_to_do) {
  const std::size_t begin = text_.size();
  is_whole_ = is_whole_ && text_.append(text) &&
              checks_.append({.name = name,
                              .finding = finding,
                              .begin = begin,
                              .size = text.size(),
                              .what_to_do = what_to_do});
}

void Explanation::add_error(std::string_view name, const Error &error,
                            std::string_view what_to_do) {
  add(name, is_finding(error) ? Finding::kRefuses : Finding::kUnknown,
      describe(error).view(), is_finding(error) ? what_to_do : "");
}

// A reason that is certain counts more than one that is not.
const Explanation::Check *Explanation::decisive() const {
  const Check *unknown = nullptr;
  const Check *others = nullptr;
  for (const Check &check : checks_.items()) {
    switch (check.finding) {
      case Finding::kRefuses:
      case Finding::kMissing:
        return &check;
      case Finding::kUnknown:
        unknown = unknown == nullptr ? &check : unknown;
        break;
      case Finding::kRefusesOthers:
        others = others == nullptr ? &check : others;
        break;
      case Finding::kFine:
      case Finding::kNote:
        break;
    }
  }
  return unknown != nullptr ? unknown : others;
}

std::string_view Explanation::text_of(const Check &check) const {
  return slice(text_.view(), check.begin, check.size);
}

bool Explanation::print_text(const Check *decisive) const {
  Buffer verdict;
  bool ok =
      decisive == nullptr
          ? verdict.append(kLetIn)
          : verdict.append(info_of(decisive->finding).verdict) &&
                verdict.append(": ") && verdict.append(text_of(*decisive)) &&
                verdict.append(decisive->what_to_do.empty() ? "" : "; ") &&
                verdict.append(decisive->what_to_do) && verdict.append("\n");
  List<Field> fields;
  for (const Check &check : checks_.items()) {
    ok = ok && fields.append(Field::string(check.name, text_of(check)));
  }
  if (!ok) {
    errno = ENOMEM;
    return false;
  }
  return pbstoken::print(verdict.view()) &&
         print_fields(fields.items(), OutputFormat::kText);
}

bool Explanation::print_json(const Check *decisive) const {
  constexpr std::size_t kPerCheck = 3;
  List<std::array<Field, kPerCheck>> parts;
  List<Field> checks;
  bool ok = true;
  for (const Check &check : checks_.items()) {
    ok = ok &&
         parts.append({Field::string("check", check.name),
                       Field::string("finding", info_of(check.finding).word),
                       Field::string("text", text_of(check))});
  }
  for (const auto &part : parts.items()) {
    ok = ok && checks.append(Field::object({}, part));
  }
  if (!ok) {
    errno = ENOMEM;
    return false;
  }
  const bool is_out = decisive != nullptr;
  const std::array fields = {
      Field::string("store", line_.store.view()),
      Field::string("tokenid", line_.token_id.text),
      text_or_null("service", line_.service),
      Field::string(
          "verdict",
          info_of(is_out ? decisive->finding : Finding::kFine).verdict),
      text_or_null("reason", is_out ? text_of(*decisive) : ""),
      text_or_null("what_to_do", is_out ? decisive->what_to_do : ""),
      Field::array("checks", checks.items())};
  return print_fields(fields, line_.format);
}

ExitStatus Explanation::print() {
  if (!is_whole_) {
    complain(no_memory("cannot explain"));
    return ExitStatus::kUnavailable;
  }
  const Check *decisive = this->decisive();
  if (!(line_.format == OutputFormat::kText ? print_text(decisive)
                                            : print_json(decisive))) {
    complain(output_error());
    return ExitStatus::kUnavailable;
  }
  return decisive != nullptr ? info_of(decisive->finding).status
                             : ExitStatus::kDone;
}

}  // namespace pbstoken
