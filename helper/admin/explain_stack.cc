// SPDX-License-Identifier: BSD-3-Clause
// pbstoken explain --service: the lines of a stack that name the module, and
// what each of them makes of the token.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "admin/explanation.h"
#include "admin/stack.h"
#include "pbstoken/verify/credentials.h"
#include "pbstoken/verify/options.h"

namespace pbstoken {

namespace {

constexpr std::array<std::string_view, 4> kTypeNames = {"auth", "account",
                                                        "password", "session"};
constexpr std::size_t kTypes = kTypeNames.size();

constexpr const char *kEachIsRefused =
    "libpam refuses each user of the service";

// What a line makes of the token.
enum class Effect : std::uint8_t {
  kAsks,  // the secret or the account rules decide
  kOtherStore,
  kOtherModule,
  kFails,  // libpam does not come to the module
  kRefuses
};

struct Line {
  Effect effect = Effect::kRefuses;
  bool keeps_users_out = false;
  bool checks_account = false;
  ProblemText text;
  const char *what_to_do = "correct the option: the line refuses everybody";
};

void append_demands(const ModuleOptions &options, const TokenId &id,
                    ProblemText *out) {
  if (options.combined) {
    out->append(", for the user ").append_escaped(id.user);
    out->append(" with TOKENID:SECRET as the password");
  }
  if (options.check_account) {
    out->append(", with the account rules");
  }
}

void judge_other_store(const StackFile &file, const ModuleOptions &options,
                       Line *line) {
  const PathText path = options.configuration();
  const auto store = load_store(options.store.view(), path, Names::kUnknown);
  // What this process may not read another may.
  if (store || store.error().code == Errc::kNoMemory ||
      store.error().saved_errno == EACCES) {
    line->effect = Effect::kOtherStore;
    line->text.append("asks the store of ").append_escaped(path.view());
    return;
  }
  line->text.append(describe(store.error()).view());
  line->what_to_do = "correct it: the line refuses everybody";
  line->keeps_users_out = file.refuses_on("authinfo_unavail");
}

// How libpam goes through the lines of one type, once the module has said yes:
// it may leave lines out.  What other modules say is not known.
class Course {
 public:
  // Goes to the next line; false if it is left out.
  [[nodiscard]] bool comes_to_next() {
    const bool is_left_out = is_over_ || to_skip_ > 0;
    to_skip_ -= to_skip_ > 0 ? 1 : 0;
    return !is_left_out;
  }

  void act(std::string_view action) {
    is_over_ = action == "done" || action == "die";
    to_skip_ = parse_number(action).value_or(0);
  }

 private:
  bool is_over_ = false;
  std::uint64_t to_skip_ = 0;
};

class StackExplanation {
 public:
  StackExplanation(const Context &context, Explanation *out)
      : store_(context.store), id_(context.line.token_id), out_(out) {}

  // At each line of the stack: first only to see whether one asks.
  void operator()(const StackFile &file, StackType type, bool is_in_substack);

  StackDemands explain(std::string_view service);

 private:
  [[nodiscard]] Result<void> walk(std::string_view service);
  [[nodiscard]] Line judge(const StackFile &file, StackType type) const;
  void judge_fault(const StackFile &file, Line *line) const;
  void judge_options(const StackFile &file, StackType type, Line *line) const;
  void note(const Line &line, StackType type);
  void add(const Line &line, StackType type);
  void add_what_is_missing(const PathText &path);

