// SPDX-License-Identifier: BSD-3-Clause
// pbstoken explain: the files of a store, as far as they are about one token.
#include <algorithm>
#include <optional>

#include "admin/admin.h"
#include "admin/check.h"
#include "admin/explanation.h"
#include "admin/report.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/lease.h"
#include "pbstoken/store/stored_hash.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

namespace {

constexpr std::string_view kRepair =
    "repair the file; 'pbstoken check' has all that is wrong with it";

void explain_configuration(const Store &store, Explanation *out) {
  ProblemText text(store.configuration.view());
  if (store.configuration_identity == FileIdentity{}) {
    text.append(" is not there: each setting is the default");
  }
  out->add("configuration", Finding::kFine, text.view());
}

// --- token.shadow

void explain_hash(std::string_view stored, Explanation *out) {
  const std::string_view method = hash_method(stored);
  if (method.empty()) {
    out->add("stored_hash", Finding::kRefuses,
             "the stored hash is damaged or of no known method, and matches "
             "nothing",
             "make a new secret with pbstoken-helper generate");
  } else if (is_old_hash(stored)) {
    ProblemText text(method);
    text.append(
        ", an old hash, cheaper to guess than what Proxmox makes today");
    out->add("stored_hash", Finding::kNote, text.view());
  } else {
    out->add("stored_hash", Finding::kFine, method);
  }
}

void explain_entry(const PathText &path, std::size_t count, Explanation *out) {
  ProblemText text(path.view());
  if (count == 1) {
    out->add("token_shadow", Finding::kFine,
             text.append(" has the token").view());
    return;
  }
  text.append(" has the token ").append(count);
  out->add("token_shadow", Finding::kNote,
           text.append(" times: the last one counts").view());
}

void explain_shadow(const Store &store, const TokenId &id, Explanation *out) {
  const PathText &path = store.token_shadow;
  const auto file = open_regular(path);
  const auto shadow = TokenShadow::read(file, path);
  if (!shadow) {
    out->add_error("token_shadow", shadow.error(), kRepair);
    return;
  }
  const auto stored = shadow->find(id.text);
  if (!stored) {
    ProblemText text(path.view());
    text.append(file ? " does not have it" : " is not there");
    out->add("token_shadow", Finding::kMissing, text.view(),
             find_place(path) ? "'pbstoken list' has those that are there"
                              : "'pbstoken init' makes its directory");
    return;
  }
  const auto all = shadow->entries();
  const auto count = std::count_if(all.begin(), all.end(),
                                   [&id](const TokenShadow::Entry &entry) {
                                     return entry.token_id == id.text;
                                   });
  explain_entry(path, static_cast<std::size_t>(count), out);
  explain_hash(*stored, out);
}

void explain_lease(const Store &store, Explanation *out) {
  const auto standing = lease_standing(store);
  if (!standing) {
    out->add_error("lease", standing.error(), kRepair);
  } else if (standing->state != LeaseState::kOff) {
    const bool lasts = standing->state == LeaseState::kInForce;
    out->add(
        "lease", lasts ? Finding::kFine : Finding::kRefuses,
        ProblemText("the lease is ").append(word_of(standing->state)).view(),
        "'pbstoken adopt' renews it");
  }
}

// --- user.cfg

// "62 d"
void append_span(ProblemText *out, std::uint64_t seconds) {
  struct Unit {
    std::uint64_t seconds;
    const char *name;
  };
  constexpr auto kUnits = std::to_array<Unit>(
      {{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}});
  const auto *unit = std::find_if(
      kUnits.begin(), kUnits.end() - 1,
      [seconds](const Unit &one) { return seconds >= one.seconds; });
  out->append(seconds / unit->seconds).append(unit->name);
}

void append_end(ProblemText *out, std::uint64_t expires, std::uint64_t now) {
  const bool is_past = expires <= now;
  out->append(is_past ? "expired " : "expires ");
  out->append(iso_date(expires).view()).append(is_past ? ", " : ", in ");
  append_span(out, is_past ? now - expires : expires - now);
  out->append(is_past ? " ago" : "");
}

// The user's section, or the token's.
struct SectionKind {
  std::string_view name;
  const char *if_missing;
  const char *if_disabled;
  const char *if_expired;
};
constexpr SectionKind kUser = {"user", "'pbstoken user add' makes one",
                               "'pbstoken user enable' lets it in again",
                               "'pbstoken user expire' sets another time"};
constexpr SectionKind kToken = {"token", "'pbstoken token add' makes one",
                                "'pbstoken token enable' lets it in again",
                                "'pbstoken token expire' sets another time"};

class AccountExplanation {
 public:
  // demands: of the service; if it applies no account rules, these only make
  // notes.
  AccountExplanation(const Store &store, const TokenId &id,
                     StackDemands demands, Explanation *out)
      : path_(store.user_cfg),
        id_(id),
        refusal_(demands.account ? Finding::kRefuses : Finding::kNote),
        out_(out) {}

