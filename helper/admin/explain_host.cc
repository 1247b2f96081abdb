// SPDX-License-Identifier: BSD-3-Clause
// pbstoken explain: what is there besides the files of the store.
#include "admin/check.h"
#include "admin/explanation.h"
#include "admin/report.h"
#include "admin/verdict.h"
#include "admin/ways.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/store/readers.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

namespace {

constexpr std::string_view kSeeCheck = "; 'pbstoken check' says why";

// --- limits

// Appends "3 by 2 hosts, 1 of them refused for 20 s"; no text if all have
// ended.
void append_failures(const TokenFailures &failures, ProblemText *out) {
  if (failures.clients == 0) {
    return;
  }
  out->append("; now ").append(failures.mismatches).append(" by ");
  out->append(failures.clients);
  out->append(failures.clients == 1 ? " host" : " hosts");
  if (failures.throttled != 0) {
    out->append(", ").append(failures.throttled);
    out->append(" of them refused for ").append(failures.seconds);
    out->append(" s: 'pbstoken reset' ends it");
  }
}

void explain_windows(const Store &store, const TokenId &id, Explanation *out) {
  if (store.fail_limit == 0) {
    out->add("windows", Finding::kFine, "fail_limit = 0: no limit");
    return;
  }
  if (auto problem = problem_of_windows(store); problem) {
    out->add("windows", Finding::kNote, problem->append(kSeeCheck).view());
    return;
  }
  const auto failures = failures_of(store, id.text);
  if (!failures) {
    out->add("windows", Finding::kNote, describe(failures.error()).view());
    return;
  }
  ProblemText text("the limit is ");
  text.append(store.fail_limit)
      .append(" wrong secrets of one remote host in ")
      .append(store.fail_window)
      .append(" s");
  append_failures(*failures, &text);
  out->add("windows",
           failures->throttled != 0 ? Finding::kNote : Finding::kFine,
           text.view());
}

// "1 of 2 for root"; returns whether each place is taken.
bool append_share(const Store &store, GateShare share, std::string_view title,
                  ProblemText *out) {
  const auto gate = look_at_gate(store, share);
  const unsigned held = gate ? gate->held : 0;
  const unsigned places = gate ? gate->places : wanted_places(store, share);
  out->append(held).append(" of ").append(places).append(title);
  return held >= places;
}

void explain_gate(const Store &store, Explanation *out) {
  if (store.max_hashes == 0U) {
    out->add("gate", Finding::kFine, "max_hashes = 0: no limit");
    return;
  }
  for (const GateShare share : {GateShare::kRoots, GateShare::kUsers}) {
    if (auto problem = problem_of_gate(store, share); problem) {
      out->add("gate", Finding::kNote, problem->append(kSeeCheck).view());
      return;
    }
  }
  ProblemText text("hashes under way: ");
  const bool root_waits =
      append_share(store, GateShare::kRoots, " for root, ", &text);
  const bool others_wait =
      append_share(store, GateShare::kUsers, " for others", &text);
  if (root_waits || others_wait) {
    text.append(": the next one waits, 5 s at most");
  }
  out->add("gate", root_waits || others_wait ? Finding::kNote : Finding::kFine,
           text.view());
}

// --- the cache

void add_cache(std::string_view name, const CacheVerdict &verdict,
               Explanation *out) {
  out->add(name,
           verdict.state == CacheState::kOff ? Finding::kNote : Finding::kFine,
           text_of(verdict).view());
}

// Returns what holds for root.
CacheVerdict explain_cache(const Store &store, Kind kind, Use *use,
                           Explanation *out) {
  const bool is_secrets = kind == Kind::kSecrets;
  const CacheVerdict root = judge_for_root(store, kind, use);
  add_cache(is_secrets ? "cache_root" : "accounts_root", root, out);
  if (const auto members = judge_for_members(store, kind, root); members) {
    add_cache(is_secrets ? "cache_members" : "accounts_members", *members, out);
  }
  return root;
}

// --- services

std::string_view way_of(const Ways &ways) {
  if (ways.socket == SocketState::kListens) {
    return "the helper behind ";
  }
  return ways.is_setuid ? "the setuid program " : "nothing: there is no ";
}

void explain_member(const Store &store, Explanation *out) {
  const Ways ways = ways_to_helper();
  if (const auto obstacle = obstacle_to_helper(store, ways); obstacle) {
    ProblemText text(obstacle->where.view());
    text.append(": ").append(obstacle->why);
    out->add("as_member", Finding::kRefusesOthers, text.view(),
             obstacle->what_to_do);
    return;
  }
  const auto group = reader_group(store);
  if (!group || !*group) {
    out->add("as_member", Finding::kNote,
             "no group may verify: only services of root do");
    return;
  }
  ProblemText text("asks the segment, then ");
  text.append(way_of(ways));
  text.append(ways.socket == SocketState::kListens ? kHelperSocket
                                                   : kHelperProgramPath);
  const bool has_way = ways.socket == SocketState::kListens || ways.is_setuid;
  out->add("as_member", has_way ? Finding::kFine : Finding::kNote, text.view());
}

void explain_services(const Store &store, const CacheVerdict &cache,
                      Explanation *out) {
  out->add("as_root", Finding::kFine,
           cache.state == CacheState::kOff
               ? "reads the file for each request"
               : "asks the segment, then reads the file");
  explain_member(store, out);
}

// --- use

void explain_use(const TokenId &id, Use *use, Explanation *out) {
  const auto since = use->since();
  if (!since) {
    out->add("last_use", Finding::kFine, "nothing was counted yet");
    return;
  }
  const auto last = use->of(id.text);
  ProblemText text;
  if (last) {
    text.append(iso_date(last->last).view()).append(", the last of ");
    text.append(last->count).append(" since ");
  } else {
    text.append("never since ");
  }
  text.append(iso_date(*since).view());
  out->add("last_use", Finding::kFine, text.view());
}

}  // namespace

void explain_host(Context *context, Explanation *out) {
  const Store &store = context->store;
  Use &use = context->verifier.use();
  use.only_look();
  explain_windows(store, context->line.token_id, out);
  explain_gate(store, out);
  const CacheVerdict cache = explain_cache(store, Kind::kSecrets, &use, out);
  if (!store.user_cfg.empty()) {
    explain_cache(store, Kind::kAccounts, &use, out);
  }
  explain_services(store, cache, out);
  explain_use(context->line.token_id, &use, out);
}

}  // namespace pbstoken