  const Store &store_;
  const TokenId &id_;
  Explanation *out_;
  bool adds_ = false;
  std::array<bool, kTypes> has_type_{};
  std::array<Course, kTypes> courses_;
  bool is_named_ = false;            // by an auth line
  std::array<bool, kTypes> asks_{};  // a line of the type does
  bool refuses_ = false;             // an auth line of this store does
  bool checks_account_ = false;
};

// Of a type that the service has no line of, libpam takes that of `other`.
Result<void> StackExplanation::walk(std::string_view service) {
  has_type_ = {};
  courses_ = {};
  const PathText path = stack_path(service);
  if (access(path.c_str(), F_OK) == 0) {
    if (const auto done = for_each_line(path, StackType::kEach, *this); !done) {
      return done.error();
    }
  }
  const auto had = has_type_;
  for (const StackType type : {StackType::kAuth, StackType::kAccount}) {
    const PathText other = stack_path("other");
    if (had[static_cast<std::size_t>(type)] ||
        access(other.c_str(), F_OK) != 0) {
      continue;
    }
    if (const auto done = for_each_line(other, type, *this); !done) {
      return done.error();
    }
  }
  return {};
}

void StackExplanation::operator()(const StackFile &file, StackType type,
                                  bool is_in_substack) {
  const auto place = static_cast<std::size_t>(type);
  has_type_[place] = true;
  const bool is_reached = courses_[place].comes_to_next();
  const bool is_ours =
      file.fault() != nullptr ? file.mentions_us() : file.is_ours();
  Line line = judge(file, type);
  line.keeps_users_out =
      line.keeps_users_out && is_reached && type != StackType::kPassword;
  // What ends a substack does not end the stack around it.
  if (is_reached && line.effect == Effect::kAsks && !is_in_substack) {
    courses_[place].act(file.action_on("success"));
  }
  if (!is_ours && !line.keeps_users_out) {
    return;
  }
  if (adds_) {
    add(line, type);
  } else if (is_ours) {
    note(line, type);
  }
}

Line StackExplanation::judge(const StackFile &file, StackType type) const {
  Line line;
  line.text.append_escaped(file.path().view());
  line.text.append(":").append(file.number()).append(": ");
  if (file.fault() != nullptr) {
    judge_fault(file, &line);
  } else if (file.is_ours()) {
    line.text.append(kTypeNames[static_cast<std::size_t>(type)]).append(": ");
    judge_options(file, type, &line);
  } else {
    line.effect = Effect::kOtherModule;
  }
  return line;
}

void StackExplanation::judge_fault(const StackFile &file, Line *line) const {
  line->effect = Effect::kFails;
  line->keeps_users_out = file.keeps_users_out();
  line->text.append(line->keeps_users_out ? kStackIsRefused : kLineFails);
  line->text.append(": ").append(file.fault());
  line->what_to_do = line->keeps_users_out ? kEachIsRefused : "correct it";
}

void StackExplanation::judge_options(const StackFile &file, StackType type,
                                     Line *line) const {
  ModuleOptions options;
  if (const auto parsed = parse_module_options(file.options(), &options);
      !parsed) {
    Error error = parsed.error();
    error.why = file.has_carriage_return() ? kCarriageReturn : error.why;
    line->text.append(describe(error).view());
    line->keeps_users_out = file.refuses_on("service_err");
    return;
  }
  if (options.configuration().view() != store_.configuration.view()) {
    judge_other_store(file, options, line);
    return;
  }
  // The account rules are the same whatever the password was.
  if (const auto refused = refuse_id(options, id_);
      refused && type != StackType::kAccount) {
    line->what_to_do = "this service takes other tokens";
    // Which one it is depends on the form in which the token is given.
    line->keeps_users_out =
        file.refuses_on("auth_err") && file.refuses_on("user_unknown");
    line->text.append(*refused == Outcome::kOtherRealm
                          ? "realm= takes no token of the realm "
                          : "map_user=user takes no token of the user ");
    line->text.append_escaped(*refused == Outcome::kOtherRealm ? id_.realm
                                                               : id_.user);
    return;
  }
  line->effect = Effect::kAsks;
  line->checks_account = options.check_account;
  line->text.append("asks this store");
  if (type == StackType::kAuth) {
    append_demands(options, id_, &line->text);
  }
}

void StackExplanation::note(const Line &line, StackType type) {
  const bool asks = line.effect == Effect::kAsks;
  bool &asks_of_type = asks_[static_cast<std::size_t>(type)];
  asks_of_type = asks_of_type || asks;
  if (type == StackType::kAuth) {
    is_named_ = true;
    refuses_ = refuses_ || line.effect == Effect::kRefuses ||
               line.effect == Effect::kFails;
    checks_account_ = checks_account_ || line.checks_account;
  }
  // A line that refuses each account lets in none that has expired either.
  checks_account_ =
      checks_account_ || (type == StackType::kAccount &&
                          (asks || line.effect == Effect::kRefuses));
}

// One line that asks is enough, whatever others refuse that let the stack go
// on.
void StackExplanation::add(const Line &line, StackType type) {
  const bool is_alone = !asks_[static_cast<std::size_t>(type)];
  const bool is_final = line.keeps_users_out ||
                        (type == StackType::kAuth && is_alone) ||
                        (type == StackType::kAccount && is_alone &&
                         line.effect == Effect::kRefuses);
  const bool refuses =
      line.effect == Effect::kRefuses || line.effect == Effect::kFails;
  const Finding finding = line.effect == Effect::kAsks ? Finding::kFine
                          : refuses && is_final        ? Finding::kRefuses
                                                       : Finding::kNote;
  out_->add("service", finding, line.text.view(), line.what_to_do);
}

void StackExplanation::add_what_is_missing(const PathText &path) {
  ProblemText text;
  text.append_escaped(path.view());
  if (access(path.c_str(), F_OK) != 0) {
    out_->add(
        "service", Finding::kNote,
        text.append(" is not there: libpam takes the stack of other").view());
    text.clear();
    text.append("the stack of other");
  }
  const bool asks = asks_[static_cast<std::size_t>(StackType::kAuth)];
  if (!is_named_) {
    out_->add("service", Finding::kRefuses,
              text.append(" has no auth line with pam_pbstoken.so").view(),
              "pam_pbstoken(8) has such lines");
  } else if (!asks && !refuses_) {
    out_->add("service", Finding::kRefuses,
              text.append(" asks other stores alone").view(),
              "name one of them with --store or --config");
  } else if (!checks_account_ && asks) {
    out_->add("service", Finding::kNote,
              text.append(" has neither an account line nor check_account: a "
                          "token that is disabled or has expired is let in, "
                          "too")
                  .view());
  }
}

StackDemands StackExplanation::explain(std::string_view service) {
  auto walked = walk(service);
  adds_ = true;
  if (walked) {
    walked = walk(service);
  }
  if (!walked) {
    out_->add_error("service", walked.error(), kEachIsRefused);
    return {};
  }
  add_what_is_missing(stack_path(service));
  return {.account = checks_account_};
}

}  // namespace

StackDemands explain_stack(const Context &context, Explanation *out) {
  // libpam takes it in lower case.
  FixedText<NAME_MAX> service;
  for (const char c : context.line.service) {
    const char small =
        c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    service.append({&small, 1});
  }
  return StackExplanation(context, out).explain(service.view());
}

}  // namespace pbstoken