  void explain() {
    if (path_.empty()) {
      out_->add("user_cfg", Finding::kFine,
                "the store names none: there are no account rules");
      return;
    }
    const auto file = open_regular(path_);
    const auto cfg = UserCfg::read(file, path_);
    if (!cfg) {
      add_error(cfg.error());
      return;
    }
    ProblemText text(path_.view());
    out_->add("user_cfg", Finding::kFine,
              text.append(file ? "" : " is not there").view());
    explain_sections(*cfg);
  }

 private:
  using Section = UserCfg::Section;

  void add_error(const Error &error) {
    if (refusal_ == Finding::kNote) {
      out_->add("user_cfg", Finding::kNote, describe(error).view());
    } else {
      out_->add_error("user_cfg", error, kRepair);
    }
  }

  void explain_sections(const UserCfg &cfg) {
    add_section(kUser, cfg.find_user(user_id_of(id_)));
    add_section(kToken, cfg.find_token(id_.text));
  }

  // Each must be there, be enabled and not have expired: see UserCfg::judge().
  void add_section(const SectionKind &kind, const Section *section) {
    ProblemText text("the ");
    text.append(kind.name);
    if (section == nullptr) {
      text.append(" has no section in ").append(path_.view());
      out_->add(kind.name, refusal_, text.view(), kind.if_missing);
      return;
    }
    const bool has_expired =
        outcome_of({AccountStatus::kAllowed, section->expires}, now_) ==
        Outcome::kExpired;
    text.append(section->enabled ? " is enabled" : " is disabled");
    if (section->expires == 0) {
      text.append(" and never expires");
    } else {
      append_end(&text.append(has_expired ? " but " : " and "),
                 section->expires, now_);
    }
    if (section->line != 0) {  // root@pam needs no section
      text.append(" (line ").append(section->line).append(")");
    }
    const bool refuses = has_expired || !section->enabled;
    out_->add(kind.name, refuses ? refusal_ : Finding::kFine, text.view(),
              section->enabled ? kind.if_expired : kind.if_disabled);
  }

  const PathText &path_;
  const TokenId &id_;
  Finding refusal_;
  Explanation *out_;
  std::uint64_t now_ = epoch_seconds();
};

void explain_file_system(const Store &store, Explanation *out) {
  const auto shared = problem_of_file_system(store.token_shadow,
                                             /*is_refused=*/!store.shared_fs);
  out->add("file_system", shared ? Finding::kNote : Finding::kFine,
           shared ? shared->view() : "this host's own");
}

}  // namespace

ExitStatus explain_token(Context *context) {
  const Store &store = context->store;
  const TokenId &id = context->line.token_id;
  Explanation out(context->line);
  const StackDemands demands = context->line.service.empty()
                                   ? StackDemands{}
                                   : explain_stack(*context, &out);
  explain_configuration(store, &out);
  explain_lease(store, &out);
  explain_shadow(store, id, &out);
  AccountExplanation(store, id, demands, &out).explain();
  explain_file_system(store, &out);
  explain_host(context, &out);
  return out.print();
}

ExitStatus explain_bad_store(const CommandLine &line, const Error &error) {
  Explanation out(line);
  out.add_error("configuration", error,
                "correct it: until then no service lets a token in");
  return out.print();
}

}  // namespace pbstoken
